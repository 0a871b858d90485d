"""Letters of one tenant for its people: found, read event by event, taken away as evidence; each look is on record.

A hidden value is shown only to whoever asks for it, and then the log says so.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Final

import msgspec
from asn1crypto import cms

from appliance.api.letters.assembling import LetterSource, letter_evidence
from appliance.api.letters.rows import letter_rows
from appliance.api.letters.views import open_view
from appliance.audit.errors import NO_SUCH_LOG, FilterRefused
from appliance.audit.filters import Instant, Word
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.der import DerError
from appliance.errors import NotFound
from appliance.letters.artifact import Artifact, decode_artifact
from appliance.letters.effects import value_of
from appliance.letters.event import LetterId
from appliance.letters.money import print_amount
from appliance.letters.state import LetterState
from appliance.token_imprint import token_imprint

PAGE_LIMIT: Final = 200
SEARCHED: Final = 2_000
"""Letters that one page looks at to find those of a time."""
_PORTION: Final = 200
EVENTS: Final = 1_000
"""Of one letter that are shown; its evidence has them all."""
_encode = msgspec.json.Encoder(order="sorted").encode


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that is given must hold. Times in microseconds since the epoch, of a letter's newest event."""

    kind: Word | None = None
    since: Instant | None = None
    state: Word | None = None
    until: Instant | None = None
    """Not included."""

    def takes(self, changed: int) -> bool:
        return (self.since is None or changed >= self.since) and (self.until is None or changed < self.until)


class LetterLine(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it stands after its newest event."""

    letter: str
    kind: str
    version: int
    kind_digest: str
    state: str
    number: int
    """How many events it has."""
    head: str
    fields: dict[str, Any]
    """Clear values."""
    hidden: list[str]
    """Names of hidden fields that have a value."""
    encrypted: list[str]
    """Fields whose value stands in an envelope."""
    balance: str | None
    currency: str | None
    origin: str | None
    """The letter that it was split from."""
    begun: str
    changed: str


class LettersView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of letters, the newest first."""

    letters: list[LetterLine]
    next: str | None
    """Cursor of the next page; None at the end."""
    searched: int
    counts: list[tuple[str, str, int]]
    """(kind, state, letters) of the whole tenant."""


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a letter with its record."""

    event: bytes
    """Canonical JSON."""
    record: str
    leaf: int
    key: str
    stamped: int | None
    """Time of the seal's time-stamp, microseconds since the epoch; None: it has none that can be read."""
    stamp: str
    """The stamp's own record: its id, or its leaf in the log."""
    files: list[tuple[str, int]]
    """Name and bytes of what travels beside the event."""


class LetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A letter, whole."""

    line: LetterLine
    events: list[EventView]
    values: dict[str, Any]
    """Of hidden fields, where they were asked for."""


async def letters(
    room: AuditRoom, asker: Asker, audited: AuditedLog, wanted: LetterFilter, cursor: LetterId | None, limit: int
) -> LettersView:
    """One page. `cursor`: `next` of the page before. Raises NotFound."""
    if not 1 <= limit <= PAGE_LIMIT:
        raise FilterRefused(f"a page has 1 to {PAGE_LIMIT} letters")
    source = source_of(room, audited)
    shown: list[LetterLine] = []
    before, searched, more = bytes.fromhex(cursor or ""), 0, True
    while more and len(shown) < limit and searched < SEARCHED:
        portion = limit if wanted.since is None and wanted.until is None else _PORTION
        rows = await source.recorder.query("letter_page", audited.name, wanted.kind, wanted.state, portion, before)
        more = False
        for row in rows:
            before, searched, more = row["letter"], searched + 1, True
            if wanted.takes(row["changed"]):
                shown.append(line_of(open_view(source.cipher, row["letter"], row["view"])))
            if len(shown) == limit:
                break
    # That a filter finds nothing, and how many letters there are, tells something too.
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"letters": wanted}).decode(), 0, size, len(shown))
    counts = await source.recorder.query("letter_counts", audited.name)
    return LettersView(letters=shown, next=before.hex() if more else None, searched=searched, counts=counts)


async def letter(
    room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: LetterId, *, disclose: bool
) -> LetterView:
    """One letter with its events. Raises NotFound, another tenant's letter alike, and SegmentNotMounted."""
    source = source_of(room, audited)
    row = await source.recorder.query("letter", audited.name, bytes.fromhex(identifier))
    state = open_view(source.cipher, row["letter"], row["view"])
    events: list[EventView] = []
    async with contextlib.aclosing(letter_rows(source.recorder, audited.name, row["letter"])) as records:
        async for _, record in records:
            events.append(_event(record, decode_artifact(source.cipher.open(record[1], record[7]).artifact)))
            if len(events) == EVENTS:
                break
    asked = {"letter": identifier} | ({"hidden": True} if disclose else {})
    low, high = min(one.leaf for one in events), max(one.leaf for one in events) + 1
    await room.tell(asker, audited, _encode(asked).decode(), low, high, len(events))
    values = {name: value_of(state, name) for name in state.hidden} if disclose else {}
    return LetterView(line=line_of(state), events=events, values=values)


async def evidence(
    room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: LetterId, disclosed: list[Word]
) -> bytes:
    """The evidence file, as GET /v1/evidence/{letter} gives it. Raises NotFound, Archived, EvidenceNotReady."""
    file = await letter_evidence(source_of(room, audited), identifier, disclosed)
    asked = {"evidence": identifier} | ({"disclosed": disclosed} if disclosed else {})
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode(asked).decode(), 0, size, 1)
    return file


