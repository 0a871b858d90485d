"""What a monitor remembers, in one file a log: the largest head that it saw, and what is wrong. Replaced as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.errors import CinnabarError
from appliance.files import lock_file, write_durably

_LOCK: Final = ".watching"


class MonitorStateUnusable(CinnabarError):
    """The monitor's state is damaged, another log's, or used by another process."""

    code = "monitor-state"
    title = "The monitor's state cannot be used"


class OpenAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, until a look finds it right again. A fork and a broken chain stay."""

    since: float
    """Seconds since the epoch."""
    detail: str
    evidence: str | None = None
    """File beside the state."""


class ChainPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The last opening of a tenant's chain of commitments that was checked."""

    index: int
    """Of the box leaf in the box's log."""
    commitment: str
    size: int
    root: str
    time_us: int
    """Of the leaf, as the box claims."""


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one log."""

    format: Literal["cinnabar-monitor-state/1"] = "cinnabar-monitor-state/1"
    origin: str
    head: str | None = None
    """The largest signed checkpoint that was seen, verbatim."""
    grown: float = 0.0
    """When it was first seen, seconds since the epoch."""
    looked: float = 0.0
    """When the log could last be read."""
    cosigned_size: int | None = None
    """Of the largest head with its witnesses."""
    uncosigned: int | None = None
    """Of the newest head at the last look, where it had not its witnesses yet."""
    chain: ChainPoint | None = None
    alarms: dict[str, OpenAlarm] = {}
    """By code."""


class MonitorState:
    """A directory of states. One process watches with it at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Raises MonitorStateUnusable, OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = lock_file(self.directory / _LOCK)
        except BlockingIOError:
            raise MonitorStateUnusable(f"another process watches with {self.directory}") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def read(self, origin: str) -> LogState:
        """Raises MonitorStateUnusable: a state that cannot be read is not a state that never was."""
        file = self._file(origin)
        try:
            found = msgspec.json.decode(file.read_bytes(), type=LogState)
        except FileNotFoundError:
            return LogState(origin=origin)
        except (msgspec.MsgspecError, OSError) as error:
            raise MonitorStateUnusable(f"{file}: {error}") from None
        if found.origin != origin:
            raise MonitorStateUnusable(f"{file} is of another log")
        return found

    def write(self, state: LogState) -> None:
        """Durably."""
        write_durably(self._file(state.origin), msgspec.json.format(msgspec.json.encode(state)))

    def keep(self, code: str, evidence: bytes) -> str:
        """Keep what shows that something is wrong; its file's name."""
        name = f"evidence-{code}-{hashlib.sha256(evidence).hexdigest()[:16]}.json"
        write_durably(self.directory / name, evidence)
        return name

    def _file(self, origin: str) -> Path:
        return self.directory / f"{hashlib.sha256(origin.encode()).hexdigest()}.json"
