"""Approvers' work list: a tenant's drafts that wait, with who has signed and who can sign next. Looks are on record.

What is signed is shown elsewhere, on the approval origin, from the very bytes; here stands enough to choose by.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final

import msgspec

from appliance.api.letters.draft_schemas import KeptDraft
from appliance.api.letters.kept import DraftSource, Standing, needed_by, read_draft, read_drafts, shown_drafts
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.errors import NotFound
from appliance.letters.approvals import next_to_sign
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Digest

MOST: Final = 1_000
"""Drafts of one list: as many as a tenant has waiting."""
_encode = msgspec.json.Encoder(order="sorted").encode


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """A draft on the list."""

    draft: KeptDraft
    step: int | None
    """The step that wants an approval now; None: nothing is missing, or nobody can tell."""
    may_sign: list[str]
    """Who can give it."""


async def drafts(room: AuditRoom, asker: Asker, audited: AuditedLog) -> list[DraftView]:
    """All that wait, those that expire first before the others."""
    source = _source(room, audited)
    found: list[Standing] = []
    after: bytes | None = b""
    while len(found) < MOST and after is not None:
        page, after = await read_drafts(source, after)
        found += page
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"drafts": True}).decode(), 0, size, len(found))
    shown = await shown_drafts(source, found)
    views = [_view(source, one, draft) for one, draft in zip(found, shown, strict=True)]
    return sorted(views, key=lambda one: one.draft.expires)


async def draft(room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: Digest) -> DraftView:
    """One draft. Raises NotFound; another tenant's is not found either."""
    source = _source(room, audited)
    one = await read_draft(source, bytes.fromhex(identifier))
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"draft": identifier}).decode(), 0, size, 1)
    (shown,) = await shown_drafts(source, [one])
    return _view(source, one, shown)


def _view(source: DraftSource, one: Standing, shown: KeptDraft) -> DraftView:
    wanted = None
    if shown.state == "open":
        with contextlib.suppress(ApprovalMissing):  # a policy is another one, or gone: nobody signs this
            wanted = next_to_sign(needed_by(source, one.kept), one.kept.approvals)
    return DraftView(
        draft=shown,
        step=None if wanted is None else wanted[0].step,
        may_sign=[] if wanted is None else list(wanted[1]),
    )


def _source(room: AuditRoom, audited: AuditedLog) -> DraftSource:
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    return DraftSource(
        tenant=audited.name,
        recorder=room.source.recorder,
        cipher=audited.cipher,
        kinds=room.kinds,
        approvers=room.approvers.of(audited.name),
        now_us=time.time_ns() // 1000,
    )
