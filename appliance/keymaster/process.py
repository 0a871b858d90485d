"""The keymaster process: the only one that changes keys and uses the CAs' keys.

Desk, console, engine and housekeeping live in one loop. It serves from its first moment, before recorder and token have
answered, and says then what is missing; housekeeping goes on also where the constitution is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from pathlib import Path

import structlog

import hsm
from appliance.box import journal as journal_of_process
from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings, read_settings
from appliance.calls.server import CallServer
from appliance.errors import CinnabarError
from appliance.keymaster.approve import approval_server
from appliance.keymaster.approvers import publish_approvers
from appliance.keymaster.certificates.enrolling import Enrolling
from appliance.keymaster.console.line import ConsoleLine
from appliance.keymaster.console.server import Console
from appliance.keymaster.context import TRANSIENT, Room, Tokens
from appliance.keymaster.desk import Desk
from appliance.keymaster.engine import Engine
from appliance.keymaster.execution import Executions
from appliance.keymaster.housekeeping import Housekeeping
from appliance.keymaster.journal import Journal
from appliance.keymaster.keys.endings import end_keys
from appliance.keymaster.keys.ledger_founding import begin_ledger
from appliance.keymaster.keys.ledger_watch import LedgerWatch
from appliance.keymaster.keys.leftovers import Leftovers
from appliance.keymaster.officers.candidates import Candidates
from appliance.keymaster.officers.constitutions import Constitutions
from appliance.keymaster.officers.founding import govern
from appliance.keymaster.recording import AdminLink, Recording
from appliance.keymaster.registry import load_actions
from appliance.recorder import RecorderClient
from appliance.recorder.counts import CallCounter, new_run_id
from appliance.recorder.errors import RecorderUnavailable
from appliance.stopping import stop_event

ROUND_SECONDS = 2.0

log = structlog.get_logger("keymaster")


class Keymaster:
    """One life of the process."""

    def __init__(self, home: Home, settings: BoxSettings) -> None:
        load_actions()
        home.keymaster.mkdir(mode=0o700, exist_ok=True)
        self._home = home
        self._counter = CallCounter(home.counters, new_run_id())
        self._journal = Journal(home.journal)
        admin = AdminLink(home.admin_socket)

        def tenants() -> list[str]:
            return [tenant.name for tenant in self.room.settings.tenants]

        self.room = Room(
            home=home,
            settings=settings,
            journal=self._journal,
            tokens=Tokens(home, self._counter),
            constitutions=Constitutions(
                self._journal,
                home.constitutions,
                settings.box_id,
                settings.rehearsal,
                self._box_token,
            ),
            candidates=Candidates(self._journal),
            console=ConsoleLine(self._journal),
            admin=admin,
            recording=Recording(self._journal, admin, tenants),
        )
        self.engine = Engine(self.room)
        self.executions = Executions(self.engine)
        self._housekeeping = Housekeeping(self.room)
        self.leftovers = Leftovers(self.room)
        self._watch = LedgerWatch(self.room)
        self._governed = False
        desk = Desk(self.engine, self.executions).methods()
        console = Console(self.engine, self.executions).methods()
        self._desk = CallServer("desk", desk, desk_users(settings))
        self._console = CallServer("console", console, console_users(settings))
        self._enrol = CallServer("enrol", Enrolling(self.room).methods(), enrol_users(settings))

    def _box_token(self) -> hsm.Token:
        return self.room.box_token()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve, and look every two seconds at what is due, until told to stop."""
        # Who may speak is looked at when they connect; the mode lets them come so far.
        await self._desk.start(self._home.desk_socket, 0o666)
        await self._console.start(self._home.console_socket, 0o600)
        await self._enrol.start(self._home.enrol_socket, 0o666)
        approvals = approval_server(self.engine, self.executions)
        await approvals.listen(self._home.approve_socket)
        say_ready()
        try:
            await self._connect(stop)
            await self.room.constitutions.load()
            with contextlib.suppress(CinnabarError, OSError):  # else in the first round in which it can be
                await self._govern()
                await publish_approvers(self.room)
            log.info(
                "keymaster-ready", founded=self.room.constitutions.founded, refused=self.room.constitutions.refusal
            )
            while not stop.is_set():
                await self._housekeeping.round()
                await self._round()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), ROUND_SECONDS)
        finally:
            await approvals.stop()
            await self._end()

    async def _connect(self, stop: asyncio.Event) -> None:
        while self.room.recorder is None and not stop.is_set():
            try:
                self.room.recorder = await RecorderClient.connect(
                    self._home.recorder_socket,
                    self._counter.run,
                    self._counter.counts,
                    on_dropped=self._counter.drop,
                )
            except RecorderUnavailable:
                log.warning("recorder-silent")

    async def _govern(self) -> None:
        """Have the recorder govern the register from the first moment that there is a constitution: a founding may have
        been cut off before it said so."""
        constitutions = self.room.constitutions
        if constitutions.refusal is None and constitutions.founded and not self._governed:
            await govern(self.room)
            self._governed = True

    async def _round(self) -> None:
        """What is left from before, and what time has brought about."""
        try:
            if self.room.constitutions.refusal is not None:
                await self.room.constitutions.load()
            await self.room.recording.send()
            if self.room.constitutions.refusal is None:
                await self._govern()
                await begin_ledger(self.room)
                await self.leftovers.clear()
                self.executions.resume()
                await end_keys(self.room)
                await self._watch.round()
                await publish_approvers(self.room)
                await self.engine.settle_all()
        except TRANSIENT as error:
            log.warning("round-failed", error=type(error).__name__, detail=str(error))

    async def _end(self) -> None:
        await self._desk.stop()
        await self._console.stop()
        await self._enrol.stop()
        await self.executions.stop()
        recorder = self.room.recorder
        if recorder is not None:
            with contextlib.suppress(CinnabarError):
                await recorder.goodbye()
                self._counter.close(remove=True)
        self.room.tokens.close()
        if recorder is not None:
            await recorder.close()
        self.room.admin.close()
        self._journal.close()


def desk_users(settings: BoxSettings) -> frozenset[int]:
    """Who may come to the desk: root and the management service; ourselves only where users are not separate."""
    users = settings.users
    if users.keymaster is not None and os.getegid() == users.keymaster and users.management is not None:
        return frozenset({0, users.management})
    return frozenset({0, os.geteuid()})


def enrol_users(settings: BoxSettings) -> frozenset[int]:
    """Who hands in requests for certificates: API workers, which may ask for nothing else here."""
    users = settings.users
    separate = users.keymaster is not None and os.getegid() == users.keymaster and users.worker is not None
    return frozenset({0, users.worker if separate and users.worker is not None else os.geteuid()})


def console_users(settings: BoxSettings) -> frozenset[int]:
    """Who stands at the console: root; ourselves only where users are not separate, for workers may share ours."""
    return frozenset({0}) if os.getgid() == settings.users.keymaster else frozenset({0, os.geteuid()})


async def _serve(home: Home) -> None:
    stop = stop_event()
    await Keymaster(home, read_settings(home.settings)).run(stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="appliance.keymaster", description="Executes what officers decide.")
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    journal_of_process.configure("keymaster")
    asyncio.run(_serve(Home(arguments.home.resolve())))
