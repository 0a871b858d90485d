"""Room that a witness keeps on its disk for what it must not forget when nothing more fits there.

That a log has two histories, or that our own state was lost, has to outlive the process that found it. So a file of a
fixed size stands beside the state, written once when it is made, and a refusal that the state could not take is
written into it, in place: no new block is asked for. What stands in it goes into the state with its next transaction.
On a file system that never writes in place (btrfs, ZFS) a full disk may refuse this too; then the journal says so.

    reserve = *(JSON LF) *(00)          65,536 bytes; a line a refusal: {"origin", "cause", "time", "evidence"}
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from appliance.files import read_file, sync_directory, write_file
from appliance.witness.errors import StateUnusable
from appliance.witness.state import Cause, ForkFound, LossFound, Remembered, Store

FILE: Final = "reserve"
SIZE: Final = 65_536

Refusal = ForkFound | LossFound


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    origin: str
    cause: Cause
    time: int
    evidence: bytes = b""
    """Of a fork; none where it was too large, and then the journal has it."""


class Reserve:
    """The file in one state directory. Used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """Makes the file where there is none. Raises StateUnusable."""
        self._path = directory / FILE
        try:
            if not self._path.exists():
                write_file(self._path, bytes(SIZE), 0o600)
                sync_directory(directory)
        except OSError as error:
            raise StateUnusable(f"{self._path}, room for what a full disk must not lose: {error.strerror}") from None
        self._kept = read_reserve(directory)

    @property
    def kept(self) -> tuple[Refusal, ...]:
        """What the state has not taken yet."""
        return self._kept

    def keep(self, refusals: Sequence[Refusal]) -> None:
        """Durably, in place. Raises OSError, with nothing changed for those that read, where it does not take them."""
        known = {(one.origin, type(one)) for one in self._kept}
        new = [one for one in refusals if (one.origin, type(one)) not in known]
        if new:
            kept = (*self._kept, *new)
            content = _encode(kept)
            if len(content) > SIZE:
                content = _encode([_without_evidence(one) for one in kept])
            if len(content) > SIZE:
                raise OSError("no room is left in it")
            self._write(content)
            self._kept = kept

    def clear(self) -> None:
        """The state has all of it. Raises OSError."""
        self._write(b"")
        self._kept = ()

    def _write(self, content: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            written = os.pwrite(descriptor, content.ljust(SIZE, b"\0"), 0)
            if written != SIZE:
                raise OSError(f"{written} of {SIZE} bytes were written")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def read_reserve(directory: Path) -> tuple[Refusal, ...]:
    """What the state in this directory could not take; nothing where there is no such file. Raises StateUnusable where
    what stands there is torn: then a log was to be refused, and it cannot be told which."""
    path = directory / FILE
    try:
        lines = read_file(path, SIZE).rstrip(b"\0")
        if lines and not lines.endswith(b"\n"):
            raise StateUnusable(f"{path} ends within a line. {_TORN}")
        return tuple(_refusal(msgspec.json.decode(line, type=_Line)) for line in lines.splitlines())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StateUnusable(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise StateUnusable(f"{path} has a line that is none. {_TORN}") from None


def remembered(store: Store) -> Remembered:
    """What stands in the state, and what it could not take. Raises StateUnusable."""
    found = store.remembered()
    waiting = {one.origin: _cause(one) for one in read_reserve(store.path.parent)}
    return replace(found, refused=waiting | found.refused)


_TORN: Final = (
    "A log was being refused when this witness was ended: its journal says which (log-forked, state-lost). "
    "Remove the file once you know, and keep that log out of the settings until its matter is decided."
)


def _refusal(line: _Line) -> Refusal:
    if line.cause == "fork":
        return ForkFound(line.origin, line.evidence, line.time)
    return LossFound(line.origin, line.time)


def _cause(one: Refusal) -> tuple[Cause, int]:
    return ("fork" if isinstance(one, ForkFound) else "state-lost"), one.time


def _without_evidence(one: Refusal) -> Refusal:
    return one._replace(evidence=b"") if isinstance(one, ForkFound) else one


def _encode(refusals: Sequence[Refusal]) -> bytes:
    lines = [
        _Line(
            origin=one.origin,
            cause=_cause(one)[0],
            time=one.time,
            evidence=one.evidence if isinstance(one, ForkFound) else b"",
        )
        for one in refusals
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
