"""Counts of C_Sign calls, and of signatures that never left, that survive the process that made them (control RECORD).

Every process life that signs has one page in HOME/run/counters, named by its run id: 64 places of 64 bytes. The first
eight bytes of the page are the number of C_Sign calls, raised before each call. Each further place holds a reason for
which signatures were dropped (ASCII, filled with zeros to 56 bytes) and how many (eight bytes). Numbers are
little-endian. The page is shared memory over a file: after kill -9 the recorder reads the last values, so that calls
whose rows never came are shown and not lost, and a signature dropped on purpose is not taken for one in flight.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple

from appliance.files import read_file

PLACES = 64
PLACE_BYTES = 64
PAGE_BYTES = PLACES * PLACE_BYTES
REASON_BYTES = PLACE_BYTES - 8
OVERFLOW = "other"
"""The last place: for reasons that have no place left."""

_number = struct.Struct("<Q")


class Counts(NamedTuple):
    """Of one run, both only grow."""

    signed: int
    """Calls of C_Sign."""
    drops: dict[str, int]
    """Signatures that were made and will not be released, by reason."""

    def newest(self, other: Counts | None) -> Counts:
        """What is known from two sources, either of which may be behind."""
        if other is None:
            return self
        drops = {reason: max(count, self.drops.get(reason, 0)) for reason, count in other.drops.items()}
        return Counts(max(self.signed, other.signed), self.drops | drops)


def new_run_id() -> str:
    """Random id of one life of a process: 32 hexadecimal digits."""
    return os.urandom(16).hex()


class CallCounter:
    """The writing side, of one life of a process; several threads may count."""

    __slots__ = ("_guard", "_page", "_places", "drops", "path", "run", "signed")

    def __init__(self, directory: Path, run: str) -> None:
        self.run = run
        self.path = directory / run
        self.signed = 0
        self.drops: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._guard = threading.Lock()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # whatever the umask: the recorder, another user, reads it
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)  # a full disk shows here, not as a fault in a store
            self._page = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)

    def count(self) -> None:
        """One more C_Sign call is about to be made."""
        with self._guard:
            self.signed += 1
            _store(self._page, 0, self.signed)

    def drop(self, reason: str, signatures: int = 1) -> None:
        """Signatures were made that will not be released. `reason`: at most 56 ASCII characters."""
        with self._guard:
            place = self._place_of(reason)
            reason = reason if place < PLACES - 1 else OVERFLOW
            count = self.drops[reason] = self.drops.get(reason, 0) + signatures
            _store(self._page, place * PLACE_BYTES + REASON_BYTES, count)

    def counts(self) -> Counts:
        """As they are now."""
        return Counts(self.signed, self.drops)

    def close(self, *, remove: bool = False) -> None:
        """Let go of the page; `remove` it after a goodbye, when the recorder has the counts."""
        self._page.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def _place_of(self, reason: str) -> int:
        place = self._places.get(reason)
        if place is None:
            place = self._places[reason] = min(len(self._places) + 1, PLACES - 1)
            name = (reason if place < PLACES - 1 else OVERFLOW).encode()
            # Its count is still zero: a reader passes by a name that is not wholly written.
            struct.pack_into(f"{REASON_BYTES}s", self._page, place * PLACE_BYTES, name)
        return place


_store = _number.pack_into


def read_counts(directory: Path, run: str) -> Counts | None:
    """The last values that a run's page shows, or None where there is no page."""
    if len(run) != 32 or not set(run) <= set("0123456789abcdef"):
        return None
    try:
        page = read_file(directory / run, PAGE_BYTES)
    except OSError:
        return None
    if len(page) != PAGE_BYTES:
        return None
    drops = {}
    for start in range(PLACE_BYTES, PAGE_BYTES, PLACE_BYTES):
        (count,) = _number.unpack_from(page, start + REASON_BYTES)
        if count:
            drops[page[start : start + REASON_BYTES].rstrip(b"\0").decode("ascii", "replace")] = count
    return Counts(_number.unpack_from(page)[0], drops)
