"""Reads of single records out of the archive: a tenant's own, by their ids, a stretch of a segment's file at a time.

Only the recorder knows where an archived record is, and its file holds every tenant's. So the file is read here, and
nobody is handed more than what is his (control CHANNEL). No query reads more than a stretch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from appliance.errors import BadRequest, NotFound
from appliance.recorder import errors
from appliance.store import records
from appliance.store.segments import ArchivedRecord, SegmentDamaged

STRETCH: Final = 4 * 1024 * 1024
"""Bytes of a segment's file that one query reads, but at least one record: some ten milliseconds, in which nobody else
is answered (control CHANNEL)."""
ANSWER: Final = 1024 * 1024
"""Bytes of records in one answer, but at least one."""
MOST_IDS: Final = 4_096
_record = msgspec.msgpack.Decoder(ArchivedRecord)


class ArchiveQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    directory: Path
    _tenant: Callable[[str], int]
    _gone: Callable[[int, bytes], records.Segment | None]

    def query_archived_place(self, tenant: str, record_id: bytes) -> int:
        """The segment that an archived record of that tenant is in. Refused `not-found`, another tenant's alike;
        `segment-not-mounted` where the archive does not have its file here."""
        segment = self._gone(self._tenant(tenant), record_id)
        if segment is None:
            raise NotFound("there is no such archived record")
        self._file(segment)
        return segment.number

    def query_archived_records(self, tenant: str, number: int, ids: list[bytes], offset: int = 0) -> list[object]:
        """[records as get_record shows them, where to go on] of that tenant's records with these ids, in their order,
        out of a stretch of a segment's file that begins at `offset`; 0 to go on with: the file has no more."""
        self._tenant(tenant)
        segment = next((one for one in records.segments(self.connection) if one.number == number), None)
        if segment is None or segment.state not in records.GONE:
            raise NotFound("there is no such archived segment")
        if len(ids) > MOST_IDS or not isinstance(offset, int) or offset < 0:
            raise BadRequest(f"{MOST_IDS} ids are the most, and an offset is not below zero")
        wanted = frozenset(ids)
        found: list[list[object]] = []
        size = 0
        with self._file(segment).open("rb") as file:
            file.seek(offset)
            at = offset if offset else len(file.readline())
            end = at + STRETCH
            while at < end:
                frame = _frame(file, segment.number)
                if frame is None:
                    return [found, 0]
                row = _record.decode(frame)
                if row.record_id in wanted and row.tenant == tenant:
                    size += len(row.body)
                    if found and size > ANSWER:
                        break
                    found.append([row.leaf, row.record_id, row.application, *row[5:]])
                at += 4 + len(frame)
        return [found, at]

    def _file(self, segment: records.Segment) -> Path:
        path = None if segment.file is None else self.directory.parent / segment.file
        if path is None or not path.exists():
            named = segment.digest.hex() if segment.digest is not None else "not exported"
            # By its file's digest: a number would tell every tenant how much the whole box records.
            raise errors.SegmentNotMounted(f"the segment whose file has the SHA-256 {named}")
        return path


def _frame(file: BinaryIO, number: int) -> bytes | None:
    """The next record's frame; None at the end, which counts the records."""
    head = file.read(4)
    length = int.from_bytes(head, "big")
    frame = file.read(length)
    if len(head) != 4 or len(frame) != length:
        raise SegmentDamaged(f"the file of segment {number} is torn")
    return None if length <= _COUNT else frame


_COUNT: Final = 9
"""Bytes of a number in msgpack, at most; a record is longer."""
