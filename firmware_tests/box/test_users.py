"""Users of processes: what the settings and the tokens make of them, and a box whose token does not force any together.

No other token on this machine can be opened by several users and has all mechanisms that a box needs. So one is made:
SoftHSM behind a small module of another name, with token files that several users may open.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.box.home import Home
from appliance.box.ledgers import Rfc3161Authority
from appliance.box.pins import PinCopies, pin_path, tokens_of
from appliance.box.settings import BoxSettings, UserSettings, WitnessSettings, read_settings, write_settings
from appliance.box.users import MEMBERSHIPS, NOT_SEPARATE, SHARED, ProcessUsers, assign, one_user_only
from appliance.log import VerifierKey
from appliance.log.note import COSIGNATURE_V1
from firmware_tests.anchorer.outside import add_ledger, der_of, stamp_profile
from firmware_tests.running import RunningBox, wait_until
from hsm import PinFile, PinRefused, Pkcs11Uri
from hsm.testing.softhsm import softhsm_module
from mgmt_service.cli import one_time_link
from mgmt_service.storage import FILE
from provisioning.names import USERS

SOURCE = Path(__file__).with_name("several_users.c")
WITNESS = str(VerifierKey("witness.example", bytes(32), COSIGNATURE_V1))
SAME_USER = {"api-1": "api-0", "open-front": "front", "management-front": "front"}
"""Parts that are of another one's kind."""
NUMBERS = UserSettings(**dict(zip(UserSettings.__struct_fields__, range(60620, 60640), strict=False)))


