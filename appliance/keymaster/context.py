"""What executors work with: the room (the whole of this life of the keymaster) and the context of one step."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

import hsm
from appliance.box.control import ControlClient, SupervisorUnavailable
from appliance.box.home import Home
from appliance.box.pins import pin_path
from appliance.box.settings import BoxSettings, TokenSettings, read_settings
from appliance.ceremonies import Constitution, Proposal
from appliance.ceremonies.statements import ReceivedStatement
from appliance.errors import CinnabarError, NotFound
from appliance.keymaster.console.line import ConsoleLine
from appliance.keymaster.journal import Journal
from appliance.keymaster.keys.ledger import KeyLedger
from appliance.keymaster.officers.candidates import Candidates
from appliance.keymaster.officers.constitutions import Constitutions
from appliance.keymaster.recording import AdminLink, Recording
from appliance.recorder import RecorderClient
from appliance.recorder.admin import AdminClient
from appliance.recorder.counts import CallCounter
from appliance.recorder.errors import OutcomeUnknown, RecorderUnavailable

CONTROL_PATIENCE_S = 60.0
"""How long the supervisor is asked again while it does not answer, as when the box is being stopped."""
KEY_ID_BYTES = 20
_KEY_CONTEXT = b"cinnabar key v1\0"

TRANSIENT: Final = (CinnabarError, hsm.HsmError, OSError, sqlite3.OperationalError)
"""What a round of the keymaster's may meet and outlive, to be made again: a silent token or recorder, a full disk."""

Answer = TypeVar("Answer")


class Tokens:
    """The tokens that the keymaster has open as user, by name; opened when first asked for. Calls block."""

    def __init__(self, home: Home, counter: CallCounter) -> None:
        self._home = home
        self.counter = counter
        self._open: dict[str, hsm.Token] = {}

    def user(self, settings: BoxSettings, name: str) -> hsm.Token:
        """The open token. Raises NotFound, HsmError."""
        found = self._open.get(name)
        if found is None:
            wanted = token_settings(settings, name)
            found = self._open[name] = hsm.open_token(
                hsm.Pkcs11Uri.parse(wanted.uri),
                hsm.PinFile(pin_path(self._home, wanted)),
                hsm.LaneSettings(),
                count_call=self.counter.count,
                count_drop=self.counter.drop,
                standby=self._standby(wanted),
                allow_weak_keys=wanted.allow_weak_keys,
            )
        return found

    def _standby(self, wanted: TokenSettings) -> hsm.Standby | None:
        if wanted.standby_uri is None:
            return None
        pin = hsm.PinFile(pin_path(self._home, wanted, standby=True))
        return hsm.Standby(hsm.Pkcs11Uri.parse(wanted.standby_uri), pin)

    def made(self, wanted: TokenSettings, pin: Callable[[], str]) -> hsm.Token:
        """Open a token that has just been made and is not in the settings yet. Raises HsmError."""
        found = self._open.get(wanted.name)
        if found is None:
            found = self._open[wanted.name] = hsm.open_token(
                hsm.Pkcs11Uri.parse(wanted.uri),
                pin,
                hsm.LaneSettings(),
                count_call=self.counter.count,
                count_drop=self.counter.drop,
            )
        return found

    def put_away(self, name: str) -> None:
        """Close a token; it is opened anew when asked for again."""
        token = self._open.pop(name, None)
        if token is not None:
            token.close()

    def close(self) -> None:
        for name in list(self._open):
            self.put_away(name)


def token_settings(settings: BoxSettings, name: str) -> TokenSettings:
    """Raises NotFound."""
    found = next((token for token in settings.tokens if token.name == name), None)
    if found is None:
        raise NotFound(f"the box has no token {name}")
    return found


