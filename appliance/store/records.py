"""Records: appended in order of arrival, found by id and by leaf index, at the same cost at 10^3 and 10^7 rows.

A record's `sequence` is its place in the order of arrival over all tenants, so a row is always added at the end of its
table. In one transaction the rows of one tenant are consecutive; one row of `leaves` a transaction and tenant maps leaf
indexes to sequence numbers and holds the commitments together, so that the log's follower reads 32 bytes a leaf, not
the record. The only per-record index is by id, in the segment's own table; ids begin with their time, so it also grows
at its end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

LEAF_BITS = 40
LEAF_LIMIT = 1 << LEAF_BITS
COMMITMENT_BYTES = 32
GONE = frozenset({"pruning", "pruned"})
"""States of segments whose records are in the archive only."""


class Row(NamedTuple):
    """A stored record, in the order of its table's columns."""

    sequence: int
    tenant: int
    leaf: int
    record_id: bytes
    application: int
    kind: str
    key: str
    time: int
    commitment: bytes
    body: bytes


_COLUMNS = "sequence, tenant, leaf, record_id, application, kind, key, time, commitment, body"


class Segment(NamedTuple):
    """A stretch of sequence numbers with tables of its own. `state`: open, sealed, exported, pruning, pruned."""

    number: int
    state: str
    opened: int
    sealed: int | None
    first_sequence: int
    last_sequence: int | None
    size: int
    """Bytes of bodies and about what their rows need; kept roughly while the segment is open."""
    first_id: bytes | None
    last_id: bytes | None
    file: str | None
    digest: bytes | None


_SEGMENT_COLUMNS = "number, state, opened, sealed, first_sequence, last_sequence, size, first_id, last_id, file, digest"


def segments(connection: sqlite3.Connection) -> list[Segment]:
    """All segments, oldest first."""
    rows = connection.execute(f"SELECT {_SEGMENT_COLUMNS} FROM segments ORDER BY number")  # noqa: S608
    return [Segment(*row) for row in rows]


def add_segment(connection: sqlite3.Connection, number: int, opened: int, first_sequence: int) -> Segment:
    """Open a new segment, in the caller's transaction."""
    connection.execute(
        f"""CREATE TABLE records_{number} (
            sequence INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, leaf INTEGER NOT NULL, record_id BLOB NOT NULL,
            application INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, time INTEGER NOT NULL,
            commitment BLOB NOT NULL, body BLOB NOT NULL)"""
    )
    connection.execute(
        f"CREATE TABLE ids_{number} (record_id BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID"
    )
    connection.execute(
        "INSERT INTO segments (number, state, opened, first_sequence) VALUES (?, 'open', ?, ?)",
        (number, opened, first_sequence),
    )
    return Segment(number, "open", opened, None, first_sequence, None, 0, None, None, None, None)


