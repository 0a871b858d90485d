"""What a hostile document could reach, were it to take hold of its worker: nothing of the box but what is public."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import socket
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from appliance.documents import seccomp
from appliance.documents.client import DocumentsClient
from appliance.documents.contracts import FURTHER_SIGNATURE, RENDER, VERIFY, RenderRequest
from appliance.documents.errors import DocumentWorkerFailed, TrustUnavailable
from appliance.verify_request import NamedFile, VerifyRequest
from firmware_tests.documents.serving import MISDEED, Misdeed, Seen
from firmware_tests.documents.test_limits import ask
from firmware_tests.running import RunningBox
from provisioning.names import USERS

USER = USERS.documents
STRANGER = 60999

_CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
try:
    s.connect(sys.argv[1])
    print("answered" if s.recv(100) else "closed")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module", autouse=True)
def _as_root() -> None:
    assert os.geteuid() == 0, "these tests check the separation of users and must run as root"


def _tried(keeper, what: str, *places: object) -> list[str]:
    running = keeper(user=USER, memory_mb=64)
    seen = ask(running, *(Misdeed(what, str(place)) for place in places))
    assert all(isinstance(one, Seen) for one in seen), seen
    return [one.text for one in seen if isinstance(one, Seen)]


def test_nothing_of_the_box_can_be_read_but_what_is_public(keeper, box: RunningBox) -> None:
    home = box.home
    closed = [
        home.secrets, home.secrets / "demo.pin", home.tokens, home.records, home.records / "records.sqlite",
        home.logs, home.exports, home.documents, home.front / "server.key", home.clients / "demo-app.key",
    ]  # fmt: skip
    found = dict(zip(closed, _tried(keeper, "read", *closed), strict=True))
    assert set(found.values()) == {"PermissionError"}, found
    # What is public the keeper has read; a worker can open its program and no more.
    assert _tried(keeper, "read", home.trust / "bundle.json", home.settings, "/etc/passwd") == ["PermissionError"] * 3
    assert _tried(keeper, "read", seccomp.__file__) == ["done"]


def test_nothing_can_be_written(keeper, open_directory) -> None:
    everyone = open_directory / "everyone"
    everyone.mkdir(mode=0o777)
    everyone.chmod(0o777)
    (written,) = _tried(keeper, "write", everyone / "file")
    assert written == "PermissionError"
    assert not (everyone / "file").exists()


def test_there_is_no_network_and_no_way_to_the_recorder(keeper, box: RunningBox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (network,) = _tried(keeper, "tcp", f"127.0.0.1:{listening.getsockname()[1]}")
    assert network == "PermissionError"  # not even a socket is made; behind that, not even loopback is up
    assert set(_tried(keeper, "unix", box.home.recorder_socket, box.home.admin_socket)) == {"PermissionError"}


def test_no_more_rights(keeper) -> None:
    running = keeper(user=USER, memory_mb=64)
    for what in ("fork", "look-at-keeper", "more-memory", "root", "kill-keeper", "written-and-executed"):
        (seen,) = ask(running, Misdeed(what))
        assert isinstance(seen, Seen), what
        assert seen.text in {"PermissionError", "ValueError"}, what


def _numbers(table: seccomp.Numbers) -> dict[str, int]:
    column = seccomp.MACHINES[platform.machine()].column
    return {name: pair[column] for name, pair in table.items() if pair[column] is not None}


@pytest.mark.parametrize("user", [USER, None], ids=["own-user", "root"])
def test_an_attack_on_the_kernel_ends_the_worker_and_the_service_goes_on(keeper, user: int | None) -> None:
    running = keeper(user=user, memory_mb=64, workers=3, items=256)
    attacks = _numbers(seccomp.ENDS)
    for name, outcome in zip(
        attacks, ask(running, *(Misdeed("call", f"{n} 0 0 0 0 0") for n in attacks.values())), strict=True
    ):
        assert isinstance(outcome, DocumentWorkerFailed), (name, outcome)
        assert "no document needs" in str(outcome), name
    assert "document-worker-forbidden-call" in (running.directory / "output").read_text()
    (seen,) = ask(running, Misdeed("echo", "still here"))
    assert isinstance(seen, Seen)
    assert seen.text == "still here"


def test_every_call_that_is_on_no_list_is_refused_whoever_the_worker_runs_as(keeper) -> None:
    """As root too, whom neither files' modes nor RLIMIT_NPROC hold."""
    known = set(_numbers(seccomp.ALLOWED | seccomp.ENDS | seccomp.JUDGED).values())
    # On x86-64, 335 and 336 are how the kernel's own probes return: no filter sees them, and nobody else may use them.
    others = [number for number in range(470) if number not in known | {335, 336}]
    running = keeper(memory_mb=64, workers=3, items=1024)
    outcomes = ask(running, Misdeed("calls", " ".join(map(str, others))))
    assert [one.text for one in outcomes if isinstance(one, Seen)] == ["EPERM"], outcomes


