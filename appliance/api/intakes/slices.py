"""The rows of a slice, from what a document worker read to what the recorder decides: known, judged, sealed, stamped.

Each row goes through the same rules and the same effects as an event that is asked for singly
(appliance.api.letters.making), and has its own seal; one time-stamp is over all seals of a slice
(appliance.api.letters.together).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.callers import Caller
from appliance.api.intakes.views import Told
from appliance.api.letters.making import Wanted, draft_event, is_letter_id, named_letters
from appliance.api.letters.schemas import Particulars, ReceiptGiven
from appliance.api.letters.together import SealedTogether
from appliance.api.letters.views import read_letters
from appliance.errors import CinnabarError, NotFound, Unavailable
from appliance.intake import Plan, Row, RowKeys, column_of
from appliance.letters.errors import EventRefused
from appliance.letters.kind import LoadedKind
from appliance.record import new_record_id
from appliance.recorder.messages import Entry, IntakeItem, LetterStep

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker
    from appliance.letters.state import LetterState

ROWS: Final = 256
"""Rows that one transaction decides, at most."""
SECONDS: Final = 0.25
"""A slice ends earlier when its rows take so long."""
TURN_SECONDS: Final = 0.002
"""How long a slice keeps the loop before everybody else has a turn."""
ROW_REFUSED: Final = "row-refused"
"""Code of a row that could not be read."""
_NOBODY: Final = bytes(16)
_KNOWN: Final = "duplicate"


Known = dict[int, tuple[bytes, Any]]
"""By a row's number: its key, and the row that was accepted under it; None: none was."""


