"""The box's console, server side: what the person in front of the box may see and do. Its socket is root's alone.

The console compares and confirms; it decides nothing that officers decide, but for the founding, when there are none.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from typing import Annotated, Any

import msgspec

from appliance.box.control import ControlClient
from appliance.calls.server import Method
from appliance.ceremonies import Constitution, QuorumMissing, digest_words, encode
from appliance.ceremonies import digest as digest_of
from appliance.ceremonies.canonical import Digest, Name, Text
from appliance.ceremonies.cards import card_credential_id, check_new_card
from appliance.ceremonies.constitution import LONGEST_HOURS, Credential, ScopeName
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import Conflict
from appliance.keymaster.desk import Desk, shown_candidate, status
from appliance.keymaster.engine import Engine
from appliance.keymaster.errors import CodeRefused
from appliance.keymaster.execution import Executions
from appliance.keymaster.keys.ledger_founding import begin_ledger
from appliance.keymaster.officers.founding import first_constitution, found
from appliance.keymaster.officers.founding_rules import give_rules, made_rules, rules_before_founding
from appliance.recorder.errors import RecorderUnavailable
from appliance.recorder.messages import BOX_LOG

CARD_DIGITS = 32
CONFIRMING_WORDS = 4
LOCK_CAUSE = "locked-by-officer"
EMERGENCY_S = 60.0
"""How long the console waits for the supervisor."""
"""The supervisor's name of a lock that stands over a restart."""

Threshold = Annotated[int, msgspec.Meta(ge=1, le=100)]
Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 30)]


