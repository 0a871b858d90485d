"""Proposals and statements: what is taken, what counts, and what is left in the logs."""

from __future__ import annotations

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
    QuorumMissing,
    StatementRefused,
    encode,
)
from appliance.ceremonies.actions import MOST_NAMES, AmendConstitution, GenerateKey, Lock, RecoverFromTamper, Unlock
from appliance.ceremonies.proposal import AuditHead, ScopeQuorum
from appliance.errors import CinnabarError, NotFound
from appliance.keymaster import engine, recording
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.engine import now_utc
from appliance.keymaster.errors import (
    HistoryDiffers,
    JournalContradicted,
    NotServed,
    ProposalClosed,
    TooManyProposals,
)
from appliance.keymaster.registry import StepResult
from appliance.recorder.errors import RecorderUnavailable
from firmware_tests.keymaster.room import Bench, Life, key


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

    ahead = 0

    async def amend(life: Life, law: Constitution, *also: str) -> None:
        nonlocal ahead
        ahead += 2  # documents count in seconds
        bench.now = lambda: now_utc() + datetime.timedelta(seconds=ahead)
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
