"""The kinds that a worker's tenants have, read from the home and looked at again when they may have changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from appliance.box.home import Home
from appliance.box.kinds import kind_files
from appliance.letters.errors import KindUnknown
from appliance.letters.kind import LoadedKind, read_kind

LOOK_AGAIN_S: Final = 1.0
"""How long a kind that is not there is believed not to be."""


class Kinds:
    """By tenant. A kind never changes once it is installed; new versions and new kinds come."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._by_digest: dict[tuple[str, str], LoadedKind] = {}
        self._newest: dict[tuple[str, str], LoadedKind] = {}
        self._read: set[Path] = set()
        self._looked: dict[str, float] = {}

    def newest(self, tenant: str, kind: str) -> LoadedKind:
        """The newest version of a kind. Raises KindUnknown."""
        self._look(tenant)
        found = self._newest.get((tenant, kind))
        if found is None:
            raise KindUnknown(f"there is no kind {kind}")
        return found

    def all_newest(self, tenant: str) -> list[LoadedKind]:
        """The newest version of each kind."""
        self._look(tenant)
        return [loaded for (owner, _), loaded in self._newest.items() if owner == tenant]

    def by_digest(self, tenant: str, digest: str) -> LoadedKind:
        """The very kind under which an event happened. Raises KindUnknown."""
        found = self._by_digest.get((tenant, digest))
        if found is None:
            self._look(tenant)
            found = self._by_digest.get((tenant, digest))
        if found is None:
            raise KindUnknown("the kind of this letter is no longer installed")
        return found

    def _look(self, tenant: str) -> None:
        now = time.monotonic()
        if now - self._looked.get(tenant, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return
        self._looked[tenant] = now
        for path in kind_files(self._home, tenant):
            if path in self._read:
                continue
            loaded = read_kind(path.read_bytes())
            self._read.add(path)
            self._by_digest[tenant, loaded.digest] = loaded
            self._newest[tenant, loaded.kind.id] = loaded
