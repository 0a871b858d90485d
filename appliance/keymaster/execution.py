"""Doing what was decided: judged anew, each action once and in order, also over a crash at any moment (QUORUM).

    judge > journal: executing, entry "begun" > log > for each action: journal: begun > executor > journal: done > log

A life that ends in between is followed by one that goes on where the journal stands: a step that was begun is done
again by its executor, which finds what the first run left; before any further step is begun the proposal is judged
anew. Before every step, also one that is done again, the box must still be one that executes it: one that was tampered
with, or locked, ends the execution as failed. A step that fails does so too; it may be executed again from that step
while the quorum holds, and officers may withdraw it.
One execution a scope: another scope's is neither waited for nor told of (CHANNEL). Their steps take turns, and a step
that waits for a person at the console lets others work. What takes power away runs beside what gives it, so that it
never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib

import msgspec
import structlog

import hsm
from appliance.ceremonies import Constitution, Proposal, read_proposal
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import CinnabarError, NotFound
from appliance.keymaster.context import ExecutionContext, facts_json
from appliance.keymaster.engine import Engine
from appliance.keymaster.errors import ExecutionBusy, JournalContradicted, ProposalClosed
from appliance.keymaster.journal import ProposalRow, StepRow
from appliance.keymaster.registry import StepResult, find_executor
from appliance.keymaster.standing import check_standing

LONGEST_PATIENCE_S = 30.0
"""How long a caller may wait for the end of an execution."""
ENDLESS_S = 10 * 365 * 24 * 3600.0
"""Patience with the recorder while an execution runs: it goes on when the recorder is back."""

log = structlog.get_logger("keymaster")


class Executions:
    """Runs executions: of each scope, one that gives power and one that takes it away at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._room = engine.room
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turns = {False: asyncio.Lock(), True: asyncio.Lock()}
        """Held by the step that is at work: of what gives power, and of what takes it away."""

    async def execute(self, digest: str, patience_s: float = 0.0) -> ProposalRow:
        """Begin to execute a proposal, and wait for its end for up to `patience_s` seconds; how it stands then.

        Carries no authority: everything is judged anew. Raises what Engine.judge does, ProposalClosed, ExecutionBusy,
        JournalContradicted, RecorderUnavailable."""
        engine, journal = self._engine, self._room.journal
        async with engine.changing:
            row = journal.proposal(digest)
            if row is None:
                raise NotFound("there is no such proposal")
            if row.state in {"executed", "rejected", "expired"}:
                raise ProposalClosed(f"the proposal is {row.state}")
            if row.state != "executing":
                proposal = read_proposal(row.text)
                law = await engine.judge(row, proposal)
                await self._begin(row, proposal)
                self._spawn(digest, proposal, law)
        await self._wait(digest, patience_s)
        return journal.proposal(digest) or row

    async def state(self, statement: bytes, patience_s: float = LONGEST_PATIENCE_S) -> ProposalRow:
        """Take an officer's statement in (Engine.state); what only takes power away is executed at once."""
        row = await self._engine.state(statement)
        if row.takes_away and row.state == "approved":
            row = await self.execute(row.digest, patience_s)
        return row

    async def _begin(self, row: ProposalRow, proposal: Proposal) -> None:
        journal, now = self._room.journal, self._engine.now_us()
        alike = [one for one in journal.proposals(("executing",)) if one.takes_away == row.takes_away]
        if any(set(one.scopes.split()) & set(row.scopes.split()) for one in alike):
            raise ExecutionBusy("another ceremony of this scope is being executed")
        with journal.transaction():
            attempt = journal.begin_attempt(row.digest, now)
            record = CeremonyRecord(event="begun", proposal=row.digest, attempt=attempt, time=now)
            self._room.recording.keep(proposal, f"begun/{attempt}", record, digest=row.digest)

    def _spawn(self, digest: str, proposal: Proposal, law: Constitution | None) -> None:
        task = asyncio.create_task(self._run(digest, proposal, law), name=f"execution-{digest[:8]}")
        self._running[digest] = task
        task.add_done_callback(lambda _: self._running.pop(digest, None))

    async def _wait(self, digest: str, patience_s: float) -> None:
        task = self._running.get(digest)
        if task is not None and patience_s > 0:
            await asyncio.wait({task}, timeout=patience_s)

    def resume(self) -> None:
        """Go on with what an earlier life began."""
        for row in self._room.journal.proposals(("executing",)):
            if row.digest not in self._running:
                log.warning("execution-resumed", proposal=row.digest)
                self._spawn(row.digest, read_proposal(row.text), None)

    async def stop(self) -> None:
        """Leave executions where they stand; the next life goes on with them."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One execution

    async def _run(self, digest: str, proposal: Proposal, law: Constitution | None) -> None:
        """`law`: under which it was judged in this life; None: it was begun in an earlier one."""
        row = self._room.journal.proposal(digest)
        if row is None:
            return
        try:
            await self._room.recording.send(digest, ENDLESS_S)
            if f"begun/{row.attempt}" not in self._room.recording.on_record(digest):
                raise JournalContradicted("the log has another execution of this proposal")
            await self._steps(row, proposal, law)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the ceremony ends and says so
            await self._end(row, proposal, "failed", describe(error))
        else:
            await self._end(row, proposal, "executed", None)

    async def _steps(self, row: ProposalRow, proposal: Proposal, law: Constitution | None) -> None:
        journal, engine = self._room.journal, self._engine
        known = {step.step: step for step in journal.steps(row.digest)}
        judged, turn = engine.clock(), self._turns[proposal.takes_away]
        for index, action in enumerate(proposal.actions):
            step = known.get(index)
            if step is not None and step.state == "done":
                continue
            again = step is not None and step.state == "begun" and step.attempt == row.attempt
            tag = str(action.__struct_config__.tag)
            async with turn:
                check_standing(self._room.home, proposal)
                # Another scope's ceremony may have changed the constitution meanwhile.
                if not again and (law is None or law.digest != self._room.constitutions.in_force().digest):
                    law, judged = await engine.judge(row, proposal), engine.clock()
                if not again:
                    journal.begin_step(row.digest, index, row.attempt, engine.now_us())
                under, at = (law, judged) if law is not None else self._as_begun(step)
                said = engine.received(row.digest)
                context = ExecutionContext(self._room, proposal, row.digest, index, row.attempt, under, said, at, turn)
                execute, _ = find_executor(action)
                result, error = StepResult(), None
                try:
                    result = await execute(context, action)
                except Exception as raised:  # noqa: BLE001 - goes on record, and then up
                    error = raised
            await self._end_step(row, proposal, index, tag, result, None if error is None else describe(error))
            if error is not None:
                raise error

    def _as_begun(self, step: StepRow | None) -> tuple[Constitution, datetime.datetime]:
        """What a step goes on under that an earlier life began, and judged."""
        begun = step.begun if step is not None else self._engine.now_us()
        return self._room.constitutions.in_force(), datetime.datetime.fromtimestamp(begun / 1_000_000, datetime.UTC)

    async def _end_step(
        self, row: ProposalRow, proposal: Proposal, index: int, tag: str, result: StepResult, error: str | None
    ) -> None:
        journal, now = self._room.journal, self._engine.now_us()
        record = CeremonyRecord(
            event="step",
            proposal=row.digest,
            attempt=row.attempt,
            step=index,
            action=tag,
            outcome="done" if error is None else "failed",
            facts=msgspec.json.decode(facts_json(result.facts)),
            outputs={name: hashlib.sha256(data).hexdigest() for name, data in result.outputs.items()},
            error=error or "",
            time=now,
        )
        with journal.transaction():
            journal.end_step(
                row.digest, index, now, facts=facts_json(result.facts), outputs=result.outputs, error=error
            )
            self._room.recording.keep(proposal, f"step/{row.attempt}/{index}", record, digest=row.digest)
        await self._room.recording.send(row.digest, ENDLESS_S)

    async def _end(self, row: ProposalRow, proposal: Proposal, state: str, error: str | None) -> None:
        journal, now = self._room.journal, self._engine.now_us()
        record = CeremonyRecord(event=state, proposal=row.digest, attempt=row.attempt, error=error or "", time=now)
        with journal.transaction():
            journal.set_state(row.digest, state, now, error=error)  # type: ignore[arg-type]
            self._room.recording.keep(proposal, f"ended/{row.attempt}", record, digest=row.digest)
        if error is None:
            log.info("ceremony-executed", proposal=row.digest)
        else:
            log.error("ceremony-failed", proposal=row.digest, error=error)
        # A log that has another entry already is told of in the journal; nothing more can be said there.
        with contextlib.suppress(JournalContradicted):
            await self._room.recording.send(row.digest, ENDLESS_S)


def describe(error: Exception) -> str:
    """What goes on record of an error: the texts of ours, which hold no secret; of others only what they are."""
    if isinstance(error, CinnabarError):
        return f"{error.code}: {error}"
    if isinstance(error, hsm.HsmError):
        return f"{type(error).__name__}: {error}"
    return f"unexpected {type(error).__name__}"
