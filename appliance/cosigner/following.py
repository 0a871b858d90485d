"""One log and its witnesses: the newest head is chosen, witnesses are asked, a head with its quorum is settled.

A head stays until it is settled or nobody who could still cosign it can be asked now, so that slow witnesses meet at
one head. Each witness is asked about one head at a time; whoever does not answer delays nobody but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import structlog

from appliance.cosigner.asking import WitnessLine
from appliance.cosigner.heads import HeadsWriter, WitnessState
from appliance.cosigner.protocol import Answer, AtSize, Cosigned, Refused, Trouble
from appliance.cosigner.published import PublishedLog
from appliance.cosigner.round import Round
from appliance.cosigner.word import LogWord, WitnessWord
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import LogDamaged
from appliance.log.note import Note, parse_note
from appliance.log.witnesses import WitnessPolicy

SIZES_TOLD: Final = 3
"""How often a witness may name another size before it is taken for one that cannot answer."""
AGAIN_SECONDS: Final = 30.0
"""After which a witness that refused a head is asked again, and a disk that was full is tried."""
TOLD_AGAIN_SECONDS: Final = 3600.0
CLOCK_SECONDS: Final = 300
"""Between a witness's clock and ours; beyond it the journal tells of it."""


class LogCosigning:
    """Make it inside a running loop, and `step` it again and again."""

    def __init__(
        self,
        published: PublishedLog,
        origin: str,
        policy: WitnessPolicy,
        witnesses: Mapping[str, WitnessLine],
        writer: HeadsWriter,
        again_s: float = AGAIN_SECONDS,
    ) -> None:
        self.origin = origin
        self._published = published
        self._policy = policy
        self._witnesses = witnesses
        self._writer = writer
        self._again_s = again_s
        kept = writer.read_states()
        self._states = {key.name: kept.get(key.name, WitnessState()) for key in policy.keys}
        self._again = dict.fromkeys(self._states, 0.0)
        self._settle_again = 0.0
        self._told: dict[str, float] = {}
        self._round: Round | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()
        self._behind_since: float | None = None
        self._newest = 0
        self._problem: str | None = None
        self._log = structlog.get_logger("cosigner").bind(origin=origin)
        self.moved = asyncio.Event()
        """Set when there may be something to do before the next interval."""

    @property
    def _cosigned(self) -> int:
        return 0 if self._writer.last is None else self._writer.last.size

    def step(self) -> None:
        """Choose, ask, settle: whatever can be done now."""
        newest = self._look()
        if newest is not None:
            self._choose(*newest)
        if self._round is not None and self._problem is None:
            self._ask(self._round)
        self._settle()

    # --- the log -----------------------------------------------------------------------------------------------------

    def _look(self) -> tuple[Checkpoint, Note] | None:
        """The newest head, where it extends what had its quorum."""
        problem: str | None = None
        newest: tuple[Checkpoint, Note] | None = None
        try:
            newest = self._published.newest()
            if newest is not None and (self._round is None or newest[0] != self._round.head or self._problem):
                problem = self._contradiction(newest[0])
        except (LogDamaged, OSError) as error:
            problem = str(error)
        if problem != self._problem or (problem and self._tell_again("log")):
            tell = self._log.critical if problem else self._log.info
            tell("log-not-as-cosigned" if problem else "log-as-cosigned", control="FORK", problem=problem)
        self._problem = problem
        return None if problem else newest

    def _contradiction(self, head: Checkpoint) -> str | None:
        """Why this head does not extend the last one that had its quorum. Raises LogDamaged."""
        self._newest = head.size
        last = self._writer.last
        if last is None:
            return None
        known = Checkpoint.parse(parse_note(last.note.encode()).text)
        if head.size < known.size:
            return f"its newest head has {head.size} entries, and one of {known.size} was cosigned"
        self._published.proof(known.size, head, known.root)
        return None

    def _choose(self, head: Checkpoint, note: Note) -> None:
        """Go on to the newest head, once the one before it may be left."""
        now = time.time()
        if head.size <= self._cosigned:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        current = self._round
        if current is not None and (current.head == head or not (current.over or current.ripe(time.monotonic()))):
            return
        if current is not None and not current.settled and current.quorum_at is not None:
            return  # it is settled first
        self._round = Round(head, note, now, settled=head.size <= self._cosigned)

    # --- the witnesses -----------------------------------------------------------------------------------------------

    def _ask(self, current: Round) -> None:
        now = time.monotonic()
        for name, state in self._states.items():
            done = name in current.lines or (current.settled and state.size >= current.head.size)
            # It has a larger head of ours, as it says: it is asked about that one, and not again about this.
            done = done or current.head.size < state.size <= self._newest
            line = self._witnesses[name]
            if done or name in self._busy or now < self._again[name] or line.waiting_s:
                continue
            self._busy.add(name)
            current.asking.add(name)
            task = asyncio.create_task(self._ask_one(current, name, line, state))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_one(self, current: Round, name: str, line: WitnessLine, state: WitnessState) -> None:
        try:
            self._take(current, name, state, await self._answer(current, line, state))
        except (LogDamaged, OSError) as error:
            self._again[name] = time.monotonic() + self._again_s
            self._log.error("log-damaged", control=LogDamaged.control, problem=str(error), next="cinnabar log check")
        finally:
            self._busy.discard(name)
            current.asking.discard(name)
            self.moved.set()

    async def _answer(self, current: Round, line: WitnessLine, state: WitnessState) -> Answer:
        """What a witness says in the end, however often it names another size."""
        size = current.head.size
        old = min(state.size, size)
        for _ in range(SIZES_TOLD):
            path = self._published.proof(old, current.head)
            answer = await line.ask(old, path, current.note, size)
            if not isinstance(answer, AtSize):
                return answer
            if answer.size > size:
                newest = self._published.newest()
                if newest is None or newest[0].size < answer.size:
                    detail = f"it has cosigned a head of {answer.size}, and the newest one here has {size}"
                    return Refused(Trouble.AHEAD, detail)
                return answer  # it has a head of ours that is newer than this one
            old = answer.size
        return Refused(Trouble.MALFORMED, "it names another size each time")

    def _take(self, current: Round, name: str, state: WitnessState, answer: Answer) -> None:
        if isinstance(answer, Refused):
            self._refused(name, state, answer)
            return
        if isinstance(answer, AtSize):
            state.size = answer.size
            return
        if state.trouble is not None:
            self._log.info("witness-cosigns", witness=name, after=state.trouble)
        state.size, state.time = current.head.size, answer.time_s
        state.trouble, state.detail, state.since = None, "", 0.0
        self._look_at_clock(name, answer)
        current.take(name, answer.line, self._policy, time.monotonic())

    def _refused(self, name: str, state: WitnessState, answer: Refused) -> None:
        trouble = answer.trouble
        if trouble is not Trouble.SILENT:
            self._again[name] = time.monotonic() + self._again_s
        if trouble.label == state.trouble and not self._tell_again(name):
            return
        if trouble.label != state.trouble:
            state.since = time.time()
        state.trouble, state.detail = trouble.label, answer.detail
        self._told[name] = time.monotonic()
        if trouble.doubts_the_log:
            self._log.critical(
                "witness-doubts-log", control="FORK", witness=name, trouble=trouble.label, detail=answer.detail
            )
            self._keep_states()
        else:
            self._log.warning("witness-does-not-cosign", witness=name, trouble=trouble.label, detail=answer.detail)

    def _look_at_clock(self, name: str, answer: Cosigned) -> None:
        apart = abs(answer.time_s - time.time())
        if apart > CLOCK_SECONDS and self._tell_again(f"clock of {name}"):
            self._log.warning("witness-clock-differs", witness=name, seconds=int(apart))

    def _tell_again(self, what: str) -> bool:
        last = self._told.get(what)
        if last is not None and time.monotonic() < last + TOLD_AGAIN_SECONDS:
            return False
        self._told[what] = time.monotonic()
        return True

    # --- settling ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        current, now = self._round, time.monotonic()
        if current is None or not current.ripe(now) or now < self._settle_again:
            return
        try:
            self._writer.settle(current.head.size, current.cosigned(self._policy))
        except OSError as error:
            self._settle_again = now + self._again_s
            self._log.error("cosigned-head-not-kept", error=f"{type(error).__name__}: {error}")
            return
        current.settled = True
        self._behind_since = current.chosen if self._newest > current.head.size else None
        self._keep_states()
        self.moved.set()

    def _keep_states(self) -> None:
        try:
            self._writer.write_states(self._states)
        except OSError as error:  # asked again, witnesses say where they are
            self._log.warning("witness-states-not-kept", error=f"{type(error).__name__}: {error}")

    # --- what is told ------------------------------------------------------------------------------------------------

    def word(self) -> LogWord:
        """How it stands."""
        return LogWord(
            origin=self.origin,
            size=self._newest,
            cosigned=self._cosigned,
            quorum=self._policy.quorum,
            behind_since=self._behind_since,
            problem=self._problem,
            witnesses=[self._word_of(name, state) for name, state in self._states.items()],
        )

    def _word_of(self, name: str, state: WitnessState) -> WitnessWord:
        line = self._witnesses[name]
        if (
            state.trouble is None and line.silent_since is not None
        ):  # another log has found out: it is left alone here too
            silent, detail = Trouble.SILENT.label, "it did not answer another log"
            return WitnessWord(name=name, size=state.size, trouble=silent, detail=detail, since=line.silent_since)
        doubts = any(state.trouble == trouble.label for trouble in Trouble if trouble.doubts_the_log)
        return WitnessWord(
            name=name, size=state.size, trouble=state.trouble, detail=state.detail, since=state.since, doubts=doubts
        )

    async def close(self) -> None:
        """Give up what is under way; it is asked again."""
        for task in list(self._tasks):
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._keep_states()
