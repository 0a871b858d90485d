"""The anchorer as a process: `python -m appliance.anchorer --home DIR [--peer N...]`."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time

import structlog

from appliance.anchorer.desk_client import DeskClient
from appliance.anchorer.heads import Heads
from appliance.anchorer.ledgers import open_ledger
from appliance.anchorer.methods import Methods
from appliance.anchorer.outbox import FILE, Outbox
from appliance.anchorer.running import LedgerRunner, told
from appliance.anchorer.word import EVERY_SECONDS, AnchorerWord
from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings
from appliance.box.words import write_word
from appliance.calls.server import CallServer
from appliance.errors import CinnabarError
from appliance.stopping import stop_event

log = structlog.get_logger("anchorer")

STOP_SECONDS = 5.0


async def serve(home: Home, settings: BoxSettings, users: frozenset[int]) -> None:
    """Run until SIGTERM or SIGINT. `users`: who may connect beside root; none: where all share our user, that."""
    os.umask(0o027)
    stop = stop_event()
    home.anchors.mkdir(mode=0o700, exist_ok=True)
    outbox = Outbox(home.anchors / FILE)
    runners, troubles = _runners(home, settings, outbox)
    methods = Methods(settings, outbox, runners, troubles)
    server = CallServer("anchorer", methods.table(), (users or frozenset({os.geteuid()})) | {0})
    home.anchorer_socket.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    await server.start(home.anchorer_socket, 0o660)
    tasks = [asyncio.create_task(runner.run(), name=name) for name, runner in runners.items()]
    tasks.append(asyncio.create_task(_tell(home, methods), name="word"))
    say_ready()
    log.info("anchorer-ready", ledgers=sorted(runners))
    await stop.wait()
    await server.stop()
    for task in tasks:
        task.cancel()
    # A ledger that does not even end when it is cancelled is left to the end of the process.
    await asyncio.wait([asyncio.gather(*tasks, return_exceptions=True)], timeout=STOP_SECONDS)
    for runner in runners.values():
        await asyncio.wait([asyncio.ensure_future(runner.ledger.close())], timeout=STOP_SECONDS)
    outbox.close()
    log.info("anchorer-stopped")


async def _tell(home: Home, methods: Methods) -> None:
    """Write the word, again and again."""
    while True:
        try:
            write_word(home.anchorer_word, AnchorerWord(time=time.time(), ledgers=await methods.ledgers()))
        except (OSError, sqlite3.Error) as error:
            log.warning("word-not-written", error=type(error).__name__)
        await asyncio.sleep(EVERY_SECONDS)


def _runners(home: Home, settings: BoxSettings, outbox: Outbox) -> tuple[dict[str, LedgerRunner], dict[str, str]]:
    """The ledgers that can be worked with, and why the others cannot."""
    heads, desk = Heads(home.logs, settings), DeskClient(home.ledger_desk_socket)
    runners: dict[str, LedgerRunner] = {}
    troubles: dict[str, str] = {}
    for one in settings.ledgers:
        try:
            ledger, profile = open_ledger(one, home.root, desk)
        except (CinnabarError, OSError, ValueError) as error:
            troubles[one.name] = told(error)
            log.error("ledger-not-started", ledger=one.name, error=troubles[one.name])
        else:
            runners[one.name] = LedgerRunner(ledger, one, profile, outbox, heads)
    return runners, troubles
