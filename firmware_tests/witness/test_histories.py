"""Whatever a witness is sent, in whatever order, over restarts and losses: what it cosigned is one history."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from unittest.mock import ANY

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.log import LogKey, parse_note, verified_by
from appliance.log.checkpoint import Checkpoint
from appliance.witness.commits import GroupCommit
from appliance.witness.entering import NotEntered, enter
from appliance.witness.errors import Forked, StateUnwritable, WitnessRefusal
from appliance.witness.judging import Head, KnownLog
from appliance.witness.keys import Cosigners, FileKey
from appliance.witness.request import encode_request
from appliance.witness.service import Witness
from appliance.witness.settings import LogSettings, WatchedLog
from appliance.witness.state import Change, Cosigned, Store
from firmware_tests.witness.logs import TestLog

ORIGIN = "log.example/rehearsal/alfa"
MOST = 40
TRUNK = TestLog(ORIGIN).grow(MOST)
BRANCHES = [TRUNK, *(TRUNK.fork(at, MOST - at, f"branch {at} ") for at in (0, 1, 4, 7, 8, 16, 33))]
WATCHED = WatchedLog(
    KnownLog(ORIGIN, (LogKey(TRUNK.verifier),)), LogSettings(origin=ORIGIN, keys=[{"key": str(TRUNK.verifier)}])
)


class Histories(RuleBasedStateMachine):
    """One witness, its state on disk, and every head that it ever cosigned."""

    @initialize()
    def make(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.number = 0
        self.clock = 1_700_000_000.0
        self.cosigners = Cosigners([FileKey("witness.example/w1", Ed25519PrivateKey.generate())])
        self.cosigned: list[tuple[int, bytes, int]] = []
        self.stored: list[tuple[int, bytes]] = []
        """Heads that the state took since a person was asked last, given out or not."""
        self.store = Store.create(self.directory, "x", after_loss=False)

    @property
    def directory(self) -> Path:
        return Path(self.place.name) / str(self.number)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.place.cleanup()

    def ask(self, *bodies: bytes, copied: Iterable[bool] = ()) -> None:
        """Start on the state, ask all at once, stop. `copied`: which of its first changes a copy of the state takes."""
        takes = iter(copied)

        def apply(changes: Sequence[Change]) -> None:
            self.store.apply(changes)
            self.stored += [(one.head.size, one.head.root) for one in changes if isinstance(one, Cosigned)]
            if not next(takes, True):
                raise StateUnwritable("the copy's disk is full", state_has_it=True)

        async def run() -> list[bytes | BaseException]:
            commits = GroupCommit(apply)
            try:
                witness = Witness([WATCHED], self.store.remembered(), self.cosigners, commits, lambda: self.clock)
                return await asyncio.gather(*map(witness.add_checkpoint, bodies), return_exceptions=True)
            finally:
                commits.close()

        for body, answer in zip(bodies, asyncio.run(run()), strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, WitnessRefusal), answer
                continue
            note = parse_note(body.partition(b"\n\n")[2] + answer)
            assert verified_by(note, self.cosigners.verifiers)
            head = Checkpoint.parse(note.text)
            time = int.from_bytes(note.signatures[-1].signature[:8], "big")
            self.cosigned.append((head.size, head.root, time))

    branch = st.sampled_from(BRANCHES)
    size = st.integers(0, MOST)

    @rule(branch=branch, size=size, old=size)
    def honest_or_not(self, branch: TestLog, size: int, old: int) -> None:
        if old <= size:
            self.ask(branch.request(old, size))

    @rule(branch=branch, size=size)
    def from_where_it_stands(self, branch: TestLog, size: int) -> None:
        head = self.store.remembered().heads.get(ORIGIN)
        old = 0 if head is None else head.size
        if old <= size:
            self.ask(branch.request(old, size))

    @rule(pairs=st.lists(st.tuples(branch, size), min_size=2, max_size=5))
    def many_at_once(self, pairs: list[tuple[TestLog, int]]) -> None:
        head = self.store.remembered().heads.get(ORIGIN)
        old = 0 if head is None else head.size
        self.ask(*(branch.request(old, size) for branch, size in pairs if old <= size))

    @rule(pairs=st.lists(st.tuples(branch, size), min_size=2, max_size=6), copied=st.lists(st.booleans()))
    def while_the_copy_fails(self, pairs: list[tuple[TestLog, int]], copied: list[bool]) -> None:
        head = self.store.remembered().heads.get(ORIGIN)
        olds = [0 if head is None else head.size, *(size for _, size in pairs)]
        bodies = [
            branch.request(old, size)
            for old, (branch, size) in zip(olds, sorted(pairs, key=lambda pair: pair[1]), strict=False)
            if old <= size
        ]
        self.ask(*bodies, copied=copied)

    @rule(branch=branch, size=size, other=branch)
    def with_another_s_proof(self, branch: TestLog, size: int, other: TestLog) -> None:
        head = self.store.remembered().heads.get(ORIGIN)
        if head is not None and head.size <= size:
            self.ask(encode_request(head.size, other.proof(head.size, size), branch.note(size)))

    @rule(branch=branch, size=size)
    def a_person_enters(self, branch: TestLog, size: int) -> None:
        self.enter(branch.note(size))

    @rule(step=st.integers(-20, 20))
    def time_passes(self, step: int) -> None:
        self.clock += step

    @rule()
    def the_state_is_lost(self) -> None:
        """And a careful person enters the newest head that the witness ever cosigned."""
        self.store.close()
        self.number += 1
        self.store = Store.create(self.directory, "x", after_loss=True)
        self.stored = []
        self.ask(TRUNK.request(0, MOST))
        if self.cosigned:
            size, root, _ = self.cosigned[-1]
            branch = next(one for one in BRANCHES if one.root(size) == root)
            self.enter(self.with_our_line(branch.note(size)))

    def with_our_line(self, note: bytes) -> bytes:
        """The head as others have it: with the cosignature of then."""
        time = self.cosigned[-1][2]
        return asyncio.run(_cosigned(self.cosigners, note, time))

    def enter(self, note: bytes) -> None:
        try:
            self.store.apply([enter(WATCHED, self.store.remembered(), note, self.cosigners, "test", int(self.clock))])
            self.stored = []
        except NotEntered:
            pass
        except WitnessRefusal as error:
            raise AssertionError(error) from error

    @invariant()
    def what_it_cosigned_is_one_history_in_time(self) -> None:
        if not hasattr(self, "cosigned"):
            return
        heads = [(size, root) for size, root, _ in self.cosigned]
        for one in (heads, self.stored):
            assert one == sorted(one, key=lambda head: head[0])
            largest = one[-1] if one else (0, TRUNK.root(0))
            branch = next(branch for branch in BRANCHES if branch.root(largest[0]) == largest[1])
            assert all(branch.root(size) == root for size, root in one)
        times = [time for _, _, time in self.cosigned]
        assert times == sorted(times)


async def _cosigned(cosigners: Cosigners, note: bytes, time: int) -> bytes:
    return (await cosigners.cosign(parse_note(note), time)).encode()


def test_a_head_that_the_copy_lacks_is_given_to_nobody_and_held_against_the_log(tmp_path: Path) -> None:
    """Within one second, where a head that was given out is given out again."""
    fails = [False, True, True, False]
    store = Store.create(tmp_path / "state", "x", after_loss=False)

    def apply(changes: Sequence[Change]) -> None:
        store.apply(changes)
        if fails.pop(0):
            raise StateUnwritable("the copy's disk is full", state_has_it=True)

    async def run() -> None:
        cosigners = Cosigners([FileKey("witness.example/w1", Ed25519PrivateKey.generate())])
        commits = GroupCommit(apply)
        witness = Witness([WATCHED], store.remembered(), cosigners, commits, lambda: 1_700_000_000.0)
        assert await witness.add_checkpoint(TRUNK.request(0, 4))
        for old in (4, 8):  # asked for again, it is stored again
            with pytest.raises(StateUnwritable):
                await witness.add_checkpoint(TRUNK.request(old, 8))
        assert witness.logs[ORIGIN].head == Head(4, TRUNK.root(4), 1_700_000_000, ANY)
        with pytest.raises(Forked) as found:
            await witness.add_checkpoint(TRUNK.fork(4, 4).request(4, 8))
        assert "witness.example" not in found.value.evidence.first
        commits.close()

    asyncio.run(run())
    assert not fails
    store.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow])