@pytest.mark.parametrize("user", [USER, None], ids=["own-user", "root"])
def test_what_is_left_is_enough_to_set_a_page(keeper, user: int | None) -> None:
    running = keeper(user=user, memory_mb=768)
    asked = RenderRequest(template="ceremony", data='{"title": "Bond 保函"}', time_s=1)
    (made,) = ask(running, asked, contract=RENDER)
    assert isinstance(made, bytes), made
    assert made.startswith(b"%PDF-")


def test_a_filter_is_made_for_both_machines_by_the_kernels_numbers() -> None:
    headers = (
        Path("/usr/include/asm-generic/unistd.h"),
        Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h"),
    )
    found = [
        {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())}
        for path in headers
    ]
    found[0]["newfstatat"] = found[0].pop("fstatat")  # its name in C is the other one
    for table in (seccomp.ALLOWED, seccomp.FOR_FURTHER_TASKS, seccomp.ENDS, seccomp.JUDGED):
        for name, (x86, arm) in table.items():
            assert found[0].get(name) == arm, name
            assert platform.machine() != "x86_64" or found[1].get(name) == x86, name
    for machine in seccomp.MACHINES.values():
        made = seccomp.program(machine, 1)
        assert len(made) % 8 == 0
        assert len(made) // 8 < 4096
    tables = [set(table) for table in (seccomp.ALLOWED, seccomp.FOR_FURTHER_TASKS, seccomp.ENDS, seccomp.JUDGED)]
    assert not any(one & other for one, other in combinations(tables, 2))


def test_user_and_descriptors(keeper) -> None:
    assert _tried(keeper, "user", "") == [f"{USER} {USER} []"]
    (descriptors,) = _tried(keeper, "descriptors", "")
    assert len(descriptors.split()) <= 3 + 4  # standard ones, the channel, the request and its map, this listing


def test_another_user_is_refused_at_the_socket(keeper) -> None:
    running = keeper(user=USER)
    assert _connect_as(STRANGER, running.socket) == "PermissionError"
    running.socket.parent.chmod(0o755)
    running.socket.chmod(0o777)
    assert _connect_as(STRANGER, running.socket) in {"closed", "ConnectionResetError"}
    assert _connect_as(USER, running.socket) == "answered"
    assert "stranger-on-socket" in (running.directory / "output").read_text()


def test_a_reader_has_files_verified_and_nothing_else(keeper) -> None:
    """As the management service is: what it calls itself in the queue does not count either."""
    running = keeper(user=USER, reader=STRANGER)
    running.socket.parent.chmod(0o755)
    running.socket.chmod(0o777)

    async def ask() -> None:
        os.seteuid(STRANGER)  # the peer's user is taken when it connects
        try:
            client = DocumentsClient(running.socket)
        finally:
            os.seteuid(0)
        try:
            for contract in (RENDER, FURTHER_SIGNATURE, MISDEED):
                with pytest.raises(DocumentWorkerFailed, match="no such task"):
                    await client.call_encoded(contract, "demo", [b"{}"])
            with pytest.raises(TrustUnavailable):  # said by a worker: this keeper has no trust bundle
                await client.call(VERIFY, "demo", VerifyRequest(files=[NamedFile(name="x", content=b"x")]))
        finally:
            await client.close()

    asyncio.run(ask())
    assert "reader-asks-for-more" in (running.directory / "output").read_text()


def test_a_worker_cannot_ask_for_tasks_itself(box: RunningBox) -> None:
    assert _connect_as(USER, box.home.documents_socket) in {"closed", "ConnectionResetError"}


def _connect_as(user: int, path: object) -> str:
    ran = subprocess.run(
        ("/usr/bin/python3", "-c", _CONNECT, str(path)),
        user=user, group=user, extra_groups=[], cwd="/", capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return ran.stdout.strip()
