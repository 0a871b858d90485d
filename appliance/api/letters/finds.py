"""Letters found by a pair of their fields, or by a file that was made of them: kept with their events, looked up alike.

A look-up takes the same steps whatever is given: one keyed hash for each tenant of the box and one read (control
CHANNEL). What nobody has and what may not be told yet are not told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.api.letters.views import open_view
from appliance.letters.finding import FILE, PAIR, file_of, pair_of
from appliance.letters.kind import Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import encoded, tenant_scope, uniqueness_key
from appliance.recorder.messages import Effect, Find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.api.worker import Worker


def new_pairs(
    kind: Kind, before: LetterState | None, after: Sequence[LetterState]
) -> list[tuple[LetterState, tuple[str, ...]]]:
    """Letters with the values under which they can be found from now on, in clear. `after`: the letter, and those that
    were split off it."""
    if kind.pair is None:
        return []
    known = pair_of(kind, before)
    return [(state, pair) for state in after if (pair := pair_of(kind, state)) is not None and pair != known]


def pair_message(tenant: str, pair: Sequence[str]) -> bytes:
    """What is hashed of a pair under the tenant's key of uniqueness. Raises FieldRefused."""
    return encoded(tenant_scope(tenant), PAIR, pair)


async def file_effect(worker: Worker, tenant: str, letter: str, content: bytes) -> Effect | None:
    """That the letter can be found by a file; None where its tenant has no key of uniqueness."""
    if not _has_key(worker, tenant):
        return None
    return Find(await _key(worker, tenant, FILE, file_of(content)), bytes.fromhex(letter))


async def look_up(worker: Worker, name: str, values: Sequence[str]) -> list[tuple[str, LetterState]]:
    """(tenant, letter) under these values, of all tenants; the newest first of each.

    Raises FieldRefused for values that no letter can have."""
    tenants = sorted(tenant for tenant in worker.callers.tenants & worker.ciphers.keys() if _has_key(worker, tenant))
    asked = [(tenant, _key(worker, tenant, name, values)) for tenant in tenants]
    keys = [[tenant, await key] for tenant, key in asked]
    found = await worker.recorder.query("letters_found", keys)
    return [(tenant, open_view(worker.cipher_of(tenant), letter, view)) for tenant, letter, view in found]


def _has_key(worker: Worker, tenant: str) -> bool:
    return any(one.name == tenant and one.uniqueness_key for one in worker.settings.tenants)


async def _key(worker: Worker, tenant: str, name: str, values: Sequence[str]) -> bytes:
    return await uniqueness_key(worker.mac_of(tenant, ""), tenant_scope(tenant), name, values)
