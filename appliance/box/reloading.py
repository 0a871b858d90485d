"""Taking over other settings while the box runs: one process after another, and no request fails.

An API worker is replaced by starting its successor beside it. The successor moves its sockets onto the paths once it
serves; the worker before it then answers what still comes on connections that stand, and ends when the front has let
go of the last (appliance.api.connections, `leave`). What nobody waits for is stopped and started. When a part does not
come up, the box goes back to the settings that it had.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from appliance.box.adoption import CHANGEABLE, check_adoption
from appliance.box.control import AdoptionFailed
from appliance.box.home import Home
from appliance.box.keeping import PartRunner
from appliance.box.settings import BoxSettings, encode_settings, read_settings
from appliance.files import sync_directory, write_file

START_TIMEOUT_S = 60.0
LEAVE_TIMEOUT_S = 30.0
"""How long a worker that was replaced may go on answering what it has; then it is stopped as at the box's end."""

log = structlog.get_logger("supervisor")


class Reloadable(Protocol):
    """The supervisor, as reloading needs it."""

    home: Home
    settings: BoxSettings
    runners: list[PartRunner]

    def take_over(self, settings: BoxSettings) -> None:
        """Prepare the home for processes with these settings, and judge the box by them from now on."""

    def swap(self, old: PartRunner, new: PartRunner) -> None:
        """A part is kept by another runner now."""

    def runner(self, part: PartRunner) -> PartRunner:
        """A runner of the same part, not started."""

    async def fit_parts(self) -> None:
        """Start what the settings ask for and is not there, end what they do not ask for any more."""

    def reload_fronts(self) -> None:
        """Have the fronts read their configuration, made anew from the settings."""


class Reloading:
    """Adoptions of one life of the box, one at a time."""

    def __init__(self, box: Reloadable) -> None:
        self._box = box
        self._one = asyncio.Lock()

    async def adopt(self, following: BoxSettings) -> None:
        """Go on with other settings. Raises AdoptionRefused, AdoptionFailed."""
        async with self._one:
            before = read_settings(self._box.home.settings)
            check_adoption(before, following)
            running = self._box.settings
            wanted = _merged(running, following)
            if before == following and running == wanted:
                return
            log.info("adopting-settings", changed=_changed(running, wanted))
            self._write(following)
            try:
                await self._go_over(running, wanted)
            except BaseException as error:
                # Also when the box is being stopped: settings that never worked are not what it starts with again.
                self._write(before)
                if isinstance(error, asyncio.CancelledError):
                    raise
                log.error("adoption-failed", error=type(error).__name__, detail=str(error))
                await self._go_over(wanted, running)
                if isinstance(error, AdoptionFailed):
                    raise
                raise AdoptionFailed(f"{type(error).__name__}") from error
            log.info("settings-adopted")

    def _write(self, settings: BoxSettings) -> None:
        write_file(self._box.home.settings, encode_settings(settings))
        sync_directory(self._box.home.root)

    async def _go_over(self, old: BoxSettings, new: BoxSettings) -> None:
        box = self._box
        changed = set(_changed(old, new))
        box.take_over(new)
        if changed & {"limits", "records", "logs"}:
            self._tell("recorder", signal.SIGHUP)
        if old.limits.document != new.limits.document:
            box.reload_fronts()
        for runner in [one for one in box.runners if one.part.vitals is not None]:
            await self._replace(runner)
        if changed & {"tokens", "tenants", "logs"}:
            for name in ("log", "audit"):
                await self._restart(name)
        if changed & {"logs", "witnesses"}:
            await self._restart("cosigner")
            await box.fit_parts()

    def _tell(self, name: str, number: signal.Signals) -> None:
        for runner in self._box.runners:
            if runner.part.name == name and runner.process is not None and runner.up:
                runner.process.send_signal(number)

    async def _replace(self, old: PartRunner) -> None:
        """Start a worker's successor, and let the worker leave."""
        new = self._box.runner(old)
        old.stopping = True  # it is not started again beside its successor
        new.start()
        try:
            await _until(
                lambda: new.ready,
                lambda: new.restarts > 0,
                f"{new.part.name} did not come up with the new settings",
            )
        except BaseException:
            await new.stop()
            if old.up:
                old.stopping = False
            else:
                old.start_again()
            raise
        self._box.swap(old, new)
        await old.leave(LEAVE_TIMEOUT_S)

    async def _restart(self, name: str) -> None:
        for old in [one for one in self._box.runners if one.part.name == name]:
            new = self._box.runner(old)
            await old.stop()
            self._box.swap(old, new)
            new.start()
            if new.part.needed:
                await _until(lambda new=new: new.ready, lambda: False, f"{name} did not come up")  # type: ignore[misc]


def _merged(running: BoxSettings, following: BoxSettings) -> BoxSettings:
    """What runs was told more on its command line, such as the fronts' addresses."""
    return msgspec.structs.replace(running, **{name: getattr(following, name) for name in CHANGEABLE})


def _changed(old: BoxSettings, new: BoxSettings) -> list[str]:
    return sorted(name for name in CHANGEABLE if getattr(old, name) != getattr(new, name))


async def _until(condition: Callable[[], bool], hopeless: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if hopeless() or time.monotonic() > deadline:
            raise AdoptionFailed(failure)
        await asyncio.sleep(0.02)
