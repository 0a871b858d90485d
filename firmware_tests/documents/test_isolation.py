"""What a hostile document could reach, were it to take hold of its worker: nothing of the box but what is public."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess

import pytest

from appliance.documents.client import DocumentsClient
from appliance.documents.contracts import FURTHER_SIGNATURE, RENDER, VERIFY
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
    assert _tried(keeper, "read", home.trust / "bundle.json") == ["done"]


def test_nothing_can_be_written(keeper, open_directory) -> None:
    everyone = open_directory / "everyone"
    everyone.mkdir(mode=0o777)
    everyone.chmod(0o777)
    (written,) = _tried(keeper, "write", everyone / "file")
    assert written == "OSError"  # RLIMIT_FSIZE: the file is made, and stays empty
    assert (everyone / "file").stat().st_size == 0


def test_there_is_no_network_and_no_way_to_the_recorder(keeper, box: RunningBox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (network,) = _tried(keeper, "tcp", f"127.0.0.1:{listening.getsockname()[1]}")
    assert network == "OSError"  # ENETUNREACH: not even loopback is up
    assert set(_tried(keeper, "unix", box.home.recorder_socket, box.home.admin_socket)) == {"PermissionError"}


@pytest.mark.parametrize("what", ["fork", "look-at-keeper", "more-memory", "root"])
def test_no_more_rights(keeper, what: str) -> None:
    (outcome,) = _tried(keeper, what, "")
    assert outcome in {"PermissionError", "BlockingIOError", "ValueError"}


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
