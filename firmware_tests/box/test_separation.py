"""Control CHANNEL inside the box: users of processes, private sockets, and a front that cannot be made to lie."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from appliance.box.front import CERTIFICATE_HEADER
from appliance.box.settings import read_settings
from firmware_tests.running import RunningBox
from provisioning.names import USERS

STRANGER = 60999
"""A numeric user that nothing of the box runs under."""

_CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
try:
    s.connect(sys.argv[1])
    s.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print("answered" if s.recv(100) else "closed")
except OSError as error:
    print(type(error).__name__)
"""


_ASK = """
import socket, sys
import msgspec
from appliance.calls.framing import FrameReader, frame
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(frame(msgspec.msgpack.encode(["d" * 32, 0, {}, [eval(sys.argv[2])], False])))
reader, answers = FrameReader(), []
while not answers:
    for received in reader.take(s.recv(65536)):
        answers += msgspec.msgpack.decode(received)[0]
print(answers)
"""


def _status(pid: int, name: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1:]
    raise AssertionError(name)


@pytest.fixture(scope="module")
def as_root() -> None:
    assert os.geteuid() == 0, "these tests check the separation of users and must run as root"


def test_each_kind_of_process_has_a_user_and_only_the_groups_it_needs(box: RunningBox, as_root: None) -> None:
    users = {name: int(_status(pid, "Uid")[0]) for name, pid in box.processes().items()}
    groups = {name: set(map(int, _status(pid, "Groups"))) for name, pid in box.processes().items()}
    assert 0 not in users.values()
    worker, recorder, front, clock = users["api-0"], users["recorder"], users["front"], users["clock"]
    documents = users["documents"]
    assert len({worker, recorder, front, clock, documents}) == 5
    assert {users[name] for name in ("log", "keymaster", "audit", "api-1")} == {worker}, (
        "SoftHSM's files are for one user"
    )
    own = {name: int(_status(pid, "Gid")[0]) for name, pid in box.processes().items()}
    assert len({own[name] for name in ("api-0", "log", "keymaster", "audit")}) == 4, (
        "by their groups the recorder and the supervisor know them, and they cannot look into each other"
    )
    for name in box.processes():
        assert (own[name] == users[name]) is (name not in {"log", "keymaster", "audit"})
        mine = {"api-0", "api-1", "audit", "log", "keymaster"}
        asks = {USERS.cosigner, USERS.anchorer} | ({USERS.filer} if name.startswith("api-") else set())
        assert groups[name] <= (({recorder, worker, documents} | asks) if name in mine else set()), name


def test_no_process_gets_another_user_or_group_by_what_it_starts(box: RunningBox, as_root: None) -> None:
    """Else one that may write where the workers do could leave a program there that runs under their group."""
    assert {tuple(_status(pid, "NoNewPrivs")) for pid in box.processes().values()} == {("1",)}


def test_the_recorder_takes_from_each_process_what_is_its_own(box: RunningBox, as_root: None) -> None:
    """Though they share a user: every kind asks for what only another may."""
    foreign = {
        "audit": "['append', 1, 'demo', 'app', bytes(32), []]",
        "log": "['append', 1, 'demo', 'app', bytes(32), []]",
        "keymaster": "['housekeeping', 1, 'checkpoint', 'k', 1, 's', b'']",
        "api-0": "['housekeeping', 1, 'crl', 'k', 1, 's', b'']",
    }
    for name, command in foreign.items():
        status = box.processes()[name]
        ran = subprocess.run(
            (sys.executable, "-P", "-c", _ASK, str(box.home.recorder_socket), command),
            user=int(_status(status, "Uid")[0]),
            group=int(_status(status, "Gid")[0]),
            extra_groups=[int(number) for number in _status(status, "Groups")],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "nothing that this process may ask for" in ran.stdout, (name, ran.stderr)


def test_no_pin_stands_in_arguments_or_environment(box: RunningBox, as_root: None) -> None:
    pins = [path.read_bytes() for path in box.home.secrets.glob("*pin")]
    assert len(pins) == 2 * len(read_settings(box.home.settings).tokens)
    for pid in box.processes().values():
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(pin in seen for pin in pins)
    output = box.output.read_bytes()
    assert not any(pin in output for pin in pins)


def test_a_process_reads_only_its_own_secrets(box: RunningBox, as_root: None) -> None:
    front = int(_status(box.processes()["front"], "Uid")[0])
    for secret in (box.home.secrets / "demo.pin", box.home.records / "records.sqlite", box.home.tokens):
        seen = _as_user(front, "import os, sys; print(os.access(sys.argv[1], os.R_OK))", str(secret))
        assert seen == "False", secret
    tokens = int(_status(box.processes()["api-0"], "Uid")[0])
    assert _as_user(tokens, "import os, sys; print(os.access(sys.argv[1], os.R_OK))", str(box.home.records)) == "False"
    so_pin = str(box.home.secrets / "demo.so-pin")
    assert _as_user(tokens, "import os, sys; print(os.access(sys.argv[1], os.R_OK))", so_pin) == "False"


REFUSED = {"PermissionError", "closed", "ConnectionResetError", "BrokenPipeError"}
"""How a socket that a process may not use shows: no way to it, or cut off once the peer is seen."""


def test_a_stranger_reaches_no_socket(box: RunningBox, as_root: None) -> None:
    sockets = list(box.home.run.rglob("*.sock"))
    assert len(sockets) >= 2 + 2 * 4
    for path in sockets:
        assert _as_user(STRANGER, _CONNECT, str(path)) in REFUSED, path


def test_the_front_cannot_reach_the_recorder(box: RunningBox, as_root: None) -> None:
    front = int(_status(box.processes()["front"], "Uid")[0])
    for path in (box.home.recorder_socket, box.home.admin_socket):
        assert _as_user(front, _CONNECT, str(path)) == "PermissionError"


def test_workers_may_not_change_the_register(box: RunningBox, as_root: None) -> None:
    tokens = int(_status(box.processes()["api-0"], "Uid")[0])
    assert _as_user(tokens, _CONNECT, str(box.home.admin_socket)) in {
        "PermissionError",
        "closed",
        "ConnectionResetError",
    }


def test_a_header_cannot_forge_an_identity(box: RunningBox) -> None:
    """The other tenant's certificate in any header changes nothing: it is the TLS one that counts."""
    other = (
        box.credentials("other")[0].read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    )
    forged = {
        CERTIFICATE_HEADER: quote(other),
        CERTIFICATE_HEADER.lower().replace("-", "_"): quote(other),
        "X-SSL-Client-Cert": quote(other),
        "X-Forwarded-Client-Cert": quote(other),
        "X-Client-Verify": "SUCCESS",
    }
    with box.http("demo") as client:
        keys = {key["name"] for key in client.get("/health", headers=forged).json()["keys"]}
    assert keys
    assert all(name.startswith("demo-") for name in keys)
    public = f"https://{box.address('public')}"
    with httpx.Client(base_url=public, verify=box.tls("demo"), headers=forged) as client:
        assert "keys" not in client.get("/health").json()
        assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code in {404, 405}


def test_no_certificate_no_service(box: RunningBox) -> None:
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    with httpx.Client(base_url=box.url, verify=context) as client:
        assert client.get("/health").status_code == 400  # nginx: no required certificate was sent


def _as_user(user: int, program: str, *arguments: str) -> str:
    ran = subprocess.run(
        ("/usr/bin/python3", "-c", program, *arguments),
        user=user,
        group=user,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_the_helper_really_changes_user() -> None:
    assert _as_user(STRANGER, "import os; print(os.getuid(), os.getgroups())") == f"{STRANGER} []"
