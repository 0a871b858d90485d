"""The HTTP server by itself: order, limits, deadlines, and bytes that nobody should send."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.api import answer_writer, request_reader
from appliance.api.application import Application
from appliance.api.connection import Connection
from appliance.api.endpoints import Answer, Body, Endpoint, Parameter
from appliance.api.hub import Hub
from appliance.api.messages import Request, Response
from appliance.box.settings import BoxSettings
from appliance.box.states import State, Work
from appliance.calls.sockets import UnsafeSocketDirectory

SETTINGS = BoxSettings(
    box_id="0" * 32, name="t", rehearsal=True, tokens=[], tenants=[], units=[], seal_keys=[], logs=[], authorities=[]
)


async def echo(worker: object, request: Request) -> Response:
    return Response(request.body or b"empty", b"text/plain")


async def slow(worker: object, request: Request) -> Response:
    await asyncio.sleep(float(request.arguments["seconds"]))
    return Response(request.arguments["seconds"].encode(), b"text/plain")


async def large(worker: object, request: Request) -> Response:
    return Response(bytes(8_000_000), b"application/octet-stream")


async def broken(worker: object, request: Request) -> Response:
    raise RuntimeError("a secret")


def _endpoint(method: str, path: str, handler: object, **more: object) -> Endpoint:
    return Endpoint(
        method=method, path=path, listeners=frozenset({"public"}), handler=handler, summary="", work=Work.STATUS,
        answers=(Answer(200, ""),), **more,
    )  # fmt: skip


ENDPOINTS = (
    _endpoint("POST", "/echo", echo, takes=(Body("text/plain"),), limit=lambda _: 1_000),
    _endpoint("GET", "/echo", echo),
    _endpoint("GET", "/slow/{seconds}", slow, parameters=(Parameter("seconds", "[0-9.]+", "", "1"),)),
    _endpoint("GET", "/large", large),
    _endpoint("GET", "/broken", broken),
)


def make_hub(loop: asyncio.AbstractEventLoop) -> Hub:
    return Hub(Application(None, ENDPOINTS, SETTINGS.limits, lambda: State.OPERATIONAL), SETTINGS, loop)


@contextlib.asynccontextmanager
async def listening(directory: Path) -> AsyncIterator[tuple[Hub, Path]]:
    hub = make_hub(asyncio.get_running_loop())
    path = directory / "sockets" / "public.sock"
    await hub.listen(path, "public")
    try:
        yield hub, path
    finally:
        await hub.stop()


async def talk(path: Path, *pieces: bytes, pause: float = 0.0, half_close: bool = True) -> bytes:
    """Send the pieces, say that nothing more comes, and read until the server closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if half_close:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        writer.close()


def run(tmp_path: Path, body: Callable[[Hub, Path], Awaitable[None]]) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (hub, path):
            await body(hub, path)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def exchange(tmp_path: Path, *pieces: bytes, pause: float = 0.0, half_close: bool = True) -> bytes:
    found = b""

    async def body(_: Hub, path: Path) -> None:
        nonlocal found
        found = await talk(path, *pieces, pause=pause, half_close=half_close)

    run(tmp_path, body)
    return found


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /echo HTTP/1.1", b"Host: x", b"Content-Type: text/plain", *headers]
    return b"\r\n".join(lines) + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, b"Host: x", *headers]) + b"\r\n\r\n"


