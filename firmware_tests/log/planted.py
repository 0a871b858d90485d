"""What a process of the box's own users may put in the place of a file, while root has a command read there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

OTHER = 54_321
"""A user of the box's own that owns nothing else."""
SECRET = b"what root alone may read\n" * 400

_SWAPPING = """
import os, sys

plain, link, pipe, place = sys.argv[1:]
print("swapping", flush=True)
while True:
    for made in (plain, link, pipe):
        again = place + ".again"
        try:
            os.link(made, again, follow_symlinks=False)
            os.rename(again, place)
            if os.path.lexists(again):
                os.unlink(again)
        except OSError:
            pass
"""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What waits for a pipe that nobody writes to is ended with TimeoutError."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def plant(path: Path, what: str, secret: Path) -> None:
    """Put a `pipe`, a `link` to the secret, or one to an `endless` device there, as another user would have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(secret if what == "link" else "/dev/zero")
    os.lchown(path, OTHER, OTHER)


@contextlib.contextmanager
def swapping(place: Path, secret: Path, scratch: Path) -> Iterator[None]:
    """A process that has a plain file, a link to the secret and a pipe take turns there until this ends."""
    plain, link, pipe = scratch / "plain", scratch / "link", scratch / "pipe"
    plain.write_bytes(place.read_bytes())
    link.symlink_to(secret)
    os.lchown(link, OTHER, OTHER)
    os.mkfifo(pipe)
    command = (sys.executable, "-c", _SWAPPING, str(plain), str(link), str(pipe), str(place))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"swapping\n"
            yield
        finally:
            process.kill()
    for left in (place, place.with_name(f"{place.name}.again")):
        left.unlink(missing_ok=True)
    place.write_bytes(plain.read_bytes())
