"""Openings of box leaves on disk: one line a leaf, in files of each tenant's own.

A new leaf is first written as pending, durably, then submitted to the recorder, then found among the entries of the
box's log, and only then given to the tenants' files with its index. Killed anywhere between, the pending leaf is found
among the entries or submitted again; the recorder takes it once.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from appliance.log.box_leaf import Leaf, Opening
from appliance.log.errors import LogDamaged
from appliance.log.integrator import sync_directory, write_durably

LEAVES_A_FILE = 1_024


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

    def pending(self) -> Pending | None:
        """The leaf that was being made, if any."""
        try:
            return msgspec.json.decode(self._pending.read_bytes(), type=Pending)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise LogDamaged(f"{self._pending} cannot be read: {error}") from None

    def settle(self, pending: Pending, index: int) -> None:
        """The pending leaf stands at `index`: give every tenant its line, durably, and forget it."""
        for name, opening in pending.openings.items():
            last = self.latest(name)
            if last is None or last.index < index:
                self._append(self._file(name, index), msgspec.json.encode(Line(index=index, opening=opening)))
        self._pending.unlink(missing_ok=True)

    def latest(self, name: str) -> Line | None:
        """A tenant's newest opening."""
        files = sorted((self._root / name).glob("*.jsonl"))
        for file in reversed(files):
            lines = _lines(file)
            if lines:
                return msgspec.json.decode(lines[-1], type=Line)
        return None

    def at(self, name: str, index: int) -> Line | None:
        """A tenant's opening of the leaf at `index` of the box's log."""
        try:
            lines = _lines(self._file(name, index))
        except FileNotFoundError:
            return None
        found = (msgspec.json.decode(line, type=Line) for line in lines)
        return next((line for line in found if line.index == index), None)

    def _file(self, name: str, index: int) -> Path:
        return self._root / name / f"{index // LEAVES_A_FILE:012d}.jsonl"

    @staticmethod
    def _append(file: Path, line: bytes) -> None:
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as handle:
            handle.seek(0)
            content = handle.read()
            # A line torn by a power cut was never settled: it is written again whole.
            handle.truncate(content.rfind(b"\n") + 1)
            handle.write(line + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        if new:
            sync_directory(file.parent)
            sync_directory(file.parent.parent)


def _lines(file: Path) -> list[bytes]:
    content = file.read_bytes()
    return content[: content.rfind(b"\n") + 1].splitlines()
