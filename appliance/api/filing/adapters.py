"""The adapters of a worker's tenants, read from the home again when they are other files."""

from __future__ import annotations

import structlog

from appliance.box.adapters import adapter_files
from appliance.box.home import Home
from appliance.filing import AdapterRefused, LoadedAdapter, read_adapter

log = structlog.get_logger("api")


class Adapters:
    """By tenant."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._read: dict[str, LoadedAdapter | None] = {}

    def of(self, tenant: str) -> list[LoadedAdapter]:
        """The newest version of each adapter that can be read, by id."""
        found = []
        for path in adapter_files(self._home, tenant):
            place = str(path)
            if place not in self._read:  # a version never changes once it is installed
                try:
                    self._read[place] = read_adapter(path.read_bytes())
                except (AdapterRefused, OSError) as error:
                    log.error("adapter-unreadable", control="QUORUM", tenant=tenant, error=type(error).__name__)
                    self._read[place] = None
            loaded = self._read[place]
            if loaded is not None:
                found.append(loaded)
        return found
