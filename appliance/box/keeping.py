"""The keeping of one part: start it, start it again with growing pauses when it ends, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import structlog

from appliance.box import process
from appliance.box.parts import Part

RESTART_DELAY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_AFTER_S = 30.0
LOOP_RESTARTS = 20
"""Restarts without a steady stretch after which a process counts as not staying up."""
STOP_TIMEOUT_S = 15.0

log = structlog.get_logger("supervisor")


class PartRunner:
    """Keeps one part up until told to stop."""

    def __init__(self, part: Part, environment: dict[str, str]) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.stopping = False
        self._environment = environment | part.environment
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_up(), name=f"keep-up-{self.part.name}")

    async def _keep_up(self) -> None:
        while not self.stopping:
            started = time.monotonic()
            self.process = await process.spawn(
                self.part.command,
                self.part.user,
                self._environment,
                self.part.inherited,
                self.part.groups,
                self.part.group,
            )
            log.info("part-started", part=self.part.name, pid=self.process.pid)
            status = await self.process.wait()
            process.end_group(self.process.pid)  # children of a part that was killed, such as nginx's workers
            if self.stopping:
                break
            self.restarts = 0 if time.monotonic() - started > STEADY_AFTER_S else self.restarts + 1
            delay = RESTART_DELAY_S[min(self.restarts, len(RESTART_DELAY_S) - 1)]
            log.warning("part-ended", part=self.part.name, status=status, restarts=self.restarts, delay_s=delay)
            await asyncio.sleep(delay)

    def start_again(self) -> None:
        """Keep up a part that has ended while it was not to be started again."""
        self.stopping = False
        self.start()

    async def leave(self, patience_s: float) -> None:
        """Tell a part that another process has taken over; stop it when it has not ended by itself in that time."""
        self.stopping = True
        try:
            if self.process is not None and self.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self.process.send_signal(signal.SIGUSR1)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), patience_s)
        finally:
            await self.stop()

    async def stop(self) -> int | None:
        """Ask the part to stop, wait, and end it by force if it does not. Returns its exit status."""
        self.stopping = True
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.part.stop_signal)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                log.error("part-killed", part=self.part.name)
                with contextlib.suppress(ProcessLookupError):
                    self.process.kill()
                await self.process.wait()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        return None if self.process is None else self.process.returncode
