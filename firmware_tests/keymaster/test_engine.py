"""Proposals, statements and executions: what is taken, what counts, what is done, and what is left in the logs."""

from __future__ import annotations

import pytest

from appliance.ceremonies.actions import GenerateKey, Lock
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.registry import StepResult
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
