"""A life of the keymaster in a process of its own that dies by SIGKILL where it is told to: `HOME DIGEST WHERE`.

Its executor makes real keys in the token. Without WHERE (`-`) it lives, goes on where the last one died, and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hsm
from appliance.ceremonies.actions import GenerateKey
from appliance.keymaster import registry
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.registry import StepResult
from firmware_tests.keymaster.room import Bench, Life
from hsm.keys import generate_key_pair, list_keys

PLACES = (
    "journal:begin_attempt",
    "log:begun",
    "journal:begin_step",
    "executor:before",
    "executor:made",
    "journal:end_step",
    "log:step",
    "journal:set_state",
    "log:ended",
)
"""A place of the journal is right after that change is on disk; one of the log, after the recorder has that event."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Counts how often a place was passed; the second step is the one that dies."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.wanted = 2 if where.partition(":")[2] in {"begin_step", "before", "made", "end_step", "step"} else 1

    def passed(self, place: str) -> None:
        if place == self.where:
            self.wanted -= 1
            if self.wanted == 0:
                die()


def after(owner: Any, name: str, then: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **more: Any) -> Any:
        result = original(*arguments, **more)
        then()
        return result

    setattr(owner, name, wrapped)


async def live(life: Life, digest: str, dying: Dying) -> None:
    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        dying.passed("executor:before")
        token = ctx.room.user_token(action.token)
        if not any(key.id == ctx.key_id for key in list_keys(token)):
            generate_key_pair(token, action.key, action.scheme, id=ctx.key_id)
        dying.passed("executor:made")
        return StepResult({"key_id": ctx.key_id.hex()})

    registry._executors[GenerateKey] = (make, None)
    journal = life.room.journal
    after(journal, "begin_step", lambda: dying.passed("journal:begin_step"))
    transaction = journal.transaction
    changed: list[str] = []

    @contextlib.contextmanager
    def watched():  # type: ignore[no-untyped-def]
        outer = journal.connection.in_transaction
        with transaction() as connection:
            yield connection
        if not outer:
            names, changed[:] = list(changed), []
            for name in names:
                dying.passed(f"journal:{name}")

    journal.transaction = watched  # type: ignore[method-assign]
    for name in ("begin_attempt", "set_state", "end_step"):
        after(journal, name, lambda name=name: changed.append(name))
    last = "SELECT event FROM entries WHERE leaf IS NOT NULL ORDER BY number DESC LIMIT 1"

    def recorded() -> None:
        dying.passed(f"log:{journal.connection.execute(last).fetchone()[0].partition('/')[0]}")

    after(journal, "entry_on_record", recorded)
    await life.room.recording.send()
    life.executions.resume()
    if not journal.proposals(("executed",)):
        await life.executions.execute(digest, 30.0)
    print(journal.proposal(digest).state)  # type: ignore[union-attr]


def main() -> None:
    root, digest, where = sys.argv[1:]
    try:
        Bench.reopened(Path(root)).run(lambda life: live(life, digest, Dying(where)))
    except hsm.HsmError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
