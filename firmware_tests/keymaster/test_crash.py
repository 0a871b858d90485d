"""The keymaster's process dies by SIGKILL before, in and after a step: what was decided is done exactly once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

import pytest

from appliance.ceremonies.actions import GenerateKey
from firmware_tests.keymaster.dying import PLACES
from firmware_tests.keymaster.room import Bench, Life
from hsm.keys import list_keys


def key(name: str) -> GenerateKey:
    return GenerateKey(
        tenant=None, token="box", key=name, scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z"
    )


def lead(bench: Bench, digest: str, where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "firmware_tests.keymaster.dying", str(bench.home.root), digest, where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def decided(life: Life) -> str:
    await life.found()
    return await life.approved(key("k1"), key("k2"), key("k3"))


@pytest.mark.parametrize("where", PLACES)
def test_killed_anywhere_it_is_done_once(bench: Bench, executors: dict[type, object], where: str) -> None:
    executors[GenerateKey] = (None, None)
    digest = bench.run(decided)
    died = lead(bench, digest, where)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    again = lead(bench, digest, "-")
    assert again.stdout.splitlines()[-1:] == ["executed"], again.stdout + again.stderr

    async def after(life: Life) -> None:
        shown = await life.desk.proposal(digest)
        assert (shown["state"], shown["attempt"]) == ("executed", 1)
        assert [step["state"] for step in shown["steps"]] == ["done"] * 3
        labels = Counter(found.object for found in list_keys(life.room.box_token()))
        assert labels == {"k1": 1, "k2": 1, "k3": 1}
        events = [one["event"] for one in life.leaves("@box")]
        assert events[-5:] == ["begun", "step", "step", "step", "executed"]
        assert Counter(events)["begun"] == 1

    bench.run(after)


@pytest.mark.parametrize("where", ["journal:begin_step", "executor:before", "executor:made"])
def test_what_was_begun_does_not_go_on_in_a_tampered_box(
    bench: Bench, executors: dict[type, object], where: str
) -> None:
    """The supervisor kills the keymaster at the signal; what comes back makes no key and signs nothing (TAMPER)."""
    executors[GenerateKey] = (None, None)
    digest = bench.run(decided)
    assert lead(bench, digest, where).returncode == -signal.SIGKILL

    async def labels(life: Life) -> list[str]:
        return sorted(str(found.object) for found in list_keys(life.room.box_token()))

    before = bench.run(labels)
    bench.home.tamper_latch.touch()
    again = lead(bench, digest, "-")
    assert again.stdout.splitlines()[-1:] != ["executed"], "executed while the latch stood"
    assert bench.run(labels) == before

    async def after(life: Life) -> None:
        assert [step.state for step in life.room.journal.steps(digest)][1] != "done"

    bench.run(after)
