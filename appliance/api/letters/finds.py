"""Letters found by a pair of their fields, or by a file that was made of them: kept with their events, looked up alike.

What is kept is a keyed hash under the tenant's content key, which opens the letters themselves, so that the hash hides
nothing from whoever has the key; and strangers who look something up keep no HSM busy, and are answered without it
(docs/decisions/0026-finds.md).

A look-up takes the same steps whatever is given: one keyed hash for each tenant of the box and one read (control
CHANNEL). What nobody has and what may not be told yet are not told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from appliance.api.letters.views import open_view
from appliance.letters.finding import FILE, PAIR, file_of, pair_of
from appliance.letters.kind import Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import encoded, tenant_scope
from appliance.recorder.messages import Effect, Find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.api.bodies import BodyCipher
    from appliance.api.worker import Worker

_KEYS_AT_ONCE: Final = 1_000
"""Of one question to the recorder."""


def pair_effects(
    cipher: BodyCipher, tenant: str, kind: Kind, before: LetterState | None, after: Sequence[LetterState]
) -> list[Effect]:
    """That letters can be found by their pairs from now on. `after`: the letter, and those that were split off it.
    Raises FieldRefused."""
    if kind.pair is None:
        return []
    known = pair_of(kind, before)
    return [
        Find(_key(cipher, tenant, PAIR, pair), bytes.fromhex(state.letter))
        for state in after
        if (pair := pair_of(kind, state)) is not None and pair != known
    ]


def file_effect(cipher: BodyCipher, tenant: str, letter: str, content: bytes) -> Effect:
    """That the letter can be found by a file."""
    return Find(_key(cipher, tenant, FILE, file_of(content)), bytes.fromhex(letter))


async def look_up(worker: Worker, name: str, values: Sequence[str]) -> list[tuple[str, LetterState]]:
    """(tenant, letter) under these values, of all tenants; the newest first of each.

    Raises FieldRefused for values that no letter can have."""
    tenants = sorted(worker.callers.tenants & worker.ciphers.keys())
    keys = [[tenant, _key(worker.cipher_of(tenant), tenant, name, values)] for tenant in tenants]
    found: list[tuple[str, bytes, bytes]] = []
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        found += await worker.recorder.query("letters_found", keys[first : first + _KEYS_AT_ONCE])
    return [(tenant, open_view(worker.cipher_of(tenant), letter, view)) for tenant, letter, view in found]


def _key(cipher: BodyCipher, tenant: str, name: str, values: Sequence[str]) -> bytes:
    return cipher.keyed_hash(encoded(tenant_scope(tenant), name, values))
