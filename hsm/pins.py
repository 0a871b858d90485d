"""PIN files: readable by their owner alone, and never tried twice once the token has refused them.

A refused PIN is remembered beside its file (NAME.refused) by the file's inode and time of change, never by its
content: a process that restarts, or another worker, does not spend one more of the token's tries on it. Writing the
file anew clears the way. The lock keeps several processes from trying at the same instant.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hsm.errors import PinRefused, PinUnavailable

_MAXIMUM_BYTES = 256


class PinFile:
    """A callable that reads the PIN from a file of mode 0600 or stricter, owned by root or by this process's user."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> str:
        """The PIN. Raises PinUnavailable, or PinRefused when this very file was refused before."""
        with self._opened() as descriptor:
            if self._refused_mark() == _identity(os.fstat(descriptor)):
                raise PinRefused(f"the token refused the PIN in {self._path.name}; write the file anew to try again")
            content = os.read(descriptor, _MAXIMUM_BYTES + 1)
        pin = content.removesuffix(b"\n").removesuffix(b"\r")
        if not pin or len(content) > _MAXIMUM_BYTES:
            raise PinUnavailable(f"{self._path.name} is empty or longer than {_MAXIMUM_BYTES} bytes")
        try:
            return pin.decode()
        except UnicodeDecodeError:
            raise PinUnavailable(f"{self._path.name} is not UTF-8") from None

    def note_refused(self) -> None:
        """Remember that the token refused this PIN. Kept in memory alone where the directory is not writable."""
        with self._opened() as descriptor, contextlib.suppress(OSError):
            self._mark_path.write_text(_identity(os.fstat(descriptor)))

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold off other processes that log in with the same file."""
        with self._opened() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    @property
    def _mark_path(self) -> Path:
        return self._path.with_name(self._path.name + ".refused")

    def _refused_mark(self) -> str | None:
        try:
            return self._mark_path.read_text()
        except OSError:
            return None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise PinUnavailable(f"{self._path.name}: {error.strerror}") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PinUnavailable(f"{self._path.name} is not a regular file")
            if status.st_mode & 0o077:
                raise PinUnavailable(f"{self._path.name} can be read by others than its owner")
            if status.st_uid not in (0, os.geteuid()):
                raise PinUnavailable(f"{self._path.name} belongs to another user")
            yield descriptor
        finally:
            os.close(descriptor)


def _identity(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_ctime_ns}"
