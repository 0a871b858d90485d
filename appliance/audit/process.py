"""The audit process: `python -m appliance.audit --home DIR`.

It opens tenants' content keys and lets go of the tokens again; it makes no signature, and changes nothing of the
records but that it adds to the logs who was shown what.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import structlog

from appliance.audit.exporting import Exports
from appliance.audit.forwarding import Forwarder
from appliance.audit.index import Index
from appliance.audit.methods import REQUEST_LIMIT, Methods
from appliance.audit.room import AuditRoom
from appliance.audit.source import RecordSource
from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings, read_settings
from appliance.calls.server import CallServer
from appliance.recorder import RecorderClient, new_run_id
from appliance.stopping import stop_event

NICENESS = 5
"""Whoever signs comes first."""

log = structlog.get_logger("audit")


def audit_users(settings: BoxSettings) -> frozenset[int]:
    """Who may ask: root and the management service; whatever runs under our user only where that is not ours alone."""
    users = settings.users
    management = frozenset(() if users.management is None else (users.management,))
    separate = users.audit is not None and users.audit == os.geteuid() and management
    return management | {0} if separate else management | {0, os.geteuid()}


async def serve(home: Home, stop: asyncio.Event) -> None:
    """Run until told to stop."""
    settings = read_settings(home.settings)
    recorder = await RecorderClient.connect(home.recorder_socket, new_run_id(), lambda: (0, {}))
    index = Index(home.audit / "index.sqlite")
    room = AuditRoom(home, settings, RecordSource(recorder), index)
    room.open_logs()
    exports = Exports(room, home.audit_exports)
    forwarder = Forwarder(room)

    def status() -> dict[str, Any]:
        return {"logs": {name: index.size(name) for name in room.logs}, "forwarding": forwarder.status()}

    methods = Methods(room, exports, status).table()
    server = CallServer("audit", methods, audit_users(settings), request_limit=REQUEST_LIMIT)
    tasks = [asyncio.create_task(room.follow(), name="follow"), asyncio.create_task(forwarder.run(), name="forward")]
    home.audit_socket.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    await server.start(home.audit_socket, 0o660)
    log.info("audit-ready", logs=sorted(room.logs))
    say_ready()
    try:
        waiting = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()  # neither ends by itself
    finally:
        await server.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exports.close()
        with contextlib.suppress(Exception):
            await recorder.goodbye()
        await recorder.close()
        index.close()


async def _main(home: Home) -> None:
    stop = stop_event()
    await serve(home, stop)


def main(root: Path) -> None:
    """Run until SIGTERM or SIGINT."""
    os.nice(NICENESS)
    os.umask(0o027)
    asyncio.run(_main(Home(root)))
