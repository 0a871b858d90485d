"""Applications that keep asking for stamps, and note what they were answered."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import Any

import httpx

from firmware_tests.running import RunningBox

PROBLEM = "application/problem+json"
FRONTS_OWN = {502, 504}
"""What the TLS front answers by itself while no worker is there."""


class Load:
    """A context manager; callers ask one stamp after the other until its end."""

    def __init__(self, box: RunningBox, callers: int = 4, path: str = "/v1/stamps") -> None:
        self.box = box
        self.path = path
        self.answered: dict[str, str] = {}
        """Record id to digest."""
        self.problems: list[dict[str, object]] = []
        """Every problem document; what the front answered by itself has a status only."""
        self.broken = 0
        """Connections that broke."""
        self._served = [0.0] * callers
        """When each caller began to ask for its last stamp that was answered (time.monotonic)."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(caller,)) for caller in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def served_after(self, moment: float) -> bool:
        """Whether every caller was, with what it asked after that."""
        return min(self._served) > moment

    @property
    def statuses(self) -> set[object]:
        return {problem["status"] for problem in self.problems}

    @property
    def codes(self) -> set[str]:
        """Codes of the problems that the box, not its front, answered."""
        return {str(problem["type"]).rpartition(":")[2] for problem in self.problems if "type" in problem}

    def _ask(self, caller: int) -> None:
        client: httpx.Client | None = None
        while not self._stop.is_set():
            begun = time.monotonic()
            digest = hashlib.sha256(os.urandom(16)).hexdigest()
            try:
                if client is None:
                    client = self.box.http()
                answer = client.post(self.path, json={"digest": digest})
            except (httpx.HTTPError, OSError, ValueError):
                self.broken += 1
                if client is not None:
                    client.close()
                client = None
                time.sleep(0.05)
                continue
            with self._lock:
                self._note(caller, begun, answer, digest)
        if client is not None:
            client.close()

    def _note(self, caller: int, begun: float, answer: httpx.Response, digest: str) -> None:
        if answer.status_code == 200:
            record = answer.json()["record"]
            assert record not in self.answered
            self.answered[record] = digest
            self._served[caller] = begun
        elif answer.headers["content-type"] == PROBLEM:
            self.problems.append(answer.json())
        else:
            assert answer.status_code in FRONTS_OWN, answer.text
            self.problems.append({"status": answer.status_code})


def all_recorded(box: RunningBox, answered: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Each answer's record is there and holds what was stamped; no two stand at one place of the log. The records."""
    records = {}
    with box.http() as client:
        for record, digest in answered.items():
            found = client.get(f"/v1/records/{record}")
            assert found.status_code == 200, found.text
            records[record] = found.json()
            assert digest in records[record]["content"]
    assert len({found["index"] for found in records.values()}) == len(answered), "a leaf index was given twice"
    return records
