"""Which process may send which command: the table as a page has it, what the processes' code asks for, and the kernel's
word on who asks."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from appliance.box.settings import BoxSettings, TokenSettings, UserSettings, write_settings
from appliance.box.softhsm import VARIABLE as SOFTHSM_VARIABLE
from appliance.calls.framing import FrameReader, frame
from appliance.recorder import administration, messages
from appliance.recorder.messages import Answers, Batch, Command, Entry, Idempotency, Query, Refused
from appliance.recorder.powers import ADMINISTRATOR, EVERYTHING, KEYMASTER, POWERS, Peers, command_name, peers_of
from appliance.recorder.reader import Queries
from firmware_tests.recorder.running import CERTIFICATE, Recorder, entry, settings, uuid7

ROOT: Final = Path(__file__).parents[2]
KINDS: Final = ("worker", "log", "keymaster", "audit")
NUMBERS: Final = UserSettings(
    **{name: 60710 + at for at, name in enumerate(UserSettings.__struct_fields__) if name != "recorder"},
    # The recorder runs as root here, and takes itself for one that has a user of its own.
    recorder=0,
)
TOKEN: Final = TokenSettings(name="t", uri="pkcs11:token=t?module-path=/nowhere/module.so", pin_file="secrets/t.pin")
QUERIES: Final = sorted(name.removeprefix("query_") for name in dir(Queries) if name.startswith("query_"))
ROOMS: Final = {"worker": "api", "log": "log", "keymaster": "keymaster", "audit": "audit"}


def _every_command() -> dict[str, Command]:
    """One of each command, housekeeping row and query, by the name that powers know it by."""
    record: Entry = entry()
    idempotency = Idempotency(uuid7(), bytes(32))
    commands: list[Command] = [
        messages.Append(1, "acme", "app", CERTIFICATE, [record]),
        messages.Reading(1, "acme", record),
        messages.JobCreate(1, "acme", "app", CERTIFICATE, bytes(16), "seal", 1, b"", idempotency),
        messages.JobSlice(1, bytes(16), 0, [], []),
        messages.JobClaim(1, ["acme"]),
        messages.DraftKeep(1, "acme", "app", CERTIFICATE, bytes(32), 1, 1, b""),
        messages.DraftSign(1, "acme", bytes(32), 2, b"x"),
        messages.IntakeCreate(1, "acme", "app", CERTIFICATE, bytes(16), "k", "e", False, 1, b"", idempotency),
        messages.IntakePart(1, "acme", "app", CERTIFICATE, bytes(16), 0, 1, bytes(32)),
        messages.IntakeMove(1, "acme", bytes(16), "received", "reading"),
        messages.IntakeSlice(1, bytes(16), 0, bytes(16), [], b"", b"", CERTIFICATE),
        messages.IntakeClaim(1, ["acme"]),
        messages.Goodbye(1),
        *(Query(1, name, []) for name in [*QUERIES, "no-such-query"]),
    ]
    kinds = typing.get_args(typing.get_type_hints(messages.Housekeeping)["kind"])
    commands += [messages.Housekeeping(1, kind, "k", 1, "s", b"") for kind in kinds]
    return {command_name(command): command for command in commands}


def _users(*, shared: bool) -> BoxSettings:
    environment = {SOFTHSM_VARIABLE: "/nowhere/softhsm2.conf"} if shared else {}
    return msgspec.structs.replace(settings(), users=NUMBERS, tokens=[TOKEN], environment=environment)


def _permitted(kind: str) -> set[str]:
    """What docs/recorder.md says that a kind may send."""
    row = re.search(rf"^\| `{kind}` \|(.*)\|(.*)\|(.*)\|$", (ROOT / "docs/recorder.md").read_text(), re.MULTILINE)
    assert row is not None, kind
    commands, rows, queries = (re.findall(r"`([a-z_-]+)`", cell) for cell in row.groups())
    return {*commands, *(f"housekeeping {name!r}" for name in rows), *(f"query {name!r}" for name in queries)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_may_send_what_the_page_says_and_nothing_else(kind: str) -> None:
    permitted = {name for name, command in _every_command().items() if POWERS[kind].permit(command)}
    assert permitted == _permitted(kind)


def test_nobody_shares_a_power_to_write_and_no_query_is_unknown() -> None:
    for kind in KINDS:
        others = [POWERS[other] for other in KINDS if other != kind]
        assert POWERS[kind].queries <= set(QUERIES)
        for other in others:
            assert POWERS[kind].commands & other.commands == {messages.Goodbye}
            assert not POWERS[kind].housekeeping & other.housekeeping
    assert KEYMASTER.queries <= set(QUERIES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_may_ask_for_what_its_code_asks_for_and_for_nothing_more(kind: str) -> None:
    """So that a query which is asked no more is not left permitted."""
    files = [path.read_text() for path in (ROOT / "appliance" / ROOMS[kind]).rglob("*.py")]
    asked = {name for text in files for name in re.findall(r"\.query\(\s*\"(\w+)\"", text)}
    if kind == "keymaster":  # it counts what a compromised key signed as the audit process reads records
        source = (ROOT / "appliance" / "audit" / "source.py").read_text()
        methods = "".join(
            re.findall(r"    async def (?:size|heads|_portion|_archive)\(.*?(?=\n    async def |\Z)", source, re.S)
        )
        asked |= set(re.findall(r"\.query\(\s*\"(\w+)\"", methods))
    if kind == "audit":  # it reads letters, drafts and what was metered as API workers do
        shared = ROOT / "appliance" / "api" / "letters"
        texts = [(shared / name).read_text() for name in ("assembling.py", "kept.py", "rows.py", "views.py")]
        asked |= {name for text in texts for name in re.findall(r"\brecorder\.query\(\s*\"(\w+)\"", text)} | {"letters"}
        reads = (ROOT / "appliance" / "api" / "limits" / "reads.py").read_text()
        (lines,) = re.findall(r"async def metered_lines\(.*?\n\n\n", reads, re.S)
        asked |= set(re.findall(r"\.query\(\s*\"(\w+)\"", lines))
    powers = POWERS[kind].queries | (KEYMASTER.queries if kind == "keymaster" else set())
    assert asked == powers
    assert not any(re.search(r"\.query\(\s*[^\"\s]", text) for text in files), "queries are asked for by their names"


class Peer(NamedTuple):
    user: int
    group: int


@contextlib.contextmanager
def _connected(path: Path, peer: Peer) -> Iterator[socket.socket]:
    """A connection which the kernel says is this user's and group's: it keeps the effective ones of connect(2)."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    os.setegid(peer.group)
    os.seteuid(peer.user)
    try:
        connection.connect(str(path))
    finally:
        os.seteuid(0)
        os.setegid(0)
    with connection:
        yield connection


