"""The records of a log as the recorder gives them: by the piece, or in a stream, out of the archive if need be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec

from appliance.recorder import RecorderClient
from appliance.store.segments import ArchivedRecord, SegmentDamaged

PICKED = 256
LARGEST_BODY = 1024 * 1024
"""Bytes of a body that is read together with others; a larger one is read in parts."""
_PORTION_BYTES = 768 * 1024
_MOST_LEAVES = 4_096
_PART = 1024 * 1024


class StoredRow(NamedTuple):
    """A record as it is kept."""

    leaf: int
    record_id: bytes
    application: str
    kind: str
    key: str
    time: int
    commitment: bytes
    body: bytes


_rows = msgspec.msgpack.Decoder(list[tuple[int, bytes, str, str, str, int, bytes, bytes]])
_heads = msgspec.msgpack.Decoder(list[tuple[int, str, str, str, int]])
_archived = msgspec.msgpack.Decoder(ArchivedRecord)
PlainRow = tuple[int, bytes, str, str, str, int, bytes, bytes]


class RecordSource:
    """Reads through one connection to the recorder."""

    def __init__(self, recorder: RecorderClient) -> None:
        self.recorder = recorder

    async def size(self, log: str) -> int:
        """Leaves of a log. Raises NotFound."""
        return int(await self.recorder.query("tree_size", log))

    async def heads(self, log: str, first: int, limit: int) -> list[tuple[int, str, str, str, int]]:
        """(leaf, application, kind, key, time) of leaves [first, first + limit) that are not archived."""
        return _heads.decode(await self.recorder.query("record_heads", log, first, limit))

    async def commitments(self, log: str, first: int, end: int, width: int) -> bytes:
        """Commitments of leaves [first, end) of one log, packed, archived ones too; `width`: bytes of its hash."""
        parts: list[bytes] = []
        while first < end:
            part: bytes = await self.recorder.query("read_leaves", log, first, min(end - first, 65_536))
            if not part:
                raise SegmentDamaged(f"the records have no leaf {first} of {log}")
            parts.append(part)
            first += len(part) // width
        return b"".join(parts)

    async def picked(self, log: str, leaves: Sequence[int]) -> list[StoredRow]:
        """The records of these leaves, whatever their sizes; archived ones are absent."""
        found: list[StoredRow] = []
        for at in range(0, len(leaves), PICKED):
            for row in await self.recorder.query(
                "picked_records", log, list(leaves[at : at + PICKED]), LARGEST_BODY // PICKED * 8
            ):
                body = row[7]
                if isinstance(body, int):
                    body = await self._body(log, row[1], body)
                found.append(StoredRow._make((*row[:7], body)))
        return found

    async def ranged(self, log: str, first: int, end: int) -> list[StoredRow]:
        """The records of leaves [first, end); archived ones are absent. Where they stand together, as in a search, this
        costs the recorder a small part of what `picked` does."""
        rows = [StoredRow._make(row) for row in await self._portion(log, first, end - first)]
        at = rows[-1].leaf + 1 if rows else first
        # The recorder gives about a mebibyte at once; what it left out is large, or archived.
        return rows if at >= end else rows + await self.picked(log, range(at, end))

    async def by_id(self, log: str, record_id: bytes) -> StoredRow:
        """The record of an id. Raises NotFound, another log's record alike; Archived."""
        row = await self.recorder.query("get_record", log, record_id, LARGEST_BODY)
        body = await self._body(log, record_id, row[7]) if isinstance(row[7], int) else row[7]
        return StoredRow._make((*row[:7], body))

    async def _body(self, log: str, record_id: bytes, size: int) -> bytes:
        parts = [
            await self.recorder.query("record_part", log, record_id, offset, _PART) for offset in range(0, size, _PART)
        ]
        return b"".join(parts)

    async def stream(self, log: str, first: int, end: int) -> AsyncIterator[list[PlainRow]]:
        """Every record of leaves [first, end), in order without a gap, in portions of about a mebibyte.

        The next portion is asked for before the last one is used, so that the recorder reads while the caller works.
        Raises SegmentDamaged where a record is neither in the database nor in the archive."""
        at, portion = first, 512
        ahead: asyncio.Task[list[PlainRow]] | None = None
        try:
            while at < end:
                task = ahead or asyncio.ensure_future(self._portion(log, at, min(portion, end - at)))
                ahead = None
                rows = await task
                if not rows or rows[0][0] != at:
                    stop = rows[0][0] if rows else end
                    async for archived in self._archive(log, at, stop):
                        yield archived
                        at = archived[-1][0] + 1
                    continue
                contiguous = rows[-1][0] - at + 1 == len(rows)
                if not contiguous:
                    rows = rows[: next(n for n, row in enumerate(rows) if row[0] != at + n)]
                at = rows[-1][0] + 1
                average = max(1, sum([len(row[7]) + 120 for row in rows]) // len(rows))
                portion = max(1, min(_MOST_LEAVES, _PORTION_BYTES // average))
                if at < end:
                    ahead = asyncio.ensure_future(self._portion(log, at, min(portion, end - at)))
                yield rows
        finally:
            if ahead is not None:
                ahead.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await ahead

    async def _portion(self, log: str, first: int, limit: int) -> list[PlainRow]:
        return _rows.decode(await self.recorder.query("packed_records", log, first, limit))

    async def _archive(self, log: str, first: int, end: int) -> AsyncIterator[list[PlainRow]]:
        """Records of leaves [first, end) out of the archive's files, as far as the segment of `first` has them."""
        number, size, _ = await self.recorder.query("archived_segment", log, first)
        waiting, offset, at, begun = b"", 0, first, False
        while offset < size and at < end:
            part: bytes = await self.recorder.query("archive_part", number, offset, _PART)
            if not part:
                break
            offset += len(part)
            waiting += part
            if not begun:
                _, newline, waiting = waiting.partition(b"\n")
                if not newline:
                    raise SegmentDamaged(f"segment {number} has no header")
                begun = True
            frames, waiting = _cut(waiting)
            found = [row for row in map(_own, frames) if row is not None and row.tenant == log and at <= row.leaf < end]
            if found:
                if found[0].leaf != at or found[-1].leaf - at + 1 != len(found):
                    raise SegmentDamaged(f"segment {number} lacks a record of {log}")
                at = found[-1].leaf + 1
                yield [(r.leaf, r.record_id, r.application, r.kind, r.key, r.time, r.commitment, r.body) for r in found]
        if at == first:
            raise SegmentDamaged(f"segment {number} lacks a record of {log}")


def _cut(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames at the front, and what is left."""
    frames: list[bytes] = []
    at = 0
    while len(data) - at >= 4:
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        frames.append(data[at + 4 : end])
        at = end
    return frames, data[at:]


def _own(frame: bytes) -> ArchivedRecord | None:
    try:
        return _archived.decode(frame)
    except msgspec.MsgspecError:
        return None  # the last frame counts the others
