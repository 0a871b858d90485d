"""The adapters of a worker's tenants, read from the home again when they are other files."""

from __future__ import annotations

from pathlib import Path

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
        found = [self._at(path, tenant) for path in adapter_files(self._home, tenant)]
        return [one for one in found if one is not None]

    def are_read(self, tenant: str) -> bool:
        """Whether each of them can be read."""
        return all(self._at(path, tenant) is not None for path in adapter_files(self._home, tenant))

    def _at(self, path: Path, tenant: str) -> LoadedAdapter | None:
        place = str(path)
        if place not in self._read:  # a version never changes once it is installed
            try:
                self._read[place] = read_adapter(path.read_bytes())
            except (AdapterRefused, OSError) as error:
                log.error("adapter-unreadable", control="QUORUM", tenant=tenant, error=type(error).__name__)
                if isinstance(error, OSError):  # it may be there again in a moment
                    return None
                self._read[place] = None
        return self._read[place]
