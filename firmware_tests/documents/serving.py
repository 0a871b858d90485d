"""A keeper of document workers with tasks that misbehave: what the product's registry does not have.

python serving.py DIRECTORY SETTINGS      (SETTINGS: JSON of `Serving`)
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from appliance.calls.sockets import private_listener
from appliance.documents.contracts import Contract
from appliance.documents.isolation import Limits, shut_off
from appliance.documents.messages import Hello
from appliance.documents.queue import Bounds
from appliance.documents.rendering import TEMPLATES
from appliance.documents.server import Server
from appliance.documents.tasks import TASKS, Ground, Task
from appliance.documents.trust import TrustKeeper
from appliance.errors import BadRequest


class Serving(msgspec.Struct, frozen=True):
    user: int | None = None
    reader: int | None = None
    workers: int = 2
    cpu_seconds: int = 2
    wall_seconds: float = 3.0
    memory_mb: int = 128
    items: int = 64
    patience: float = 20.0
    loads: bool = False
    """Whether the keeper loads beforehand what its workers share, as the box's does."""


class Misdeed(msgspec.Struct, frozen=True):
    what: str
    text: str = ""
    ballast: bytes = b""


class Seen(msgspec.Struct, frozen=True):
    text: str
    process: int = 0
    bytes: int = 0


MISDEED = Contract("misdeed", Misdeed, Seen, "msgpack", (BadRequest,))
FOREIGN = Contract("misdeed", Misdeed, int, "msgpack", ())
ABSENT = Contract("absent", Misdeed, Seen, "msgpack", ())


def _attempt(what: str, path: str) -> str:
    """What comes of something that a worker should not be able to do."""
    try:
        if what == "read":
            list(Path(path).iterdir()) if Path(path).is_dir() else Path(path).read_bytes()
        elif what == "write":
            Path(path).write_bytes(b"x")
        elif what == "tcp":
            host, _, port = path.partition(":")
            socket.create_connection((host, int(port)), timeout=2).close()
        elif what == "unix":
            with socket.socket(socket.AF_UNIX) as made:
                made.connect(path)
        elif what == "fork":
            if os.fork() == 0:
                os._exit(0)
        elif what == "look-at-keeper":
            Path(f"/proc/{os.getppid()}/mem").open("rb").close()
        elif what == "more-memory":
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        elif what == "root":
            os.setuid(0)
        elif what == "call":
            number, *arguments = map(int, path.split())
            if ctypes.CDLL(None, use_errno=True).syscall(number, *map(ctypes.c_long, arguments)) < 0:
                return errno.errorcode[ctypes.get_errno()]
        elif what == "kill-keeper":
            os.kill(os.getppid(), signal.SIGTERM)
        elif what == "written-and-executed":
            mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except (OSError, ValueError) as error:
        return type(error).__name__
    return "done"


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def misdeed(_ground: Ground, asked: Misdeed) -> Seen:
    match asked.what:
        case "echo":
            pass
        case "loop":
            while True:
                pass
        case "wait":
            time.sleep(float(asked.text))
        case "work":
            end = time.process_time() + float(asked.text)
            while time.process_time() < end:
                pass
        case "memory":
            held = []
            while True:
                held.append(bytearray(1 << 20))
        case "memory-at-once":
            bytearray(int(asked.text))
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(0)
        case "nest":
            return misdeed(_ground, asked)
        case "fault":
            raise ZeroDivisionError(asked.text)
        case "refuse":
            raise BadRequest(asked.text)
        case "noise":
            os.write(1, b"noise" * 1000)
            os.write(2, b"noise" * 1000)
        case "user":
            return Seen(f"{os.getuid()} {os.getgid()} {os.getgroups()}")
        case "descriptors":
            return Seen(" ".join(str(number) for number in range(64) if _is_open(number)))
        case "calls":
            outcomes = {_attempt("call", f"{number} 0 0 0 0 0") for number in asked.text.split()}
            return Seen(" ".join(sorted(outcomes)))
        case what:
            return Seen(_attempt(what, asked.text))
    return Seen(asked.text, os.getpid(), len(asked.ballast))


PLAIN = b'#set text(font: "Noto Sans CJK SC")\n#let d = json(bytes(sys.inputs.data))\n= #d.title\n'
"""A template in place of the product's, whose data are long."""


def main() -> None:
    TEMPLATES["ceremony"] = PLAIN
    directory, serving = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Serving)
    isolation = shut_off(serving.user)
    tasks = TASKS if serving.loads else {name: replace(task, load=None) for name, task in TASKS.items()}
    server = Server(
        private_listener(directory / "run" / "tasks.sock"),
        frozenset({os.geteuid(), 0}),
        {**tasks, MISDEED.name: Task(MISDEED, misdeed)},
        TrustKeeper(directory / "trust"),
        Hello(serving.workers, isolation.own_user, isolation.own_network, isolation.calls_held, isolation.files_held),
        Limits(serving.cpu_seconds, serving.wall_seconds, serving.memory_mb << 20),
        Bounds(serving.items),
        serving.patience,
        frozenset({serving.reader} if serving.reader is not None else ()),
    )
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.run()


if __name__ == "__main__":
    main()