def test_pipelined_answers_keep_the_order_of_their_requests(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/slow/0.2") + post(b"second") + get(b"/slow/0.01") + post(b"fourth"))
    assert statuses(answers) == [200] * 4
    places = [answers.index(word) for word in (b"\r\n\r\n0.2", b"second", b"\r\n\r\n0.01", b"fourth")]
    assert places == sorted(places)


def test_a_long_pipeline_is_answered_whole(tmp_path: Path) -> None:
    assert statuses(exchange(tmp_path, post(b"x") * 500)) == [200] * 500


def test_one_byte_at_a_time_is_one_request(tmp_path: Path) -> None:
    assert exchange(tmp_path, *(bytes([byte]) for byte in post(b"slowly"))).endswith(b"slowly")


def test_chunked_bodies_are_joined(tmp_path: Path) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(tmp_path, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"\r\n\r\nabcde")


def test_trailers_are_not_headers(tmp_path: Path) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    # Without a Content-Type among the headers the request is refused, whatever a trailer says.
    assert statuses(exchange(tmp_path, head + b"1\r\na\r\n0\r\nContent-Type: text/plain\r\n\r\n")) == [415]


def test_head_has_no_body_and_connections_stay_open(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/echo").replace(b"GET", b"HEAD") + get(b"/echo"))
    assert statuses(answers) == [200, 200]
    assert answers.count(b"empty") == 1
    assert b"connection: close" not in answers.partition(b"\r\n\r\n")[0]


def test_expectations_are_met(tmp_path: Path) -> None:
    answers = exchange(tmp_path, post(b"abc", b"Expect: 100-continue"))
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


def test_http_1_0_is_answered_and_closed(tmp_path: Path) -> None:
    answers = exchange(tmp_path, b"GET /echo HTTP/1.0\r\n\r\n" + get(b"/echo"), half_close=False)
    assert statuses(answers) == [200]


def test_absolute_form_finds_the_same_endpoint(tmp_path: Path) -> None:
    assert statuses(exchange(tmp_path, get(b"http://elsewhere/echo"))) == [200]


def test_internal_errors_tell_nothing(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/broken") + get(b"/echo"))
    assert statuses(answers) == [500, 200]
    assert b"secret" not in answers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (get(b"/nowhere"), 404),
        (get(b"/%2e%2e/%00"), 404),
        (get(b"*"), 404),
        (b"DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n", 400),
        (get(b"/echo", b"Host: y"), 400),
        (get(b"/echo", b"X-Cinnabar-Client-Certificate: a", b"x-cinnabar-client-certificate: b"), 400),
        (get(b"/" + b"a" * 5_000), 414),
        (get(b"/echo", b"X: " + b"a" * 40_000), 431),
        (get(b"/echo", *(b"X-%d: a" % n for n in range(8_000))), 431),
        (post(bytes(1_001)), 413),
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"fff\r\n" + bytes(0xFFF) + b"\r\n0\r\n\r\n",
            413,
        ),
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1;" + b"e" * 600_000,
            400,
        ),
        (get(b"/echo", b"Content-Length: 3") + b"abc", 400),
    ],
)  # fmt: skip
def test_bad_requests_get_one_problem(tmp_path: Path, sent: bytes, status: int) -> None:
    answers = exchange(tmp_path, sent)
    assert statuses(answers) == [status]
    assert b"content-type: application/problem+json" in answers


