"""A ceremony on a whole box: officers of the console's confirming, the real log, a restart, a power cut, FORK."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.base64url import from_base64url
from appliance.ceremonies import Constitution, decode, encode, read_proposal
from appliance.ceremonies.actions import AmendConstitution, GenerateKey
from appliance.ceremonies.chain import ConstitutionVersion, check_chain
from appliance.ceremonies.proposal import AuditHead
from appliance.errors import CinnabarError
from appliance.keymaster.client import DeskClient
from firmware_tests.keymaster.room import words_of
from firmware_tests.officers import SoftwareOfficer
from firmware_tests.running import CLI, RunningBox, cinnabar, wait_until

NAMES = ("ann", "bo", "cai")
_MAY_USE = "import os, sys; print(os.access(sys.argv[1], os.R_OK | os.W_OK))"


class Officers(dict[str, SoftwareOfficer]):
    """Enrolled over the approval socket, as their browsers would do."""

    def enrol(self, box: RunningBox, name: str) -> None:
        home = str(box.home.root)
        link = cinnabar("console", "--home", home, "invite", name, name.title()).stdout.strip()
        origin, _, code = link.partition("/enrol/")
        officer = self[name] = SoftwareOfficer(name, origin=origin)
        transport = httpx.HTTPTransport(uds=str(box.home.approve_socket))
        with httpx.Client(
            transport=transport, base_url="http://approve.localhost", headers={"Host": origin.removeprefix("https://")}
        ) as client:
            invited = client.get(f"/api/invitations/{code}").json()
            challenge = invited["options"]["challenge"]
            made = officer.register(_bytes(challenge))
            answer = client.post(f"/api/invitations/{code}/passkey", json=made)
            assert answer.status_code == 200, answer.text
            candidate = answer.json()
            shown = json.loads(cinnabar("console", "--home", home, "candidates", "--json").stdout)
            (mine,) = [one for one in shown if one["id"] == candidate["id"]]
            assert mine["words"] == candidate["words"]["en"]
            typed = cinnabar("console", "--home", home, "code", candidate["id"]).stdout.strip()
            confirmed = client.post(f"/api/candidates/{candidate['id']}/confirmation", json={"code": typed})
            assert confirmed.status_code == 200, confirmed.text

    def decide(self, desk: DeskClient, digest: str) -> dict[str, object]:
        shown: dict[str, object] = {}
        for verb, name in (("request", "ann"), ("approve", "bo"), ("approve", "cai")):
            shown = desk.state_(encode(self[name].sign(verb, digest)))  # type: ignore[arg-type]
        return shown


def _bytes(text: str) -> bytes:

    return from_base64url(text)


def found(box: RunningBox, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """`cinnabar console found`, whose words are typed back as the person reads them."""
    command = (*CLI, "console", "--home", str(box.home.root), "found", "--threshold", "2")
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = ""
    while not said.rpartition("\n")[0].rpartition("\n")[2].startswith("Fingerprint "):
        line = process.stdout.readline()
        assert line, said
        said += line
    digest = said.strip().rpartition("Fingerprint ")[2]
    out, error = process.communicate((words_of(digest) if typed is None else typed) + "\n", timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, said + out, error)


@pytest.fixture(scope="module")
def officers() -> Officers:
    return Officers()


@pytest.fixture(scope="module")
def governed(open_directory: Path, officers: Officers) -> Iterator[RunningBox]:
    running = RunningBox(open_directory / "governed", "demo")
    running.provision()
    running.start()
    for name in NAMES:
        officers.enrol(running, name)
    refused = found(running, "abandon abandon abandon abandon")
    assert refused.returncode == 1
    assert "not the first four words" in refused.stderr
    done = found(running)
    assert done.returncode == 0, done.stdout + done.stderr
    yield running
    assert running.stop() == 0, running.said()


def amendment(law: Constitution) -> bytes:
    following = msgspec.structs.replace(
        law,
        version=law.version + 1,
        previous=law.digest,
        rules=msgspec.structs.replace(law.rules, longest_hours=100 + law.version),
    )
    return msgspec.json.encode([AmendConstitution(constitution=following)])


def in_force(desk: DeskClient) -> Constitution:
    return decode(desk.constitution(), Constitution)


def amend(desk: DeskClient, officers: Officers) -> str:
    digest = desk.submit(desk.draft("ann", "Other rules", "A test 试", amendment(in_force(desk)), 24))
    assert officers.decide(desk, digest)["state"] == "approved"
    shown = desk.execute(digest, 20.0)
    assert shown["state"] == "executed", shown
    return digest


def test_officers_amend_their_constitution_on_a_whole_box(governed: RunningBox, officers: Officers) -> None:
    with DeskClient(governed.home.desk_socket) as desk:
        before = in_force(desk)
        assert [part.name for part in before.scopes] == ["box", "tenant/demo"]
        digest = amend(desk, officers)
        assert in_force(desk).version == before.version + 1
        entries = desk.transcript(digest)["entries"]
    shown = cinnabar("console", "--home", str(governed.home.root), "show", digest)
    assert shown.returncode == 0, shown.stderr
    assert "executed" in shown.stdout
    with governed.admin() as admin:
        for entry in entries:
            row = admin.query("get_record", "@box", entry["record_id"])
            assert (row[0], row[3]) == (entry["leaf"], "ceremony")
    versions = sorted(governed.home.constitutions.iterdir(), key=lambda path: int(path.stem))
    assert check_chain([decode(path.read_bytes(), ConstitutionVersion) for path in versions]) == in_force_of(governed)


def in_force_of(box: RunningBox) -> Constitution:
    with DeskClient(box.home.desk_socket) as desk:
        return in_force(desk)


def test_a_proposal_holds_the_log_that_its_requester_saw(governed: RunningBox, officers: Officers) -> None:
    """The audit head is of the real log, grown meanwhile; one byte else, or more entries than there are, is refused."""
    with DeskClient(governed.home.desk_socket) as desk, governed.admin() as admin:
        origin = read_proposal(desk.draft("ann", "t", "r", amendment(in_force(desk)), 24)).audit.origin
        wait_until(lambda: (admin.query("head", origin) or [0])[0] > 3, what="a signed head")
        proposal = read_proposal(desk.draft("ann", "Other rules", "A test", amendment(in_force(desk)), 24))
        assert proposal.audit.size > 3
        for audit in (
            msgspec.structs.replace(proposal.audit, root=hashlib.sha256(b"another").hexdigest()),
            msgspec.structs.replace(proposal.audit, size=proposal.audit.size - 1),
            msgspec.structs.replace(proposal.audit, size=proposal.audit.size + 1_000),
            AuditHead(origin="elsewhere", size=proposal.audit.size, root=proposal.audit.root),
        ):
            with pytest.raises(CinnabarError) as caught:
                desk.submit(encode(msgspec.structs.replace(proposal, audit=audit)))
            assert (caught.value.code, caught.value.control) == ("history-differs", "FORK")
        digest = desk.submit(encode(proposal))
        officers.decide(desk, digest)
        size = admin.query("head", origin)[0]
        wait_until(lambda: admin.query("head", origin)[0] > size, what="a later head")
        assert desk.execute(digest, 20.0)["state"] == "executed"


def test_what_this_box_cannot_do_is_said_so(governed: RunningBox) -> None:
    with DeskClient(governed.home.desk_socket) as desk:
        served = desk.status()["actions"]
        assert "amend-constitution" in served
        if "generate-key" not in served:
            action = GenerateKey(
                tenant=None, token="box", key="k", scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z"
            )
            with pytest.raises(CinnabarError) as caught:
                desk.draft("ann", "t", "r", msgspec.json.encode([action]), 24)
            assert caught.value.code == "action-not-served"


def test_it_stands_after_a_power_cut(governed: RunningBox, officers: Officers) -> None:
    with DeskClient(governed.home.desk_socket) as desk:
        digest = desk.submit(desk.draft("ann", "Other rules", "A test", amendment(in_force(desk)), 24))
        assert officers.decide(desk, digest)["state"] == "approved"
        version = in_force(desk).version
    governed.kill()
    governed.start()
    with DeskClient(governed.home.desk_socket) as desk:
        wait_until(lambda: desk.status()["refused"] is None, what="the constitution")
        assert desk.proposal(digest)["state"] == "approved"
        assert desk.execute(digest, 20.0)["state"] == "executed"
        assert in_force(desk).version == version + 1


def test_a_stranger_and_a_worker_reach_neither_desk_nor_console(governed: RunningBox) -> None:
    if os.geteuid() != 0:
        return  # one user has no others
    probe = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(5)\n"
        "try:\n    s.connect(sys.argv[1]); s.sendall(b'\\0\\0\\0\\1x'); print('answered' if s.recv(1) else 'closed')\n"
        "except OSError as error:\n    print(type(error).__name__)\n"
    )
    worker = int(Path(f"/proc/{governed.processes()['api-0']}/status").read_text().split("\nUid:\t")[1].split("\t")[0])
    for user in (65534, worker):
        for path in (governed.home.desk_socket, governed.home.console_socket):
            done = subprocess.run(
                ["/usr/bin/python3", "-c", probe, str(path)],
                user=user, group=user, extra_groups=[], capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert done.stdout.strip() in {"PermissionError", "closed", "ConnectionResetError", "BrokenPipeError"}
        for path in (governed.home.keymaster, governed.home.journal):
            done = subprocess.run(
                ["/usr/bin/python3", "-c", _MAY_USE, str(path)],
                user=user, group=user, extra_groups=[], capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert done.stdout.strip() == "False", (user, path)


def test_the_console_locks_the_box_and_it_is_on_record(governed: RunningBox) -> None:
    locked = cinnabar("console", "--home", str(governed.home.root), "lock", "--yes")
    assert locked.returncode == 0, locked.stderr
    with governed.http() as client:
        wait_until(lambda: client.post("/v1/stamps", json={"digest": "77" * 32}).status_code == 503, what="a refusal")
    with governed.admin() as admin:
        rows = admin.query("read_records", "@box", 0, 1000)
    assert any(row[3] == "ceremony" and row[4].startswith("console-lock/") for row in rows)
