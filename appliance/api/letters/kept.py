"""Drafts that wait for approvals, as they are kept: opened, held to the letters of now, shown, and given approvals.

For whoever opens a tenant's content: API workers, and the audit process for approvers' work lists. What is kept is the
application's request and the very text; who changes it says how it is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog

from appliance.api.bodies import BodyCipher, BodyDamaged
from appliance.api.letters.approvals import told
from appliance.api.letters.draft_schemas import Approved, KeptDraft
from appliance.api.letters.kinds import Kinds
from appliance.api.letters.schemas import EventRequest, LetterRequest
from appliance.api.letters.views import states_of
from appliance.errors import Conflict
from appliance.instants import instant, rfc3339
from appliance.letters.approvals import (
    Needed,
    check_given,
    check_places,
    standing,
    what_is_missing,
    what_is_needed,
)
from appliance.letters.approvers import Approvers
from appliance.letters.draft_words import read_draft_text
from appliance.letters.errors import ApprovalMissing, KindUnknown
from appliance.letters.event import FIRST_APPROVAL_PREFIX, Approval, ApprovalStep
from appliance.recorder.errors import DraftMoved

if TYPE_CHECKING:
    from appliance.recorder import RecorderClient

_TRIES: Final = 8
"""How often a draft is found and changed anew where others changed it at the same time."""


log = structlog.get_logger("api")


class DraftStale(Conflict):
    """The draft is another one by now: the letter, its kind or another letter has moved on since it was made."""

    code = "draft-stale"
    title = "What was approved would not happen any more"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a draft, encrypted by its tenant."""

    application: str
    asked_us: int
    letter: str | None
    """None: it begins one."""
    request: bytes
    """LetterRequest or EventRequest, JSON, such that the draft comes out the same."""
    text: bytes
    steps: list[ApprovalStep | str]
    """By name alone: from before approvals named their step. Nobody signs such a draft any more."""
    amount: tuple[int, str] | None
    approvals: list[Approval]
    withdrawn_us: int = 0
    """When the application that asked for it took it back; 0: it waits. The draft stays to be seen until it expires."""


class Standing(NamedTuple):
    """A draft as it waits."""

    draft: bytes
    revision: int
    expires: int
    kept: Kept


@dataclass(frozen=True)
class DraftSource:
    """Where one tenant's drafts, letters, kinds and approvers are read."""

    tenant: str
    recorder: RecorderClient
    cipher: BodyCipher
    kinds: Kinds
    approvers: Approvers | None
    """In force now; None: nobody may approve."""
    now_us: int


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Kept).decode


async def read_draft(source: DraftSource, draft: bytes) -> Standing:
    """Raises NotFound; another tenant's is not found either."""
    return opened_draft(source.cipher, await source.recorder.query("draft", source.tenant, draft, source.now_us))


async def read_drafts(source: DraftSource, after: bytes) -> tuple[list[Standing], bytes | None]:
    """A page of drafts, in the order of their ids, and after which one the next page begins; None: this was the last.

    A draft that cannot be opened hides no other one."""
    rows = await source.recorder.query("drafts", source.tenant, source.now_us, after)
    found: list[Standing] = []
    for row in rows:
        try:
            found.append(opened_draft(source.cipher, row))
        except (BodyDamaged, msgspec.MsgspecError) as error:
            log.error("draft-unreadable", tenant=source.tenant, draft=row["draft"].hex(), error=type(error).__name__)
    return found, rows[-1]["draft"] if rows else None


def opened_draft(cipher: BodyCipher, row: dict[str, Any]) -> Standing:
    """What the recorder shows of a draft, opened."""
    content = cipher.open_bytes(_label(row["draft"]), row["content"])
    return Standing(row["draft"], row["revision"], row["expires"], _unpack(content))


def close_draft(cipher: BodyCipher, one: Standing) -> bytes:
    """The content as the recorder keeps it."""
    return cipher.close_bytes(_label(one.draft), _pack(one.kept))


def _label(draft: bytes) -> bytes:
    return b"draft|" + draft


def needed_by(source: DraftSource, kept: Kept) -> tuple[Needed, ...]:
    """What each step needs by the policies in force. Raises ApprovalMissing where one is another one, or gone."""
    steps = [one for one in kept.steps if isinstance(one, ApprovalStep)]
    if len(steps) < len(kept.steps):
        raise ApprovalMissing("it was asked for before approvals named their step: ask for another draft")
    return what_is_needed(steps, kept.amount, source.approvers)


