"""Custodians at the console: they take down what is shown, type back what is asked, and keep their shares."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from appliance.box.settings import TokenSettings, write_settings
from appliance.keymaster.context import Room
from firmware_tests.keymaster.room import Bench, Life
from hsm import Pkcs11Uri, Token
from hsm import constants as ck
from hsm.keys import generate_key_pair
from hsm.public_keys import public_key_der
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

P256 = "ecdsa-p256-sha256"
PEOPLE = ["ann", "bo", "cai"]


class Custodians:
    """Answers the console of a life. `shares`: what each wrote down, by person."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.shares: dict[str, str] = {}
        self.prompts: list[str] = []
        self.read_back: list[list[int]] = []
        """Numbers of the words that each custodian was asked for."""
        self.to_enter: list[str] = []
        """Texts that are typed where a share is asked for, one after the other."""
        self.answer: Callable[[str], str | None] = lambda _prompt: None
        """What is typed instead, where it says something."""

    @contextlib.asynccontextmanager
    async def present(self) -> AsyncIterator[Custodians]:
        task = asyncio.create_task(self._work())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        console = self._room.console
        while True:
            for row in console.pending():
                number, prompt = int(str(row["number"])), str(row["prompt"])
                self.prompts.append(prompt)
                if row["kind"] == "show":
                    self._write_down(prompt, console.take_text(number))
                    console.answer(number, "")
                else:
                    console.answer(number, self._typed(prompt))
            await asyncio.sleep(0.01)

    def _write_down(self, prompt: str, text: str) -> None:
        person = re.search(r"\((\w+)\)", prompt)
        assert person is not None
        self.shares[person[1]] = " ".join(re.findall(r"\d+ ([a-z]+)", text.split("\n\n", 1)[1]))

    def _typed(self, prompt: str) -> str:
        said = self.answer(prompt)
        if said is not None:
            return said
        asked = re.search(r"\((\w+)\): words ([\d, ]+) of your share", prompt)
        if asked is not None:
            words = self.shares[asked[1]].split()
            self.read_back.append([int(number) for number in asked[2].split(", ")])
            return " ".join(words[number - 1] for number in self.read_back[-1])
        return self.to_enter.pop(0)


def wrapping_keys(token: Token) -> list[str]:
    """Labels of the wrapping keys in a token."""
    with token.session() as (cryptoki, session):
        handles = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY})
        labels = [cryptoki.get_attributes(session, one, (ck.CKA_LABEL,))[ck.CKA_LABEL] for one in handles]
    return [label.decode() for label in labels if isinstance(label, bytes) and label.startswith(b"cinnabar-backup-")]


def add_key(life: Life, name: str, scheme: str = P256, *, for_backup: bool = True, token: str = "box") -> bytes:  # noqa: S107
    """A key in the token and in the ledger, as a ceremony makes it; its SubjectPublicKeyInfo."""
    opened = life.room.user_token(token)
    uri = generate_key_pair(opened, name, scheme, for_backup=for_backup)
    public_key = public_key_der(opened.signing_key(uri, scheme).public_key)
    life.room.journal.connection.execute(
        "INSERT INTO keys (token, cka_id, label, purpose, scheme, tenant, public_key, state, made, applications,"
        " for_backup, certificates) VALUES (?, ?, ?, 'seal', ?, NULL, ?, 'suspended', ?, '[]', ?, '[]')",
        (token, uri.id, name, scheme, public_key, time.time_ns() // 1000, for_backup),
    )
    return public_key


def with_officer_pin(bench: Bench) -> None:
    """The security officer's PIN of the bench's token in the home, as a rehearsal box has it."""
    path = bench.home.secrets / "box.so-pin"
    path.touch(0o600)
    path.write_text(bench.token.so_pin)


def with_second_token(bench: Bench, softhsm: SoftHsm, name: str = "second") -> ThrowawayToken:
    """A second token in the settings."""
    made = softhsm.token()
    pin_file = made.pin_file(bench.home.secrets)
    added = TokenSettings(name=name, uri=str(made.uri), pin_file=str(pin_file.relative_to(bench.home.root)))
    bench.settings = msgspec.structs.replace(bench.settings, tokens=[*bench.settings.tokens, added])
    write_settings(bench.home.settings, bench.settings)
    return made


async def execute(life: Life, digest: str) -> dict[str, Any]:
    """Execute to the end; the facts of the first step. Fails with the ceremony's error."""
    row = await life.executions.execute(digest, 120.0)
    assert row.state == "executed", row.error
    return facts_of(life, digest)


def facts_of(life: Life, digest: str) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.json.decode(life.room.journal.steps(digest)[0].facts or b"{}")
    return facts


def signs(token: Token, name: str, public_key: bytes, scheme: str = P256) -> bool:
    """Whether the token has the key under that name and signs with it."""
    key = token.signing_key(Pkcs11Uri(object=name), scheme)
    key.sign(b"message")
    return public_key_der(key.public_key) == public_key
