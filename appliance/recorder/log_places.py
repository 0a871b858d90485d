"""Which log of the box each of its logs' names stands for: hash, and where its records begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from appliance.tree_hash import SHA256, TreeHash, hash_of

if TYPE_CHECKING:
    from appliance.recorder.register import Callers


class LogPlaces:
    """The logs that go on; one that was renewed takes no head any more."""

    def __init__(self, logs: Mapping[str, str], bases: Mapping[str, int]) -> None:
        """`logs`: tenant (or BOX_LOG) by origin; `bases`: number of a record less its index, by origin."""
        self._logs = logs
        self._bases = bases
        self._hashes = {name: hash_of(origin) for origin, name in logs.items()}

    def get(self, origin: str) -> str | None:
        """Whose a log is."""
        return self._logs.get(origin)

    def base(self, origin: str) -> int:
        """Number of a record less its index in the log."""
        return self._bases.get(origin, 0)

    def hashing(self, name: str) -> TreeHash:
        """Of the log of a tenant, or of BOX_LOG."""
        return self._hashes.get(name, SHA256)

    def hashing_of_number(self, tenant: int, callers: Callers) -> TreeHash:
        """Of the log of a tenant by its number."""
        name = next((one.name for one in callers.tenants.values() if one.number == tenant), "")
        return self.hashing(name)