def insert_rows(connection: sqlite3.Connection, segment: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add records, each in the order of Row's members, and their ids.

    Raises sqlite3.IntegrityError when an id is there already."""
    connection.executemany(
        f"INSERT INTO records_{segment} ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
        rows,
    )
    connection.executemany(
        f"INSERT INTO ids_{segment} (record_id, sequence) VALUES (?,?)",  # noqa: S608
        sorted([(row[3], row[0]) for row in rows]),
    )


def insert_leaves(connection: sqlite3.Connection, runs: Iterable[tuple[int, int, int, bytes]]) -> None:
    """Add runs of leaves: (tenant << 40 | first leaf, count, sequence of the first, commitments)."""
    connection.executemany("INSERT INTO leaves (position, count, sequence, commitments) VALUES (?,?,?,?)", runs)


def tree_size(connection: sqlite3.Connection, tenant: int) -> int:
    """Number of leaves of a tenant's log."""
    row = connection.execute(
        "SELECT position + count FROM leaves WHERE position >= ? AND position < ? ORDER BY position DESC LIMIT 1",
        (tenant << LEAF_BITS, (tenant + 1) << LEAF_BITS),
    ).fetchone()
    return 0 if row is None else row[0] - (tenant << LEAF_BITS)


def last_sequence(connection: sqlite3.Connection, segment: Segment) -> int:
    """Highest sequence number used so far; `segment` is the open one."""
    row = connection.execute(f"SELECT max(sequence) FROM records_{segment.number}").fetchone()  # noqa: S608
    return segment.first_sequence - 1 if row[0] is None else row[0]


def id_bounds(connection: sqlite3.Connection, segment: int) -> tuple[bytes | None, bytes | None]:
    """Smallest and largest record id of a segment."""
    row = connection.execute(
        f"SELECT (SELECT min(record_id) FROM ids_{segment}), (SELECT max(record_id) FROM ids_{segment})"  # noqa: S608
    ).fetchone()
    return row[0], row[1]


def read_commitments(connection: sqlite3.Connection, tenant: int, first: int, limit: int) -> bytes:
    """Commitments of leaves [first, first + limit), packed: as many as there are of the first one's length."""
    base = tenant << LEAF_BITS
    if first < 0 or first >= LEAF_LIMIT or limit <= 0:
        return b""
    start = connection.execute(
        "SELECT position FROM leaves WHERE position <= ? AND position >= ? ORDER BY position DESC LIMIT 1",
        (base + first, base),
    ).fetchone()
    if start is None:
        return b""
    parts: list[bytes] = []
    width = 0
    for position, count, commitments in connection.execute(
        "SELECT position, count, commitments FROM leaves WHERE position >= ? AND position < ? ORDER BY position",
        (start[0], min(base + first + limit, base + LEAF_LIMIT)),
    ):
        begin = max(0, base + first - position)
        end = min(count, base + first + limit - position)
        each = len(commitments) // count
        if each != (width := width or each):
            break  # another log has begun, under another hash
        parts.append(commitments[begin * width : end * width])
    return b"".join(parts)


def find_sequence(
    connection: sqlite3.Connection, known: Iterable[Segment], record_id: bytes
) -> tuple[Segment, int] | None:
    """The segment and sequence number of a record id; `known` are the segments, newest first."""
    for segment in known:
        if segment.state in GONE:
            continue
        first, last = segment.first_id, segment.last_id
        if first is not None and last is not None and not first <= record_id <= last:
            continue
        row = connection.execute(
            f"SELECT sequence FROM ids_{segment.number} WHERE record_id = ?",  # noqa: S608
            (record_id,),
        ).fetchone()
        if row is not None:
            return segment, row[0]
    return None


def find_kept_sequence(connection: sqlite3.Connection, segment: Segment, record_id: bytes) -> int | None:
    """The sequence number of a record whose segment is being pruned or is: its id outlives it."""
    row = connection.execute(
        f"SELECT sequence FROM ids_{segment.number} WHERE record_id = ?",  # noqa: S608
        (record_id,),
    ).fetchone()
    return None if row is None else row[0]


def has_sequence(connection: sqlite3.Connection, tenant: int, sequence: int) -> bool:
    """Whether a sequence number is one of the tenant's leaves, whose order both follow: found by halving."""
    base = tenant << LEAF_BITS
    low, high = 0, tree_size(connection, tenant)
    while low < high:
        middle = (low + high) // 2
        position, count, first = connection.execute(
            "SELECT position, count, sequence FROM leaves WHERE position <= ? ORDER BY position DESC LIMIT 1",
            (base + middle,),
        ).fetchone()
        if sequence < first:
            high = position - base
        elif sequence >= first + count:
            low = position - base + count
        else:
            return True
    return False


def owner(connection: sqlite3.Connection, segment: int, sequence: int) -> int | None:
    """The tenant of a record. Its body, however large, is not read: it is the row's last column."""
    row = connection.execute(
        f"SELECT tenant FROM records_{segment} WHERE sequence = ?",  # noqa: S608
        (sequence,),
    ).fetchone()
    return None if row is None else row[0]


def body_size(connection: sqlite3.Connection, segment: int, sequence: int) -> int:
    """Bytes of a record's body, from the row's head alone; the record is there."""
    size: int = connection.execute(
        f"SELECT length(body) FROM records_{segment} WHERE sequence = ?",  # noqa: S608
        (sequence,),
    ).fetchone()[0]
    return size


def read_body_part(connection: sqlite3.Connection, segment: int, sequence: int, offset: int, length: int) -> bytes:
    """Bytes [offset, offset + length) of a record's body, as many as there are; the rest is not held in memory."""
    with connection.blobopen(f"records_{segment}", "body", sequence, readonly=True) as body:
        if offset >= len(body):
            return b""
        body.seek(offset)
        return body.read(length)


def read_row(connection: sqlite3.Connection, segment: int, sequence: int, *, body: bool = True) -> Row:
    """One record by its sequence number; the record is there. Without its `body`, that is empty."""
    columns = _COLUMNS if body else _COLUMNS.removesuffix("body") + "x''"
    row = connection.execute(
        f"SELECT {columns} FROM records_{segment} WHERE sequence = ?",  # noqa: S608
        (sequence,),
    ).fetchone()
    return Row(*row)


def read_page(connection: sqlite3.Connection, segment: int, after: int, limit: int) -> list[Row]:
    """Records of a segment whose sequence number is above `after`, in order."""
    page = connection.execute(
        f"SELECT {_COLUMNS} FROM records_{segment} WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
        (after, limit),
    )
    return [Row(*row) for row in page]


def read_rows(
    connection: sqlite3.Connection, known: Sequence[Segment], tenant: int, first: int, limit: int
) -> list[Row]:
    """Records of leaves [first, first + limit) of a tenant that are not pruned, in order of leaf index."""
    return list(map(Row._make, iterate_rows(connection, known, tenant, first, limit)))


def iterate_rows(
    connection: sqlite3.Connection, known: Sequence[Segment], tenant: int, first: int, limit: int
) -> Iterator[tuple[Any, ...]]:
    """As `read_rows`, as they come, each in the order of Row's members."""
    for segment, begin, end in _spans(connection, known, tenant, first, limit):
        yield from connection.execute(
            f"SELECT {_COLUMNS} FROM records_{segment.number} WHERE sequence >= ? AND sequence < ?",  # noqa: S608
            (begin, end),
        )


def read_heads(
    connection: sqlite3.Connection, known: Sequence[Segment], tenant: int, first: int, limit: int
) -> list[tuple[int, int, str, str, int]]:
    """(leaf, application, kind, key, time) of the records that `read_rows` gives; nothing else of them is read."""
    found: list[tuple[int, int, str, str, int]] = []
    for segment, begin, end in _spans(connection, known, tenant, first, limit):
        found += connection.execute(
            f"SELECT leaf, application, kind, key, time FROM records_{segment.number} "  # noqa: S608
            "WHERE sequence >= ? AND sequence < ?",
            (begin, end),
        )
    return found


def place_of(
    connection: sqlite3.Connection, known: Sequence[Segment], tenant: int, leaf: int
) -> tuple[Segment, int] | None:
    """The segment, in whatever state, and the sequence number of a tenant's leaf; None beyond the log."""
    base = tenant << LEAF_BITS
    if not 0 <= leaf < LEAF_LIMIT:
        return None
    row = connection.execute(
        "SELECT position, count, sequence FROM leaves WHERE position <= ? AND position >= ? "
        "ORDER BY position DESC LIMIT 1",
        (base + leaf, base),
    ).fetchone()
    if row is None or base + leaf >= row[0] + row[1]:
        return None
    sequence: int = row[2] + base + leaf - row[0]
    return next(s for s in reversed(known) if s.first_sequence <= sequence), sequence


def _spans(
    connection: sqlite3.Connection, known: Sequence[Segment], tenant: int, first: int, limit: int
) -> Iterator[tuple[Segment, int, int]]:
    """(segment, first sequence, end) of the runs of leaves [first, first + limit) that are not pruned, in order."""
    base = tenant << LEAF_BITS
    if first < 0 or first >= LEAF_LIMIT or limit <= 0:
        return
    start = connection.execute(
        "SELECT position FROM leaves WHERE position <= ? AND position >= ? ORDER BY position DESC LIMIT 1",
        (base + first, base),
    ).fetchone()
    if start is None:
        return
    spans = connection.execute(
        "SELECT position, count, sequence FROM leaves WHERE position >= ? AND position < ? ORDER BY position",
        (start[0], min(base + first + limit, base + LEAF_LIMIT)),
    )
    held: tuple[Segment, int, int] | None = None
    for position, count, sequence in spans:
        begin = sequence + max(0, base + first - position)
        end = sequence + min(count, base + first + limit - position)
        # A transaction writes into one segment, so a span lies in one too.
        segment = next(s for s in reversed(known) if s.first_sequence <= sequence)
        if segment.state in GONE or begin >= end:
            continue
        if held is not None and held[0] is segment and held[2] == begin:
            held = (segment, held[1], end)  # of a box's only busy tenant, one after the other
            continue
        if held is not None:
            yield held
        held = (segment, begin, end)
    if held is not None:
        yield held
