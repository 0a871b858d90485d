"""Control FORK at a witness: what is cosigned is remembered, whatever is killed, full, lost, set back or in a hurry."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from appliance.log import parse_note, verified_by
from appliance.log.checkpoint import LogKey
from appliance.log.forks import ForkEvidence, verify_fork
from appliance.witness.request import encode_request
from firmware_tests.running import wait_until
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table, python_with

KILLED_BEFORE_THE_ANSWER = """
import os
from appliance.witness import service
class Dying(service.Witness):
    async def _add(self, tracked, request):
        lines = await super()._add(tracked, request)
        if request.checkpoint.size == 9: os.kill(os.getpid(), 9)
        return lines
service.Witness = Dying
"""
KILLED_BEFORE_THE_STATE = """
import os
from appliance.witness import copies
applied = copies.States.apply
def apply(self, changes):
    if any('size=9,' in repr(change) for change in changes): os.kill(os.getpid(), 9)
    applied(self, changes)
copies.States.apply = apply
"""


def time_of(answer: httpx.Response) -> int:
    (line,) = parse_note(b"x\n\n" + answer.content).signatures
    return int.from_bytes(line.signature[:8], "big")


def only_log(witness: RunningWitness) -> dict[str, object]:
    (one,) = witness.look("/logs.json").json()["logs"]
    return one  # type: ignore[no-any-return]


@pytest.mark.parametrize(("fault", "remembered"), [(KILLED_BEFORE_THE_ANSWER, 9), (KILLED_BEFORE_THE_STATE, 7)])
def test_killed_at_any_step_it_knows_what_it_cosigned(
    witness: RunningWitness, log: TestLog, fault: str, remembered: int
) -> None:
    witness.configure([log_table(log)])
    witness.start(python_with(fault))
    assert witness.add(log.request(0)).status_code == 200
    log.grow(2)
    with pytest.raises(httpx.RequestError):
        witness.add(log.request(7))
    assert witness.process.wait(20) == -signal.SIGKILL
    witness.start()
    # Another history from 7 on: had the witness forgotten what it may have released, it would take it now.
    other = log.fork(7, 4)
    answer = witness.add(other.request(7))
    assert answer.status_code == (409 if remembered == 9 else 200)
    if remembered == 9:
        assert answer.text == "9\n"
        assert witness.add(log.request(9)).status_code == 200


def test_killed_under_load_it_has_never_cosigned_what_it_does_not_remember(
    witness: RunningWitness, log: TestLog
) -> None:
    logs = [TestLog(f"log.example/{number}").grow(40) for number in range(4)]
    witness.configure([log_table(one) for one in logs])
    witness.start()
    released: dict[str, int] = {one.origin: 0 for one in logs}

    def feed(one: TestLog) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client, contextlib.suppress(httpx.RequestError):
            for size in range(1, one.size + 1):
                body = one.request(size - 1, size)
                if client.post(f"{witness.url()}/add-checkpoint", content=body).status_code != 200:
                    return
                released[one.origin] = size
                if released[logs[0].origin] == 20:
                    witness.process.kill()

    with concurrent.futures.ThreadPoolExecutor(len(logs)) as pool:
        list(pool.map(feed, logs))
    assert witness.process.wait(20) == -signal.SIGKILL
    witness.start()
    for shown in witness.look("/logs.json").json()["logs"]:
        assert shown["size"] >= released[shown["origin"]]
    assert max(released.values()) >= 20


def test_two_heads_race_and_one_wins(running: RunningWitness, log: TestLog) -> None:
    assert running.add(log.request(0)).status_code == 200
    rivals = [log.fork(7, count, f"rival {count}") for count in range(1, 9)]
    with concurrent.futures.ThreadPoolExecutor(len(rivals)) as pool:
        answers = list(pool.map(lambda one: running.add(one.request(7)), rivals))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 7
    winner = next(one for one, answer in zip(rivals, answers, strict=True) if answer.status_code == 200)
    assert only_log(running)["size"] == winner.size


def test_the_same_head_twice_is_no_fork_and_times_do_not_run_backwards(running: RunningWitness, log: TestLog) -> None:
    times = [time_of(running.add(log.request(0)))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: running.add(log.request(7)), range(12)))
    assert {answer.status_code for answer in answers} == {200}
    times += sorted(map(time_of, answers))
    assert times == sorted(times)


@pytest.mark.parametrize("other_size", [7, 12])
def test_a_fork_is_refused_loudly_until_a_person_decides(
    running: RunningWitness, log: TestLog, other_size: int, tmp_path: Path
) -> None:
    assert running.add(log.request(0)).status_code == 200
    other = log.fork(3, other_size - 3)
    # The larger one proves a past of its own; the witness sees from the proof which.
    answer = running.add(other.request(0 if other_size == 7 else 7))
    assert answer.status_code == 409
    assert "two histories" in answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    # The evidence convinces whoever has the log's keys.
    (fork,) = running.look("/logs.json").json()["forks"]
    evidence = running.look(fork["evidence"]).content
    first, second = verify_fork(ForkEvidence.parse(evidence), [LogKey(log.verifier)])
    assert (first.size, first.root, second.size, second.root) == (7, log.root(7), other_size, other.root())
    # It is told everywhere, and outlives the process.
    log.grow(2)
    for _ in range(2):
        assert running.add(log.request(7)).status_code == 503
        assert only_log(running)["state"] == "forked"
        assert running.look("/health").status_code == 503
        assert 'cinnabar_witness_refusing{cause="fork",origin="log.example/rehearsal/alfa"} 1.0' in (
            running.look("/metrics").text
        )
        assert "Nothing of some logs is cosigned" in running.look("/").text
        shown = running.command("show")
        assert shown.returncode == 1
        assert "FORK 1" in shown.stdout
        assert running.stop() == 0
        said = [json.loads(line) for line in running.said().splitlines() if line.startswith("{")]
        assert {"log-forked", "log-refused"} & {line["event"] for line in said if line.get("control") == "FORK"}
        running.start()
    # Only the head that was cosigned is taken, and only from a witness that does not run.
    head, rival = tmp_path / "head", tmp_path / "rival"
    head.write_bytes(log.note(7))
    rival.write_bytes(other.note())
    assert "stop the witness" in running.command("enter-checkpoint", str(head), "--reason", "x").stderr
    running.stop()
    refused = running.command("enter-checkpoint", str(rival), "--reason", "x")
    assert refused.returncode == 2
    assert "FORK" in refused.stderr
    entered = running.command("enter-checkpoint", str(head), "--reason", "the other one was a test")
    assert entered.returncode == 0, entered.stderr
    running.start()
    assert running.add(log.request(7)).status_code == 200
    (fork,) = running.look("/logs.json").json()["forks"]
    assert fork["reason"] == "the other one was a test"
    (decision,) = running.look("/logs.json").json()["decisions"]
    assert (decision["size"], decision["reason"]) == (7, "the other one was a test")
    assert "the other one was a test" in running.command("show").stdout
    for language in ("en", "zh-Hans"):
        assert running.look(f"/?language={language}").text.count("the other one was a test") == 2
    assert running.look("/health").status_code == 200


def test_a_proof_that_anybody_could_have_made_up_stops_nothing(running: RunningWitness, log: TestLog) -> None:
    """Whoever has seen a signed head can send it with junk: no fork, no refusal."""
    log.grow(6)
    assert running.add(log.request(0, 6)).status_code == 200
    assert running.add(encode_request(6, [bytes(32)] * 4, log.note())).status_code == 422
    assert running.add(log.request(6)).status_code == 200
    assert only_log(running)["refusals"] == {"not-consistent": 1}


def test_without_its_state_it_cosigns_nothing(running: RunningWitness, log: TestLog, tmp_path: Path) -> None:
    log.grow(10)
    assert running.add(log.request(0, 9)).status_code == 200
    head = running.look(f"/log/{only_log(running)['id']}/checkpoint").content
    running.stop()
    for file in (running.home / "state").iterdir():
        file.unlink()
    lost = running.command("run")
    assert lost.returncode == 2
    assert "is not there" in lost.stderr
    assert "--after-loss" in lost.stderr, "it says what to do"
    made = running.command("init", "--after-loss")
    assert made.returncode == 0, made.stderr
    running.start()
    for body in (log.request(0, 3), log.request(9), TestLog(log.origin, [], log.key).request(0)):
        assert running.add(body).status_code == 503
    assert only_log(running)["state"] == "state-lost"
    running.stop()
    file = tmp_path / "head"
    file.write_bytes(log.note(3).replace(b"alfa", b"beta"))
    assert running.command("enter-checkpoint", str(file), "--reason", "x").returncode == 2
    file.write_bytes(head)
    # Of several the largest counts; two of one size that differ are a fork, and none is taken.
    older, rival = tmp_path / "older", tmp_path / "rival"
    older.write_bytes(log.note(4))
    rival.write_bytes(log.fork(2, 7).note())
    both = running.command("enter-checkpoint", str(file), str(rival), "--reason", "x")
    assert both.returncode == 2
    assert "keep both" in both.stderr
    assert running.command("enter-checkpoint", str(older), str(file), "--reason", "the disk was lost").returncode == 0
    running.start()
    assert running.add(log.request(0, 3)).text == "9\n"
    assert running.add(log.request(9)).status_code == 200


def test_a_new_log_is_let_in_after_a_loss(running: RunningWitness, log: TestLog) -> None:
    running.stop()
    for file in (running.home / "state").iterdir():
        file.unlink()
    assert running.command("init", "--after-loss").returncode == 0
    assert running.command("enter-checkpoint", "--new", log.origin, "--reason", "it began today").returncode == 0
    running.start()
    assert running.add(log.request(0)).status_code == 200


def test_our_own_cosignature_shows_that_the_state_was_rolled_back(running: RunningWitness, log: TestLog) -> None:
    log.grow(10)
    assert running.add(log.request(0, 5)).status_code == 200
    running.stop()
    state = running.home / "state" / "witness.sqlite"
    old = state.read_bytes()
    running.start()
    cosignature = running.add(log.request(5, 8)).content
    running.stop()
    for file in (running.home / "state").iterdir():
        file.unlink()
    state.write_bytes(old)
    state.chmod(0o600)
    running.start()
    # From inside it is sound: it would cosign another past of 8 entries. The log shows it what it has said.
    body = encode_request(5, log.proof(5, 8), log.note(8) + cosignature)
    answer = running.add(body)
    assert answer.status_code == 503
    assert "8 entries" in answer.text
    assert running.add(log.request(5)).status_code == 503
    assert only_log(running)["state"] == "state-lost"
    running.stop()
    file = running.home / "head"
    file.write_bytes(log.note(8) + cosignature)
    assert running.command("enter-checkpoint", str(file), "--reason", "rolled back").returncode == 0
    running.start()
    assert running.add(log.request(8)).status_code == 200


def test_somebody_else_s_line_in_our_name_proves_nothing(running: RunningWitness, log: TestLog) -> None:
    assert running.add(log.request(0, 5)).status_code == 200
    line = parse_note(b"x\n\n" + running.add(log.request(5, 5)).content).signatures[0]
    forged = log.note() + line.line()  # of another head
    assert running.add(encode_request(5, log.proof(5), forged)).status_code == 200


def test_the_copy_tells_a_state_that_was_rolled_back(witness: RunningWitness, log: TestLog, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    witness.configure([log_table(log)], f'[state]\ncopy = "{copy}"\n')
    assert witness.command("run").returncode == 2
    assert witness.command("init", "--copy").returncode == 0
    log.grow(10)
    witness.start()
    assert witness.add(log.request(0, 5)).status_code == 200
    witness.stop()
    old = (witness.home / "state" / "witness.sqlite").read_bytes()
    witness.start()
    assert witness.add(log.request(5, 8)).status_code == 200
    assert witness.add(log.request(8, 9)).status_code == 200
    witness.stop()
    (witness.home / "state" / "witness.sqlite").write_bytes(old)
    witness.start()
    assert "state-rolled-back" in witness.said()
    assert witness.add(log.request(5, 8)).text == "9\n"
    witness.stop()
    # The copy that was rolled back is made equal again.
    (copy / "witness.sqlite").write_bytes(old)
    witness.start()
    assert "copy-rolled-back" in witness.said()
    assert witness.add(log.request(9)).status_code == 200
    # A copy that has gone stops the witness: that is what it is for.
    witness.stop()
    (copy / "witness.sqlite").rename(copy / "away")
    assert witness.command("run").returncode == 2


def test_a_flipped_bit_in_the_state_is_found(running: RunningWitness, log: TestLog) -> None:
    assert running.add(log.request(0)).status_code == 200
    running.stop()
    with contextlib.closing(sqlite3.connect(running.home / "state" / "witness.sqlite")) as state, state:
        state.execute("UPDATE heads SET size = 3, root = ?", (log.root(3),))
    running.start()
    assert only_log(running)["state"] == "state-lost"
    assert running.add(log.request(3)).status_code == 503
    assert "head-not-believed" in running.said()
    assert json.loads(running.command("show", "--json").stdout)["logs"][0]["state"] == "state-lost"
    running.stop()
    head = running.home / "head"
    head.write_bytes(log.note())
    entered = running.command("enter-checkpoint", str(head), "--reason", "a bit of the disk")
    assert entered.returncode == 0, entered.stderr
    running.start()
    assert running.add(log.request(7)).status_code == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_cosigns_nothing_and_loses_nothing(small_disk: Path, log: TestLog) -> None:
    witness = RunningWitness(small_disk / "witness")
    witness.output = small_disk.parent / "witness.output"
    try:
        witness.configure([log_table(log)])
        witness.start()
        assert witness.add(log.request(0)).status_code == 200
        filler = fill(small_disk)
        log.grow(200)
        size, statuses = 7, []
        # The database may have a little room of its own.
        while 503 not in statuses and size < 200:
            statuses.append(witness.add(log.request(size, size + 1)).status_code)
            size += statuses[-1] == 200
        assert statuses[-1] == 503
        assert only_log(witness)["size"] == size
        assert "state-unwritable" in witness.said()
        assert witness.look("/health").json() == {"status": "unwritable"}
        filler.unlink()
        wait_until(lambda: witness.add(log.request(size, size + 1)).status_code == 200, 10, "room again")
        assert witness.stop() == 0
        witness.start()
        assert only_log(witness)["size"] == size + 1
    finally:
        witness.close()


def test_a_fork_found_on_a_full_disk_is_refused_for_good(small_disk: Path, log: TestLog) -> None:
    """Killed, and started while nothing fits on the disk yet; then once there is room, and nothing was lost."""
    witness = RunningWitness(small_disk / "witness")
    witness.output = small_disk.parent / "witness.output"
    try:
        witness.configure([log_table(log)])
        witness.start()
        assert witness.add(log.request(0)).status_code == 200
        filler = fill(small_disk)
        log.grow(200)
        size = 7
        while witness.add(log.request(size, size + 1)).status_code == 200:
            size += 1
        other = log.fork(3, size - 3, "another past ")
        assert witness.add(other.request(0, size)).status_code == 409
        assert "refusal-reserved" in witness.said()
        assert "refusal-not-stored" not in witness.said()
        witness.kill()
        witness.start()
        assert only_log(witness)["state"] == "forked"
        assert witness.add(log.request(size)).status_code == 503
        assert json.loads(witness.command("show", "--json").stdout)["logs"][0]["state"] == "forked"
        witness.kill()
        filler.unlink()
        witness.start()
        assert witness.add(log.request(size)).status_code == 503
        (fork,) = witness.look("/logs.json").json()["forks"]
        evidence = ForkEvidence.parse(witness.look(fork["evidence"]).content)
        assert {head.size for head in verify_fork(evidence, [LogKey(log.verifier)])} == {size}
        assert not (witness.home / "state" / "reserve").read_bytes().strip(b"\0")
        assert witness.stop() == 0
        head = small_disk.parent / "head"
        head.write_bytes(log.note(size))
        entered = witness.command("enter-checkpoint", str(head), "--reason", "the other one was not ours")
        assert entered.returncode == 0, entered.stderr
        witness.start()
        assert witness.add(log.request(size, size + 1)).status_code == 200
    finally:
        witness.close()


def test_a_refusal_that_was_torn_is_not_forgotten(witness: RunningWitness, log: TestLog) -> None:
    witness.configure([log_table(log)])
    witness.start()
    assert witness.stop() == 0
    reserve = witness.home / "state" / "reserve"
    reserve.write_bytes(b'{"origin":"' + bytes(100))
    said = witness.command("show")
    assert said.returncode == 2
    assert "ends within a line" in said.stderr
    reserve.write_bytes(b'{"origin":\n')
    assert witness.command("show").returncode == 2


def fill(place: Path) -> Path:
    """A file that takes all the room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))
    return filler