def _open_as_anybody(box: RunningBox) -> None:
    """Put the shim before SoftHSM, and let every user open the token's files."""
    library = box.home.root / "libmany.so"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    real = f'-DREAL_MODULE="{softhsm_module()}"'
    subprocess.run(["gcc", *flags, real, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    configuration = (box.home.tokens / "softhsm2.conf").read_text()
    library.with_name("libmany.so.conf").write_text(configuration)
    settings = read_settings(box.home.settings)
    tokens = [
        msgspec.structs.replace(
            token, uri=token.uri.replace(Pkcs11Uri.parse(token.uri).module_path or "", str(library))
        )
        for token in settings.tokens
    ]
    hosts = ("fund.example:443",)
    witness = WitnessSettings(key=WITNESS, url="http://127.0.0.1:9")  # nobody answers there
    name = VerifierKey.parse(WITNESS).name
    logs = [msgspec.structs.replace(log, witnesses=[name], witness_quorum=1) for log in settings.logs]
    changed = msgspec.structs.replace(
        settings, environment={}, tokens=tokens, filing_hosts=hosts, witnesses=[witness], logs=logs
    )
    write_settings(box.home.settings, changed)
    for directory, _, files in os.walk(box.home.tokens):
        Path(directory).chmod(0o777)
        for name in files:
            (Path(directory) / name).chmod(0o666)


@pytest.fixture(scope="module")
def apart(open_directory: Path) -> Iterator[RunningBox]:
    """A running box whose processes all have users of their own."""
    box = RunningBox(open_directory / "apart", "demo")
    box.provision()
    _open_as_anybody(box)
    profile = stamp_profile("outside", [der_of(box.home.trust / "tsa-ca.pem")], ["1.2.3"])
    add_ledger(box, profile, Rfc3161Authority(url="http://127.0.0.1:1/"))
    box.start("--metrics", "127.0.0.1:0", "--public", "127.0.0.1:0", management="127.0.0.1:0")
    yield box
    if box.running:
        box.stop()


def _settings(box: RunningBox) -> BoxSettings:
    return read_settings(box.home.settings)


def _user(box: RunningBox, part: str) -> int:
    text = Path(f"/proc/{box.processes()[part]}/status").read_text()
    found = re.search(r"^Uid:\s+(\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found.group(1))


def _groups(box: RunningBox, part: str) -> list[int]:
    text = Path(f"/proc/{box.processes()[part]}/status").read_text()
    found = re.search(r"^Groups:([\d ]*)$", text.replace("\t", " "), re.MULTILINE)
    assert found is not None
    return [int(number) for number in found.group(1).split()]


_TRY = """
import json, os, signal, socket, stat, sys

def tried(path, how):
    try:
        if how == "signal":
            os.kill(int(path), 0)
        elif how == "memory":
            with open(f"/proc/{path}/mem", "rb"):
                pass
        elif stat.S_ISSOCK(os.stat(path).st_mode):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(float(sys.argv[1]))
            s.connect(path)
            try:
                return bool(s.recv(1))
            except TimeoutError:
                return True
        else:
            return os.access(path, how)
    except OSError:
        return False
    return True

print(json.dumps([tried(path, how) for path, how in json.load(sys.stdin)]))
"""


def _as_part(box: RunningBox, part: str, command: tuple[str, ...], said: str = "") -> str:
    """What a command says that runs with this part's user, group and groups."""
    status = Path(f"/proc/{box.processes()[part]}/status").read_text()
    group = re.search(r"^Gid:\s+(\d+)", status, re.MULTILINE)
    assert group is not None
    ran = subprocess.run(
        command,
        input=said,
        user=_user(box, part),
        group=int(group[1]),
        extra_groups=_groups(box, part),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout


def _reached(box: RunningBox, part: str, tries: list[tuple[str, int | str]], patience: float = 0.2) -> list[bool]:
    """Of paths, and how each is to be reached, those that the part reaches; a socket if it is not put off there for
    so many seconds."""
    command = ("/usr/bin/python3", "-c", _TRY, str(patience))
    said: list[bool] = json.loads(_as_part(box, part, command, json.dumps(tries)))
    return said


def _can(box: RunningBox, part: str, path: Path, how: int) -> bool:
    return _reached(box, part, [(str(path), how)])[0]


_NAMED = (
    "recorder", "log", "keymaster", "clock", "front", "documents", "audit", "management", "filer", "cosigner",
    "anchorer",
)  # fmt: skip
KINDS = {name: name for name in _NAMED} | {"worker": "api-0"}
"""A part of each kind."""


def test_every_process_has_a_user_of_its_own_and_the_box_works(apart: RunningBox) -> None:
    users = {name: _user(apart, name) for name in apart.processes()}
    assert 0 not in users.values()
    kinds = {name: user for name, user in users.items() if name not in SAME_USER}
    assert len(set(kinds.values())) == len(kinds), kinds
    assert all(users[name] == users[other] for name, other in SAME_USER.items() if name in users)
    with apart.http() as client:
        record = client.post("/v1/stamps", json={"digest": "ab" * 32}).json()["record"]
        assert client.post("/v1/seals", json={"digest": "ab" * 32, "level": "B-T"}).status_code == 200
        wait_until(lambda: client.get(f"/v1/records/{record}").json()["proof"] is not None, 20, "the proof")
        names = {weakness["name"] for weakness in client.get("/health").json()["weaknesses"]}
    assert not names & {SHARED, NOT_SEPARATE}
    assert apart.home.keymaster_word.exists()


def test_each_reaches_what_it_needs_and_nothing_else(apart: RunningBox) -> None:
    """The table of docs/operations.md. Every path is tried by a process of every kind."""
    home = apart.home
    number = {kind: _user(apart, part) for kind, part in KINDS.items()}
    pins = {kind: home.secrets / "for" / str(number[kind]) for kind in ("worker", "log", "keymaster", "audit")}
    log = next(path for path in home.logs.iterdir() if path.is_dir())
    checkpoint = next(home.logs.glob("*/checkpoint"))
    reads: list[tuple[Path, set[str]]] = [
        (home.records, {"recorder"}),
        (home.secrets / "demo.content-key", {"worker", "audit"}),
        (home.secrets / "demo.pin", set()),
        (home.secrets / "demo.so-pin", set()),
        (pins["worker"] / "demo.pin", {"worker"}),
        (pins["log"] / "demo.pin", {"log"}),
        (pins["log"] / "box.pin", {"log"}),
        (pins["keymaster"] / "box.pin", {"keymaster"}),
        (pins["audit"] / "demo.pin", {"audit"}),
        (checkpoint, {"log", "worker", "keymaster", "audit", "cosigner", "anchorer"}),
        (home.cosigned, {"cosigner", "worker", "audit"}),
        (home.cosigner_word, {"cosigner", "worker", "audit"}),
        (home.anchors / "outbox.sqlite", {"anchorer"}),
        # signed heads, no secrets
        (home.exports / "checkpoints", {"log", "worker", "keymaster", "audit", "cosigner", "anchorer"}),
        (home.front / "server.key", {"front"}),
        (home.marks / "demo-tsu", {"worker"}),
        (home.documents, {"worker"}),
        (home.keymaster, {"keymaster"}),
        (home.journal, {"keymaster"}),
        (home.policies, {"keymaster", "worker", "audit"}),
        (home.kinds, {"keymaster", "worker", "audit"}),
        (home.audit / "index.sqlite", {"audit"}),
        (home.audit_exports, {"audit"}),
        (home.management, {"management"}),
        (home.trust / "bundle.json", set(KINDS)),
    ]
    connects: list[tuple[Path, set[str]]] = [
        (home.recorder_socket, {"recorder", "worker", "log", "keymaster", "audit"}),
        (home.admin_socket, {"recorder", "keymaster"}),
        (home.worker_socket(0, "applications"), {"front"}),
        (home.worker_socket(0, "metrics"), {"front", "management"}),
        (home.documents_socket, {"worker", "keymaster", "management"}),
        (home.filer_socket, {"worker"}),
        (home.anchorer_socket, {"worker", "management", "audit"}),
        (home.cosigner_socket, {"cosigner"}),
        (home.desk_socket, {"management"}),
        (home.enrol_socket, {"worker"}),
        (home.console_socket, set()),
        (home.approve_socket, {"front"}),
        (home.audit_socket, {"management"}),
        (home.management_socket, {"front", "management"}),  # its own: it answers itself nothing but 403
        (home.supervisor_socket, {"keymaster"}),
    ]
    writes: list[tuple[Path, set[str]]] = [
        (home.trust, {"keymaster"}),
        (home.issued, {"keymaster"}),
        (home.policies, {"keymaster"}),
        (home.kinds, {"keymaster"}),
        (home.keymaster, {"keymaster"}),
        (log, {"log"}),
        (home.exports / "checkpoints", {"log"}),
        (home.clock_page, {"clock"}),
        (home.audit_word, {"audit"}),
        (home.cosigned, {"cosigner"}),
        (home.cosigner_word.parent, {"cosigner"}),
        (home.audit, {"audit"}),
        (home.anchors, {"anchorer"}),
        (home.management, {"management"}),
        (home.state_page, set()),
        (home.settings, set()),
        (home.counters, {"worker", "log", "keymaster", "recorder", "audit"}),
        (home.secrets, set()),
        (home.run, set()),
    ]
    assert not (pins["worker"] / "box.pin").exists(), "workers open no token of the box's"
    assert not (pins["audit"] / "box.pin").exists(), "the audit process opens no token of the box's"
    assert (pins["keymaster"] / "demo.pin").exists(), "the keymaster makes and compares keys in every token"
    table = [
        (path, how, expected)
        for how, rows in ((os.R_OK, reads + connects), (os.W_OK, writes))
        for path, expected in rows
    ]
    reached = {
        kind: _reached(apart, part, [(str(path), how) for path, how, _ in table]) for kind, part in KINDS.items()
    }
    wrong = []
    for at, (path, how, expected) in enumerate(table):
        found = {kind for kind in KINDS if reached[kind][at]}
        if found > expected:  # whoever puts them off may be slow about it
            further = {kind for kind in found - expected if _reached(apart, KINDS[kind], [(str(path), how)], 10)[0]}
            found = expected | further
        if found != expected:
            wrong.append((str(path.relative_to(home.root)), how, sorted(found), sorted(expected)))
    assert not wrong


def test_no_process_can_signal_another_kind_or_look_into_it(apart: RunningBox) -> None:
    processes = apart.processes()
    users = {name: _user(apart, name) for name in processes}
    for part in KINDS.values():
        names = sorted(processes)
        tries: list[tuple[str, int | str]] = [
            (str(processes[name]), how) for name in names for how in ("signal", "memory")
        ]
        reached = _reached(apart, part, [*tries, (str(apart.supervisor), "signal"), (str(apart.supervisor), "memory")])
        mine = {(name, how) for name in names if users[name] == users[part] for how in ("signal", "memory")}
        found = {
            (name, how)
            for (name, how), yes in zip([(n, h) for n in names for h in ("signal", "memory")], reached, strict=False)
            if yes
        }
        assert found <= mine, part
        assert (part, "signal") in found
        assert reached[-2:] == [False, False], part


def test_policies_that_the_keymaster_makes_are_read_by_workers_and_the_audit_process_alone(apart: RunningBox) -> None:
    """Nor does anybody else write them, or who approves (control QUORUM)."""
    program = (
        "import sys; from pathlib import Path\n"
        "from appliance.box.home import Home\n"
        "from appliance.ceremonies import Constitution\n"
        "from appliance.ceremonies.actions import SetApprovalPolicy\n"
        "from appliance.ceremonies.constitution import ApprovalRules\n"
        "from appliance.keymaster.actions.policies import keep\n"
        "from appliance.keymaster.approvers import write_approvers\n"
        "import os; os.umask(0o027)\n"
        "home = Home(Path(sys.argv[1]))\n"
        "keep(home, SetApprovalPolicy(tenant='demo', policy='bonds', tiers=[]), '00' * 32, 0)\n"
        "rules = ApprovalRules(rp_id='localhost', origins=['https://localhost'])\n"
        "write_approvers(home, Constitution(box='0' * 32, rehearsal=True, version=1, previous=None,\n"
        "    issued='2026-01-01T00:00:00Z', rules=rules, persons=[], scopes=[]))\n"
    )
    _as_part(apart, "keymaster", (sys.executable, "-P", "-c", program, str(apart.home.root)))
    directory = apart.home.policies / "demo"
    for kept in (directory / "bonds" / "1.json", directory / "approvers.json"):
        readers = {kind for kind, part in KINDS.items() if _can(apart, part, kept, os.R_OK)}
        assert readers == {"keymaster", "worker", "audit"}
        for written in (kept, kept.parent):
            assert {kind for kind, part in KINDS.items() if _can(apart, part, written, os.W_OK)} == {"keymaster"}
    reading = (
        "import sys; from pathlib import Path\n"
        "from appliance.api.letters.approvals import ApproverFiles\n"
        "from appliance.box.home import Home\n"
        "found = ApproverFiles(Home(Path(sys.argv[1]))).of('demo')\n"
        "sys.exit(found is None or found.policy('bonds') is None)\n"
    )
    _as_part(apart, "api-0", (sys.executable, "-P", "-c", reading, str(apart.home.root)))


def test_pages_of_counts_can_be_read_by_the_recorder_and_changed_by_their_process_alone(apart: RunningBox) -> None:
    pages = list(apart.home.counters.iterdir())
    owners = {page.stat().st_uid for page in pages}
    assert owners == {_user(apart, part) for part in ("api-0", "log", "keymaster")}
    for page in pages:
        assert _can(apart, "recorder", page, os.R_OK)
        assert [part for part in ("api-0", "log", "keymaster", "recorder") if _can(apart, part, page, os.W_OK)] == [
            next(part for part in ("api-0", "log", "keymaster") if _user(apart, part) == page.stat().st_uid)
        ]


def test_what_the_settings_and_the_tokens_make_of_users(box: RunningBox, apart: RunningBox) -> None:
    soft = msgspec.structs.replace(_settings(box), users=NUMBERS)
    shared = assign(soft)
    assert one_user_only(soft) == [token.name for token in soft.tokens]
    together = {shared.numbers.worker, shared.numbers.log, shared.numbers.keymaster, shared.numbers.audit}
    assert together == {NUMBERS.worker}
    assert set(shared.weaknesses) == {SHARED}
    named = msgspec.structs.replace(soft, environment={})
    assert one_user_only(named), "SoftHSM is known by its module's name too"
    free = assign(msgspec.structs.replace(_settings(apart), users=NUMBERS))
    assert free.numbers == NUMBERS
    assert not free.weaknesses
    none = assign(msgspec.structs.replace(soft, users=msgspec.structs.replace(NUMBERS, clock=None)))
    assert not none.separate
    assert "clock" in none.weaknesses[NOT_SEPARATE]
    older = msgspec.structs.replace(_settings(apart), users=msgspec.structs.replace(NUMBERS, audit=None))
    lent = assign(older)
    assert lent.separate
    assert lent.numbers == msgspec.structs.replace(NUMBERS, audit=NUMBERS.worker)
    assert "audit" in lent.weaknesses[SHARED]
    without = msgspec.structs.replace(_settings(apart), users=msgspec.structs.replace(NUMBERS, filer=None))
    assert assign(without).numbers == msgspec.structs.replace(NUMBERS, filer=NUMBERS.worker)
    assert "filer" in assign(without).weaknesses[SHARED]
    assert not assign(msgspec.structs.replace(without, filing_hosts=())).weaknesses, "there is none"
    alone = msgspec.structs.replace(_settings(apart), users=msgspec.structs.replace(NUMBERS, anchorer=None))
    assert assign(alone).numbers == msgspec.structs.replace(NUMBERS, anchorer=NUMBERS.worker)
    assert "anchorer" in assign(alone).weaknesses[SHARED]
    alone = msgspec.structs.replace(alone, ledgers=[])
    assert not assign(alone).weaknesses, "there is none"
    assert "anchorer" in assign(alone, anchorer=True).weaknesses[SHARED], "it shows what was anchored before"
    lent = assign(msgspec.structs.replace(_settings(apart), users=msgspec.structs.replace(NUMBERS, cosigner=None)))
    assert lent.numbers == msgspec.structs.replace(NUMBERS, cosigner=NUMBERS.worker)
    assert "cosigner" in lent.weaknesses[SHARED]


def test_the_page_names_the_users_and_groups_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d{5}) \| ([\w, ]*)\|", page, re.MULTILINE)
    assert {name: int(number) for name, number, _ in rows} == msgspec.structs.asdict(USERS)
    groups = {name: tuple(groups.replace(",", " ").split()) for name, _, groups in rows if groups.strip()}
    assert groups == MEMBERSHIPS


def test_a_pin_is_for_those_that_open_its_token(apart: RunningBox) -> None:
    settings = _settings(apart)
    assert tokens_of(settings, "worker") == {"demo", "demo-release", "registry"}
    assert tokens_of(settings, "log") == {"box", "demo"}
    assert tokens_of(settings, "keymaster") == {"box", "demo", "demo-release", "registry"}
    assert tokens_of(settings, "audit") == {"demo"}
    assert tokens_of(settings, "clock") == tokens_of(settings, "front") == set()


def test_a_refused_pin_stays_refused_until_it_is_written_anew(apart: RunningBox) -> None:
    """Over restarts of processes and of the box: a token locks itself after a few wrong PINs."""
    settings, me = _settings(apart), os.geteuid()
    numbers = UserSettings(**dict.fromkeys(UserSettings.__struct_fields__, me))
    token = next(token for token in settings.tokens if token.name == "demo")
    PinCopies(apart.home, settings, ProcessUsers(numbers)).prepare()
    mine = pin_path(apart.home, token)
    assert mine.parent.name == str(me)
    PinFile(mine).note_refused()
    PinCopies(apart.home, settings, ProcessUsers(numbers)).prepare()
    with pytest.raises(PinRefused):
        PinFile(mine)()
    original = apart.home.root / token.pin_file
    time.sleep(0.01)
    original.write_bytes(original.read_bytes())
    PinCopies(apart.home, settings, ProcessUsers(numbers)).look()
    assert PinFile(mine)() == original.read_text().strip()


def test_nothing_that_a_user_puts_in_its_directory_is_opened_by_root(apart: RunningBox, tmp_path: Path) -> None:
    settings = _settings(apart)
    users = ProcessUsers(UserSettings(**dict.fromkeys(UserSettings.__struct_fields__, 60650)))
    copies = PinCopies(apart.home, settings, users)
    copies.prepare()
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    mine = apart.home.secrets / "for" / "60650"
    for name in ("demo.pin", ".demo.pin.1"):
        (mine / name).unlink(missing_ok=True)
        (mine / name).symlink_to(victim)
    copies.look()
    assert victim.read_text() == "untouched"
    assert victim.stat().st_uid == os.geteuid()
    assert not (mine / "demo.pin").is_symlink()


def test_a_directory_in_the_place_of_a_copy_keeps_no_pin_from_being_dropped(apart: RunningBox) -> None:
    """Control TAMPER: what a process of one user does there, the copies of all others go all the same."""
    settings = _settings(apart)
    users = ProcessUsers(UserSettings(**dict.fromkeys(UserSettings.__struct_fields__, 60651)))
    copies = PinCopies(apart.home, settings, users)
    copies.prepare()
    mine = apart.home.secrets / "for" / "60651"
    names = sorted(path.name for path in mine.iterdir())
    assert "demo.pin" in names

    def plant() -> None:
        for path in (mine / "aaa", mine / "demo.pin"):
            path.unlink(missing_ok=True)
            (path / "below").mkdir(parents=True)

    plant()
    copies.prepare()
    assert sorted(path.name for path in mine.iterdir()) == names
    plant()
    copies.drop()
    assert [path.name for path in mine.iterdir()] == [f"{copies.box_token}.pin"]


def test_nothing_that_a_user_links_to_is_handed_out_by_root(tmp_path: Path) -> None:
    """At the start of a box: the follower's exports hold directories of the keymaster and of the audit process."""
    users, log, audit = ProcessUsers(NUMBERS), NUMBERS.log, NUMBERS.audit
    assert log is not None
    assert users.separate
    victim = tmp_path / "secrets"
    victim.mkdir(mode=0o700)
    (victim / "demo.pin").write_text("1234")
    exports = tmp_path / "exports"
    users.directory(exports, log, 0o711)
    link = exports / "audit"
    link.symlink_to(victim)
    os.chown(link, log, log, follow_symlinks=False)
    for attempt in (
        lambda: users.give(link, audit, create=True),
        lambda: users.give(link / "demo.pin", audit),
        lambda: users.directory(link, audit, 0o755),
        lambda: users.directory(link / "more", audit, 0o755),
    ):
        with pytest.raises(PermissionError, match="a link of another user"):
            attempt()
    assert {(one.stat().st_uid, one.stat().st_gid) for one in (victim, *victim.iterdir())} == {(0, 0)}
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700
    assert [one.name for one in victim.iterdir()] == ["demo.pin"]
    link.unlink()
    link.symlink_to(victim)  # root's own: an administrator has put it on another disk
    users.give(link, audit)
    assert {one.stat().st_uid for one in (victim, *victim.iterdir())} == {audit}


def test_a_link_for_an_officer_is_made_as_the_service_that_keeps_it(
    open_directory: Path, box: RunningBox, tmp_path: Path
) -> None:
    """What the management service has put in its directory is not handed to it by root, nor written through."""
    home = Home(open_directory / "invited")
    home.management.mkdir(parents=True)
    shutil.copy(box.home.settings, home.settings)
    user = read_settings(home.settings).users.management
    assert user is not None
    victims = [tmp_path / "shadow", tmp_path / "new"]
    victims[0].write_text("kept")
    (home.management / "evil").symlink_to(victims[0])
    assert one_time_link(home, "mary", "Mary")
    assert victims[0].stat().st_uid == 0
    assert {one.lstat().st_uid for one in (home.management, *home.management.iterdir())} == {user}
    (home.management / FILE).unlink()
    (home.management / FILE).symlink_to(victims[1])
    with pytest.raises(sqlite3.OperationalError):
        one_time_link(home, "mary", "Mary")
    assert not victims[1].exists()
    assert os.geteuid() == 0


def test_a_home_that_no_user_can_reach_works_under_one_user_and_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    box = RunningBox(tmp_path / "box", "demo")
    box.provision()
    box.start()
    try:
        assert {_user(box, part) for part in box.processes()} == {os.geteuid()}
        with box.http() as client:
            assert client.post("/v1/stamps", json={"digest": "ab" * 32}).status_code == 200
            names = {weakness["name"] for weakness in client.get("/health").json()["weaknesses"]}
        assert NOT_SEPARATE in names
        assert SHARED not in names
    finally:
        assert box.stop() == 0, box.said()
    assert "cannot reach the interpreter or the home" in box.said()
