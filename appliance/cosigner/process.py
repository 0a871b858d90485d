"""The cosigner as a process: `python -m appliance.cosigner --home DIR`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Final

import structlog

from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings
from appliance.box.witnesses import read_witnesses
from appliance.box.words import write_word
from appliance.calls.pulse import Pulse
from appliance.cosigner.asking import CALL_SECONDS, WitnessLine
from appliance.cosigner.following import AGAIN_SECONDS, LogCosigning
from appliance.cosigner.heads import HeadsWriter
from appliance.cosigner.published import PublishedLog
from appliance.cosigner.word import CosignerWord
from appliance.log.reader import log_directory
from appliance.stopping import stop_event

WORD_SECONDS: Final = 1.0

log = structlog.get_logger("cosigner")


class Cosigner:
    """All logs of one box that have witnesses. Make it inside a running loop."""

    def __init__(
        self, home: Home, settings: BoxSettings, call_s: float = CALL_SECONDS, again_s: float = AGAIN_SECONDS
    ) -> None:
        """Raises WitnessesRefused."""
        witnesses = read_witnesses(settings)
        self._interval_s = settings.cosign_interval_ms / 1000
        self._word = home.cosigner_word
        self.lines = {witness.name: WitnessLine(witness, call_s) for witness in witnesses.known}
        self.logs = [
            LogCosigning(
                PublishedLog(log_directory(home.logs, origin), origin),
                origin,
                policy,
                self.lines,
                HeadsWriter(log_directory(home.cosigned, origin)),
                again_s,
            )
            for origin, policy in witnesses.policies.items()
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        tasks = [asyncio.create_task(self._follow(one, stop)) for one in self.logs]
        tasks += [asyncio.create_task(self._tell(stop)), asyncio.create_task(self._wake(stop))]
        try:
            await asyncio.gather(*tasks)  # one that fails ends the process: its restarts show
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in self.logs:
                await one.close()
            for line in self.lines.values():
                await line.close()

    async def _follow(self, one: LogCosigning, stop: asyncio.Event) -> None:
        while not stop.is_set():
            one.moved.clear()
            one.step()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(one.moved.wait(), self._interval_s)

    async def _wake(self, stop: asyncio.Event) -> None:
        """No interval keeps the process from its end."""
        await stop.wait()
        for one in self.logs:
            one.moved.set()

    async def _tell(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # a full disk: an old word says that something is wrong
                write_word(self._word, CosignerWord(time=time.time(), logs=[one.word() for one in self.logs]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WORD_SECONDS)


async def serve(home: Home, settings: BoxSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises WitnessesRefused, UnsafeSocketDirectory."""
    os.umask(0o027)
    stop = stop_event()
    cosigner = Cosigner(home, settings)
    pulse = Pulse()
    await pulse.start(home.cosigner_socket)
    say_ready()
    log.info("cosigner-ready", logs=len(cosigner.logs), witnesses=len(cosigner.lines))
    running = asyncio.create_task(cosigner.run(stop))
    await asyncio.wait({running, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await pulse.stop()
    await running
    log.info("cosigner-stopped")