def source_of(room: AuditRoom, audited: AuditedLog) -> LetterSource:
    """Raises NotFound for the box's own log, which has no letters."""
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    return LetterSource(
        tenant=audited.name,
        recorder=room.source.recorder,
        cipher=audited.cipher,
        origin=audited.origin,
        log=audited.reader,
        cosigned=audited.cosigned,
        witnessed=audited.witnessed,
        authorities=[one.name for one in room.settings.authorities],
        kind_of=partial(room.kinds.by_digest, audited.name),
        rehearsal=room.settings.rehearsal,
        anchors=room.anchors,
    )


def line_of(state: LetterState) -> LetterLine:
    """A letter as its tenant's people see it, without its hidden values."""
    return LetterLine(
        letter=state.letter,
        kind=state.kind.id,
        version=state.kind.version,
        kind_digest=state.kind.digest,
        state=state.state,
        number=state.number,
        head=state.head,
        fields=state.fields,
        hidden=sorted(state.hidden),
        encrypted=sorted(name for name in state.sealed if name not in state.fields),
        balance=print_amount(state.balance, state.currency) if state.currency else None,
        currency=state.currency or None,
        origin=state.origin,
        begun=state.begun,
        changed=state.changed,
    )


def _event(record: list[Any], artifact: Artifact) -> EventView:
    return EventView(
        event=artifact.event,
        record=record[1].hex(),
        leaf=record[0],
        key=record[4],
        stamped=_stamped(artifact),
        stamp=str(record[0] + 1) if artifact.stamp is None else artifact.stamp.record.hex(),
        files=[(name, len(content)) for name, content in sorted(artifact.beside.items())],
    )


def _stamped(artifact: Artifact) -> int | None:
    """genTime of the time-stamp inside a CAdES B-T seal (EN 319 122-1, clause 5.3), or of the one that the seal shares
    with others."""
    try:
        if artifact.stamp is not None:
            return token_imprint(artifact.stamp.token).time_us
        signer = cms.ContentInfo.load(artifact.seal)["content"]["signer_infos"][0]
        for attribute in signer["unsigned_attrs"]:
            if attribute["type"].native == "signature_time_stamp_token":
                return token_imprint(attribute["values"][0].dump()).time_us
    except (ValueError, TypeError, KeyError, IndexError, DerError):
        return None
    return None
