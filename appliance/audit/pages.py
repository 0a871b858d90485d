"""Pages of a log for people: what a filter takes, from either end, opened, and on record as read.

A page costs about the same at 10^3 and 10^7 records: kinds, keys, applications and times are found in the index. A text
stands in the records alone, so a page with one opens at most SEARCHED records and says how far it came.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import msgspec

from appliance.audit.errors import FilterRefused
from appliance.audit.filters import Filter
from appliance.audit.handing_out import handed_out, opening
from appliance.audit.opening import BOX_LEAF, CLEAR_KINDS
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.audit.source import StoredRow
from appliance.errors import NotFound
from appliance.log import NotYetIncluded
from appliance.recorder.errors import Archived

PAGE_LIMIT = 200
SEARCHED = 1_000
"""Records that a page opens to look for a text."""
PORTION = 200
"""Records that are fetched at once."""
_LONGEST_TRIES = 64
"""Portions."""


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """A record as people are shown it."""

    index: int
    record: str
    """Its id, hexadecimal."""
    time: int
    """Microseconds since the epoch."""
    kind: str
    key: str
    application: str
    content: str | None
    """Canonical JSON; None where it stands in the archive only."""
    commitment: str


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[EntryView]
    next: int | None
    """Cursor of the next page; None at the end of what the filter can take."""
    size: int
    """Leaves of the log."""
    indexed: int
    """Leaves that filters look at; the rest follows within seconds."""
    searched: int
    """Records that were opened."""


class EntryProof(msgspec.Struct, frozen=True, kw_only=True):
    """One record, whole."""

    entry: EntryView
    salt: str
    artifact: bytes
    """What the signature was handed out in, or a ceremony's document."""
    origin: str
    tlog_proof: str | None
    """None until the log has a signed head over it."""
    opening: bytes = b""
    """What `cinnabar verify` takes beside the artifact: the record as GET /v1/records/{id} gives it; else empty."""


async def entries(
    room: AuditRoom, asker: Asker, audited: AuditedLog, wanted: Filter, *, newest: bool, cursor: int | None, limit: int
) -> PageView:
    """One page. `cursor`: `next` of the page before."""
    if not 1 <= limit <= PAGE_LIMIT:
        raise FilterRefused(f"a page has 1 to {PAGE_LIMIT} entries")
    size = await room.source.size(audited.name)
    plain = not wanted.by_head and wanted.since is None and wanted.until is None
    indexed = min(size, await room.catch_up(audited.name)) if not plain else size
    first, end = (0, size) if plain else room.index.span(audited.name, wanted.since, wanted.until)
    if cursor is not None:
        first, end = (first, min(end, cursor)) if newest else (max(first, cursor), end)
    walk = _Walk(room, audited, wanted, newest=newest, first=first, end=end)
    shown: list[EntryView] = []
    opened = 0
    low, high = size, 0
    needle = wanted.text.casefold()
    async with contextlib.aclosing(_portions(room, audited, walk, limit, search=bool(needle))) as portions:
        async for rows in portions:
            for place, row in rows:
                walk.passed(place)
                if row is None:
                    continue  # archived: only an export opens it
                if not wanted.takes_time(row.time):
                    continue
                content = _text(audited.opener.open(row.leaf, row.record_id, row.kind, row.commitment, row.body)[1])
                if row.kind not in CLEAR_KINDS and row.kind != BOX_LEAF:
                    opened += 1
                    low, high = min(low, row.leaf), max(high, row.leaf + 1)
                if needle not in content.casefold():
                    continue
                shown.append(_view(row, content))
                if len(shown) == limit:
                    break
            if len(shown) == limit or opened >= SEARCHED:
                break
    if opened:
        # On record before anything is shown: one leaf for the whole page.
        await room.tell(asker, audited, wanted.text_of(), low, high, opened)
    return PageView(
        entries=shown, next=walk.next, size=size, indexed=indexed, searched=opened if wanted.text else len(shown)
    )


class _Walk:
    """The leaves of a log that may be what is asked for, from one end."""

    def __init__(
        self, room: AuditRoom, audited: AuditedLog, wanted: Filter, *, newest: bool, first: int, end: int
    ) -> None:
        self._index = room.index
        self._classes = room.index.classes(audited.name, wanted) if wanted.by_head else None
        self._newest = newest
        self._first = first
        self._end = end

    def leaves(self, count: int) -> list[int]:
        if self._classes is not None:
            return self._index.leaves(self._classes, self._first, self._end, count, newest=self._newest)
        if self._newest:
            return list(range(self._end - 1, max(self._first, self._end - count) - 1, -1))
        return list(range(self._first, min(self._end, self._first + count)))

    def passed(self, leaf: int) -> None:
        if self._newest:
            self._end = leaf
        else:
            self._first = leaf + 1

    @property
    def next(self) -> int | None:
        if self._first >= self._end:
            return None
        if self._classes is not None and not self._index.leaves(
            self._classes, self._first, self._end, 1, newest=self._newest
        ):
            return None
        return self._end if self._newest else self._first


