"""A line of logs as it is read: where a record stands, and how the entries of an ended log go on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from appliance.box.settings import LogSettings
from appliance.log import tree
from appliance.log.cosigned import CosignedHeads
from appliance.log.eras import Era, era_of, eras_of, read_successor
from appliance.log.errors import NotYetIncluded, ProofInvalid
from appliance.log.predecessor import PredecessorTiles
from appliance.log.reader import LogReader, log_directory
from appliance.log.successor import Continuation, ContinuationStep


@dataclass(frozen=True)
class LineLog:
    """One log of a line."""

    era: Era
    reader: LogReader
    cosigned: CosignedHeads

    @property
    def origin(self) -> str:
        return self.era.origin

    def tlog_proof(self, index: int, entry: bytes) -> bytes:
        """The .tlog-proof of an entry: under the first head that witnesses cosigned and that covers it, where there is
        one, else under the latest. Raises NotYetIncluded, LogDamaged."""
        return self.reader.tlog_proof(index, entry=entry, note=self.cosigned.covering(index + 1))


@dataclass(frozen=True)
class Placed:
    """Where a record stands."""

    log: LineLog
    index: int


class Line:
    """The logs of one tenant, or of the box, the first one first."""

    def __init__(self, logs: Path, cosigned: Path, settings: LogSettings) -> None:
        """`logs`, `cosigned`: HOME/logs and HOME/cosigned."""
        self._logs = logs
        self.eras = eras_of(settings)
        self.logs = tuple(
            LineLog(era, LogReader.of(logs, era.origin), CosignedHeads.of(cosigned, logs, era.origin))
            for era in self.eras
        )

    @property
    def newest(self) -> LineLog:
        """The log that goes on."""
        return self.logs[-1]

    def beside(self, other: Line, log: LineLog) -> LineLog | None:
        """The one of these that was there while `log` of another line was: a box's logs are renewed together."""
        from_the_end = len(other.logs) - other.logs.index(log)
        return self.logs[-from_the_end] if from_the_end <= len(self.logs) else None

    def place(self, number: int) -> Placed:
        """Where the record with this number stands. Raises NotFound."""
        era = era_of(self.eras, number)
        return Placed(self.logs[self.eras.index(era)], number - era.base)

    def continuation(self, placed: Placed, entry: bytes) -> bytes | None:
        """How an entry of an ended log goes on (appliance.log.successor); None in the log that goes on, and before the
        newest one has a head. Raises LogDamaged."""
        steps, entry = self.steps(placed, entry, self.newest)
        if not steps:
            return None
        try:
            proof = self.newest.tlog_proof(0, entry)
        except NotYetIncluded:
            return None
        return Continuation(steps=steps, tlog_proof=proof.decode()).encode()

    def steps(self, placed: Placed, entry: bytes, to: LineLog) -> tuple[list[ContinuationStep], bytes]:
        """How an entry goes on as far as the log `to`, and the first entry of that one; where it stands in `to` itself,
        no steps and the entry. Raises LogDamaged."""
        steps: list[ContinuationStep] = []
        index = placed.index
        first, last = self.logs.index(placed.log), self.logs.index(to)
        for before, then in pairwise(self.logs[first : last + 1]):
            successor, following = read_successor(log_directory(self._logs, then.origin), then.era.hashing)
            path = self._path(before, then, index, entry, successor.root(then.era.hashing))
            steps.append(
                ContinuationStep(
                    hashes=[one.hex() for one in path],
                    index=index,
                    origin=then.origin,
                    successor=successor.encode().decode(),
                )
            )
            entry, index = following, 0
        return steps, entry

    def _path(self, before: LineLog, then: LineLog, index: int, entry: bytes, root: bytes) -> list[bytes]:
        """The path of an entry under the next hash, folded to what the successor states."""
        size, hashing = before.era.size or 0, then.era.hashing
        tiles = PredecessorTiles(
            before.reader.directory, before.origin, size, log_directory(self._logs, then.origin), hashing
        )
        path = tree.inclusion_proof(index, size, tiles.subtree, hashing)
        try:
            tree.verify_inclusion(index, size, tree.leaf_hash(entry, hashing), path, root, hashing)
        except ProofInvalid as error:
            then.reader.damaged(f"{then.reader.directory}, entry {index} of {before.origin}: {error}")
        return path