def approvals_for(kept: Kept, given: Sequence[Approval]) -> list[Approval]:
    """Those that are of steps which it has: limits may want other ones than when it was asked for first."""
    decided = [ApprovalStep(limits=one.limits, policy=one.policy, step=one.step) for one in given]
    return [one for one, step in zip(given, decided, strict=True) if step in kept.steps]


def approvals_with(source: DraftSource, kept: Kept, approval: Approval) -> list[Approval]:
    """The approvals that still hold, and this one, which must. Raises ApprovalMissing."""
    needed = needed_by(source, kept)
    at = instant(source.now_us)

    def check(given: Sequence[Approval]) -> None:
        check_given(kept.text, needed, given, source.approvers, at)

    given = [*standing(kept.approvals, check), approval]
    check(given)
    return given


async def change_kept(
    find: Callable[[], Awaitable[tuple[DraftSource, Standing]]],
    change: Callable[[DraftSource, Standing], Awaitable[Kept | None]],
    write: Callable[[DraftSource, Standing], Awaitable[None]],
) -> tuple[DraftSource, Standing]:
    """Find a draft, change what is kept of it and write that; anew where others changed it at the same time.

    `change` gives None where there is nothing to change. Raises DraftMoved, and what the three raise."""
    for _ in range(_TRIES):
        source, one = await find()
        kept = await change(source, one)
        if kept is None:
            return source, one
        one = one._replace(revision=one.revision + 1, kept=kept)
        with contextlib.suppress(DraftMoved):
            await write(source, one)
            return source, one
    raise DraftMoved("others changed the draft at the same time: send it again")


async def approved(source: DraftSource, one: Standing, approval: Approval) -> Kept | None:
    """What is kept with this approval; None: it is there already. Raises DraftStale, ApprovalMissing."""
    if approval in one.kept.approvals:
        return None
    if (await which_are_stale(source, [one]))[0]:
        raise DraftStale("its letter or its kind is another one by now: ask for another draft")
    return msgspec.structs.replace(one.kept, approvals=approvals_with(source, one.kept, approval))


async def which_are_stale(source: DraftSource, found: Sequence[Standing]) -> list[bool]:
    """Of each, whether its event would be another one by now, or was taken back, or cannot be signed any more."""
    events = [read_draft_text(one.kept.text) for one in found]
    letters = await states_of(source.recorder, source.cipher, source.tenant, [event.letter for event in events])
    stale = []
    for one, event in zip(found, events, strict=True):
        standing = letters.get(event.letter)
        if one.kept.withdrawn_us or one.kept.text.startswith(FIRST_APPROVAL_PREFIX):
            stale.append(True)
            continue
        if event.previous is not None or standing is not None:
            stale.append(standing is None or standing.head != event.previous)
            continue
        try:
            stale.append(source.kinds.newest(source.tenant, event.kind.id).digest != event.kind.digest)
        except KindUnknown:
            stale.append(True)
    return stale


async def shown_drafts(source: DraftSource, found: Sequence[Standing]) -> list[KeptDraft]:
    """As approvers and applications see them. Signatures were checked as they came, and are when the event happens."""
    stale = await which_are_stale(source, found)
    return [_shown(source, one, stale=old) for one, old in zip(found, stale, strict=True)]


def _shown(source: DraftSource, one: Standing, *, stale: bool) -> KeptDraft:
    kept, event = one.kept, read_draft_text(one.kept.text)
    needed: tuple[Needed, ...] = ()
    complete = False
    try:
        needed = needed_by(source, kept)
        check_places(needed, kept.approvals)
        approvers = source.approvers
        in_office = approvers is not None and all(approvers.person(given.approver) for given in kept.approvals)
        complete = in_office and not what_is_missing(needed, kept.approvals)
    except ApprovalMissing:
        pass  # a policy is another one, or gone
    request = msgspec.json.decode(kept.request, type=EventRequest if kept.letter is not None else LetterRequest)
    return KeptDraft(
        draft=one.draft.hex(),
        state="withdrawn" if kept.withdrawn_us else "stale" if stale else "complete" if complete else "open",
        letter=event.letter,
        kind=event.kind.id,
        event=event.event,
        application=kept.application,
        asked=rfc3339(kept.asked_us),
        expires=rfc3339(one.expires),
        text=kept.text,
        disclosures=request.disclosures,
        needed=told(needed),
        approved=[Approved(approver=approval.approver, step=approval.step) for approval in kept.approvals],
    )
