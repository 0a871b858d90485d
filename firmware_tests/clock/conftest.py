"""A real chronyd pair on loopback: a server of its own local time and a client of it; neither touches the clock."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.clock.chrony import ChronyUnreachable, ask_tracking
from firmware_tests.ports import HeldPort


@dataclass
class Chrony:
    """chronyd's client, synchronised to its server."""

    command_port: int
    server_command_port: int
    socket: Path
    server: subprocess.Popen[bytes]
    client: subprocess.Popen[bytes]
    log: list[Path] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.command_port}"


def _start(stack: ExitStack, directory: Path, name: str, *lines: str) -> subprocess.Popen[bytes]:
    configuration = directory / f"{name}.conf"
    configuration.write_text(
        "\n".join((*lines, f"pidfile {directory}/{name}.pid", f"user {pwd.getpwuid(os.geteuid()).pw_name}", ""))
    )
    log = stack.enter_context((directory / f"{name}.log").open("wb"))
    process = subprocess.Popen(["/usr/sbin/chronyd", "-x", "-U", "-d", "-f", configuration], stdout=log, stderr=log)

    def stop() -> None:
        process.kill()
        process.wait()

    stack.callback(stop)
    return process


@pytest.fixture(scope="session")
def chrony() -> Iterator[Chrony]:
    with ExitStack() as stack:
        # Short, because a socket's path is limited to 107 bytes.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cinnabar-chrony.")))
        held = [HeldPort(socket.SOCK_DGRAM) for _ in range(3)]
        ports = [port.number for port in held]
        server = _start(
            stack,
            directory,
            "server",
            f"port {ports[0]}",
            "bindaddress 127.0.0.1",
            f"cmdport {ports[1]}",
            "bindcmdaddress 127.0.0.1",
            "bindcmdaddress /",
            "local stratum 1",
            "allow 127.0.0.1",
        )
        client = _start(
            stack,
            directory,
            "client",
            f"server 127.0.0.1 port {ports[0]} iburst minpoll -4 maxpoll -2",
            "port 0",
            f"cmdport {ports[2]}",
            "bindcmdaddress 127.0.0.1",
            f"bindcmdaddress {directory}/chronyd.sock",
        )
        pair = Chrony(ports[2], ports[1], directory / "chronyd.sock", server, client)
        deadline = time.monotonic() + 30
        while True:
            try:
                tracking = ask_tracking(pair.address)
                if tracking.leap == 0 and tracking.error_bound < 0.005 and tracking.skew_ppm < 50:
                    break
            except ChronyUnreachable:
                pass
            assert time.monotonic() < deadline, (directory / "client.log").read_text()
            time.sleep(0.05)
        yield pair