class Halted(Exception):
    """What is no row's fault: the run is stopped."""

    def __init__(self, error: CinnabarError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Slice:
    """What goes to the recorder."""

    items: list[IntakeItem] = field(default_factory=list)
    told: Told = field(default_factory=dict)
    stamp: Entry | None = None
    """Over the seals of all rows."""
    mark: tuple[str, int] | None = None

    @property
    def signatures(self) -> int:
        """Signatures that it would put on record."""
        return sum(1 for item in self.items for entry in item.entries if entry.body) + (self.stamp is not None)


class _Turns:
    """When others are to have the loop."""

    def __init__(self) -> None:
        self._ends = time.monotonic() + TURN_SECONDS

    def over(self) -> bool:
        """Whether the turn is over; another one then begins."""
        now = time.monotonic()
        if now <= self._ends:
            return False
        self._ends = now + TURN_SECONDS
        return True


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one run."""

    worker: Worker
    caller: Caller
    signers: tuple[SealingKey, StampingUnit]
    loaded: LoadedKind
    event: str
    plan: Plan
    keys: RowKeys
    check: bool

    def follows(self, rows: Sequence[Row]) -> bool:
        """Whether what the rows mean may depend on rows before them: they are events of letters, or have conditions on
        some. What else rows do to each other the recorder decides."""
        rule = self.loaded.kind.events.get(self.event)
        return rule is None or bool(rule.conditions) or any(row.letter for row in rows)

    async def known(self, rows: Sequence[Row]) -> Known:
        """What the recorder knows of rows, ROWS at most."""
        keys = [self.keys.key(row) for row in rows]
        found = await self.worker.recorder.query("intake_known", self.caller.tenant, keys)
        return {row.number: (key, one) for row, key, one in zip(rows, keys, found, strict=True)}

    async def slice(self, rows: Sequence[Row], known: Known) -> Slice:
        """As many of the rows, ROWS at most, as one transaction is to decide, from the first. Where more is known of
        one by then, the recorder says so. Raises Halted, Unavailable, HsmError."""
        made = Slice()
        loop = asyncio.get_running_loop()
        ends, turns = loop.time() + SECONDS, _Turns()
        together, sealed = SealedTogether(self.worker, self.caller, *self.signers), list[int]()
        letters = await self._letters([row for row in rows if known[row.number][1] is None])
        stepped: set[str] = set()
        try:
            for row in rows:
                key, found = known[row.number]
                if row.letter and row.letter in stepped:
                    break  # its letter moved in this slice: it is judged by what then stands
                if row.letter:
                    stepped.add(row.letter)
                at, content = len(made.items), self.keys.content(row)
                if found is not None:
                    made.items.append(IntakeItem(row.number, key, content, _NOBODY, _KNOWN, [], []))
                elif row.fault:
                    made.told[at] = (row.column, row.fault)
                    made.items.append(IntakeItem(row.number, b"", content, b"", ROW_REFUSED, [], []))
                else:
                    made.items.append(await self._item(row, key, content, letters, made, together))
                    sealed += [at] * (len(together) - len(sealed))
                if turns.over():
                    await asyncio.sleep(0)
                if loop.time() > ends:
                    break
            if sealed:
                await self._stamp(made, together, sealed, turns)
        except BaseException:
            if len(together):
                self.worker.counter.drop("intake-unfinished", len(together))
            raise
        return made

    async def _stamp(self, made: Slice, together: SealedTogether, sealed: list[int], turns: _Turns) -> None:
        """Give the rows that were sealed their records. `sealed`: where they stand in the slice, in order."""
        try:
            stamped = await together.stamp(turns.over)
        except Unavailable:
            raise
        except CinnabarError as error:
            raise Halted(error) from None
        for at, one in zip(sealed, stamped.events, strict=True):
            made.items[at] = msgspec.structs.replace(made.items[at], entries=[one.entry])
        made.stamp = stamped.stamp.entry
        made.mark = (self.signers[1].name, stamped.time_us)

    async def _item(
        self,
        row: Row,
        key: bytes,
        content: bytes,
        letters: Mapping[str, LetterState],
        made: Slice,
        together: SealedTogether,
    ) -> IntakeItem:
        """The row, refused or sealed; its record is made when it is stamped."""
        try:
            wanted = self._wanted(row, letters)
            drafted = await draft_event(self.worker, self.caller, wanted, letters)
        except Unavailable:
            raise
        except CinnabarError as error:
            pointer, _, text = str(error).partition(": ")
            column = column_of(self.plan, pointer)
            made.told[len(made.items)] = (column, text if column else str(error) or error.title)
            return IntakeItem(row.number, key, content, b"", error.code, [], [])
        letter = bytes.fromhex(drafted.event.letter)
        if self.check:
            entry = Entry(new_record_id(), "letter", self.signers[0].name, drafted.now_us, bytes(32), b"")
            return IntakeItem(row.number, key, content, letter, "", [entry], drafted.effects)
        try:
            await together.seal(wanted, drafted)
        except Unavailable:
            raise
        except CinnabarError as error:
            raise Halted(error) from None
        # The event's record is the row's only entry.
        effects = [
            msgspec.structs.replace(one, entry=0) if isinstance(one, LetterStep) else one for one in drafted.effects
        ]
        return IntakeItem(row.number, key, content, letter, "", [], effects)

    def _wanted(self, row: Row, letters: Mapping[str, LetterState]) -> Wanted:
        receipts = [
            ReceiptGiven(registry=registry, number=number, receipt=content)
            for registry, (number, content) in row.receipts.items()
        ]
        asked = Particulars(fields=row.fields, data=row.data, envelopes=row.envelopes, receipts=receipts)
        if not row.letter:
            return Wanted(self.loaded, None, os.urandom(16).hex(), self.event, asked)
        before = letters.get(row.letter)
        if before is None or before.kind.id != self.loaded.kind.id:
            raise NotFound(f"/letter: there is no such {self.loaded.kind.id}")
        loaded = self.worker.kinds.by_digest(self.caller.tenant, before.kind.digest)
        if self.event not in loaded.kind.events:
            raise EventRefused(f"the letter's version of {self.loaded.kind.id} has no event {self.event}")
        return Wanted(loaded, before, row.letter, self.event, asked)

    async def _letters(self, rows: Sequence[Row]) -> dict[str, LetterState]:
        """The letters that rows are events of, and those that their conditions name, as they stand."""
        if not self.follows(rows):
            return {}
        own = {row.letter for row in rows if is_letter_id(row.letter)}
        letters = await read_letters(self.worker, self.caller.tenant, sorted(own))
        named: set[str] = set()
        for row in rows:
            before = letters.get(row.letter)
            loaded = self.loaded
            asked = Particulars(fields=row.fields, data=row.data)
            named.update(named_letters(Wanted(loaded, before, row.letter, self.event, asked)))
        more = sorted(named - letters.keys())
        for start in range(0, len(more), 500):
            letters |= await read_letters(self.worker, self.caller.tenant, more[start : start + 500])
        return letters
