"""One ledger at work: a new anchor when one is due, a step of all open ones when one is worth while, for ever.

Each ledger has a task of its own. A step has its time; one that does not end even when it is cancelled is left behind,
and that ledger rests until it ends: no other ledger is delayed by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from appliance.anchorer.heads import Heads
from appliance.anchorer.ledger import Ledger, Progress
from appliance.anchorer.outbox import MEMORY_BYTES, Anchor, Outbox
from appliance.anchorer.schedule import why_due
from appliance.anchors import AnchorRefused, Judgement, LedgerProfile, State, check_transition, commitment_of, judge
from appliance.box.ledgers import LedgerCommon
from appliance.errors import CinnabarError, Conflict
from appliance.instants import now_us

LOOK_SECONDS: Final = 1.0
"""How often a ledger looks whether an anchor is due."""
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""After a step that failed; twice as long after each further one."""
SHORTEST_SECONDS: Final = 0.05
"""Between two steps, whatever a ledger wishes."""
CANCEL_SECONDS: Final = 2.0
"""How long a step may take to end once it is cancelled."""

log = structlog.get_logger("anchorer")


class LedgerMisbehaves(Conflict):
    """A ledger's step gave something that its interface does not allow."""

    code = "ledger-misbehaves"
    title = "A ledger's step came to something that cannot be"


class LedgerRunner:
    """Works on one ledger until it is cancelled."""

    def __init__(
        self,
        ledger: Ledger,
        settings: LedgerCommon,
        profile: LedgerProfile,
        outbox: Outbox,
        heads: Heads,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.profile = profile
        self.trouble = ""
        """Why the last step failed, in words; empty: it did not."""
        self._outbox = outbox
        self._heads = heads
        self._clock_us = clock_us
        self._requested = False
        self._wake = asyncio.Event()
        self._again: dict[int, float] = {}
        self._pause = 0.0
        self._rest_until = float("-inf")
        self._left: asyncio.Task[Sequence[Progress]] | None = None

    def request(self) -> None:
        """Anchor the newest head as soon as may be."""
        self._requested = True
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. What goes wrong is told, and tried again."""
        while True:
            self._wake.clear()
            try:
                await self.once()
            except (CinnabarError, OSError, sqlite3.Error, TimeoutError) as error:
                self._failed(told(error))
            except Exception as error:
                log.exception("ledger-step-failed", ledger=self.settings.name, error=type(error).__name__)
                self._failed(type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)

    async def once(self) -> None:
        """Make what is due, and one step where it is worth while. Raises what kept it from doing so."""
        self._make_due()
        works = self._outbox.open_anchors(self.settings.name)
        now = time.monotonic()
        self._again = {number: at for number, at in self._again.items() if number in {one.number for one in works}}
        if now < self._rest_until or not any(self._again.get(one.number, now) <= now for one in works):
            return
        progress = await self._advance(works)
        if len(progress) != len(works):
            raise LedgerMisbehaves(f"{len(progress)} answers about {len(works)} anchors")
        refused: list[CinnabarError] = []
        for anchor, one in zip(works, progress, strict=True):
            self._again[anchor.number] = time.monotonic() + max(SHORTEST_SECONDS, one.again_s)
            try:
                self._take(anchor, one)
            except CinnabarError as error:  # of this anchor alone: what came of the others is kept
                refused.append(error)
        if refused:
            raise refused[0]
        self.trouble, self._pause = "", 0.0

    def _make_due(self) -> None:
        name = self.settings.name
        head = self._heads.newest()
        if head is None:
            return
        newest = self._outbox.newest(name)
        count = len(self._outbox.open_anchors(name))
        moment = self._clock_us()
        cause = why_due(head, newest, count, self.settings, moment, requested=self._requested)
        if cause is not None:
            made = self._outbox.make_due(name, head, cause, moment)
            log.info("anchor-due", ledger=name, number=made.number, size=made.size, cause=cause)
        # Asked for while nothing is new: the newest anchor is what was asked for.
        self._requested = False

    async def _advance(self, works: Sequence[Anchor]) -> Sequence[Progress]:
        if self._left is not None and not self._left.done():
            raise TimeoutError("the step before has not ended")
        step = asyncio.ensure_future(self.ledger.advance([one.work() for one in works]))
        try:
            done, _ = await asyncio.wait({step}, timeout=self.settings.step_s)
            if done:
                return step.result()
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait({step}, timeout=CANCEL_SECONDS)
                step.add_done_callback(_heard)
                self._left = step
        raise TimeoutError(f"no answer in {self.settings.step_s:g} s")

    def _take(self, anchor: Anchor, progress: Progress) -> None:
        """Store what a step came to, once its receipt is judged."""
        check_transition(anchor.state, progress.state)
        if progress.state is State.SUPERSEDED or len(progress.memory) > MEMORY_BYTES:
            raise LedgerMisbehaves(f"anchor {anchor.number} would be {progress.state} by its ledger's word")
        if (progress.receipt is not None) is not (progress.state is State.FINAL):
            raise LedgerMisbehaves(f"anchor {anchor.number}: a receipt comes with the final state, and only then")
        moment = self._clock_us()
        judgement = self._judged(anchor, progress, moment)
        self._outbox.store(anchor, progress, moment, judgement)
        if progress.state is not anchor.state:
            log.info(
                "anchor-moved",
                ledger=anchor.ledger,
                number=anchor.number,
                size=anchor.size,
                state=progress.state,
                cause=progress.cause,
                strength=None if judgement is None else judgement.strength,
            )

    def _judged(self, anchor: Anchor, progress: Progress, moment: int) -> Judgement | None:
        """What the receipt of a final anchor shows. Raises AnchorRefused: then the anchor stays as it was."""
        if progress.receipt is None:
            return None
        try:
            return judge(progress.receipt, commitment_of(anchor.checkpoint), self.profile, now_us=moment)
        except AnchorRefused as error:
            log.warning("receipt-refused", ledger=anchor.ledger, number=anchor.number, reason=error.reason)
            raise

    def _failed(self, trouble: str) -> None:
        self._pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause))
        self._rest_until = time.monotonic() + self._pause
        if trouble != self.trouble:
            log.warning("ledger-in-trouble", ledger=self.settings.name, error=trouble)
        self.trouble = trouble


def told(error: Exception) -> str:
    """What went wrong with a ledger, for an operator: errors of ours with the code that docs/operations.md lists."""
    if isinstance(error, CinnabarError):
        return f"{str(error) or error.title} ({error.code})"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _heard(step: asyncio.Task[Sequence[Progress]]) -> None:
    if not step.cancelled():
        step.exception()
