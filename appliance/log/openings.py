"""Openings of box leaves on disk: one line a leaf, in files of each tenant's own.

A new leaf is first written as pending, durably, then submitted to the recorder, then found among the entries of the
box's log, and only then given to the tenants' files with its index. Killed anywhere between, the pending leaf is found
among the entries or submitted again; the recorder takes it once.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import msgspec

from appliance.files import open_file, sync_directory, sync_file, write_durably
from appliance.log.box_leaf import Leaf, Opening
from appliance.log.errors import LogDamaged

LEAVES_A_FILE = 1_024
FLUSHES_AT_ONCE = 16
_LONGEST_LINE = 65_536
_MOST_BYTES = LEAVES_A_FILE * _LONGEST_LINE


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a tenant's file. `index`: of the leaf in the box's log."""

    index: int
    opening: Opening


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf on its way. `after`: size of the box's log when it was made."""

    after: int
    leaf: Leaf
    openings: dict[str, Opening]


class Openings:
    """The openings of one box, below its log's directory."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "openings"
        self._pending = directory / "pending-leaf.json"

    def write_pending(self, pending: Pending) -> None:
        write_durably(self._pending, msgspec.json.encode(pending))

    @property
    def settling(self) -> bool:
        """Whether a leaf is on its way: some tenants may have its opening and others not yet."""
        return self._pending.exists()

    def pending(self) -> Pending | None:
        """The leaf that was being made, if any."""
        try:
            return msgspec.json.decode(self._pending.read_bytes(), type=Pending)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise LogDamaged(f"{self._pending} cannot be read: {error}") from None

    def settle(self, pending: Pending, index: int) -> None:
        """The pending leaf stands at `index`: give every tenant its line, durably, and forget it.

        All lines are written before the first is flushed, and flushed side by side: so a leaf of a thousand tenants
        waits for a few writes of the disk, not for a thousand.
        """
        files = [self._file(name, index) for name in pending.openings]
        new = {place for file in files if not file.exists() for place in (file.parent, file.parent.parent)}
        for file, (name, opening) in zip(files, pending.openings.items(), strict=True):
            last = self.latest(name)
            if last is None or last.index < index:
                _append(file, msgspec.json.encode(Line(index=index, opening=opening)))
        with ThreadPoolExecutor(FLUSHES_AT_ONCE, "openings") as threads:
            # Those that have their line already too: whoever wrote it may have been killed before it was durable.
            for _ in (*threads.map(sync_file, files), *threads.map(sync_directory, new)):
                pass
        self._pending.unlink(missing_ok=True)

    def latest(self, name: str) -> Line | None:
        """A tenant's newest opening."""
        for file in reversed(self.files(name)):
            line = _last(file)
            if line is not None:
                return line
        return None

    def first(self, name: str, holds: Callable[[Line], bool]) -> Line | None:
        """A tenant's first opening for which `holds`; what holds for one must hold for every later one.

        Raises LogDamaged where a line cannot be read.
        """
        files = self.files(name)

        def held_by(file: Path) -> bool:
            line = _last(file)
            return line is None or holds(line)

        place = bisect_left(files, True, key=held_by)
        if place == len(files):
            return None
        content = _whole_lines(files[place])
        low, high = 0, len(content)
        while low < high:
            middle = (low + high) // 2
            start = max(low, content.rfind(b"\n", low, middle) + 1)
            end = content.index(b"\n", middle) + 1
            if holds(_decode(files[place], content[start:end])):
                high = start
            else:
                low = end
        if low == len(content):
            return None
        return _decode(files[place], content[low : content.index(b"\n", low)])

    def names(self) -> list[str]:
        """The tenants that have openings."""
        return sorted(entry.name for entry in self._root.iterdir()) if self._root.exists() else []

    def files(self, name: str) -> list[Path]:
        """A tenant's files, oldest first."""
        return sorted((self._root / name).glob("*.jsonl"))

    def directory(self, name: str) -> Path:
        """Of a tenant's files."""
        return self._root / name

    def _file(self, name: str, index: int) -> Path:
        return self._root / name / f"{index // LEAVES_A_FILE:012d}.jsonl"


def _append(file: Path, line: bytes) -> None:
    """Write a line, not yet durably. One that was torn by a power cut was never settled: it is written again whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as handle:
        end = handle.tell()
        handle.seek(max(0, end - _LONGEST_LINE))
        tail = handle.read()
        handle.truncate(end - (len(tail) - (tail.rfind(b"\n") + 1)))
        handle.write(line + b"\n")


def read_lines(file: Path) -> list[Line]:
    """Every whole line of a tenant's file. Raises LogDamaged."""
    return [_decode(file, line) for line in _whole_lines(file).splitlines()]


def _opened(file: Path) -> BinaryIO:
    try:
        return open_file(file)
    except OSError as error:
        raise LogDamaged(f"{file} cannot be read: {error.strerror}") from None


def read_whole(file: Path) -> bytes:
    """All of a tenant's file. Raises LogDamaged."""
    with _opened(file) as handle:
        content = handle.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise LogDamaged(f"{file} cannot be read: more than {_MOST_BYTES} bytes")
    return content


def _whole_lines(file: Path) -> bytes:
    content = read_whole(file)
    return content[: content.rfind(b"\n") + 1]


def _last(file: Path) -> Line | None:
    with _opened(file) as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - 2 * _LONGEST_LINE))
        content = handle.read()
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return _decode(file, lines[-1]) if lines else None


def _decode(file: Path, line: bytes) -> Line:
    try:
        return msgspec.json.decode(line, type=Line)
    except (ValueError, RecursionError) as error:
        raise LogDamaged(f"{file} has a line that cannot be read: {error}") from None