@pytest.fixture
def copied(witness: RunningWitness, log: TestLog, small_disk: Path) -> RunningWitness:
    """Running, with a copy of its state on a small disk."""
    witness.configure([log_table(log)], f'[state]\ncopy = "{small_disk / "copy"}"\n')
    assert witness.command("init", "--copy").returncode == 0
    witness.start()
    return witness


def withheld(witness: RunningWitness, log: TestLog, small_disk: Path) -> tuple[int, Path]:
    """The size of a head that the state took and the copy did not, and what fills the copy's disk."""
    assert witness.add(log.request(0)).status_code == 200
    filler, size = fill(small_disk), log.size
    log.grow(200)
    while (status := witness.add(log.request(size, size + 1)).status_code) == 200:
        size += 1
    assert status == 503
    wait_until(lambda: only_log(witness)["size"] == size, 10, "the head before it, and never it, to be shown")
    return size + 1, filler


def test_a_head_that_the_copy_did_not_take_is_what_the_log_goes_on_from(
    copied: RunningWitness, log: TestLog, small_disk: Path
) -> None:
    size, filler = withheld(copied, log, small_disk)
    assert copied.add(log.request(size - 1, size)).text == f"{size}\n"
    filler.unlink()
    wait_until(lambda: copied.add(log.request(size, size + 1)).status_code == 200, 10, "room again")
    wait_until(lambda: only_log(copied)["size"] == size + 1, 10, "it to be shown")
    assert copied.stop() == 0
    copied.start()
    assert "rolled-back" not in copied.said()


