"""The HTTP server by itself: deadlines, what it holds for whom, how it stops, and who may connect."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from appliance.api import answer_writer, request_reader
from appliance.api.hub import Hub
from appliance.calls.sockets import UnsafeSocketDirectory
from firmware_tests.api.connections import (
    get,
    post,
    run,
    statuses,
    talk,
)


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


def _announced(size: int) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % size


def test_a_peer_that_reads_after_it_has_sent_is_told_why_it_was_refused(tmp_path: Path) -> None:
    """As the front does: it sends what it has, in pieces that arrive after the refusal, and then reads."""

    async def body(hub: Hub, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(_announced(1 << 20))
        for _ in range(256):
            writer.write(bytes(4_096))
            await writer.drain()
            await asyncio.sleep(0)
        answer = await reader.read()
        writer.close()
        assert statuses(answer) == [413]
        assert b"this endpoint takes 1000" in answer
        assert hub.held == 0

    run(tmp_path, body)


def test_a_refused_peer_that_goes_on_sending_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_reader, "LONGEST_LINGER_SECONDS", 0.3)

    async def body(_: Hub, path: Path) -> None:
        with pytest.raises(ConnectionError):
            await drip(path)

    async def drip(path: Path) -> None:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(_announced(9_999))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    run(tmp_path, body)
