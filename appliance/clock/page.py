"""The shared page HOME/run/clock/word: written by the monitor alone, mapped read-only by every worker.

Twelve native 64-bit integers. The first is a sequence number, odd while the page is being written; the last is the
CRC-32 of the ten between and the sequence, so that a torn read is seen whatever order a processor shows the stores in.
A reader that finds the sequence number it last decoded takes its decoded word again; one that finds the page being
written, by a writer who may have been interrupted there, goes on with that word too, which expires by itself.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Self

from appliance.clock.errors import TimeNotShown
from appliance.clock.word import Fault, Source, Word

PAGE_BYTES = mmap.PAGESIZE
_FIELDS = struct.Struct("@11q")
_WORDS = 12
_FORMAT = 0x43_4C_4F_43_4B_00_01  # "CLOCK", version 1
_NO_ERROR_BOUND = -1
_ATTEMPTS = 64
_ATTEMPTS_WITH_A_WORD = 3
_PAUSE_S = 0.000_2


def _pack(sequence: int, word: Word) -> bytes:
    return _FIELDS.pack(
        sequence,
        _FORMAT,
        word.source,
        word.boot_ns,
        word.offset_ns,
        _NO_ERROR_BOUND if word.error_ns is None else word.error_ns,
        word.growth_ppb,
        word.maximum_error_ns,
        word.expires_ns,
        word.leap_announced,
        word.fault,
    )


def _unpack(content: bytes) -> Word:
    _, version, source, boot, offset, error, growth, maximum, expires, leap, fault = _FIELDS.unpack(content)
    if version != _FORMAT:
        raise TimeNotShown("the clock page is of another version")
    return Word(
        source=Source(source),
        boot_ns=boot,
        offset_ns=offset,
        error_ns=None if error == _NO_ERROR_BOUND else error,
        growth_ppb=growth,
        maximum_error_ns=maximum,
        expires_ns=expires,
        leap_announced=bool(leap),
        fault=Fault(fault),
    )


class WordWriter:
    """The monitor's hold on the page, made if it is not there. One writer at a time: the supervisor sees to that."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # whatever the umask: workers of other users read it
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)  # a full disk shows here, not as a fault in a store
            self._page = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)
        self._view = memoryview(self._page).cast("q")
        self._sequence = self._view[0] | 1  # a predecessor may have died while it wrote

    def write(self, word: Word) -> None:
        """Publish a word."""
        sequence = self._sequence + 1
        self._view[0] = self._sequence
        content = _pack(sequence, word)
        self._page[8 : _FIELDS.size] = content[8:]
        self._view[_WORDS - 1] = zlib.crc32(content)
        self._view[0] = sequence
        self._sequence = sequence + 1

    def close(self) -> None:
        """Unmap the page; the last word stays in it."""
        self._view.release()
        self._page.close()


class WordReader:
    """A process's view of the page. It may be opened before there is one: reading then says that time is not shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._page: mmap.mmap | None = None
        self._view = memoryview(b"\x00" * 8).cast("q")
        self._sequence = -1
        self._word: Word | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> Word:
        """The monitor's latest word. Raises TimeNotShown if there is none or it is never whole."""
        if self._page is None:
            self._open()
        if self._word is not None and self._view[0] == self._sequence:
            return self._word
        return self._decode()

    def _open(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise TimeNotShown("the clock monitor has not spoken yet") from None
        try:
            if os.fstat(descriptor).st_size < PAGE_BYTES:
                raise TimeNotShown("the clock monitor has not spoken yet")
            self._page = mmap.mmap(descriptor, PAGE_BYTES, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self._view = memoryview(self._page).cast("q")

    def _decode(self) -> Word:
        if self._page is not None:
            for _ in range(_ATTEMPTS if self._word is None else _ATTEMPTS_WITH_A_WORD):
                content = self._page[: _FIELDS.size]
                sequence = int.from_bytes(content[:8], sys.byteorder)
                if not sequence & 1 and self._view[_WORDS - 1] == zlib.crc32(content) and self._view[0] == sequence:
                    self._word = _unpack(content)
                    self._sequence = sequence
                    return self._word
                if self._word is None:
                    time.sleep(_PAUSE_S)  # the writer may have lost its turn in the middle of a word
        if self._word is not None:
            return self._word
        raise TimeNotShown("the clock monitor's word is not whole")

    def close(self) -> None:
        """Unmap the page."""
        self._view.release()
        if self._page is not None:
            self._page.close()
            self._page = None
        self._word = None
