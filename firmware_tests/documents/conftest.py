"""A keeper in a real process, and clients of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from firmware_tests.documents.serving import Serving

PROGRAM = Path(__file__).with_name("serving.py")


class Keeper:
    """Start, kill and stop it as often as a test likes."""

    def __init__(self, directory: Path, serving: Serving) -> None:
        self.directory = directory
        self.serving = serving
        self.socket = directory / "run" / "tasks.sock"
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "trust").mkdir()
        self.socket.parent.mkdir(mode=0o750)
        if serving.user is not None:
            os.chown(self.socket.parent, serving.user, serving.user)

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        settings = msgspec.json.encode(self.serving).decode()
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                (sys.executable, str(PROGRAM), str(self.directory), settings), stdout=output, stderr=output
            )
        deadline = time.monotonic() + 20
        while not self.socket.exists() or len(self.children()) < self.serving.workers:
            assert self.process.poll() is None, (self.directory / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def children(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)


@pytest.fixture
def keeper(open_directory: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Keeper]]:
    """Makes keepers; the settings are those of Serving."""
    made: list[Keeper] = []

    def make(**settings: object) -> Keeper:
        directory = open_directory / f"documents-{os.getpid()}-{time.monotonic_ns()}"
        directory.mkdir(mode=0o755)
        new = Keeper(directory, Serving(**settings))  # type: ignore[arg-type]
        made.append(new)
        new.start()
        return new

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.kill()
        shutil.rmtree(one.directory)
