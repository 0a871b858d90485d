"""A ledger of the tests: a type of its own with a judge, an outside world in a file, and steps as a test scripts them.

Also a program, for tests that kill it: `python -m firmware_tests.anchorer.made DIRECTORY DIE-AT`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from appliance.anchorer.ledger import Progress, Work
from appliance.anchorer.outbox import Head, Outbox
from appliance.anchorer.running import LedgerRunner
from appliance.anchors import (
    AnchorRefused,
    Judgement,
    Known,
    LedgerProfile,
    Reason,
    Receipt,
    Rule,
    State,
    Strength,
    commitment_of,
    judging,
)
from appliance.box.ledgers import LedgerCommon
from appliance.log.checkpoint import Checkpoint
from appliance.log.note import Note, NoteSignature

ORIGIN = "log.example/rehearsal/box"
PROFILE = LedgerProfile(name="made", rules=msgspec.Raw(b"{}"), tolerance_s=10, type="made")
TIME_US = 1_700_000_000_000_000


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


def _judge(proof: bytes, commitment: bytes, rules: Rules, _known: Known) -> Judgement:
    if msgspec.json.decode(proof) != {"held": commitment.hex()}:
        raise AnchorRefused(Reason.OTHER_COMMITMENT, "the ledger holds something else")
    return Judgement(Strength.PROVEN, Rule.PROOF_OF_WORK, TIME_US, "block 9")


def know_the_type() -> None:
    """The type `made` has a judge from now on, in this process."""
    module = ModuleType("appliance.anchors.made.judge")
    vars(module).update(Rules=Rules, judge=_judge)
    sys.modules[module.__name__] = module
    judging.TYPES = (*[one for one in judging.TYPES if one != "made"], "made")  # type: ignore[misc]


def head(size: int, records: int = 0) -> Head:
    """A head of a log of so many leaves; nobody's signature."""
    text = Checkpoint(ORIGIN, size, hashlib.sha256(b"%d" % size).digest()).text()
    note = Note(text, (NoteSignature(ORIGIN, b"1234", bytes(64)),)).encode()
    return Head(note, commitment_of(note), size, records)


def receipt(work: Work, held: bytes | None = None) -> Receipt:
    proof = msgspec.json.encode({"held": (held or work.commitment).hex()})
    return Receipt(checkpoint=work.checkpoint.decode(), ledger="made", proof=msgspec.Raw(proof), type="made")


class Settings(LedgerCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="made"):
    pass


def settings(**changed: Any) -> Settings:
    return Settings(**{"name": "made", "profile": "unused", "interval_s": 3_600, "step_s": 1.0, **changed})


class Heads:
    """As appliance.anchorer.heads, of what a test says."""

    def __init__(self, now: Head | None = None) -> None:
        self.now = now

    def newest(self) -> Head | None:
        return self.now


class Scripted:
    """A ledger whose steps are a function of the test's."""

    name = "made"

    def __init__(self, step: Callable[[Sequence[Work]], Awaitable[Sequence[Progress]]]) -> None:
        self.advance = step
        self.steps = 0

    async def close(self) -> None:
        pass


class Careful:
    """What a ledger should be: signs, sends, looks for it, in steps of their own. The world is a file of lines, in
    which whatever is sent stands once, however often it was sent; a line more for each sending."""

    name = "made"

    def __init__(self, world: Path) -> None:
        self._world = world

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        return [self._step(one) for one in work]

    def _step(self, work: Work) -> Progress:
        if not work.memory:
            signature = base64.b16encode(os.urandom(8))  # as ECDSA does: another one each time
            return Progress(None, "signed", work.commitment.hex().encode() + b" " + signature, 0)
        if work.state is None:
            return Progress(State.SUBMITTED, "about to be sent", work.memory, 0)
        if work.state is State.SUBMITTED:
            with self._world.open("ab") as world:
                world.write(work.memory + b"\n")
                world.flush()
                os.fsync(world.fileno())
            return Progress(State.MINED, "in block 9", work.memory, 0)
        return Progress(State.FINAL, "six blocks on top", work.memory, 0, receipt(work))

    async def close(self) -> None:
        pass


async def _until_final(outbox: Outbox, runner: LedgerRunner) -> None:
    while (newest := outbox.newest("made")) is None or newest.state is not State.FINAL:
        await runner.once()
        await asyncio.sleep(0.06)


def main(directory: Path, die_at: int) -> None:
    """Anchor one head, and die by kill -9 at the n-th of: before and after each step, and after each store."""
    know_the_type()
    outbox = Outbox(directory / "outbox.sqlite")
    passed = 0

    def here() -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = Careful(directory / "world")
    plain = ledger.advance

    async def step(work: Sequence[Work]) -> Sequence[Progress]:
        here()
        done = await plain(work)
        here()
        return done

    store = outbox.store

    def stored(*arguments: Any) -> None:
        store(*arguments)
        here()

    ledger.advance = step  # type: ignore[method-assign]
    outbox.store = stored  # type: ignore[method-assign]
    runner = LedgerRunner(ledger, settings(), PROFILE, outbox, Heads(head(5)))  # type: ignore[arg-type]
    asyncio.run(_until_final(outbox, runner))
    outbox.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
