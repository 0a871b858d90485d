"""Proposals, statements and executions: what is taken, what counts, what is done, and what is left in the logs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib

import msgspec
import pytest

from appliance.box.settings import TenantSettings
from appliance.box.tamper import Latch, latch
from appliance.ceremonies import (
    BOX,
    Constitution,
    DocumentRefused,
    Proposal,
    QuorumMissing,
    StatementRefused,
    encode,
    read_proposal,
)
from appliance.ceremonies.actions import MOST_NAMES, AmendConstitution, GenerateKey, Lock, RecoverFromTamper, Unlock
from appliance.ceremonies.proposal import AuditHead, ScopeQuorum
from appliance.errors import CinnabarError, NotFound, Unavailable
from appliance.keymaster import engine, recording
from appliance.keymaster.context import ExecutionContext, Room, scratch_directory
from appliance.keymaster.engine import now_utc
from appliance.keymaster.errors import (
    ExecutionBusy,
    HistoryDiffers,
    JournalContradicted,
    NotServed,
    ProposalClosed,
    TooManyProposals,
)
from appliance.keymaster.keys.ownership import note
from appliance.keymaster.registry import StepResult
from appliance.recorder.errors import RecorderUnavailable
from firmware_tests.keymaster.room import Bench, Life


def key(name: str = "k1", tenant: str | None = None) -> GenerateKey:
    return GenerateKey(
        tenant=tenant, token="box", key=name, scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z"
    )


@pytest.fixture
def made(executors: dict[type, object]) -> list[tuple[str, bytes]]:
    """What a key's executor was asked to make: name and id."""
    found: list[tuple[str, bytes]] = []

    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        found.append((action.key, ctx.key_id))
        return StepResult({"key": action.key}, {"public.der": b"key"})

    executors[GenerateKey] = (make, None)
    return found


