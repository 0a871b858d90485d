"""Approvers' work list: a tenant's drafts that wait, with who has signed and who can sign next. Looks are on record.

What is signed is shown elsewhere, on the approval origin, from the very bytes; here stands enough to choose by: of a
letter that exists already, its clear values as they are.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.api.letters.draft_schemas import KeptDraft
from appliance.api.letters.kept import DraftSource, Standing, needed_by, read_draft, read_drafts, shown_drafts
from appliance.api.letters.views import states_of
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.letters import LetterLine, line_of
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.errors import NotFound
from appliance.letters.approvals import next_to_sign
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Digest
from appliance.letters.state import LetterState

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
    letter: LetterLine | None
    """The letter as it stands now, which the event would happen to; None: the event begins it."""


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
    return sorted(await _views(source, found), key=lambda one: one.draft.expires)


async def draft(room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: Digest) -> DraftView:
    """One draft. Raises NotFound; another tenant's is not found either."""
    source = _source(room, audited)
    one = await read_draft(source, bytes.fromhex(identifier))
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"draft": identifier}).decode(), 0, size, 1)
    (view,) = await _views(source, [one])
    return view


async def _views(source: DraftSource, found: Sequence[Standing]) -> list[DraftView]:
    shown = await shown_drafts(source, found)
    letters = await states_of(source.recorder, source.cipher, source.tenant, [one.letter for one in shown])
    return [_view(source, one, draft, letters.get(draft.letter)) for one, draft in zip(found, shown, strict=True)]


def _view(source: DraftSource, one: Standing, shown: KeptDraft, letter: LetterState | None) -> DraftView:
    wanted = None
    if shown.state == "open":
        with contextlib.suppress(ApprovalMissing):  # a policy is another one, or gone: nobody signs this
            wanted = next_to_sign(needed_by(source, one.kept), one.kept.approvals)
    return DraftView(
        draft=shown,
        step=None if wanted is None else wanted[0].step,
        may_sign=[] if wanted is None else list(wanted[1]),
        letter=None if letter is None else line_of(letter),
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