def test_another_head_in_the_place_of_one_that_the_copy_did_not_take_is_a_fork(
    copied: RunningWitness, log: TestLog, small_disk: Path
) -> None:
    size, filler = withheld(copied, log, small_disk)
    filler.unlink()
    other = log.fork(size - 1, 3)
    answer = copied.add(other.request(size - 1, size))
    assert answer.status_code == 409
    wait_until(lambda: only_log(copied)["state"] == "forked", 10, "the fork to be shown")
    evidence = copied.look("/forks/1.json").content
    assert verify_fork(ForkEvidence.parse(evidence), [LogKey(log.verifier)])
    assert copied.verifier.name not in evidence.decode(), "no cosignature leaves that the copy lacks"


CLOCK = """
import time
from pathlib import Path
clock = Path({clock!r})
time.time = lambda: float(clock.read_text())
"""
AHEAD = 2_500_000_000
"""Seconds since the epoch: when this clock has nothing true about it any more."""


def test_a_clock_that_is_set_back(witness: RunningWitness, log: TestLog, tmp_path: Path) -> None:
    """Control TIME: times of one log never run backwards."""
    clock = tmp_path / "clock"
    program = python_with(CLOCK.format(clock=str(clock)))
    clock.write_text(str(AHEAD))
    witness.configure([log_table(log)])
    witness.start(program)
    assert time_of(witness.add(log.request(0))) == AHEAD
    log.grow(2)
    clock.write_text(str(AHEAD - 10))
    answer = witness.add(log.request(7))
    assert (answer.status_code, time_of(answer)) == (200, AHEAD)
    clock.write_text(str(AHEAD - 11))
    answer = witness.add(log.request(9))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "clock" in answer.text
    # Nor by a restart, with the machine's own clock.
    witness.stop()
    witness.start()
    assert witness.add(log.request(9)).status_code == 503
    witness.stop()
    clock.write_text(str(AHEAD + 3))
    witness.start(program)
    answer = witness.add(log.request(9))
    assert (answer.status_code, time_of(answer)) == (200, AHEAD + 3)


def test_one_process_at_a_time(running: RunningWitness) -> None:
    second = running.command("run")
    assert second.returncode == 2
    assert "another process" in second.stderr


def test_a_reader_beside_it_disturbs_nothing(running: RunningWitness, log: TestLog) -> None:
    assert running.command("show").returncode == 0
    assert running.add(log.request(0)).status_code == 200
    shown = running.command("show", "--json")
    assert shown.returncode == 0
    (one,) = json.loads(shown.stdout)["logs"]
    assert (one["size"], one["state"]) == (7, "current")
    assert verified_by(parse_note(log.note() + running.add(log.request(7)).content), [running.verifier])
    assert (running.home / "witness.key").stat().st_mode & 0o777 == 0o600
