"""A letter's folded state as the recorder keeps it for its tenant, encrypted, and as callers see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.api.letters.schemas import Letter
from appliance.errors import NotFound
from appliance.letters.effects import value_of
from appliance.letters.money import print_amount
from appliance.letters.state import LetterState

if TYPE_CHECKING:
    from appliance.api.bodies import BodyCipher
    from appliance.api.worker import Worker
    from appliance.recorder import RecorderClient

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LetterState).decode


def close_view(cipher: BodyCipher, state: LetterState) -> bytes:
    """The state as the recorder keeps it."""
    return cipher.close_bytes(_label(bytes.fromhex(state.letter)), _encode(state))


def open_view(cipher: BodyCipher, letter: bytes, view: bytes) -> LetterState:
    """Raises BodyDamaged."""
    return _decode(cipher.open_bytes(_label(letter), view))


async def read_letter(worker: Worker, tenant: str, letter: str) -> LetterState:
    """A letter of the tenant. Raises NotFound; another tenant's is not found either."""
    found: dict[str, Any] = await worker.recorder.query("letter", tenant, bytes.fromhex(letter))
    return open_view(worker.cipher_of(tenant), found["letter"], found["view"])


async def read_letters(worker: Worker, tenant: str, letters: list[str]) -> dict[str, LetterState]:
    """Those of the letters that the tenant has, by id."""
    return await states_of(worker.recorder, worker.cipher_of(tenant), tenant, letters) if letters else {}


async def states_of(
    recorder: RecorderClient, cipher: BodyCipher, tenant: str, letters: Sequence[str]
) -> dict[str, LetterState]:
    """The same for whoever holds the tenant's cipher."""
    if not letters:
        return {}
    try:
        found = await recorder.query("letters", tenant, [bytes.fromhex(letter) for letter in letters])
    except NotFound:
        return {}
    states = [open_view(cipher, one["letter"], one["view"]) for one in found if one is not None]
    return {state.letter: state for state in states}


def shown(state: LetterState) -> Letter:
    """The letter as its tenant's applications see it."""
    return Letter(
        letter=state.letter,
        kind=state.kind.id,
        version=state.kind.version,
        kind_digest=state.kind.digest,
        state=state.state,
        number=state.number,
        head=state.head,
        fields=state.fields,
        hidden={name: value_of(state, name) for name in state.hidden},
        encrypted=sorted(name for name in state.sealed if name not in state.fields),
        balance=print_amount(state.balance, state.currency) if state.currency else None,
        currency=state.currency or None,
        origin=state.origin,
        begun=state.begun,
        changed=state.changed,
    )


def _label(letter: bytes) -> bytes:
    return b"letter|" + letter