@dataclass
class Room:
    """This life of the keymaster: what its parts share."""

    home: Home
    settings: BoxSettings
    journal: Journal
    tokens: Tokens
    constitutions: Constitutions
    candidates: Candidates
    console: ConsoleLine
    admin: AdminLink
    recording: Recording
    recorder: RecorderClient | None = None
    """None until the recorder has answered for the first time."""
    settings_changed: list[Callable[[BoxSettings], None]] = field(default_factory=list)
    """Called after `reload`."""
    adopting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while settings are changed."""

    @property
    def ledger(self) -> KeyLedger:
        """The ledger of keys, in the journal."""
        return KeyLedger(self.journal)

    async def control(self, call: Callable[[ControlClient], Answer]) -> Answer:
        """Ask the supervisor, again and again while it does not answer. Raises what it refuses, SupervisorUnavailable
        after CONTROL_PATIENCE_S."""
        deadline = time.monotonic() + CONTROL_PATIENCE_S

        def once() -> Answer:
            with ControlClient(self.home.supervisor_socket) as client:
                return call(client)

        while True:
            try:
                return await asyncio.to_thread(once)
            except SupervisorUnavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)

    async def change_settings(self, change: Callable[[BoxSettings], BoxSettings]) -> None:
        """Have the box go on with changed settings; `change` gets what stands, and changes nothing that is done.

        Raises AdoptionRefused, AdoptionFailed, SupervisorUnavailable."""
        async with self.adopting:
            before = read_settings(self.home.settings)
            following = change(before)
            await self.control(lambda client: client.adopt(following))
            self.reload()
            for token in before.tokens:
                if token not in following.tokens:
                    await asyncio.to_thread(self.tokens.put_away, token.name)

    def reload(self) -> None:
        """Read box.json again, after the supervisor has adopted other settings."""
        self.settings = read_settings(self.home.settings)
        for call in self.settings_changed:
            call(self.settings)

    def box_token(self) -> hsm.Token:
        """The box's own token, opened as user: the one of its authorities. Blocks."""
        return self.tokens.user(self.settings, self.settings.authorities[0].token)

    def user_token(self, name: str) -> hsm.Token:
        """A token of the settings, opened as user. Blocks. Raises NotFound, HsmError."""
        return self.tokens.user(self.settings, name)

    def connected(self) -> RecorderClient:
        """The recorder's submit side. Raises RecorderUnavailable before it has answered for the first time."""
        if self.recorder is None:
            raise RecorderUnavailable("the recorder has not answered yet")
        return self.recorder

    async def record_signature(
        self, kind: Literal["crl", "self-test", "certificate", "ocsp"], key: str, subject: str, body: bytes
    ) -> None:
        """The durable row of a signature of the box's own, before it is released (control RECORD); one a C_Sign."""
        try:
            await self.connected().housekeeping(kind, key, time.time_ns() // 1000, subject, body)
        except OutcomeUnknown:
            raise  # the client learns it later, and counts
        except CinnabarError as error:
            self.tokens.counter.drop(error.code)
            raise

    async def administer(self, function: Callable[[AdminClient], Answer]) -> Answer:
        """Change the register: `function` gets a connected client, in a thread; it may be called again after a lost
        connection, so it compares first."""
        return await self.admin.call(function)


@dataclass(frozen=True)
class ExecutionContext:
    """One step of one execution. What it does must come out the same when it is done again after a crash."""

    room: Room
    proposal: Proposal
    digest: str
    """Of the proposal, hexadecimal."""
    step: int
    """Index of the action in the proposal."""
    attempt: int
    law: Constitution
    """In force when the execution was judged."""
    statements: list[ReceivedStatement]
    """Every statement on record about the proposal."""
    judged: datetime.datetime
    """When the quorum was found to hold."""
    turn: asyncio.Lock | None = None
    """Held by the step while it works."""

    @property
    def home(self) -> Home:
        return self.room.home

    @property
    def settings(self) -> BoxSettings:
        return self.room.settings

    @property
    def key_id(self) -> bytes:
        """CKA_ID of the key that this step makes: a run after a crash finds the half-made object by it."""
        return step_key_id(self.digest, self.step)

    @property
    def scratch(self) -> Path:
        """A private directory of this step, kept over a crash; the executor makes it, appliance.keymaster.scratch takes
        it away when the ceremony has ended."""
        return scratch_directory(self.home) / f"{self.digest}-{self.step}"

    async def administer(self, function: Callable[[AdminClient], Answer]) -> Answer:
        return await self.room.administer(function)

    async def ask(self, prompt: str, *, timeout_s: float = 600.0, secret: bool = True) -> str:
        """What a person types on the console; see ConsoleLine.ask."""
        async with self._others_work():
            return await self.room.console.ask(self.digest, self.step, prompt, timeout_s=timeout_s, secret=secret)

    async def show(self, prompt: str, text: str, *, timeout_s: float = 600.0) -> None:
        """Show a text once on the console; see ConsoleLine.show."""
        async with self._others_work():
            await self.room.console.show(self.digest, self.step, prompt, text, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def _others_work(self) -> AsyncIterator[None]:
        """Give the turn up while a person is waited for."""
        if self.turn is None:
            yield
            return
        self.turn.release()
        try:
            yield
        finally:
            await self.turn.acquire()


def scratch_directory(home: Home) -> Path:
    return home.keymaster / "work"


def facts_json(facts: dict[str, object]) -> bytes:
    return msgspec.json.encode(facts, order="sorted")


def step_key_id(digest: str, step: int) -> bytes:
    """CKA_ID of the key that a step of a proposal (its digest, hexadecimal) makes."""
    return hashlib.sha256(_KEY_CONTEXT + bytes.fromhex(digest) + step.to_bytes(4, "big")).digest()[:KEY_ID_BYTES]
