"""Reads for the audit process: the heads of records, records in bulk or picked, and the files of the archive.

Answers in bulk are packed in the reading thread, so that the writer's thread only hands bytes on. None is larger than
about a mebibyte unless a single record is: no commit's answer waits behind more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec

from appliance.errors import BadRequest, NotFound
from appliance.recorder import errors
from appliance.store import records, rows

HEADS_LIMIT = 4_096
PACKED_LIMIT = 4_096
PACKED_BYTES = 1024 * 1024
PICKED_LIMIT = 256
_encoder = msgspec.msgpack.Encoder()


class AuditQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    directory: Path
    _tenant: Callable[[str], int]

    def query_record_heads(self, log: str, first: int, limit: int) -> bytes:
        """Packed [[leaf index, application, kind, key, time], ...] of leaves [first, first + limit), at most 4096.

        Records that are in the archive only are absent."""
        found = records.read_heads(
            self.connection, records.segments(self.connection), self._tenant(log), _number(first),
            min(_number(limit), HEADS_LIMIT),
        )  # fmt: skip
        name = self._names()
        return _encoder.encode([(leaf, name(application), *rest) for leaf, application, *rest in found])

    def query_packed_records(self, log: str, first: int, limit: int) -> bytes:
        """Packed records of leaves [first, first + limit), each as get_record shows it: about 1 MiB, at least one.

        Records that are in the archive only are absent."""
        name = self._names()
        size = 0
        packed: list[tuple[object, ...]] = []
        for row in records.iterate_rows(
            self.connection, records.segments(self.connection), self._tenant(log), _number(first),
            min(_number(limit), PACKED_LIMIT),
        ):  # fmt: skip
            size += len(row[9])
            if packed and size > PACKED_BYTES:
                break
            packed.append((row[2], row[3], name(row[4]), *row[5:]))
        return _encoder.encode(packed)

    def query_picked_records(self, log: str, leaves: list[int], largest: int) -> list[list[object]]:
        """Records of these leaves, at most 256, as get_record shows them; a body of more than `largest` bytes is not
        read: its length stands in its place. Absent: those that are in the archive only, and those beyond the log."""
        tenant, known, name = self._tenant(log), records.segments(self.connection), self._names()
        shown: list[list[object]] = []
        for leaf in leaves[:PICKED_LIMIT]:
            place = records.place_of(self.connection, known, tenant, _number(leaf))
            if place is None or place[0].state in records.GONE:
                continue
            segment, sequence = place[0].number, place[1]
            size = records.body_size(self.connection, segment, sequence)
            row = records.read_row(self.connection, segment, sequence, body=size <= _number(largest))
            body: object = row.body if size <= largest else size
            shown.append(
                [row.leaf, row.record_id, name(row.application), row.kind, row.key, row.time, row.commitment, body]
            )
        return shown

    def query_archived_segment(self, log: str, leaf: int) -> list[object]:
        """[number, bytes of its file, SHA-256 of its file] of the segment that holds a leaf of a log.

        Refused `not-found`, or `archived` when the archive has no such file."""
        place = records.place_of(self.connection, records.segments(self.connection), self._tenant(log), _number(leaf))
        if place is None:
            raise NotFound("there is no such leaf")
        segment = place[0]
        return [segment.number, self._archive(segment).stat().st_size, segment.digest]

    def query_archive_part(self, number: int, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length) of an archived segment's file, as many as there are, at most 1 MiB."""
        for segment in records.segments(self.connection):
            if segment.number == number:
                with self._archive(segment).open("rb") as file:
                    file.seek(_number(offset))
                    return file.read(min(_number(length), PACKED_BYTES))
        raise NotFound("there is no such segment")

    def _archive(self, segment: records.Segment) -> Path:
        path = None if segment.file is None else self.directory.parent / segment.file
        if path is None or not path.exists():
            raise errors.Archived("the archive does not have the segment's file")
        return path

    def _names(self) -> Callable[[int], str]:
        connection = self.connection

        @lru_cache(maxsize=4_096)
        def name(application: int) -> str:
            return "" if application == 0 else rows.application_name(connection, application) or ""

        return name


def _number(value: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadRequest("a number of 0 to 2^63 - 1 is meant")
    return value
