"""The box's trust bundle as the keeper of document workers holds it: read again when its files change, never older."""

from __future__ import annotations

from pathlib import Path

import structlog

from appliance.documents.tasks import Ground
from appliance.evidence import Pin, TrustRefused, read_bundle
from appliance.evidence.bundle import HISTORY
from appliance.evidence.directory import read_directory

log = structlog.get_logger(__name__)


class TrustKeeper:
    """Reads HOME/trust. The newest version seen is pinned for the life of the process: an older or foreign one is
    refused from then on, whatever stands in the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pin: Pin | None = None
        self._seen: object = None
        self.ground = Ground(None, "the trust directory has not been read")
        self.generation = 0
        """Grows when the ground changes: workers that were forked before stand on another one."""

    def look(self) -> int:
        """Read the directory if it has changed since it was last read well. Returns the generation."""
        seen = self._signature()
        if seen is None or seen != self._seen:
            self._read()
            self._seen = seen if self.ground.trust is not None else None
        return self.generation

    def _read(self) -> None:
        try:
            files = read_directory(self._directory)
            if self._pin is None:
                self._pin = read_bundle(files, None).pin()
            bundle = read_bundle(files, self._pin)
        except TrustRefused as error:
            ground = Ground(None, str(error))
            if ground != self.ground:
                log.error("trust-refused", detail=str(error))
        else:
            self._pin = bundle.pin()
            ground = Ground(bundle)
        if ground.trust is not None or ground != self.ground:
            self.ground = ground
            self.generation += 1

    def _signature(self) -> object:
        """What changes when a file of the directory does."""
        try:
            return [
                (entry.name, status.st_mtime_ns, status.st_size, status.st_ino)
                for place in (self._directory, self._directory / HISTORY)
                if place.is_dir()
                for entry in sorted(place.iterdir())
                for status in (entry.stat(),)
            ]
        except OSError:
            return None
