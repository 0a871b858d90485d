"""Where a record stands: which log of the line of logs that its owner has had, and at which index.

The recorder numbers the records of a tenant, or of the box, from 0 on and for ever. While its log is the first one, a
record's number is its index there. A log that succeeds another one begins with the leaf that commits to that one, so a
record's index there is its number less the log's `base`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.box.settings import BoxSettings, LogSettings
from appliance.errors import NotFound
from appliance.files import read_file
from appliance.log.check import RecordSource
from appliance.log.errors import LogDamaged, MalformedProof
from appliance.log.reader import log_directory
from appliance.log.records import HousekeepingRow, RecordedHead, Records, RowKind
from appliance.log.successor import LARGEST_SUCCESSOR, Successor, parse_successor
from appliance.recorder.messages import BOX_LOG
from appliance.tree_hash import TreeHash, hash_of

SUCCESSOR_FILE: Final = "successor.json"
"""In the directory of a log that succeeds another one: what its first leaf is made of."""


@dataclass(frozen=True)
class Era:
    """One log of a line."""

    origin: str
    base: int = 0
    """Number of a record less its index in this log."""
    size: int | None = None
    """Entries that it ended with; None: it goes on."""
    predecessor: str | None = None
    """Origin of the log that it succeeds."""

    @property
    def hashing(self) -> TreeHash:
        return hash_of(self.origin)

    def has(self, number: int) -> bool:
        """Whether a record with this number stands in it."""
        index = number - self.base
        return index >= (0 if self.predecessor is None else 1) and (self.size is None or index < self.size)


def eras_of(log: LogSettings) -> tuple[Era, ...]:
    """Every log of a line, the first one first."""
    eras: list[Era] = []
    before: str | None = None
    for one in log.ended:
        eras.append(Era(one.origin, one.base, one.size, before))
        before = one.origin
    return (*eras, Era(log.origin, log.base, None, before))


def era_of(eras: Sequence[Era], number: int) -> Era:
    """The log in which a record stands, or will. Raises NotFound for a number that no record has."""
    for era in reversed(eras):
        if era.has(number):
            return era
    raise NotFound("there is no such record")


def line_of(log: LogSettings) -> list[LogSettings]:
    """The logs of a line as if each stood alone, the first one first."""
    ended = [
        LogSettings(origin=one.origin, tenant=log.tenant, keys=one.keys, published=log.published, base=one.base)
        for one in log.ended
    ]
    return [*ended, log]


def read_successor(directory: Path, hashing: TreeHash) -> tuple[Successor, bytes]:
    """What the first leaf of a log that succeeds another one is made of, and that leaf's entry. Raises LogDamaged."""
    file = directory / SUCCESSOR_FILE
    try:
        successor = parse_successor(read_file(file, LARGEST_SUCCESSOR))
    except (OSError, MalformedProof) as error:
        raise LogDamaged(f"{file} cannot be read: {error}") from None
    return successor, successor.entry(hashing)


def first_entry(logs: Path, era: Era) -> bytes:
    """The entry that stands before every record of a log: none in the first of a line. Raises LogDamaged."""
    if era.predecessor is None:
        return b""
    return read_successor(log_directory(logs, era.origin), era.hashing)[1]


def _span(era: Era, first: int, limit: int) -> tuple[bool, int, int]:
    """Whether the leaf before all records is asked for, and which records are: number of the first, how many."""
    limit = limit if era.size is None else max(0, min(limit, era.size - first))
    leading = era.predecessor is not None and first == 0 and limit > 0
    return leading, era.base + first + int(leading), limit - int(leading)


class EraRecords:
    """The records of a box as one log of a line has them: appliance.log.records.Records."""

    def __init__(self, records: Records, era: Era, leading: bytes) -> None:
        self._records = records
        self._era = era
        self._leading = leading

    async def leaves(self, log: str, first: int, limit: int) -> bytes:
        leading, number, count = _span(self._era, first, limit)
        packed = await self._records.leaves(log, number, count) if count > 0 else b""
        return (self._leading if leading else b"") + packed

    async def head(self, origin: str) -> RecordedHead | None:
        return await self._records.head(origin)

    async def record(self, kind: RowKind, key: str, time: int, subject: str, body: bytes) -> None:
        await self._records.record(kind, key, time, subject, body)

    async def housekeeping(self, after: int, limit: int) -> list[HousekeepingRow]:
        return await self._records.housekeeping(after, limit)

    async def totals(self) -> dict[str, int]:
        return await self._records.totals()


class EraSource:
    """The same for a check: appliance.log.check.RecordSource."""

    def __init__(self, records: RecordSource, era: Era, leading: bytes) -> None:
        self._records = records
        self._era = era
        self._leading = leading

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        leading, number, count = _span(self._era, first, limit)
        packed = self._records.leaves(log, number, count) if count > 0 else b""
        return (self._leading if leading else b"") + packed

    def head(self, origin: str) -> tuple[int, bytes] | None:
        return self._records.head(origin)


class LinesSource:
    """The records of a box by the origins of its logs: appliance.log.check.RecordSource."""

    def __init__(self, logs: Path, settings: BoxSettings, records: RecordSource) -> None:
        self._records = records
        self._sources = {
            era.origin: (name_of(log), EraSource(records, era, first_entry(logs, era)))
            for log in settings.logs
            for era in eras_of(log)
        }

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        """`log`: the origin."""
        name, source = self._sources[log]
        return source.leaves(name, first, limit)

    def head(self, origin: str) -> tuple[int, bytes] | None:
        return self._records.head(origin)


def name_of(log: LogSettings) -> str:
    """Of a log at the recorder."""
    return log.tenant or BOX_LOG