def test_a_refusal_waits_for_what_was_asked_before(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/slow/0.1") + b"\x00\x00\x00")
    assert statuses(answers) == [200, 400]


def test_slow_senders_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_reader, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(request_reader, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(request_reader, "IDLE_SECONDS", 0.3)

    async def body(hub: Hub, path: Path) -> None:
        head = talk(
            path, *[b"GET /echo HTTP/1.1\r\n", *[b"X-%d: a\r\n" % n for n in range(40)]], pause=0.05, half_close=False
        )
        part = talk(path, post(b"abc")[:-1], half_close=False)
        idle = talk(path, half_close=False)
        slow_head, slow_body, nothing = await asyncio.gather(head, part, idle)
        assert statuses(slow_head) in ([408], [])  # the answer may be lost to a peer that goes on sending
        assert statuses(slow_body) == [408]
        assert nothing == b""
        await asyncio.sleep(0.3)
        assert hub.connections == 0

    run(tmp_path, body)


def test_readers_that_do_not_read_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_writer, "STALLED_SECONDS", 0.3)

    async def body(hub: Hub, path: Path) -> None:
        _, writer = await asyncio.open_unix_connection(str(path), limit=1)
        writer.write(get(b"/large") * 20)
        await asyncio.sleep(0.2)
        assert 7_000_000 < hub.unread <= 8_001_000, "one answer is held, and the next ones are not begun"
        await asyncio.sleep(1.8)
        assert (hub.connections, hub.unread) == (0, 0)
        writer.close()

    run(tmp_path, body)


async def read_slowly(path: Path, pause: float, piece: int) -> int:
    """Bytes that a peer gets which takes a piece at a time, until it is cut off or has all of one large answer."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1)
    writer.write(get(b"/large"))
    got = 0
    try:
        with contextlib.suppress(ConnectionError):
            while got < 8_000_000 and (data := await reader.read(piece)):
                got += len(data)
                await asyncio.sleep(pause)
    finally:
        writer.close()
    return got


def test_a_reader_that_takes_a_little_all_the_time_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress alone does not keep an answer in memory for ever: it must be taken in proportion to its size."""
    monkeypatch.setattr(answer_writer, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(answer_writer, "ANSWER_BYTES_A_SECOND", 8_000_000)

    async def body(hub: Hub, path: Path) -> None:
        slow, quick = await asyncio.gather(read_slowly(path, 0.01, 1_000), read_slowly(path, 0.0, 1_000_000))
        assert slow < 8_000_000 <= quick
        assert hub.unread == 0

    run(tmp_path, body)


def test_what_is_unread_is_bounded_over_all_connections(tmp_path: Path) -> None:
    """Ten slow readers of 8 MB where 20 may be unread: the longest ones go, and a quick one always gets its answer."""

    async def body(hub: Hub, path: Path) -> None:
        hub.unread_limit = 20_000_000
        most = 0
        slow = []
        for _ in range(10):
            slow.append(asyncio.create_task(read_slowly(path, 0.05, 10_000)))
            await asyncio.sleep(0.05)
            most = max(most, hub.unread)
            assert await read_slowly(path, 0.0, 1_000_000) >= 8_000_000
        assert most <= hub.unread_limit
        assert hub.connections <= 3
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run(tmp_path, body)


def test_stopping_finishes_what_was_asked(tmp_path: Path) -> None:
    async def body(hub: Hub, path: Path) -> None:
        idle, idle_writer = await asyncio.open_unix_connection(str(path))
        asked = asyncio.create_task(talk(path, get(b"/slow/0.4"), half_close=False))
        await asyncio.sleep(0.1)
        await hub.stop()
        assert statuses(await asked) == [200]
        assert await idle.read() == b""
        idle_writer.close()
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            await asyncio.open_unix_connection(str(path))

    run(tmp_path, body)


def test_a_stop_in_the_middle_of_a_request_cuts_it_off_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.api.connections.STOP_SECONDS", 0.3)

    async def body(hub: Hub, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(post(b"abc")[:-1])
        await asyncio.sleep(0.05)
        await hub.stop()
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()

    run(tmp_path, body)


def test_too_many_requests_at_once_are_told_busy(tmp_path: Path) -> None:
    async def body(hub: Hub, path: Path) -> None:
        hub.in_flight_limit = 2
        answers = await asyncio.gather(*(talk(path, get(b"/slow/0.3")) for _ in range(4)))
        assert sorted(statuses(answer)[0] for answer in answers) == [200, 200, 503, 503]
        assert hub.in_flight == 0

    run(tmp_path, body)


def test_bytes_held_are_bounded_and_given_back(tmp_path: Path) -> None:
    async def body(hub: Hub, path: Path) -> None:
        hub.held_limit = 100
        assert statuses(await talk(path, post(bytes(200)))) == [503]
        await talk(path, post(bytes(90))[:-5])
        assert hub.held == 0

    run(tmp_path, body)


def test_another_user_is_turned_away(tmp_path: Path) -> None:
    """Even one that the file modes let in: as root, the modes are opened on purpose."""
    assert os.geteuid() == 0, "these tests separate users and run as root"
    tmp_path.chmod(0o755)

    async def body(hub: Hub, path: Path) -> None:
        path.parent.chmod(0o755)
        path.chmod(0o666)
        for directory in path.parents:
            if str(directory).startswith("/tmp/") and directory.exists():
                directory.chmod(directory.stat().st_mode | 0o011)
        source = (
            "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "s.sendall(b'GET /echo HTTP/1.1\\r\\nHost: x\\r\\nX-Cinnabar-Client-Certificate: x\\r\\n\\r\\n');"
            "print(s.recv(100))"
        )
        command = ["/usr/bin/python3", "-c", source, str(path)]
        ended = await asyncio.to_thread(
            subprocess.run, command, user=65534, group=65534, capture_output=True, check=False
        )
        said, errors = ended.stdout, ended.stderr
        assert b"HTTP/1.1" not in said, said
        assert said.strip() == b"b''" or b"Connection reset" in errors or b"Broken pipe" in errors, (said, errors)
        assert hub.strangers == 1

    run(tmp_path, body)


def test_open_directories_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir(mode=0o755)
    with pytest.raises(UnsafeSocketDirectory):
        run(tmp_path, lambda *_: asyncio.sleep(0))


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def fed(pieces: list[bytes]) -> Wire:
    loop = asyncio.new_event_loop()
    try:
        hub = make_hub(loop)
        hub.admit = lambda *_: True  # type: ignore[method-assign]
        wire = Wire()
        connection = Connection(hub, "public")
        connection.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            connection.data_received(piece)
        for _ in range(40):
            loop.call_soon(loop.stop)
            loop.run_forever()
        connection.connection_lost(None)
        assert (hub.held, hub.in_flight) == (0, 0)
        return wire
    finally:
        loop.close()


PARTS = st.sampled_from(
    [b"GET ", b"POST ", b"/echo", b"/slow/0", b" HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Content-Length: 5\r\n",
     b"Transfer-Encoding: chunked\r\n", b"Content-Type: text/plain\r\n", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"\n",
     b"\x00", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n",
     post(b"abc"), get(b"/echo")]
)  # fmt: skip


@given(st.lists(PARTS | st.binary(max_size=20), max_size=30), st.data())
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_any_pieces_are_answered_alike(parts: list[bytes], data: st.DataObject) -> None:
    """Nothing raises, and how the bytes were cut makes no difference to what is answered."""
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, many = fed([whole]), fed([piece for piece in pieces if piece])
    assert statuses(one.written) == statuses(many.written)