def test_a_ceremony_from_proposal_to_end(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        digest = await life.submit(key("k1"), key("k2"))
        assert (await life.say(digest, "request ann", "approve bo"))["state"] == "open"
        shown = await life.say(digest, "approve cai")
        assert (shown["state"], shown["tally"]["outcome"]) == ("approved", "approved")
        shown = await life.desk.execute(digest, 10.0)
        assert shown["state"] == "executed", shown
        assert [name for name, _ in made] == ["k1", "k2"]
        assert len({identifier for _, identifier in made}) == 2
        full = await life.desk.proposal(digest)
        assert [(step["action"], step["state"]) for step in full["steps"]] == [("generate-key", "done")] * 2
        assert len(full["statements"]) == 3
        events = [(one["event"], one.get("verb") or one.get("outcome")) for one in life.leaves("@box")]
        assert events == [
            ("founding", None),
            ("submitted", None),
            ("statement", "request"),
            ("statement", "approve"),
            ("statement", "approve"),
            ("begun", None),
            ("step", "done"),
            ("step", "done"),
            ("executed", None),
        ]
        assert life.room.constitutions.in_force() == law

    bench.run(body)


def test_the_same_bytes_again_change_nothing(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    """Replayed proposals, statements and executions."""

    async def body(life: Life) -> None:
        await life.found()
        text = encode(await life.draft(key()))
        digest = await life.engine.submit(text)
        assert await life.engine.submit(text) == digest
        said = [encode(life.statement(digest, *one.split())) for one in ("request ann", "approve bo")]
        for one in (*said, *reversed(said), *said):
            await life.desk.state(one)
        await life.say(digest, "approve bo", "approve bo")  # other signatures, the same person
        assert len((await life.desk.proposal(digest))["statements"]) == 2
        await life.say(digest, "approve cai")
        await life.executions.execute(digest, 10.0)
        with pytest.raises(ProposalClosed):
            await life.executions.execute(digest)
        with pytest.raises(ProposalClosed):
            await life.desk.state(said[1])
        assert await life.engine.submit(text) == digest
        assert len(made) == 1
        assert len([one for one in life.leaves("@box") if one["event"] == "submitted"]) == 1

    bench.run(body)


def test_statements_count_in_any_order_and_only_for_their_proposal(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        await life.found()
        first, second = await life.submit(key("k1")), await life.submit(key("k2"))
        assert (await life.say(first, "approve cai", "approve bo"))["tally"]["outcome"] == "unsigned"
        with pytest.raises(QuorumMissing):
            await life.executions.execute(first)
        for verb, name in (("approve", "bo"), ("approve", "cai")):
            moved = msgspec.structs.replace(life.statement(first, verb, name), proposal=second)
            with pytest.raises(StatementRefused):
                await life.desk.state(encode(moved))
        turned = msgspec.structs.replace(life.statement(second, "reject", "bo"), verb="approve")
        with pytest.raises(StatementRefused):
            await life.desk.state(encode(turned))
        with pytest.raises(NotFound):
            await life.desk.state(encode(life.statement("0" * 64, "approve", "bo")))
        assert (await life.say(first, "request ann"))["state"] == "approved"
        assert (await life.desk.proposal(second))["tally"]["outcome"] == "unsigned"

    bench.run(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"box": "9" * 32},
        {"mode": "production"},
        {"constitution": "9" * 64},
        {"requester": "eve"},
        {"quorum": [ScopeQuorum(scope=BOX, threshold=1)]},
        {"quorum": [ScopeQuorum(scope="tenant/acme", threshold=2)]},
        {"audit": AuditHead(origin="log.test/box", size=0, root="0" * 64)},
        {"audit": AuditHead(origin="log.test/acme", size=0, root=hashlib.sha256(b"").hexdigest())},
        {"audit": AuditHead(origin="log.test/box", size=7, root="0" * 64)},
        {"expires": "2020-01-02T00:00:00Z", "made": "2020-01-01T00:00:00Z"},
        {"made": "2099-01-01T00:00:00Z", "expires": "2099-01-02T00:00:00Z"},
        {"expires": "2099-01-02T00:00:00Z"},
        {"actions": [Unlock()]},
        {"actions": [Lock(), key()]},
    ],
    ids="-".join,
)
def test_a_proposal_that_says_another_thing_is_refused(
    bench: Bench, made: list[tuple[str, bytes]], executors: dict[type, object], changes: dict[str, object]
) -> None:
    """Altered and cross-box proposals, and one whose action nobody can execute."""
    executors.pop(Unlock, None)

    async def body(life: Life) -> None:
        await life.found()
        proposal = msgspec.structs.replace(await life.draft(key()), **changes)
        with pytest.raises((DocumentRefused, QuorumMissing, HistoryDiffers, NotServed)):
            await life.engine.submit(encode(proposal))
        assert life.room.journal.proposals() == []

    bench.run(body)


def test_every_byte_of_a_proposal_matters(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        await life.found()
        text = encode(await life.draft(key()))
        digest = await life.engine.submit(text)
        await life.say(digest, "request ann", "approve bo", "approve cai")
        for position in range(0, len(text), 7):
            altered = text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :]
            try:
                other = await life.engine.submit(altered)
            except CinnabarError:
                continue
            assert other != digest
            with pytest.raises(QuorumMissing):
                await life.executions.execute(other)
        assert not made

    bench.run(body)


def test_who_left_between_approval_and_execution_does_not_count(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        waiting = await life.approved(key())
        (box, *others) = law.scopes
        without = msgspec.structs.replace(
            law,
            version=2,
            previous=law.digest,
            persons=[one for one in law.persons if one.id != "cai"],
            scopes=[
                msgspec.structs.replace(part, officers=[one for one in part.officers if one != "cai"])
                for part in (box, *others)
            ],
        )
        amendment = await life.submit(AmendConstitution(constitution=without))
        await life.say(amendment, "request ann", "approve bo", "approve dan")
        assert (await life.desk.execute(amendment, 10.0))["state"] == "executed"
        assert life.room.constitutions.in_force() == without
        with pytest.raises(QuorumMissing):
            await life.executions.execute(waiting)
        await life.engine.settle_all()
        shown = await life.desk.proposal(waiting)
        assert (shown["state"], shown["tally"]["scopes"][0]["approved"]) == ("open", ["bo"])
        with pytest.raises(StatementRefused):
            await life.desk.state(encode(life.statement(waiting, "approve", "cai")))
        await life.say(waiting, "approve dan")
        assert (await life.desk.execute(waiting, 10.0))["state"] == "executed"

    bench.run(body)


def test_the_clock_over_the_expiry_ends_it(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        await life.found()
        approved, open_ = await life.approved(key(), hours=1), await life.submit(key("k2"), hours=1)
        bench.now = lambda: now_utc() + datetime.timedelta(hours=1, seconds=1)
        with pytest.raises(QuorumMissing):
            await life.executions.execute(approved)
        with pytest.raises(ProposalClosed):
            await life.desk.state(encode(life.statement(open_, "request", "ann")))
        await life.engine.settle_all()
        assert {row.state for row in life.room.journal.proposals()} == {"expired"}
        assert [one["event"] for one in life.leaves("@box")].count("expired") == 2
        assert not made

    bench.run(body)


def test_a_rejection_that_cannot_be_overcome_ends_it(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        await life.found()
        digest = await life.submit(key())
        assert (await life.say(digest, "request ann", "reject bo"))["state"] == "open"
        assert (await life.say(digest, "reject cai"))["state"] == "rejected"
        with pytest.raises(ProposalClosed):
            await life.say(digest, "approve dan")
        with pytest.raises(ProposalClosed):
            await life.executions.execute(digest)

    bench.run(body)


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


def test_an_older_journal_does_not_do_it_again(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    """The log remembers what a journal that was put back does not."""
    kept = bench.home.root / "kept.sqlite"

    async def before(life: Life) -> str:
        await life.found()
        digest = await life.approved(key())
        life.room.journal.connection.execute("VACUUM INTO ?", (str(kept),))
        await life.executions.execute(digest, 10.0)
        return digest

    async def after(life: Life) -> None:
        shown = await life.desk.execute(digest, 10.0)
        assert shown["state"] == "failed"
        assert "journal-contradicted" in shown["error"]
        # The bytes are taken as new by an older journal still, and not by the log.
        life.room.journal.connection.execute("DELETE FROM entries")
        life.room.journal.connection.execute("DELETE FROM statements")
        life.room.journal.connection.execute("DELETE FROM proposals")
        with pytest.raises(JournalContradicted):
            await life.engine.submit(text)
        with pytest.raises(JournalContradicted):
            await life.engine.submit(text)

    digest = bench.run(before)
    text = bench.run(lambda life: life.desk.proposal(digest))["proposal"]
    bench.put_journal_back(kept)
    bench.run(after)
    assert len(made) == 1


def test_without_the_recorder_nothing_counts_and_nothing_is_lost(
    bench: Bench, made: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PATIENCE_S", 0.3)

    async def body(life: Life) -> None:
        await life.found()
        digest = await life.submit(key())
        await life.say(digest, "request ann", "approve bo")
        bench.recorder.end(9)
        send = life.room.recording.send
        monkeypatch.setattr(life.room.recording, "send", lambda subject=None, patience=0.3: send(subject, patience))
        with pytest.raises(RecorderUnavailable):
            await life.say(digest, "approve cai")
        assert (await life.desk.proposal(digest))["state"] == "open"
        bench.recorder.start()
        await send()
        await life.engine.settle_all()
        assert (await life.desk.proposal(digest))["state"] == "approved"
        assert len([one for one in life.leaves("@box") if one["event"] == "statement"]) == 3

    bench.run(body)


def test_a_tenants_ceremony_is_in_the_tenants_log(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    bench.settings = msgspec.structs.replace(
        bench.settings, tenants=[TenantSettings(name="acme", token="box", data_key="secrets/acme.key")]
    )

    async def body(life: Life) -> None:
        await life.found()
        digest = await life.approved(key(tenant="acme"))
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"
        assert next(one["event"] for one in life.leaves("acme")) == "submitted"
        assert [one["event"] for one in life.leaves("acme")][-1] == "executed"
        assert {one["event"] for one in life.leaves("@box")} == {"founding"}
        assert await life.desk.proposals(["tenant/acme"])
        assert not await life.desk.proposals(["box"])

    bench.run(body)


def test_a_service_cannot_fill_the_log_with_proposals(
    bench: Bench, made: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_UNSIGNED", 3)

    async def body(life: Life) -> None:
        await life.found()
        for name in ("k1", "k2", "k3"):
            await life.submit(key(name))
        with pytest.raises(TooManyProposals):
            await life.submit(key("k4"))
        # Neither another officer's, nor a word of the same one that takes power away.
        await life.submit(key("k5"), requester="bo")
        for _ in range(3):
            await life.submit(Lock())
        with pytest.raises(TooManyProposals):
            await life.submit(Lock())

    bench.run(body)


def test_many_large_proposals_do_not_hold_the_keymaster(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    async def body(life: Life) -> None:
        await life.found()
        names = [f"{number:03}".rjust(63, "a") for number in range(MOST_NAMES)]
        large = [msgspec.structs.replace(key(f"k{number}"), applications=names) for number in range(10)]
        for _ in range(5):
            await life.submit(*large)
        await life.engine.settle_all()
        judged: list[str] = []
        life.engine.tally = lambda row, *_: judged.append(row.digest)  # type: ignore[method-assign,assignment,func-returns-value]
        await life.engine.settle_all()
        assert judged == [], "nothing was said, and no time has passed"
        with pytest.raises(DocumentRefused):
            await life.submit(*large, *large)
        with pytest.raises(DocumentRefused):
            await life.submit(msgspec.structs.replace(key("k"), applications=[*names, "b"]))

    bench.run(body)


def test_an_approval_that_fell_does_not_rise_again(bench: Bench, made: list[tuple[str, bytes]]) -> None:
    """Revoked and taken back: what she said before is not said anew."""

    async def amend(life: Life, law: Constitution, *also: str) -> None:
        digest = await life.submit(AmendConstitution(constitution=law))
        await life.say(digest, "request ann", "approve bo", "approve dan", *also)
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"
        await life.engine.settle_all()

    async def body(life: Life) -> None:
        law = await life.found()
        waiting = await life.approved(key())
        (box,) = law.scopes
        without = msgspec.structs.replace(
            law,
            version=2,
            previous=law.digest,
            persons=[one for one in law.persons if one.id != "cai"],
            scopes=[msgspec.structs.replace(box, officers=["ann", "bo", "dan"])],
        )
        await amend(life, without)
        assert (await life.desk.proposal(waiting))["state"] == "open"
        back = msgspec.structs.replace(law, version=3, previous=without.digest)
        await amend(life, back, "accept cai")
        shown = await life.desk.proposal(waiting)
        assert (shown["state"], shown["tally"]["scopes"][0]["approved"]) == ("open", ["bo"])
        with pytest.raises(QuorumMissing):
            await life.executions.execute(waiting)
        await life.say(waiting, "approve cai")
        assert (await life.desk.execute(waiting, 10.0))["state"] == "executed"

    bench.run(body)


def test_a_recovery_is_from_the_signal_that_officers_examined(bench: Bench, executors: dict[type, object]) -> None:
    """Two proposals were approved, one was executed: the other does not lift the latch of the next signal (TAMPER)."""
    _, check = executors[RecoverFromTamper]  # type: ignore[misc]

    async def recover(ctx: ExecutionContext, action: RecoverFromTamper) -> StepResult:
        ctx.room.home.tamper_latch.unlink()
        return StepResult()

    executors[RecoverFromTamper] = (recover, check)

    async def body(life: Life) -> None:
        await life.found()
        latch(bench.home, "lid")
        used, kept = [await life.approved(RecoverFromTamper(finding="a cleaner")) for _ in range(2)]
        assert (await life.desk.execute(used, 10.0))["state"] == "executed"
        bench.now = lambda: now_utc() + datetime.timedelta(hours=1)
        later = int(bench.now().timestamp())
        bench.home.tamper_latch.write_bytes(msgspec.json.encode(Latch(signal="mesh", time=later)))
        with contextlib.suppress(CinnabarError):
            await life.desk.execute(kept, 10.0)
        assert bench.home.tamper_latch.exists()

    bench.run(body)
