"""The witness: a request is judged, the head signed, made durable, and only then released.

Requests of one log are taken one after another, so that what is compared is what is stored; those of different logs
share their transactions. Sign, then commit, then release: what was signed and not stored is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from appliance.log.note import parse_note
from appliance.witness.commits import GroupCommit
from appliance.witness.errors import (
    ClockBehind,
    Forked,
    LogUnknown,
    Refusing,
    StateLost,
    StateUnwritable,
    WitnessRefusal,
)
from appliance.witness.judging import Head, judge
from appliance.witness.keys import Cosigners
from appliance.witness.request import AddCheckpoint, parse_request
from appliance.witness.settings import WatchedLog
from appliance.witness.standing import standing
from appliance.witness.state import Cause, Cosigned, ForkFound, LossFound, Remembered

CLOCK_STEP_S: Final = 10
"""How far the clock may be set back: so long a log keeps the time that it was told last. Beyond that it waits."""
TELL_AGAIN_S: Final = 60.0

log = structlog.get_logger("witness")


@dataclass
class Tracked:
    """A log, what is known of it, and what this process saw of it."""

    watched: WatchedLog
    head: Head | None
    """That was cosigned last."""
    refused: tuple[Cause, int] | None
    """Why nothing of it is cosigned, and since when."""
    withheld: Head | None = None
    """A later head that the state has and its copy does not, without our cosignature, which nobody has been given. What
    comes is held to it: else a log could sign another head in its place, and the state would forget the first."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    cosigned: int = 0
    """Cosignatures in this life of the process."""
    refusals: Counter[str] = field(default_factory=Counter)
    last_refusal: tuple[int, str] | None = None
    """When, and why."""
    clock_told: float = float("-inf")
    """Of the monotonic clock: when the journal was told last that the clock is behind."""


class Witness:
    """See the module."""

    def __init__(
        self,
        logs: Sequence[WatchedLog],
        remembered: Remembered,
        cosigners: Cosigners,
        commits: GroupCommit,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A log whose remembered head is not what its signatures say is refused, as one whose state was lost."""
        self.cosigners = cosigners
        self.commits = commits
        self.after_loss = remembered.after_loss
        self.unknown = 0
        """Requests that name no known log, or are none."""
        self._clock = clock
        self.logs = {one.known.origin: self._tracked(one, remembered) for one in logs}

    def _tracked(self, watched: WatchedLog, remembered: Remembered) -> Tracked:
        stands = standing(watched, remembered, self.cosigners.verifiers, int(self._clock()))
        if stands.problem is not None:
            origin = watched.known.origin
            log.critical("head-not-believed", control="FORK", origin=origin, problem=stands.problem)
        return Tracked(watched, stands.head, stands.refused)

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Our cosignature lines of the checkpoint in the body. Raises WitnessRefusal; awaits futures only."""
        try:
            request = parse_request(body)
            tracked = self.logs.get(request.checkpoint.origin)
            if tracked is None:
                raise LogUnknown("no log of this origin was configured here")
        except WitnessRefusal:
            self.unknown += 1
            raise
        async with tracked.turn:
            try:
                return await self._add(tracked, request)
            except WitnessRefusal as error:
                tracked.refusals[error.reason] += 1
                tracked.last_refusal = (int(self._clock()), error.reason)
                raise

    async def _add(self, tracked: Tracked, request: AddCheckpoint) -> bytes:
        if tracked.refused is not None:
            raise Refusing(_WHY[tracked.refused[0]])
        known, head = tracked.watched.known, tracked.withheld or tracked.head
        try:
            note = judge(known, head, request, self.cosigners.verifiers)
        except Forked as error:
            await self._stop_for_fork(tracked, error)
            raise
        except StateLost as error:
            await self._stop_for_loss(tracked, error)
            raise
        now = self._time(tracked)
        if head is not None and head is tracked.head and now == head.time:
            stored = parse_note(head.note)
            if stored.text == note.text and self.cosigners.lines(stored):
                return self.cosigners.lines(stored)
        cosigned = await self.cosigners.cosign(note, now)
        checkpoint = request.checkpoint
        found = Head(checkpoint.size, checkpoint.root, now, cosigned.encode())
        try:
            await self.commits.submit(Cosigned(known.origin, found))
        except StateUnwritable as error:
            if error.state_has_it:
                tracked.withheld = replace(found, note=note.encode())
            raise
        tracked.head, tracked.withheld = found, None
        tracked.cosigned += 1
        return self.cosigners.lines(cosigned)

    def _time(self, tracked: Tracked) -> int:
        """The time to tell, in seconds; never before what was told of this log. Raises ClockBehind."""
        now, head = int(self._clock()), tracked.withheld or tracked.head
        if head is None or now >= head.time:
            return now
        if head.time - now > CLOCK_STEP_S:
            if time.monotonic() > tracked.clock_told + TELL_AGAIN_S:
                tracked.clock_told = time.monotonic()
                log.error("clock-behind", control="TIME", origin=tracked.watched.known.origin, seconds=head.time - now)
            raise ClockBehind(f"the clock is {head.time - now} s behind the last cosignature of this log")
        return head.time

    async def _stop_for_fork(self, tracked: Tracked, error: Forked) -> None:
        origin, now = tracked.watched.known.origin, int(self._clock())
        # Refused at once, in memory, whatever the disk says; the journal has both heads, should it not take them.
        tracked.refused = ("fork", now)
        evidence = error.evidence
        log.critical(
            "log-forked",
            control="FORK",
            origin=origin,
            problem=str(error),
            first=evidence.first,
            second=evidence.second,
        )
        await self._remember(ForkFound(origin, evidence.encode(), now))

    async def _stop_for_loss(self, tracked: Tracked, error: StateLost) -> None:
        origin, now = tracked.watched.known.origin, int(self._clock())
        tracked.refused = ("state-lost", now)
        log.critical("state-lost", control="FORK", origin=origin, problem=str(error))
        await self._remember(LossFound(origin, now))

    async def _remember(self, change: ForkFound | LossFound) -> None:
        try:
            await self.commits.submit(change)
        except StateUnwritable as error:
            if error.state_has_it:
                return  # and the copy is made equal to it, now or at the next start
            if error.refusals_kept:
                log.error("refusal-reserved", control="FORK", origin=change.origin, error=str(error))
                return
            log.critical("refusal-not-stored", control="FORK", origin=change.origin, error=str(error))


_WHY: Final[dict[Cause, str]] = {
    "fork": "the log has signed two histories",
    "state-lost": "this witness has lost what it knew of the log",
}
