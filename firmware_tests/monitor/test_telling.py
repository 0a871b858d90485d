"""What a monitor has found reaches somebody: with a full disk, a command that fails, and a death in between. And no
server keeps it from looking, however slowly or endlessly it answers."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.log.checkpoint import LogKey
from appliance.log.forks import ForkEvidence, verify_fork
from appliance.monitor.alarms import Telling
from appliance.monitor.errors import NotPublished
from appliance.monitor.published import PublishedLog
from appliance.monitor.state import MonitorState
from appliance.monitor.watching import LogWatcher, Watched
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.published import PublishingServer, publish


class Monitor:
    """A monitor of one log, in this process: `lines` has what it said."""

    def __init__(self, place: Path) -> None:
        self.log = TestLog("log.example/rehearsal/watched").grow(600)
        self.directory, self.state, self.heard = place / "published", place / "state", place / "heard"
        self.state.mkdir()
        publish(self.log, self.directory)
        self.server = PublishingServer(self.directory)
        self.published = PublishedLog(self.server.url)
        self.lines: list[dict[str, object]] = []
        self.now = time.time()

    def watcher(self, *command: str, tell: Callable[[bytes], None] | None = None) -> LogWatcher:
        def keep(line: bytes) -> None:
            self.lines.append(json.loads(line))

        watched = Watched(self.log.origin, (LogKey(self.log.verifier),))
        telling = Telling(tell or keep, command)
        return LogWatcher(watched, self.published, MonitorState(self.state), telling, clock=lambda: self.now)

    @property
    def hearing(self) -> list[str]:
        """A command that keeps what it is told."""
        return [sys.executable, "-c", f"import sys; open({str(self.heard)!r}, 'ab').write(sys.stdin.buffer.read())"]

    def told(self) -> list[str]:
        if not self.heard.exists():
            return []
        return [json.loads(line)["alarm"] for line in self.heard.read_bytes().splitlines()]

    def fork(self) -> None:
        for file in self.directory.rglob("*"):
            if file.is_file():
                file.unlink()
        publish(self.log.fork(300, 700), self.directory)

    def events(self) -> list[object]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    made = Monitor(tmp_path)
    yield made
    made.published.close()
    made.server.close()


@pytest.fixture
def full(monitor: Monitor) -> Iterator[Callable[[], None]]:
    """The state stands on a disk of its own that can be filled."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(monitor.state)], check=True)

    def fill() -> None:
        with contextlib.suppress(OSError), (monitor.state / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    yield fill
    subprocess.run(["umount", "-l", str(monitor.state)], check=True)


def test_a_fork_is_told_though_the_disk_is_full(monitor: Monitor, full: Callable[[], None]) -> None:
    watcher = monitor.watcher(*monitor.hearing)
    assert watcher.look()
    monitor.fork()
    full()
    watcher.look()
    assert monitor.told() == ["history-forked"]
    (alarm,) = [line for line in monitor.lines if line["event"] == "alarm"]
    assert {"evidence-not-kept", "state-not-kept"} <= set(monitor.events())
    # What could not be kept goes with the alarm.
    first, second = verify_fork(ForkEvidence.parse(str(alarm["unkept"]).encode()), [LogKey(monitor.log.verifier)])
    assert first.root != second.root
    # It goes on watching, and keeps both once there is room.
    watcher.look()
    (monitor.state / "filler").unlink()
    watcher.look()
    assert list(monitor.state.glob("evidence-history-forked-*.json"))
    assert MonitorState(monitor.state).read(monitor.log.origin).alarms["history-forked"].evidence
    assert monitor.told() == ["history-forked"]


def test_a_command_that_fails_is_called_again_until_it_succeeds(monitor: Monitor) -> None:
    assert monitor.watcher("false").look()
    monitor.fork()
    for _ in range(2):  # also by another life of the monitor
        watcher = monitor.watcher("false")
        for _ in range(2):
            watcher.look()
    assert monitor.events().count("command-failed") == 4
    watcher = monitor.watcher(*monitor.hearing)
    for _ in range(3):
        watcher.look()
    assert monitor.told() == ["history-forked"]


def test_an_alarm_that_was_stored_and_not_told_is_told_by_the_next_life(monitor: Monitor) -> None:
    class Killed(BaseException):
        pass

    def die(line: bytes) -> None:
        if b'"alarm"' in line:
            raise Killed

    assert monitor.watcher().look()
    monitor.fork()
    with pytest.raises(Killed):
        monitor.watcher(tell=die).look()
    # It is told though the log has become right again meanwhile.
    publish(monitor.log.grow(1), monitor.directory)
    monitor.watcher(*monitor.hearing).look()
    assert monitor.told() == ["history-forked"]


def test_an_output_that_is_closed_keeps_the_command_from_nothing(monitor: Monitor) -> None:
    def broken(line: bytes) -> None:
        if b'"alarm"' in line:
            raise BrokenPipeError

    assert monitor.watcher().look()
    monitor.fork()
    with pytest.raises(BrokenPipeError):
        monitor.watcher(*monitor.hearing, tell=broken).look()
    assert monitor.told() == ["history-forked"]


def test_a_clock_that_is_set_back_puts_off_no_alarm_of_silence(monitor: Monitor) -> None:
    watcher = monitor.watcher()
    assert watcher.look()
    monitor.server.lie = lambda *_: None
    monitor.now -= 365 * 86_400
    watcher.look()
    monitor.now += 3_601
    watcher.look()
    assert [line["alarm"] for line in monitor.lines if line["event"] == "alarm"] == ["log-silent"]


def test_a_state_of_before_is_read(monitor: Monitor) -> None:
    old = {
        "format": "cinnabar-monitor-state/1",
        "origin": monitor.log.origin,
        "alarms": {"x": {"since": 1, "detail": "y"}},
    }
    (file,) = [MonitorState(monitor.state)._file(monitor.log.origin)]
    file.write_bytes(msgspec.json.encode(old))
    assert monitor.watcher("false").state.alarms["x"].told


# --- servers that never come to an end -------------------------------------------------------------------------------


def _drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        connection.sendall(b"a")
        time.sleep(0.1)


def _inform(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        time.sleep(0.01)


def _drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
    while True:
        connection.sendall(b"a")
        time.sleep(0.1)


def _redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("behave", [_drip_headers, _inform, _drip_body, _redirect, lambda _: time.sleep(3_600)])
def test_a_resource_has_its_time_however_it_is_sent(behave: Callable[[socket.socket], None]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()

                def answer(connection: socket.socket = connection) -> None:
                    with contextlib.suppress(OSError), connection:
                        connection.recv(65_536)
                        behave(connection)

                threading.Thread(target=answer, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    started = time.monotonic()
    try:
        with PublishedLog(f"http://127.0.0.1:{listener.getsockname()[1]}", fetch_s=1.0) as published:
            for _ in range(2):
                with pytest.raises(NotPublished):
                    published.checkpoint()
    finally:
        listener.close()
    assert time.monotonic() - started < 20
