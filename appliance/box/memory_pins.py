"""Where PINs stand in clear while the box runs, if they do not stand so on its disk: a directory in memory (tmpfs).

HOME/run/pins leads to it. It is made at the start and gone after the stop; what a killed box left is taken away at the
next start, and by every restart of the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from appliance.box.home import Home
from appliance.errors import Unavailable
from appliance.files import write_file

PREFIX = "cinnabar-pins-"
PLACES = ("/run", "/dev/shm")  # noqa: S108 - made by mkdtemp, and only where it is in memory
_MEMORY = frozenset({"tmpfs", "ramfs"})


class NoMemoryPlace(Unavailable):
    """There is no place for PINs that is not a disk."""

    code = "no-memory-place"
    title = "PINs have no place in memory"
    retriable = False


class MemoryPins:
    """The directory of one life of the box."""

    def __init__(self, home: Home) -> None:
        self._link = home.memory_pins

    def clear(self) -> None:
        """Take away what the last life, or this one, had. Nothing but directories of ours in memory is touched."""
        with contextlib.suppress(OSError):
            target = self._link.readlink()
            status = target.lstat()
            ours = status.st_uid == os.geteuid() and target.name.startswith(PREFIX) and str(target.parent) in PLACES
            if ours and not target.is_symlink():
                shutil.rmtree(target)
        self._link.unlink(missing_ok=True)

    def make(self) -> None:
        """A new directory, empty. Raises NoMemoryPlace."""
        for place in PLACES:
            if os.access(place, os.W_OK | os.X_OK) and _is_memory(Path(place)):
                directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
                directory.chmod(0o711)  # each user finds its own directory in it
                self._link.symlink_to(directory)
                return
        raise NoMemoryPlace(f"neither {' nor '.join(PLACES)} is in memory and ours to write")

    def put(self, name: str, pin: str) -> None:
        """NAME.pin, as a PIN file."""
        write_file(self._link / f"{name}.pin", pin.encode() + b"\n", 0o600)

    def has(self, name: str) -> bool:
        return (self._link / f"{name}.pin").exists()

    def take(self, name: str) -> None:
        """NAME.pin goes."""
        (self._link / f"{name}.pin").unlink(missing_ok=True)


def _is_memory(place: Path) -> bool:
    """Whether the file system of a directory is in memory (proc_pid_mountinfo(5))."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if (place == Path(point) or Path(point) in place.parents) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind in _MEMORY
