"""Calls over a private socket: whoever speaks badly hurts nobody else, and an error arrives as what it was."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.calls import framing, server
from appliance.calls.client import CallClient, Kept
from appliance.calls.framing import frame
from appliance.calls.problems import Problem, error_of, problem_of
from appliance.calls.server import CONNECTIONS
from appliance.calls.sockets import Peer, UnsafeSocketDirectory, peer_of, private_listener, unix_listener
from appliance.errors import BadRequest, CinnabarError, Conflict, NotFound, Unavailable
from firmware_tests.calls.serving import Impostor, Served
from hsm.errors import HsmError

DEEP = b"\x93\x01\xa5plain\x91" + b"\x91" * 60_000


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int
    y: Annotated[int, msgspec.Meta(ge=0)] = 0


class Full(Conflict):
    code = "full-for-the-tests"
    title = "It is full"
    control = "QUORUM"


async def plain(text: str, times: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 1) -> str:
    return text * times


async def point(peer: Peer, at: Point) -> list[int]:
    return [peer.user, peer.process, at.x, at.y]


async def refuse(kind: str) -> None:
    raise {
        "full": Full("no more go in"),
        "token": HsmError("PIN 1234 is wrong"),
        "bug": ZeroDivisionError("a secret"),
    }[kind]


METHODS = {"plain": plain, "point": point, "refuse": refuse}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("calls") / "tests.sock", METHODS) as made:
        yield made


def refusal(served: Served, method: str, *arguments: object) -> CinnabarError:
    with served.client() as client:
        with pytest.raises(CinnabarError) as caught:
            client.call(method, *arguments)
        assert client.call("plain", "still here") == "still here"
    return caught.value


def test_a_method_gets_what_its_annotations_say(served: Served) -> None:
    with served.client() as client:
        assert client.call("plain", "a") == "a"
        assert client.call("plain", "ab", 3) == "ababab"
        assert client.call("point", {"x": -1}) == [os.geteuid(), os.getpid(), -1, 0]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("plain", ()),
        ("plain", (1,)),
        ("plain", (b"bytes",)),
        ("plain", ("a", "3")),
        ("plain", ("a", True)),
        ("plain", ("a", -1)),
        ("plain", ("a", 1, "more")),
        ("point", ()),
        ("point", ({},)),
        ("point", ({"x": 1, "z": 1},)),
        ("point", ({"x": 1, "y": -1},)),
        ("point", ([0, 0, 0], {"x": 1})),
        ("point", ({"x": 2**64 - 1, "y": "0"},)),
    ],
)
def test_arguments_of_another_type_are_refused(served: Served, method: str, arguments: tuple[object, ...]) -> None:
    assert type(refusal(served, method, *arguments)) is BadRequest


@pytest.mark.parametrize("method", ["", "Plain", "__init__", "__class__", "start", "x" * 40_000, "\x00", "\u202e"])
def test_a_method_that_is_not_there_is_not_found(served: Served, method: str) -> None:
    found = refusal(served, method)
    assert type(found) is NotFound
    assert len(str(found)) < 500


def test_a_number_that_no_frame_holds_is_refused_where_it_is_asked(served: Served) -> None:
    with CallClient(served.path) as client:
        for number in (10**22, -(10**22)):
            with pytest.raises(BadRequest, match="64 bits"):
                client.call("plain", "x", number)
        assert client.call("plain", "x", 2) == "xx"


def test_errors_come_back_as_what_they_are(served: Served) -> None:
    full = refusal(served, "refuse", "full")
    assert (type(full), str(full), full.status, full.control) == (Full, "no more go in", 409, "QUORUM")
    token = refusal(served, "refuse", "token")
    assert (type(token), "1234" in str(token), token.retriable) == (Unavailable, False, True)
    bug = refusal(served, "refuse", "bug")
    assert (type(bug), "secret" in str(bug), bug.code) == (CinnabarError, False, "internal")


def test_a_problem_is_an_exception_again() -> None:
    again = error_of(problem_of(NotFound("there is none")))
    assert (type(again), str(again)) == (NotFound, "there is none")
    strange = error_of(Problem(type="urn:cinnabar:problem:from-later", title="T", status=418, detail="d"))
    assert (strange.code, strange.status, str(strange)) == ("from-later", 418, "d")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(sorted(METHODS)) | st.text(max_size=20), arguments=st.lists(JUNK, max_size=4))
def test_anything_may_be_asked(served: Served, method: str, arguments: list[object]) -> None:
    with served.client() as client:
        with contextlib.suppress(CinnabarError):
            client.call(method, *arguments)
        assert client.call("plain", "still here") == "still here"


HOSTILE = [
    b"\xff\xff\xff\xff",
    (64 * 1024 + 1).to_bytes(4, "big"),
    frame(b"\xc1"),
    frame(b"hello"),
    frame(DEEP),
    frame(msgspec.msgpack.encode([1, "plain"])),
    frame(msgspec.msgpack.encode([1, "plain", ["a"], "more"])),
    frame(msgspec.msgpack.encode(["1", "plain", ["a"]])),
    frame(msgspec.msgpack.encode([1, "plain", {"text": "a"}])),
    frame(msgspec.msgpack.encode({"ticket": 1, "method": "plain", "arguments": ["a"]})),
    frame(b"\x93\x01\xa5plain\x91\xa1\xff"),
]


@pytest.mark.parametrize("sent", HOSTILE, ids=range(len(HOSTILE)))
def test_a_frame_that_is_no_call_ends_its_connection_only(served: Served, sent: bytes) -> None:
    with served.client() as client, served.connect() as hostile:
        hostile.sendall(sent)
        assert hostile.recv(100) == b""
        assert client.call("plain", "still here") == "still here"


def test_an_empty_frame_is_answered_by_another(served: Served) -> None:
    with served.connect() as asking:
        asking.sendall(frame(b"") + frame(msgspec.msgpack.encode([1, "plain", ["a"]])))
        assert asking.recv(4) == frame(b"")
        assert asking.recv(100)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=300))
def test_bytes_that_are_no_call_end_their_connection_only(served: Served, data: bytes) -> None:
    for sent in (data, frame(data), b"\xff\xff\xff\xff" + data):
        with served.connect() as connection:
            connection.sendall(sent)
    with served.client() as client:
        assert client.call("plain", "still here") == "still here"


def test_a_call_byte_by_byte_and_many_in_one_piece_are_answered_in_order(served: Served) -> None:
    calls = b"".join(frame(msgspec.msgpack.encode([n, "plain", [str(n)]])) for n in range(20))
    with served.connect() as slow, served.client() as client:
        for at in range(60):
            slow.sendall(calls[at : at + 1])
            if at % 20 == 0:
                assert client.call("plain", "meanwhile") == "meanwhile"
        slow.sendall(calls[60:])
        reader, got = framing.FrameReader(), []
        while len(got) < 20:
            got += [msgspec.msgpack.decode(payload) for payload in reader.take(slow.recv(4096))]
    assert got == [[n, True, str(n)] for n in range(20)]


def test_a_peer_that_reads_nothing_hinders_nobody_and_no_stop(tmp_path: Path) -> None:
    call = frame(msgspec.msgpack.encode([1, "plain", ["x" * 32, 1 << 15]]))
    with Served(tmp_path / "tests.sock", METHODS) as served, served.connect() as deaf:
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(4096):
                deaf.sendall(call)
        with served.client() as client:
            assert client.call("plain", "meanwhile") == "meanwhile"
        began = time.monotonic()
        served.stop()
        assert time.monotonic() - began < 5


def test_more_connections_than_are_meant_are_refused(tmp_path: Path) -> None:
    with Served(tmp_path / "tests.sock", METHODS) as served, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(served.client()) for _ in range(CONNECTIONS)]
        assert all(client.call("plain", "in") == "in" for client in clients)
        with served.client() as late, pytest.raises(Unavailable):
            late.call("plain", "a")
        clients[0].close()
        deadline = time.monotonic() + 10
        while True:
            try:
                with served.client() as next_one:
                    assert next_one.call("plain", "in") == "in"
                return
            except Unavailable:
                assert time.monotonic() < deadline


CONNECT = (
    "import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]);"
    "s.sendall(bytes.fromhex(sys.argv[2])); sys.stdout.write(s.recv(100).hex())"
)
CALL = frame(msgspec.msgpack.encode([1, "plain", ["a"]]))


def told(path: Path, user: int, group: int) -> bytes:
    """What a process of that user and group is answered."""
    path.parent.chmod(0o711)
    for above in list(path.parents)[1:4]:
        with contextlib.suppress(PermissionError):
            above.chmod(above.stat().st_mode | 0o011)
    command = ["/usr/bin/python3", "-c", CONNECT, str(path), CALL.hex()]
    ended = subprocess.run(command, user=user, group=group, extra_groups=[], capture_output=True, check=False)
    refused = b"Connection reset" in ended.stderr or b"Broken pipe" in ended.stderr
    assert refused or ended.returncode == 0, ended.stderr
    return b"" if refused else bytes.fromhex(ended.stdout.decode())


def test_other_users_are_put_off_and_groups_let_in(tmp_path: Path) -> None:
    with Served(tmp_path / "tests.sock", METHODS, groups=frozenset({65_533})) as served:
        assert told(served.path, 65_534, 65_534) == b""
        assert told(served.path, 65_534, 65_533) == frame(msgspec.msgpack.encode([1, True, "a"]))
    others = frozenset({os.geteuid() + 1})
    with (
        Served(tmp_path / "other.sock", METHODS, users=others) as closed,
        closed.client() as client,
        pytest.raises(Unavailable),
    ):
        client.call("plain", "a")


def test_an_answer_longer_than_a_frame_is_a_problem(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FRAME_LIMIT", 1000)
    assert refusal(served, "plain", "x", 1001).code == "answer-too-long"


# The client against a server that is none


class Gone(Unavailable):
    code = "gone-for-the-tests"
    title = "It does not answer"


class Client(CallClient):
    unavailable = Gone
    patience = 10.0


def answers(*sent: bytes) -> Any:
    def talk(accepted: socket.socket) -> None:
        accepted.recv(1 << 16)
        for one in sent:
            accepted.sendall(one)

    return talk


@pytest.mark.parametrize(
    "sent",
    [
        (),
        (b"\0\0",),
        (b"\xff\xff\xff\xff",),
        (frame(b"\xc1"),),
        (frame(b"\x93\x01\xc3" + b"\x91" * 100_000),),
        (frame(msgspec.msgpack.encode([1, True])),),
        (frame(msgspec.msgpack.encode([7, True, "another's"])),),
        (frame(msgspec.msgpack.encode([1, False, "no problem document"])),),
    ],
    ids=range(8),
)
def test_an_answer_that_is_none_is_no_answer(tmp_path: Path, sent: tuple[bytes, ...]) -> None:
    with Impostor(tmp_path / "tests.sock", answers(*sent)), Client(tmp_path / "tests.sock") as client:
        for _ in range(2):
            with pytest.raises(Gone):
                client.call("plain", "a")


def test_answers_to_other_calls_are_passed_over(tmp_path: Path) -> None:
    sent = [frame(msgspec.msgpack.encode([ticket, True, ticket])) for ticket in (0, 2, 1)]
    with Impostor(tmp_path / "tests.sock", answers(*sent)), Client(tmp_path / "tests.sock") as client:
        assert client.call("plain", "a") == 1


def test_silence_ends_and_nobody_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tests.sock"
    with pytest.raises(Gone):
        Client(path)

    def mute(accepted: socket.socket) -> None:
        while accepted.recv(1 << 16):
            pass

    with Impostor(path, mute), Client(path, 0.2) as client, pytest.raises(Gone):
        client.call("plain", "a")


# Sockets


def test_a_listener_is_replaced_in_one_step_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "tests.sock"
    first = unix_listener(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    second = unix_listener(path, 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["tests.sock"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with first, second, socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(path))
        second.setblocking(True)
        accepted, _ = second.accept()
        with accepted:
            assert peer_of(accepted) == (os.getpid(), os.geteuid(), os.getegid())


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_directory_that_is_open_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(UnsafeSocketDirectory):
        private_listener(directory / "tests.sock")
    directory.chmod(0o750)
    private_listener(directory / "tests.sock").close()


def test_a_kept_connection_is_one_a_thread_and_made_anew_when_it_was_lost(tmp_path: Path) -> None:
    kept = Kept(Client, tmp_path / "tests.sock")

    def ask() -> tuple[int, str]:
        return kept.call(lambda client: (id(client), client.call("plain", "a")))

    with pytest.raises(Gone):
        ask()
    with Served(tmp_path / "tests.sock", METHODS):
        first = ask()
        with ThreadPoolExecutor(1) as other:
            assert ask() == first != other.submit(ask).result()
            other.submit(kept.close).result()
    with Served(tmp_path / "tests.sock", METHODS):
        assert ask()[1] == "a"
        kept.close()
        kept.close()
    with pytest.raises(Gone):
        ask()


def test_a_refusal_keeps_the_connection(served: Served) -> None:
    kept, seen = Kept(CallClient, served.path), set()

    def refused(client: CallClient) -> None:
        seen.add(id(client))
        client.call("refuse", "full")

    for _ in range(3):
        with pytest.raises(Full):
            kept.call(refused)
    assert len(seen) == 1
    kept.close()
