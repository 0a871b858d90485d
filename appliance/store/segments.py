"""Sealed segments as files: exported once, kept in the archive, then pruned from the database in small steps.

A segment file is one line of JSON, the header, and then frames: four bytes of big-endian length and msgpack. Each frame
is one record [sequence, tenant, leaf index, record id, application, kind, key, time, commitment, body], in order of
arrival; the last is the number of records. Its SHA-256 stands in the segment's row and in a leaf of the box's own log.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.errors import CinnabarError
from appliance.files import sync_directory
from appliance.store import records
from appliance.store.records import Segment

FORMAT = "cinnabar-segment/1"
_PAGE_ROWS = 500
_encoder = msgspec.msgpack.Encoder()


class SegmentDamaged(CinnabarError):
    """A segment file is not what was exported."""

    code = "segment-damaged"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a segment file. Times in microseconds since the epoch."""

    first_sequence: int
    format: str = FORMAT
    last_sequence: int
    number: int
    opened: int
    sealed: int


class ArchivedRecord(NamedTuple):
    """A record in a segment file."""

    sequence: int
    tenant: str
    leaf: int
    record_id: bytes
    application: str
    kind: str
    key: str
    time: int
    commitment: bytes
    body: bytes


_record = msgspec.msgpack.Decoder(ArchivedRecord)
_number = msgspec.msgpack.Decoder(int)


def segment_name(number: int) -> str:
    return f"segment-{number:08d}.cinnabar"


def export_segment(
    connection: sqlite3.Connection, segment: Segment, directory: Path, between: Callable[[], None] = lambda: None
) -> tuple[Path, bytes]:
    """Write a sealed segment's file; returns its path and SHA-256 once it is on disk.

    Reads page by page, each in a snapshot of its own, so that the write-ahead log does not wait for it; `between` runs
    between pages. An interrupted export is done again from the start."""
    if segment.last_sequence is None or segment.sealed is None:
        raise ValueError("only a sealed segment is exported")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / segment_name(segment.number)
    temporary = path.with_suffix(".partial")
    tenants = dict(connection.execute("SELECT number, name FROM tenants").fetchall())
    applications = dict(connection.execute("SELECT number, name FROM applications").fetchall())
    header = Header(
        first_sequence=segment.first_sequence,
        last_sequence=segment.last_sequence,
        number=segment.number,
        opened=segment.opened,
        sealed=segment.sealed,
    )
    hasher = hashlib.sha256()
    count = 0
    with temporary.open("wb") as file:

        def put(data: bytes) -> None:
            hasher.update(data)
            file.write(data)

        put(msgspec.json.encode(header) + b"\n")
        after = segment.first_sequence - 1
        while page := records.read_page(connection, segment.number, after, _PAGE_ROWS):
            for row in page:
                shown = (row.sequence, tenants[row.tenant], row.leaf, row.record_id)
                frame = _encoder.encode((*shown, applications.get(row.application, ""), *row[5:]))
                put(len(frame).to_bytes(4, "big") + frame)
            count += len(page)
            after = page[-1].sequence
            between()
        end = _encoder.encode(count)
        put(len(end).to_bytes(4, "big") + end)
        file.flush()
        os.fsync(file.fileno())
    if count != segment.last_sequence - segment.first_sequence + 1:
        raise SegmentDamaged(f"segment {segment.number} has {count} records")
    temporary.replace(path)
    sync_directory(directory)
    return path, hasher.digest()


def read_segment(path: Path) -> Iterator[ArchivedRecord]:
    """The records of a segment file, in order. Raises SegmentDamaged where it is torn or not in order."""
    with path.open("rb") as file:
        try:
            header = msgspec.json.decode(file.readline(), type=Header)
            expected = header.first_sequence
            while True:
                length = int.from_bytes(_exactly(file.read, 4), "big")
                frame = _exactly(file.read, length)
                if expected > header.last_sequence:
                    break
                record = _record.decode(frame)
                if record.sequence != expected:
                    raise SegmentDamaged(f"{path.name}: record {expected} is missing")
                expected += 1
                yield record
            if _number.decode(frame) != header.last_sequence - header.first_sequence + 1 or file.read(1):
                raise SegmentDamaged(f"{path.name}: the end does not fit")
        except msgspec.MsgspecError as error:
            raise SegmentDamaged(f"{path.name} cannot be read") from error


def digest_of(path: Path) -> bytes | None:
    """SHA-256 of a file, or None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError:
        return None


def prune_some(connection: sqlite3.Connection, segment: Segment, rows: int) -> bool:
    """Delete up to `rows` records of an exported segment, and their table once empty. True when it is pruned.

    Small steps in the caller's transactions, so that no append waits long. Leaves stay, and ids, about 40 bytes each:
    only they can tell an archived record's owner, and nobody else, that it is in the archive."""
    number = segment.number
    if segment.state == "exported":
        connection.execute("UPDATE segments SET state = 'pruning' WHERE number = ?", (number,))
        return False
    table = f"records_{number}"
    last = connection.execute(f"SELECT sequence FROM {table} ORDER BY sequence LIMIT 1 OFFSET ?", (rows,)).fetchone()  # noqa: S608
    if last is not None:
        connection.execute(f"DELETE FROM {table} WHERE sequence < ?", last)  # noqa: S608
        return False
    if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:  # noqa: S608
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
        return False
    connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE segments SET state = 'pruned' WHERE number = ?", (number,))
    return True


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise SegmentDamaged("the file is torn")
    return data
