"""Control RECORD under kill -9: every answered request is in the log and provable, none twice, service comes back.

Applications keep asking for stamps while one part after the other, and at last the whole box, is killed. What they
were answered is compared with the records afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from firmware_tests.running import RunningBox, wait_until

CALLERS = 4


@pytest.fixture
def own_box(open_directory: Path) -> Iterator[RunningBox]:
    running = RunningBox(open_directory / "killed")
    running.provision()
    running.start()
    yield running
    if running.running:
        running.stop()


class Load:
    """Callers that ask one stamp after the other and note what they were answered."""

    def __init__(self, box: RunningBox) -> None:
        self.box = box
        self.answered: dict[str, str] = {}
        """Record id to digest."""
        self.problems: list[int] = []
        self.broken = 0
        self.last = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        turn = 0
        client: httpx.Client | None = None
        while not self._stop.is_set():
            digest = hashlib.sha256(f"{number}/{turn}/{os.urandom(8).hex()}".encode()).hexdigest()
            turn += 1
            try:
                if client is None:
                    client = self.box.http()
                answer = client.post("/v1/stamps", json={"digest": digest})
            except (httpx.HTTPError, OSError, ValueError):
                self.broken += 1
                client = None
                time.sleep(0.05)
                continue
            with self._lock:
                if answer.status_code == 200:
                    assert answer.json()["record"] not in self.answered
                    self.answered[answer.json()["record"]] = digest
                    self.last = time.monotonic()
                else:
                    assert answer.headers["content-type"] == "application/problem+json" or answer.status_code in {
                        502,
                        504,
                    }
                    self.problems.append(answer.status_code)
        if client is not None:
            client.close()

    def served_after(self, moment: float) -> bool:
        return self.last > moment


def test_every_answer_survives_kill_9(own_box: RunningBox) -> None:
    box = own_box
    with Load(box) as load:
        wait_until(lambda: len(load.answered) > 50)
        for part in ("api-0", "recorder", "log", "front", "api-1", "keymaster", "clock", "recorder"):
            pid = box.processes()[part]
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda: box.processes().get(part) not in (None, pid), 10, f"{part} started again")  # noqa: B023
            wait_until(lambda: load.served_after(killed + 0.5), 20, f"service after {part} was killed")  # noqa: B023
        box.kill()
        box.start()
        again = time.monotonic()
        wait_until(lambda: load.served_after(again), 20, "service after the whole box was killed")
    assert set(load.problems) <= {502, 503, 504}, set(load.problems)
    _all_in_the_log(box, load.answered)
    assert box.stop() == 0


def _all_in_the_log(box: RunningBox, answered: dict[str, str]) -> None:
    """Each answer's record is there, opens to what was stamped, and its proof leads to a signed checkpoint."""
    assert len(answered) > 200
    indexes = []
    with box.http() as client:
        for record, digest in answered.items():
            found = client.get(f"/v1/records/{record}")
            assert found.status_code == 200, found.text
            opened = found.json()
            content, salt = opened["content"].encode(), bytes.fromhex(opened["salt"])
            assert digest in opened["content"]
            commitment = hashlib.sha256(b"cinnabar record v1\n" + salt + content).hexdigest()
            assert commitment == opened["commitment"]
            indexes.append(opened["index"])
        last = max(answered, key=lambda record: indexes[list(answered).index(record)])
        wait_until(lambda: client.get(f"/v1/records/{last}").json()["proof"] is not None, 10, "the last record's proof")
        for record in list(answered)[:: max(1, len(answered) // 40)]:
            _proven(client.get(f"/v1/records/{record}").json())
    assert len(set(indexes)) == len(indexes), "a leaf index was given twice"


def _proven(opened: dict) -> None:  # type: ignore[type-arg]
    """RFC 9162, section 2.1.3.2, written out here so that it is not our own code that agrees."""
    proof = opened["proof"]
    node = hashlib.sha256(b"\0" + bytes.fromhex(opened["commitment"])).digest()
    index, last = proof["index"], proof["tree_size"] - 1
    assert index <= last
    for sibling in map(bytes.fromhex, proof["hashes"]):
        assert last > 0
        if index & 1 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    assert last == 0
    origin, size, root = proof["checkpoint"].split("\n")[:3]
    assert origin == proof["origin"]
    assert int(size) == proof["tree_size"]
    assert base64.b64decode(root) == node