Rows = list[tuple[int, StoredRow | None]]
"""Leaves with their records; None: archived."""


async def _portions(
    room: AuditRoom, audited: AuditedLog, walk: _Walk, limit: int, *, search: bool
) -> AsyncGenerator[Rows, None]:
    """What the walk comes by, in portions. A search has the next one fetched while it opens the last."""
    tries = 0
    while tries < _LONGEST_TRIES and (leaves := walk.leaves(SEARCHED if search else limit)):
        portions = [leaves[at : at + PORTION] for at in range(0, len(leaves), PORTION)]
        ahead = asyncio.ensure_future(_rows(room, audited, portions[0]))
        try:
            for number in range(1, len(portions) + 1):
                rows = await ahead
                if number < len(portions):
                    ahead = asyncio.ensure_future(_rows(room, audited, portions[number]))
                tries += 1
                yield rows
        finally:
            ahead.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ahead


async def _rows(room: AuditRoom, audited: AuditedLog, leaves: list[int]) -> Rows:
    low, high = min(leaves), max(leaves) + 1
    if high - low <= 2 * len(leaves):
        found = await room.source.ranged(audited.name, low, high)
    else:
        found = await room.source.picked(audited.name, leaves)
    known = {row.leaf: row for row in found}
    return [(leaf, known.get(leaf)) for leaf in leaves]


def _text(content: bytes) -> str:
    """Canonical JSON; what a worker that was taken over made of it is shown as far as it can be."""
    return content.decode(errors="backslashreplace")


def _view(row: StoredRow, content: str | None) -> EntryView:
    return EntryView(
        index=row.leaf,
        record=row.record_id.hex(),
        time=row.time,
        kind=row.kind,
        key=row.key,
        application=row.application,
        content=content,
        commitment=row.commitment.hex(),
    )


async def entry(room: AuditRoom, asker: Asker, audited: AuditedLog, which: int | str) -> EntryProof:
    """One record by leaf index or by id (hexadecimal), with its artifact and proof. Raises NotFound, Archived."""
    if isinstance(which, str):
        try:
            record_id = bytes.fromhex(which)
        except ValueError:
            raise FilterRefused("a record id is hexadecimal") from None
        row = await room.source.by_id(audited.name, record_id)
    else:
        if not 0 <= which < await room.source.size(audited.name):
            raise NotFound("there is no such entry")
        picked = await room.source.picked(audited.name, [which])
        if not picked:
            raise Archived("its segment is archived: an export opens it")
        row = picked[0]
    salt, content, artifact = audited.opener.open(row.leaf, row.record_id, row.kind, row.commitment, row.body)
    if row.kind not in CLEAR_KINDS and row.kind != BOX_LEAF:
        wanted = msgspec.json.encode({"record": row.record_id.hex()}).decode()
        await room.tell(asker, audited, wanted, row.leaf, row.leaf + 1, 1)
    placed = audited.line.place(row.leaf)
    try:
        proof = placed.log.reader.tlog_proof(placed.index, entry=row.commitment).decode()
    except NotYetIncluded:
        proof = None
    artifact = handed_out(room.home, room.settings, row.kind, row.key, artifact)
    view = _view(row, _text(content))
    return EntryProof(
        entry=view,
        salt=salt.hex(),
        artifact=artifact,
        origin=placed.log.origin,
        tlog_proof=proof,
        opening=opening(
            record=view.record, kind=view.kind, content=_text(content), salt=salt.hex(), commitment=view.commitment,
            index=placed.index, artifact=artifact, origin=placed.log.origin, tlog_proof=proof,
        ),
    )  # fmt: skip


async def counts(room: AuditRoom, audited: AuditedLog, wanted: Filter) -> list[list[Any]]:
    """[[day as YYYY-MM-DD in UTC, kind, records], ...] of the filter's time range, in whole days."""
    await room.catch_up(audited.name)
    return [
        [f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}", kind, count]
        for day, kind, count in room.index.days(audited.name, wanted.since, wanted.until)
    ]
