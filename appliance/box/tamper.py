"""The tamper latch: while HOME/TAMPERED stands, the box signs nothing and holds no secret that it can do without.

Whoever sees the signal writes the latch (`latch`); the supervisor looks for it twice a second. It shows the state to
every worker first, then takes the copies of PINs away and kills every process that has a token open. Workers come back
without tokens, to say how the box is; the keymaster comes back with the box's own token, which it needs to judge the
ceremony that alone lifts the latch (control TAMPER).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
import structlog

from appliance.box.home import Home
from appliance.box.keeping import PartRunner
from appliance.errors import CinnabarError
from appliance.files import sync_directory, write_file

STOPPED: Final = frozenset({"log", "audit"})
"""Parts that open tokens and are of no use without: they stay down."""
RESTARTED: Final = ("api-", "keymaster")
"""Parts that open tokens and come back without, by the beginnings of their names."""
DETAIL_CHARACTERS: Final = 200

log = structlog.get_logger("supervisor")


class Latch(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the latch."""

    signal: str
    """What was seen, for people."""
    time: int
    """Seconds since the epoch."""


def latch(home: Home, signal: str) -> None:
    """Say that the box was tampered with; a latch that stands stays as it is. It is on disk when this returns."""
    if home.tamper_latch.exists():
        return
    made = Latch(signal=signal[:DETAIL_CHARACTERS], time=int(time.time()))
    try:
        write_file(home.tamper_latch, msgspec.json.encode(made))
    except OSError:
        home.tamper_latch.touch()  # a full disk has room for a name, and a latch that cannot be read is one
    sync_directory(home.root)


def read_latch(home: Home) -> str | None:
    """What was seen, None without a latch. A latch that cannot be read is one."""
    try:
        made = msgspec.json.decode(home.tamper_latch.read_bytes(), type=Latch)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        return "the latch cannot be read"
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made.time))
    return f"{made.signal[:DETAIL_CHARACTERS]}, {at}"


class Guarded(Protocol):
    """The supervisor, as the guard needs it."""

    home: Home
    runners: list[PartRunner]

    def forget_pins(self) -> None: ...
    async def recall_pins(self) -> None: ...
    def publish(self) -> None: ...


class TamperGuard:
    """Honours the latch in one life of the box."""

    def __init__(self, box: Guarded) -> None:
        self._box = box
        self.holds = False
        """Whether secrets are dropped."""
        self._coming_back: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """At the start, before any part: a box that was tampered with comes up without its secrets."""
        if read_latch(self._box.home) is not None:
            self.holds = True
            self._box.forget_pins()

    def keeps_down(self, name: str) -> bool:
        """Whether a part is not to be started now."""
        coming_back = self._coming_back is not None and not self._coming_back.done()
        return (self.holds or coming_back) and name in STOPPED

    async def look(self) -> None:
        """Drop the secrets when the latch has come."""
        if self.holds or not self._box.home.tamper_latch.exists():
            return
        self.holds = True
        log.error("tampered", control="TAMPER", signal=read_latch(self._box.home))
        self._box.publish()  # from now on no worker takes a request that signs
        if self._coming_back is not None:
            self._coming_back.cancel()
        self._box.forget_pins()
        stopped = [runner for runner in self._box.runners if runner.part.name in STOPPED]
        for runner in stopped:
            runner.stopping = True
        _kill(stopped + [runner for runner in self._box.runners if runner.part.name.startswith(RESTARTED)])
        await asyncio.gather(*(runner.stop() for runner in stopped))
        self._box.publish()

    def close(self) -> None:
        """The box stops."""
        if self._coming_back is not None:
            self._coming_back.cancel()

    async def recover(self) -> None:
        """The ceremony was held: the latch goes, and everything comes back."""
        home = self._box.home
        home.tamper_latch.unlink(missing_ok=True)
        sync_directory(home.root)
        if self.holds:
            self.holds = False
            # Not waited for: officers may have to open the PINs, and the box is locked until they have.
            self._coming_back = asyncio.create_task(self._come_back(), name="come-back")
        self._box.publish()

    async def _come_back(self) -> None:
        try:
            await self._box.recall_pins()
            for runner in self._box.runners:
                if runner.part.name in STOPPED and not runner.up:
                    runner.start_again()
            _kill([runner for runner in self._box.runners if runner.part.name.startswith("api-")])
            log.warning("tamper-recovered", control="TAMPER")
        except CinnabarError as error:
            # The box then signs nothing until it is run again: its workers have no tokens.
            log.error("tamper-recovery-failed", control="TAMPER", error=type(error).__name__, detail=str(error))
        self._box.publish()


def _kill(runners: Sequence[PartRunner]) -> None:
    """End processes at once; those that are kept up come back."""
    for runner in runners:
        if runner.process is not None and runner.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                runner.process.kill()
