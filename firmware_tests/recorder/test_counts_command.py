"""`cinnabar counts`: the numbers of control RECORD of a box that runs, was stopped, or was killed."""

from __future__ import annotations

import asyncio
import json
import signal

from click.testing import CliRunner, Result

from appliance.recorder import CallCounter, RecorderClient, new_run_id
from appliance.recorder.cli import counts
from firmware_tests.recorder.running import CERTIFICATE, Recorder, entry


def _asked(recorder: Recorder, *options: str) -> Result:
    return CliRunner().invoke(counts, ["--home", str(recorder.home.root), *options])


def _sign(recorder: Recorder, signed: int, rows: int, drops: dict[str, int], *, goodbye: bool) -> CallCounter:
    recorder.home.counters.mkdir(parents=True, exist_ok=True)
    counter = CallCounter(recorder.home.counters, new_run_id())

    async def work() -> None:
        client = await RecorderClient.connect(
            recorder.home.recorder_socket, counter.run, lambda: (counter.signed, drops)
        )
        for _ in range(rows):
            counter.count()
            await client.append("acme", "app", CERTIFICATE, [entry()])
        for _ in range(signed - rows):
            counter.count()
        if goodbye:
            await client.goodbye()
        await client.close()

    asyncio.run(work())
    return counter


def test_runs_are_shown_whether_the_box_runs_or_not(recorder: Recorder) -> None:
    _sign(recorder, 7, 4, {"self-test": 2, "replayed": 1}, goodbye=True).close(remove=True)
    for stopped in (False, True):
        if stopped:
            recorder.end()
        found = _asked(recorder, "--json")
        assert found.exit_code == 0, found.output
        answer = json.loads(found.output)
        (run,) = answer["runs"]
        assert (run["signed"], run["rows"], run["state"], run["difference"]) == (7, 4, "clean", 0)
        assert run["drops"] == {"replayed": 1, "self-test": 2}
        assert answer["unbalanced"] == 0
        text = _asked(recorder).output
        assert "replayed 1, self-test 2" in text
        assert "clean" in text


def test_a_run_that_does_not_balance_is_told_by_the_exit_code(recorder: Recorder) -> None:
    _sign(recorder, 5, 2, {}, goodbye=True).close(remove=True)
    found = _asked(recorder)
    assert found.exit_code == 1
    assert "1 runs signed more or less" in found.output
    assert "unbalanced" in found.output


def test_what_a_killed_process_counted_last_is_shown(recorder: Recorder) -> None:
    """Of a box that was killed as well, whose recorder has not settled it, and whose socket stands there still."""
    counter = _sign(recorder, 3, 3, {}, goodbye=False)
    for _ in range(3):
        counter.count()
    counter.drop("self-test", 2)
    recorder.end(signal.SIGKILL)
    assert recorder.home.admin_socket.exists()
    found = _asked(recorder, "--json", "--limit", "1")
    (run,) = json.loads(found.output)["runs"]
    assert run["state"] in {"open", "lost"}
    assert (run["signed"], run["rows"], run["difference"]) == (6, 3, 1)
    assert run["drops"] == {"self-test": 2}
    counter.close(remove=True)


def test_only_runs_of_one_state(recorder: Recorder) -> None:
    _sign(recorder, 1, 1, {}, goodbye=True).close(remove=True)
    assert json.loads(_asked(recorder, "--json", "--state", "lost").output)["runs"] == []
    assert len(json.loads(_asked(recorder, "--json", "--state", "clean").output)["runs"]) == 1


def test_a_home_without_a_box_is_an_error_of_its_own(recorder: Recorder) -> None:
    nowhere = CliRunner().invoke(counts, ["--home", str(recorder.home.root / "nowhere")])
    assert nowhere.exit_code == 2
    assert "cannot be read" in nowhere.output
