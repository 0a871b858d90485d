"""The keeping of one part: start it, start it again with growing pauses when it ends, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import structlog

from appliance.box import process
from appliance.box.parts import Part
from appliance.box.readiness import ReadyPipe

RESTART_DELAY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_AFTER_S = 30.0
LOOP_RESTARTS = 20
"""Restarts without a steady stretch after which a process counts as not staying up."""
STOP_TIMEOUT_S = 15.0
START_S = 30.0
"""How long a part may take to be ready before it counts as hung; the first time, before it is missed."""

log = structlog.get_logger("supervisor")


class PartRunner:
    """Keeps one part up until told to stop."""

    def __init__(self, part: Part, environment: dict[str, str], first: dict[str, str] | None = None) -> None:
        """`first`: what the first process alone finds in its environment besides."""
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.stopping = False
        self.why = ""
        """What the last process said that ended before it was ready."""
        self._environment = environment | part.environment
        self._first = first or {}
        self._task: asyncio.Task[None] | None = None
        self._pipe: ReadyPipe | None = None
        self._lives = 0
        self._begun = 0.0

    @property
    def up(self) -> bool:
        """Whether there is a process, which may not be of use yet."""
        return self.process is not None and self.process.returncode is None

    @property
    def ready(self) -> bool:
        """Whether the process that there is now has said that it is ready."""
        if self.process is None or self.process.returncode is not None:
            return False
        if self.part.says is not None:
            return self.part.says(self.process.pid)
        return self._pipe is not None and self._pipe.said

    @property
    def missed(self) -> bool:
        """Whether the part should be ready and is not. One that is being replaced is not missed: its successor serves,
        or takes its place in a moment; nor is one that starts for the first time."""
        if self.stopping or self._lives == 0 or self.ready:
            return False
        return not (self._lives == 1 and self.starting)

    @property
    def starting(self) -> bool:
        """Whether there is a process that is not ready and still has time for it, as a busy machine makes it need."""
        return self.up and not self.ready and time.monotonic() < self._begun + START_S

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_up(), name=f"keep-up-{self.part.name}")

    async def _keep_up(self) -> None:
        while not self.stopping:
            self._begun = started = time.monotonic()
            self._lives += 1
            pipe = ReadyPipe()
            try:
                self.process = await process.spawn(
                    self.part.command,
                    self.part.user,
                    self._environment | pipe.environment | (self._first if self._lives == 1 else {}),
                    (*self.part.inherited, pipe.theirs),
                    self.part.groups,
                    self.part.group,
                )
                self._pipe = pipe
                pipe.started()
                log.info("part-started", part=self.part.name, pid=self.process.pid)
                status = await self.process.wait()
                self.why = pipe.why
            finally:
                self._pipe = None
                pipe.close()
            process.end_group(self.process.pid)  # children of a part that was killed, such as nginx's workers
            if self.stopping:
                break
            self.restarts = 0 if time.monotonic() - started > STEADY_AFTER_S else self.restarts + 1
            delay = RESTART_DELAY_S[min(self.restarts, len(RESTART_DELAY_S) - 1)]
            told = {"why": self.why} if self.why else {}
            log.warning("part-ended", part=self.part.name, status=status, restarts=self.restarts, delay_s=delay, **told)
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
