"""The life of a worker process: open, listen, serve, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

from appliance.api.application import Application
from appliance.api.endpoints import SOCKETS
from appliance.api.filing.sender import Sender
from appliance.api.hub import Hub
from appliance.api.intakes.runner import IntakeRunner
from appliance.api.jobs import JobRunner
from appliance.api.letters.clockwork import Clockwork
from appliance.api.startup import open_worker
from appliance.api.table import ENDPOINTS
from appliance.api.worker import Worker
from appliance.box.home import Home
from appliance.box.process import settle_objects
from appliance.box.readiness import say_ready
from appliance.box.settings import read_settings
from appliance.errors import CinnabarError
from appliance.stopping import stop_event

log = structlog.get_logger("api")


async def run_worker(home: Home, number: int) -> None:
    """Serve until SIGTERM or SIGINT; after SIGUSR1, which says that another process serves in this one's place, until
    nobody asks any more. Raises ConfigurationFaults, RecorderUnavailable, UnsafeSocketDirectory."""
    settings = read_settings(home.settings)
    os.umask(0o027)
    stop, replaced = stop_event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, replaced.set)
    worker = await open_worker(home, settings, number)
    hub = Hub(Application(worker, ENDPOINTS, settings.limits, worker.state.state), settings, loop)
    worker.hub = hub
    worker.jobs = JobRunner(worker)
    worker.jobs.start()
    worker.intakes = IntakeRunner(worker)
    worker.intakes.start()
    worker.clockwork = Clockwork(worker)
    worker.clockwork.start()
    worker.sender = Sender(worker)
    worker.sender.start()
    worker.reopening.start(stop.set)
    for listener in reversed(SOCKETS):
        await hub.listen(home.worker_socket(number, listener), listener)
    settle_objects()
    say_ready()
    log.info("worker-ready", worker=number, run=worker.counter.run, units=len(worker.units))
    await _first(stop.wait(), replaced.wait())
    if not stop.is_set():
        await _first(stop.wait(), hub.leave())
    await hub.stop()
    await close_worker(worker)
    log.info("worker-stopped", worker=number, signed=worker.counter.signed, drops=worker.counter.drops)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them has ended; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_worker(worker: Worker) -> None:
    """Finish or give back jobs, say goodbye to the recorder, close the tokens."""
    await worker.clockwork.stop()
    await worker.sender.stop()
    await worker.jobs.stop()
    await worker.intakes.stop()
    await worker.reopening.stop()
    said = False
    with contextlib.suppress(CinnabarError):
        await asyncio.wait_for(worker.recorder.goodbye(), 3.0)
        said = True
    await worker.documents.close()
    await worker.recorder.close()
    for token in worker.tokens.values():
        token.close()
    worker.counter.close(remove=said)