class Console:
    """The methods of the console, each as its name says."""

    def __init__(self, engine: Engine, executions: Executions) -> None:
        self._engine = engine
        self._room = engine.room
        self._desk = Desk(engine, executions)
        self._proposed: Constitution | None = None
        """A first constitution whose words wait to be typed back."""

    def methods(self) -> dict[str, Method]:
        names = (
            "status candidates code card discard invite enrolment_links rules give_rules prepare_founding found "
            "proposals proposal constitution pending text answer give_up lock stop"
        )
        return {name: getattr(self, name) for name in names.split()}

    async def status(self) -> dict[str, Any]:
        return status(self._engine)

    async def constitution(self) -> bytes:
        return await self._desk.constitution()

    async def proposals(self) -> list[dict[str, Any]]:
        return await self._desk.proposals(None)

    async def proposal(self, digest: Digest) -> dict[str, Any]:
        return await self._desk.proposal(digest)

    # Candidates

    async def candidates(self) -> list[dict[str, Any]]:
        return [shown_candidate(one) for one in self._room.candidates.all()]

    async def code(self, identifier: str) -> str:
        return self._room.candidates.show_code(identifier)

    async def card(self, person: Name, name: Text, certificate: bytes, digits: str) -> dict[str, Any]:
        """A confirmed candidate with a card. `certificate`: DER; `digits`: at least the first 32 of its SHA-256,
        hexadecimal, as the officer read them from her own machine; or its 24 English words. So many, for a certificate
        can be made to begin as another one does. Raises CodeRefused, StatementRefused for one that cannot sign."""
        digest = card_credential_id(certificate)
        told = digits.replace(":", "").replace(" ", "").lower()
        same = len(told) >= CARD_DIGITS and digest.startswith(told)
        if not same and digits.split() != digest_words(digest).split():
            raise CodeRefused("the officer's machine tells of another certificate")
        check_new_card(certificate, self._engine.clock())
        candidates = self._room.candidates
        credential = Credential(kind="card", id=digest, public_key=base64.b64encode(certificate).decode())
        one = candidates.register(candidates.invite(person, name, console=True), credential)
        return shown_candidate(candidates.confirm(one.id, candidates.show_code(one.id)))

    async def discard(self, identifier: str) -> None:
        self._room.candidates.discard(identifier)

    async def invite(self, person: Name, name: Text) -> str:
        return self._room.candidates.invite(person, name, console=True)

    async def enrolment_links(self) -> str:
        """The address before a code of `invite`."""
        constitutions = self._room.constitutions
        if constitutions.refusal is None and constitutions.founded:
            rules = constitutions.in_force().rules
        else:
            rules = rules_before_founding(self._room.home, self._room.settings)
        return f"{rules.origins[0]}/enrol/"

    # Founding

    async def rules(self) -> dict[str, Any]:
        """The rules of approval that hold, with their digest. Raises DocumentRefused where there are none yet."""
        constitutions = self._room.constitutions
        if constitutions.refusal is None and constitutions.founded:
            held = constitutions.in_force().rules
        else:
            held = rules_before_founding(self._room.home, self._room.settings)
        return {"rules": msgspec.to_builtins(held), "digest": digest_of(encode(held))}

    async def give_rules(
        self, models: list[str], makers: list[bytes], origins: list[str], hours: Hours = LONGEST_HOURS
    ) -> dict[str, Any]:
        """Rules for the first enrolments and the founding; see `rules`. `makers`: root certificates, DER."""
        home, settings = self._room.home, self._room.settings
        copies = settings.rehearsal and not models
        give_rules(
            self._room,
            made_rules(
                home, settings, models=models, makers=makers, origins=origins, hours=hours, backup_eligible=copies
            ),
        )
        self._proposed = None
        return await self.rules()

    async def prepare_founding(
        self,
        threshold: Threshold,
        scopes: dict[ScopeName, list[Name]] | None = None,
    ) -> dict[str, Any]:
        """The first constitution as it would be, its digest and the digest's words. Nothing has happened yet.

        The words stay the same until something in it does; `differs`: it is another one than was shown last."""
        constitutions = self._room.constitutions
        if constitutions.refusal is None and constitutions.founded:
            raise Conflict("the box has a constitution")
        candidates = self._room.candidates.confirmed()
        if not candidates:
            raise QuorumMissing("no candidate has been confirmed")
        settings = self._room.settings
        document = first_constitution(
            settings,
            rules_before_founding(self._room.home, settings),
            candidates,
            threshold,
            scopes or {},
            self._engine.clock(),
        )
        before = self._proposed
        if before is not None and msgspec.structs.replace(document, issued=before.issued) == before:
            document = before
        self._proposed = document
        return {
            "differs": before is not None and document != before,
            "digest": document.digest,
            "words": digest_words(document.digest),
            "chinese": digest_words(document.digest, "chinese_simplified"),
            "constitution": msgspec.to_builtins(document),
        }

    async def found(self, digest: Digest, words: str) -> int:
        """Let the prepared constitution take effect. `words`: the first four of its words, as typed. The version."""
        document = self._proposed
        if document is None or document.digest != digest:
            raise Conflict("another constitution, or none, is prepared")
        if words.lower().split() != digest_words(digest).split()[:CONFIRMING_WORDS]:
            raise CodeRefused("these are not the first four words of the constitution's fingerprint")
        await begin_ledger(self._room)  # what was there before the officers came is written down before they come
        await found(self._room, document, self._engine.clock())
        self._proposed = None
        return document.version

    # Questions of executors

    async def pending(self) -> list[dict[str, object]]:
        return self._room.console.pending()

    async def text(self, number: int) -> str:
        return self._room.console.take_text(number)

    async def answer(self, number: int, text: str) -> None:
        self._room.console.answer(number, text)

    async def give_up(self, number: int) -> None:
        """End a question at once; its step fails, and the ceremony can be executed again."""
        self._room.console.give_up(number)

    # Emergency. It takes power away and so acts at once; what gives it back is a ceremony.

    async def lock(self) -> None:
        """Nothing is signed any more until officers unlock the box by a ceremony."""
        await self._emergency("console-lock", "lock", LOCK_CAUSE, "at the console")

    async def stop(self) -> None:
        """Shut the box down."""
        await self._emergency("console-stop", "stop")

    async def _emergency(self, event: str, method: str, *arguments: str) -> None:
        now_us = self._engine.now_us()
        subject = hashlib.sha256(f"{self._room.settings.box_id} console".encode()).hexdigest()
        record = CeremonyRecord(event=event, time=now_us)
        self._room.recording.keep_in(BOX_LOG, subject, now_us // 1000, f"{event}/{now_us}", record)

        def call() -> None:
            with ControlClient(self._room.home.supervisor_socket, EMERGENCY_S) as supervisor:
                supervisor.call(method, *arguments)

        # In the journal first: a silent recorder keeps nobody from stopping the box, and gets it when it is back.
        with contextlib.suppress(RecorderUnavailable):
            await self._room.recording.send(subject, 1.0)
        await asyncio.to_thread(call)
