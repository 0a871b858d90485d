"""The filer as a process: `python -m appliance.filer --home DIR [--peer N...]`."""

from __future__ import annotations

import os

import structlog

from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings
from appliance.filer.server import Filer
from appliance.stopping import stop_event

log = structlog.get_logger("filer")


async def serve(home: Home, settings: BoxSettings, users: frozenset[int]) -> None:
    """Run until SIGTERM or SIGINT. `users`: who may connect beside root; none: where all share our user, that.

    Raises UnsafeSocketDirectory."""
    os.umask(0o077)
    stop = stop_event()
    filer = Filer(settings.filing_hosts, (users or frozenset({os.geteuid()})) | {0})
    await filer.start(home.filer_socket)
    say_ready()
    log.info("filer-ready", hosts=len(settings.filing_hosts))
    await stop.wait()
    await filer.stop()
    log.info("filer-stopped")
