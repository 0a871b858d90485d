"""Making the leaves of the box's own log: one an interval, over every tenant's signed head and the box's summary."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.log.box_leaf import BoxStatement, TenantStatement, make_box_leaf, no_commitment
from appliance.log.openings import Openings, Pending
from appliance.log.records import HousekeepingRow, Records
from appliance.log.writer import Head
from appliance.recorder.messages import BOX_LOG
from appliance.tree_hash import SHA256, TreeHash, hash_of

_ROWS_A_READ = 1_000


class TenantHead(NamedTuple):
    origin: str
    head: Head


class BoxLeafWriter:
    """Makes, submits and settles box leaves, one at a time."""

    def __init__(self, origin: str, directory: Path, records: Records) -> None:
        """`origin` and `directory` are those of the box's log."""
        self._origin = origin
        self._hashing = hash_of(origin)
        self._records = records
        self._openings = Openings(directory)
        self._pending = self._openings.pending()
        self._found: int | None = None
        if self._pending is not None and all(self._settled(name) for name in self._pending.openings):
            # Settled, but for what makes it durable, or for the removal.
            line = self._openings.latest(next(iter(self._pending.openings)))
            self._found = line.index if line is not None else None
            self.settle()

    def saw(self, entries: Sequence[bytes], end: int) -> None:
        """Entries of the box's log as they are integrated: is the pending leaf among them?"""
        if self._pending is None or self._found is not None:
            return
        entry = self._pending.leaf.entry(self._hashing)
        start = end - len(entries)
        if end > self._pending.after and entry in entries:
            self._found = start + entries.index(entry)

    def settle(self) -> None:
        """Once the pending leaf was seen, hand the openings out. Before the head over it is signed."""
        if self._pending is not None and self._found is not None:
            self._openings.settle(self._pending, self._found)
            self._pending = self._found = None

    async def make(self, heads: Mapping[str, TenantHead], box_size: int) -> None:
        """Submit the next leaf, or again the one that was pending. `heads` by tenant, `box_size` as integrated."""
        if self._pending is None:
            previous = {name: self._previous(name) for name in (*heads, BOX_LOG)}
            statements: dict[str, TenantStatement | BoxStatement] = {
                name: TenantStatement(
                    origin=tenant.origin,
                    previous=previous[name],
                    root=tenant.head.root.hex(),
                    size=tenant.head.size,
                )
                for name, tenant in heads.items()
            }
            statements[BOX_LOG] = await self._summary(previous[BOX_LOG], sorted(heads))
            made = make_box_leaf(statements, time.time_ns() // 1000, self._hashing)
            self._pending = Pending(after=box_size, leaf=made.leaf, openings=made.openings)
            self._openings.write_pending(self._pending)
        leaf = self._pending.leaf
        await self._records.record("box-leaf", "", leaf.time, self._origin, leaf.canonical())

    def _settled(self, name: str) -> bool:
        line = self._openings.latest(name)
        return line is not None and self._pending is not None and line.opening.leaf == self._pending.leaf

    def _previous(self, name: str) -> str:
        line = self._openings.latest(name)
        return no_commitment(self._hashing) if line is None else line.opening.commitment(self._hashing).hex()

    async def _summary(self, previous: str, tenants: list[str]) -> BoxStatement:
        line = self._openings.latest(BOX_LOG)
        last = 0
        if line is not None:
            last = msgspec.json.decode(line.opening.statement, type=BoxStatement).housekeeping_last
        kinds: dict[str, int] = {}
        digest = bytes(self._hashing.size)
        while rows := await self._records.housekeeping(last, _ROWS_A_READ):
            for row in rows:
                kinds[row.kind] = kinds.get(row.kind, 0) + 1
                digest = chain_row(digest, row, self._hashing)
            last = rows[-1].number
        return BoxStatement(
            counts=await self._records.totals(),
            housekeeping=kinds,
            housekeeping_digest=digest.hex(),
            housekeeping_last=last,
            previous=previous,
            tenants=tenants,
        )


def chain_row(digest: bytes, row: HousekeepingRow, hashing: TreeHash = SHA256) -> bytes:
    """H(digest || row), the row as a canonical JSON array of number, kind, key, time, subject, H(body)."""
    fields = [row.number, row.kind, row.key, row.time, row.subject, hashing.digest(row.body).hex()]
    return hashing.digest(digest + msgspec.json.encode(fields))
