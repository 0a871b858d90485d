"""The filer as a process: `python -m appliance.filer --home DIR [--peer N...]`."""

from __future__ import annotations

import asyncio
import os
import signal

import structlog

from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings
from appliance.filer.server import Filer

log = structlog.get_logger("filer")


async def serve(home: Home, settings: BoxSettings, users: frozenset[int]) -> None:
    """Run until SIGTERM or SIGINT. `users`: who may connect beside root; none: where all share our user, that.

    Raises UnsafeSocketDirectory."""
    os.umask(0o077)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    filer = Filer(settings.filing_hosts, (users or frozenset({os.geteuid()})) | {0})
    await filer.start(home.filer_socket)
    say_ready()
    log.info("filer-ready", hosts=len(settings.filing_hosts))
    await stop.wait()
    await filer.stop()
    log.info("filer-stopped")
