"""What handlers work with: the box's paths and settings, the desk, the service's own database, the workers' vitals."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from appliance.box.home import Home
from appliance.box.settings import BoxSettings, read_settings
from appliance.box.states import Cause, State, StatePage, StateReport
from appliance.evidence.bundle import BundleDocument, TrustRefused
from appliance.evidence.directory import read_directory
from appliance.keymaster.certificates.trust_bundles import read_last
from mgmt_service.audits import Audit
from mgmt_service.desk import Desk
from mgmt_service.people import People
from mgmt_service.rates import Rates
from mgmt_service.sessions import Sessions
from mgmt_service.storage import Storage
from mgmt_service.verifying import Verifier
from mgmt_service.vitals import Sampler


class CurrentSettings:
    """box.json as it stands: read again when a ceremony has changed it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, int], BoxSettings] | None = None

    def __call__(self) -> BoxSettings:
        status = self._path.stat()
        state = (status.st_ino, status.st_mtime_ns)
        if self._known is None or self._known[0] != state:
            self._known = (state, read_settings(self._path))
        return self._known[1]


@dataclass
class Services:
    home: Home
    settings: CurrentSettings
    storage: Storage
    desk: Desk
    sampler: Sampler
    audit: Audit = field(init=False)
    verifier: Verifier = field(init=False)
    people: People = field(init=False)
    sessions: Sessions = field(init=False)
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.audit = Audit(self.home.audit_socket)
        self.verifier = Verifier(self.home.documents_socket)
        self.people = People(self.storage)
        self.sessions = Sessions(self.storage)
        self.rates = Rates(self.storage)

    @classmethod
    def at(cls, home: Home) -> Services:
        """Those of a box's home."""
        settings = CurrentSettings(home.settings)
        return cls(home, settings, Storage(home.management), Desk(home.desk_socket), Sampler(home, settings))

    def trust(self) -> BundleDocument | None:
        """What verifiers were told last; None before there is a trust bundle."""
        try:
            return read_last(read_directory(self.home.trust)).document
        except TrustRefused:
            return None

    def state(self) -> StateReport:
        """The box's state as its supervisor publishes it; locked where none does."""
        with contextlib.suppress(OSError, ValueError):
            return StatePage.open(self.home.state_page).report()
        return StateReport(State.LOCKED.label, {Cause.STOPPING.label: "no supervisor publishes a state"}, 0)
