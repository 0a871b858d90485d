"""Counts of C_Sign calls that survive the process that made them (control RECORD).

Every process life that signs has one page in HOME/run/counters, named by its run id: eight bytes, little-endian, the
number of C_Sign calls, raised before each call. The page is shared memory over a file: after kill -9 the recorder reads
the last value, so that calls whose rows never came are shown and not lost.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

PAGE_BYTES = 8


def new_run_id() -> str:
    """Random id of one life of a process: 32 hexadecimal digits."""
    return os.urandom(16).hex()


class CallCounter:
    """The writing side. Call `count` immediately before each C_Sign; one thread at a time may count."""

    __slots__ = ("_page", "path", "run", "signed")

    def __init__(self, directory: Path, run: str) -> None:
        self.run = run
        self.path = directory / run
        self.signed = 0
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # whatever the umask: the recorder, another user, reads it
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)  # a full disk shows here, not as a fault in a store
            self._page = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)

    def count(self) -> None:
        """One more C_Sign call is about to be made."""
        self.signed += 1
        _store(self._page, 0, self.signed)

    def close(self, *, remove: bool = False) -> None:
        """Let go of the page; `remove` it after a goodbye, when the recorder has the count."""
        self._page.close()
        if remove:
            self.path.unlink(missing_ok=True)


_store = struct.Struct("<Q").pack_into


def read_count(directory: Path, run: str) -> int | None:
    """The last value that a run's page shows, or None where there is no page."""
    if len(run) != 32 or not set(run) <= set("0123456789abcdef"):
        return None
    try:
        data = (directory / run).read_bytes()
    except OSError:
        return None
    return int.from_bytes(data, "little") if len(data) == PAGE_BYTES else None