def _answers(connection: socket.socket, payload: bytes, count: int = 1) -> list[messages.Answer]:
    connection.sendall(frame(payload))
    reader, answers = FrameReader(), list[messages.Answer]()
    while len(answers) < count:
        data = connection.recv(1 << 20)
        assert data, "the connection was closed"
        for received in reader.take(data):
            answers += msgspec.msgpack.decode(received, type=Answers).answers
    return sorted(answers, key=lambda answer: answer.ticket)


def _not_permitted(answer: messages.Answer) -> bool:
    return isinstance(answer, Refused) and answer.detail.endswith("nothing that this process may ask for")


def _taken(recorder: Recorder, peer: Peer) -> set[str]:
    """The commands that are not refused for who asks, each sent over a connection of its own."""
    taken = set()
    for name, command in _every_command().items():
        with _connected(recorder.home.recorder_socket, peer) as connection:
            (answer,) = _answers(connection, msgspec.msgpack.encode(Batch(os.urandom(16).hex(), 0, {}, [command])))
        if not _not_permitted(answer):
            taken.add(name)
        elif isinstance(answer, Refused):
            assert (answer.code, name in answer.detail) == ("not-authorised", True)
    return taken


def _open(recorder: Recorder) -> None:
    """Let every user come as far as the sockets: only who they are keeps them off."""
    for path in (recorder.home.root, recorder.home.run, recorder.home.recorder_socket.parent):
        path.chmod(0o711)
    for path in (recorder.home.recorder_socket, recorder.home.admin_socket):
        path.chmod(0o666)


