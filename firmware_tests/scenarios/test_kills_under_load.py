"""Control RECORD under kill -9: every answered request is in the log and provable, none twice, service comes back.

Applications keep asking for stamps while one part after the other, and at last the whole box, is killed. What they
were answered is compared with the records afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from firmware_tests.running import RunningBox, wait_until
from firmware_tests.scenarios.load import FRONTS_OWN, Load, all_recorded


def test_every_answer_survives_kill_9(make_box: Callable[..., RunningBox]) -> None:
    box = make_box()
    box.start()
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
    assert load.statuses <= {503, *FRONTS_OWN}
    _all_in_the_log(box, load.answered)
    assert box.stop() == 0


def _all_in_the_log(box: RunningBox, answered: dict[str, str]) -> None:
    """Each answer's record is there, opens to what was stamped, and its proof leads to a signed checkpoint."""
    assert len(answered) > 200
    records = all_recorded(box, answered)
    for opened in records.values():
        content, salt = opened["content"].encode(), bytes.fromhex(opened["salt"])
        assert hashlib.sha256(b"cinnabar record v1\n" + salt + content).hexdigest() == opened["commitment"]
    last = max(records, key=lambda record: records[record]["index"])
    with box.http() as client:
        wait_until(lambda: client.get(f"/v1/records/{last}").json()["proof"] is not None, 10, "the last record's proof")
        for record in list(records)[:: max(1, len(records) // 40)]:
            _proven(client.get(f"/v1/records/{record}").json())


def _proven(opened: dict[str, Any]) -> None:
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
