"""Executions: one at a time and to the end, and what is left where a step fails, is withdrawn, or is cut off."""

from __future__ import annotations

import asyncio
import datetime
import hashlib

import msgspec
import pytest

from appliance.box.settings import TenantSettings
from appliance.ceremonies import (
    Proposal,
    QuorumMissing,
    StatementRefused,
    encode,
    read_proposal,
)
from appliance.ceremonies.actions import GenerateKey, Lock
from appliance.errors import Unavailable
from appliance.keymaster.context import ExecutionContext, Room, scratch_directory
from appliance.keymaster.engine import now_utc
from appliance.keymaster.errors import (
    ExecutionBusy,
    ProposalClosed,
)
from appliance.keymaster.keys.ownership import note
from appliance.keymaster.registry import StepResult
from firmware_tests.keymaster.room import Bench, Life, key


def test_two_executions_race_and_one_is_done(bench: Bench, executors: dict[type, object]) -> None:
    begun: list[str] = []
    gate = asyncio.Event()

    async def slow(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        begun.append(action.key)
        await gate.wait()
        return StepResult()

    async def away(ctx: ExecutionContext, action: Lock) -> StepResult:
        begun.append("lock")
        return StepResult()

    executors[GenerateKey], executors[Lock] = (slow, None), (away, None)

    async def body(life: Life) -> None:
        await life.found()
        one, other = await life.approved(key("k1")), await life.approved(key("k2"))
        results = await asyncio.gather(
            *(life.executions.execute(digest) for digest in (one, one, other, one, other)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, ExecutionBusy)]
        assert len(refused) == 2, results
        # What takes power away does not wait for what gives it.
        lock = await life.submit(Lock())
        assert (await life.say(lock, "take-away ann"))["state"] == "executed"
        gate.set()
        await life.executions.execute(one, 10.0) if begun[0] == "k2" else None
        for _ in range(200):
            if not life.room.journal.proposals(("executing",)):
                break
            await asyncio.sleep(0.01)
        assert begun == ["k1", "lock"]
        assert (await life.desk.execute(other, 10.0))["state"] == "executed"
        assert begun == ["k1", "lock", "k2"]
        assert len([leaf for leaf in life.leaves("@box") if leaf["event"] == "executed"]) == 3

    bench.run(body)


def test_a_ceremony_that_waits_at_the_console_holds_up_no_other_scope(
    bench: Bench, executors: dict[type, object]
) -> None:
    bench.settings = msgspec.structs.replace(
        bench.settings, tenants=[TenantSettings(name="acme", token="box", data_key="secrets/acme.key")]
    )
    working: list[str] = []

    async def step(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        assert not working, "one step works at a time"
        working.append(action.key)
        if action.key == "slow":
            working.clear()
            await ctx.ask("A question")
            assert not working
            working.append(action.key)
        await asyncio.sleep(0.02)
        working.clear()
        return StepResult()

    executors[GenerateKey] = (step, None)

    async def body(life: Life) -> None:
        await life.found()
        slow, same = await life.approved(key("slow"), key("k1")), await life.approved(key("k2"))
        other = await life.approved(key("k3", tenant="acme"), key("k4", tenant="acme"))
        await life.executions.execute(slow)
        while not life.room.console.pending():
            await asyncio.sleep(0.01)
        with pytest.raises(ExecutionBusy):
            await life.executions.execute(same)
        assert (await life.desk.execute(other, 10.0))["state"] == "executed"
        (question,) = life.room.console.pending()
        life.room.console.answer(int(str(question["number"])), "an answer")
        assert (await life.desk.execute(slow, 10.0))["state"] == "executed"
        assert (await life.desk.execute(same, 10.0))["state"] == "executed"

    bench.run(body)


def test_a_step_that_fails_ends_the_execution_and_may_be_done_again(
    bench: Bench, executors: dict[type, object]
) -> None:
    tried: list[str] = []
    well = False

    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        tried.append(action.key)
        if action.key == "k2" and not well:
            raise Unavailable("the token is elsewhere") if len(tried) < 3 else RuntimeError("a PIN stands here: 1234")
        return StepResult({"key": action.key})

    executors[GenerateKey] = (make, None)

    async def body(life: Life) -> None:
        nonlocal well
        await life.found()
        digest = await life.approved(key("k1"), key("k2"), key("k3"))
        shown = await life.desk.execute(digest, 10.0)
        assert (shown["state"], shown["error"]) == ("failed", "unavailable: the token is elsewhere")
        shown = await life.desk.execute(digest, 10.0)
        assert (shown["state"], shown["error"]) == ("failed", "unexpected RuntimeError")
        well = True
        shown = await life.desk.execute(digest, 10.0)
        assert (shown["state"], shown["error"], shown["attempt"]) == ("executed", None, 3)
        assert tried == ["k1", "k2", "k2", "k2", "k3"]
        steps = [(one["attempt"], one["step"], one["outcome"]) for one in life.leaves("@box") if one["event"] == "step"]
        assert steps == [
            (1, 0, "done"),
            (1, 1, "failed"),
            (2, 1, "failed"),
            (3, 1, "done"),
            (3, 2, "done"),
        ]

    bench.run(body)


@pytest.fixture
def failing(executors: dict[type, object]) -> None:
    """No key can be made."""

    async def fail(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        raise Unavailable("the token is elsewhere")

    executors[GenerateKey] = (fail, None)


def test_officers_withdraw_what_failed(bench: Bench, failing: None) -> None:
    async def body(life: Life) -> None:
        await life.found()
        digest = await life.approved(key())
        assert (await life.desk.execute(digest, 10.0))["state"] == "failed"
        for late in ("approve dan", "request ann"):
            with pytest.raises(ProposalClosed, match="withdrawn by rejections"):
                await life.say(digest, late)
        with pytest.raises(StatementRefused):
            await life.desk.state(
                encode(msgspec.structs.replace(life.statement(digest, "reject", "bo"), officer="cai"))
            )
        # An officer whom the quorum does not need changes nothing yet, and it may be tried again.
        assert (await life.say(digest, "reject dan"))["state"] == "failed"
        assert (await life.desk.execute(digest, 10.0))["attempt"] == 2
        assert (await life.say(digest, "reject bo"))["state"] == "rejected"
        for later in (
            life.executions.execute(digest),
            life.desk.state(encode(life.statement(digest, "reject", "cai"))),
        ):
            with pytest.raises(ProposalClosed):
                await later
        events = [one["event"] for one in life.leaves("@box")]
        assert events[-9:] == [
            *("begun", "step", "failed", "statement", "begun", "step", "failed", "statement", "rejected")
        ]

    bench.run(body)


def test_a_withdrawal_that_a_crash_cut_off_is_finished(bench: Bench, failing: None) -> None:
    async def body(life: Life) -> None:
        await life.found()
        digest = await life.approved(key())
        await life.desk.execute(digest, 10.0)
        row, statement = life.engine.row(digest), life.statement(digest, "reject", "bo")
        text = encode(statement)
        life.engine._keep_statement(row, read_proposal(row.text), statement, hashlib.sha256(text).hexdigest(), text)
        await life.room.recording.send(digest)
        with pytest.raises(QuorumMissing):
            await life.executions.execute(digest)
        await life.engine.settle_all()
        assert life.engine.row(digest).state == "rejected"

    bench.run(body)


def test_one_officers_word_that_was_not_carried_out_is_spent(bench: Bench, executors: dict[type, object]) -> None:
    able = False
    done: list[str] = []

    async def away(ctx: ExecutionContext, action: Lock) -> StepResult:
        if not able:
            raise Unavailable("the supervisor is elsewhere")
        done.append(ctx.digest)
        return StepResult()

    async def look(room: Room, proposal: Proposal, action: Lock) -> None:
        if not able and looking:
            raise Unavailable("the register is elsewhere")

    looking = False
    executors[Lock] = (away, look)

    async def body(life: Life) -> None:
        nonlocal able, looking
        await life.found()
        failed = await life.submit(Lock())
        assert (await life.say(failed, "take-away ann"))["state"] == "failed"
        never, soon = await life.submit(Lock()), await life.submit(Lock())
        looking = True
        for one in (never, soon):
            with pytest.raises(Unavailable):
                await life.say(one, "take-away ann")
            assert life.engine.row(one).state == "approved"
        able = True
        bench.now = lambda: now_utc() + datetime.timedelta(minutes=9)
        assert (await life.executions.execute(soon, 10.0)).state == "executed"
        bench.now = lambda: now_utc() + datetime.timedelta(minutes=11)
        for one in (failed, never):
            with pytest.raises(QuorumMissing):
                await life.executions.execute(one, 10.0)
        await life.engine.settle_all()
        assert [life.engine.row(one).state for one in (failed, never)] == ["failed", "expired"]
        assert done == [soon]

    bench.run(body)


def test_what_a_step_noted_goes_when_its_ceremony_has_ended(bench: Bench, executors: dict[type, object]) -> None:
    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        note(ctx, "serial", b"17")
        if action.key != "good":
            raise Unavailable("the token is elsewhere")
        return StepResult()

    executors[GenerateKey] = (make, None)

    async def body(life: Life) -> None:
        await life.found()
        work = scratch_directory(life.room.home)
        (work / f"{'0' * 64}-0").mkdir(parents=True)  # of a ceremony that this journal never knew
        ended, failed, withdrawn = [await life.approved(key(name), hours=1) for name in ("good", "lost", "given-up")]
        for one in (ended, failed, withdrawn):
            await life.executions.execute(one, 10.0)
        await life.say(withdrawn, "reject bo")
        await life.engine.settle_all()
        assert [path.name for path in work.iterdir()] == [f"{failed}-0"]  # it may be executed again
        bench.now = lambda: now_utc() + datetime.timedelta(hours=2)
        await life.engine.settle_all()
        assert list(work.iterdir()) == []

    bench.run(body)