@pytest.fixture(params=[False, True], ids=["own-users", "shared-user"])
def serving(root: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Recorder, dict[str, Peer]]]:
    """A recorder, and the peers that each kind of process is where tokens allow own users, and where they do not."""
    assert os.geteuid() == 0, "these tests connect as other users and must run as root"
    write_settings(root / "box.json", _users(shared=request.param))
    numbers = {kind: getattr(NUMBERS, kind) for kind in KINDS}
    peers = {kind: Peer(numbers["worker"] if request.param else number, number) for kind, number in numbers.items()}
    recorder = Recorder(root)
    try:
        recorder.start()
        recorder.enrol()
        _open(recorder)
        yield recorder, peers
    finally:
        recorder.kill()


def test_the_recorder_holds_each_process_to_its_own_commands(serving: tuple[Recorder, dict[str, Peer]]) -> None:
    recorder, peers = serving
    assert {kind: _taken(recorder, peer) for kind, peer in peers.items()} == {kind: _permitted(kind) for kind in KINDS}
    assert _taken(recorder, Peer(0, 0)) == set(_every_command())
    strangers = [Peer(peers["worker"].user, 60799), Peer(60799, peers["worker"].group), Peer(NUMBERS.front or 0, 0)]
    for stranger in strangers:
        with _connected(recorder.home.recorder_socket, stranger) as connection:
            assert connection.recv(1) == b"", stranger


def test_what_is_not_permitted_holds_up_nothing_beside_it(serving: tuple[Recorder, dict[str, Peer]]) -> None:
    recorder, peers = serving
    commands: list[Command] = [
        messages.Append(1, "acme", "app", CERTIFICATE, [entry()]),
        Query(2, "tree_size", ["acme"]),
    ]
    with recorder.admin() as admin:
        before = admin.query("tree_size", "acme")
    with _connected(recorder.home.recorder_socket, peers["audit"]) as connection:
        first, second = _answers(connection, msgspec.msgpack.encode(Batch("c" * 32, 0, {}, commands)), 2)
    assert _not_permitted(first)
    assert isinstance(second, messages.Result)
    assert second.value == before


def test_over_the_administrators_socket_too(serving: tuple[Recorder, dict[str, Peer]]) -> None:
    recorder, peers = serving
    ceremony = administration.CeremonyEntry(1, "acme", b"\0" * 22, "e", 5, bytes(32), b"{}")
    suspend = administration.SetState(1, "suspended", "globex")

    def refused(peer: Peer, command: administration.AdminCommand) -> bool:
        with _connected(recorder.home.admin_socket, peer) as connection:
            (answer,) = _answers(connection, msgspec.msgpack.encode(command))
        return _not_permitted(answer)

    assert not refused(peers["keymaster"], ceremony)
    assert refused(Peer(0, 0), ceremony), "an administrator puts no event of a ceremony on record"
    assert not refused(peers["keymaster"], suspend)
    assert not refused(Peer(0, 0), suspend)
    for name in QUERIES:
        assert refused(peers["keymaster"], Query(1, name, [])) is (name not in KEYMASTER.queries), name
        assert not refused(Peer(0, 0), Query(1, name, [])), name
    for kind in ("worker", "log", "audit"):
        with _connected(recorder.home.admin_socket, peers[kind]) as connection:
            assert connection.recv(1) == b"", kind


def test_who_is_who_by_the_settings() -> None:
    numbers = {kind: getattr(NUMBERS, kind) for kind in KINDS}
    apart, shared = (peers_of(_users(shared=yes), 0) for yes in (False, True))
    assert apart.kinds == {(number, number): POWERS[kind] for kind, number in numbers.items()}
    assert shared.kinds == {(numbers["worker"], number): POWERS[kind] for kind, number in numbers.items()}
    unnamed = msgspec.structs.replace(_users(shared=False), users=msgspec.structs.replace(NUMBERS, audit=None))
    lent = peers_of(unnamed, 0)
    worker = numbers["worker"]
    assert lent.kinds[worker, worker] == POWERS["worker"] | POWERS["audit"], "where two cannot be told apart, both's"
    other = peers_of(_users(shared=False), 61000)
    assert other == Peers(frozenset((0, 61000))), "a recorder under another user than the settings' tells nobody apart"
    assert other.submitting(61000, 1) == other.administering(61000, 1) == EVERYTHING
    assert other.is_keymaster(1)
    assert other.submitting(61001, 61001) is None
    assert apart.administering(0, 0) == ADMINISTRATOR
    assert not apart.is_keymaster(0)
