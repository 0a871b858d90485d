"""The high-water mark of a time-stamping unit: the latest genTime that any process took, shared through one page.

genTime of a unit never runs backwards by more than the declared accuracy (control TIME). The mark is taken before the
signature, so a process that dies in between only leaves the mark too high, never too low.

The page HOME/run/marks/UNIT has one slot a process, a native 64-bit integer of microseconds, and the mark is the
greatest of all slots. A process writes its own slot alone, so no lock is needed and no update can be lost; it holds a
lock on its slot's bytes while it lives, and takes over a slot, value and all, that nobody holds.

An `ordering` unit gives strictly increasing times: there, reading the greatest and writing one's own is one step under
a lock of the whole page.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
from pathlib import Path

from appliance.timestamps.errors import MarkUnavailable, TimeRanBackwards

SLOTS = 32
_SLOT_BYTES = 8
_PAGE_BYTES = mmap.PAGESIZE
_SLOT_VALUES = struct.Struct(f"@{SLOTS}q")  # native, so that each value is copied in one piece
_ORDERING_LOCK_BYTE = _SLOT_VALUES.size
_ENDURED_TOLERANCE_US = 1_000_000


def _lock(descriptor: int, operation: int, kind: int, start: int, length: int) -> None:
    # struct flock of Linux with 64-bit offsets: type, whence, start, length, pid (0 for locks of open descriptions)
    fcntl.fcntl(descriptor, operation, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0))


def _greatest(page: mmap.mmap) -> int:
    values: tuple[int, ...] = _SLOT_VALUES.unpack_from(page)
    return max(values)


class HighWaterMark:
    """One process's hold on a unit's mark.

    `tolerance_us` is how far behind the mark a time may be and still be given out: the unit's declared accuracy.
    """

    def __init__(self, path: Path, *, tolerance_us: int | None, ordering: bool = False) -> None:
        """Open or make the page and take a slot. `tolerance_us` None, a unit without accuracy, counts as one second.

        Raises MarkUnavailable when living processes hold every slot.
        """
        self._tolerance_us = _ENDURED_TOLERANCE_US if tolerance_us is None else tolerance_us
        self._ordering = ordering
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._slot = self._take_slot(path)
            os.posix_fallocate(self._descriptor, 0, _PAGE_BYTES)  # a full disk shows here, not as a fault in a store
            self._page = mmap.mmap(self._descriptor, _PAGE_BYTES)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._view = memoryview(self._page).cast("q")
        self._floor_us = self.mark_us

    def _take_slot(self, path: Path) -> int:
        for slot in range(SLOTS):
            try:
                _lock(self._descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, slot * _SLOT_BYTES, _SLOT_BYTES)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
            else:
                return slot
        raise MarkUnavailable(f"all {SLOTS} slots of the mark of {path.name} are held")

    @property
    def mark_us(self) -> int:
        """The unit's mark: microseconds since the epoch; 0 before the first stamp."""
        return _greatest(self._page)

    def raise_to(self, durable_us: int) -> None:
        """Take over the durable mark that the recorder has on disk; called once at start.

        Until the clock has passed it (and the mark that the page had), `take` refuses: after a restart the box waits.
        """
        self._view[self._slot] = max(self._view[self._slot], durable_us)
        self._floor_us = max(self._floor_us, durable_us)

    def take(self, time_us: int) -> int:
        """Raise the mark to the time and give the genTime to use: the time itself, or for `ordering` a later one.

        Raises TimeRanBackwards if the time is behind the mark by more than the tolerance, or has not yet passed the
        mark that was found at start: the unit waits.
        """
        if time_us <= self._floor_us:
            raise TimeRanBackwards(f"the clock is {(self._floor_us - time_us) / 1e6:.6f} s behind the mark at start")
        if self._ordering:
            return self._take_in_order(time_us)
        mark_us = _greatest(self._page)
        if time_us > mark_us:
            self._view[self._slot] = time_us
        elif time_us < mark_us - self._tolerance_us:
            raise TimeRanBackwards(f"the clock is {(mark_us - time_us) / 1e6:.6f} s behind the unit's last stamp")
        return time_us

    def _take_in_order(self, time_us: int) -> int:
        _lock(self._descriptor, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _ORDERING_LOCK_BYTE, 1)
        try:
            mark_us = _greatest(self._page)
            taken_us = max(time_us, mark_us + 1)
            if taken_us - time_us > self._tolerance_us:
                raise TimeRanBackwards(f"the clock is {(mark_us - time_us) / 1e6:.6f} s behind the unit's last stamp")
            self._view[self._slot] = taken_us
            return taken_us
        finally:
            _lock(self._descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _ORDERING_LOCK_BYTE, 1)

    def close(self) -> None:
        """Unmap the page and let the slot go; its value stays in the page."""
        self._view.release()
        self._page.close()
        os.close(self._descriptor)
