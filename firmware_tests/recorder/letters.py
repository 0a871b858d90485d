"""What tests submit of letters."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence

from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.messages import Claim, Committed, Effect, Entry, LetterStep, Replayed
from firmware_tests.recorder.running import CERTIFICATE, Recorder, entry

KEY = hashlib.sha256(b"invoice 1").digest()


def event(body: bytes = b"x" * 64) -> Entry:
    """The record of an event."""
    made = entry(key="seal", body=body)
    return Entry(made.record_id, "letter", made.key, made.time, made.commitment, made.body)


def head(letter: bytes, number: int) -> bytes:
    """The head that a test's letter has after so many events."""
    return hashlib.sha256(letter + bytes([number])).digest() if number else b""


def step(letter: bytes, number: int, place: int = 0, state: str = "issued", kind: str = "voucher") -> LetterStep:
    """The letter's event of that number, recorded by the command's entry at `place`."""
    view = b"view %d" % number
    return LetterStep(letter, head(letter, number - 1), head(letter, number), number, place, kind, state, view)


def claim(letter: bytes, amount: int = 1, capacity: int = 1, scope: str = "", key: bytes = KEY) -> Claim:
    return Claim(scope, key, letter, amount, capacity)


def letter_id() -> bytes:
    return os.urandom(16)


Append = Callable[..., Awaitable[Committed | Replayed]]


def applying(client: RecorderClient, *who: object) -> Append:
    """Appends one event with its effects."""
    tenant, application, certificate = who or ("acme", "app", CERTIFICATE)

    async def apply(*effects: Effect, entries: Sequence[Entry] | None = None) -> Committed | Replayed:
        return await client.append(tenant, application, certificate, list(entries or [event()]), effects=list(effects))  # type: ignore[arg-type]

    return apply


def with_client(recorder: Recorder, main: Callable[[RecorderClient], Awaitable[None]]) -> None:
    """Run a test's body with a client of the recorder."""

    async def run() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))
        try:
            await main(client)
        finally:
            await client.close()

    asyncio.run(run())
