"""What a worker does by itself, turn after turn, until it is stopped; it outlives whatever it meets."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Final

import structlog

from appliance.errors import CinnabarError
from hsm.errors import HsmError

AGAIN_SECONDS: Final = 1.0
"""After a turn that failed."""

log = structlog.get_logger("api")


class Background(ABC):
    """Goes on with `_turn`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Returns when the turn at hand has ended; it ends early if it looks at `_stopping`."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def poke(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    @abstractmethod
    async def _turn(self) -> float:
        """Do something; the seconds after which to look again, unless poked."""

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                seconds = await self._turn()
            except (CinnabarError, HsmError) as error:
                log.warning(f"{self._name}-failed", code=getattr(error, "code", type(error).__name__))
                seconds = AGAIN_SECONDS
            except Exception:
                log.exception(f"{self._name}-failed")
                seconds = AGAIN_SECONDS
            if seconds:
                await self._pause(seconds)
