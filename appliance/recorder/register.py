"""Who may call: the register as the writer holds it, checked inside the transaction. Pure; the tables are the store's.

A certificate is looked up by the SHA-256 of its whole encoding, never by a name (control CHANNEL). Suspending or
revoking anything takes effect with the transaction that says so; what is not in the register is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from appliance.recorder.messages import ApplicationEntry, KeyEntry, Register
from appliance.store.schema import BOX


class Caller(NamedTuple):
    """An active certificate of an active application of an active tenant."""

    tenant: str
    tenant_number: int
    application: str
    application_number: int
    everything: bool
    permissions: frozenset[str]
    not_before: int
    not_after: int


class Certificate(NamedTuple):
    """One certificate with what it hangs on, as the tables have it."""

    digest: bytes
    state: str
    not_before: int
    not_after: int
    application_number: int
    application: str
    application_state: str
    permissions: tuple[str, ...]
    tenant_number: int
    tenant: str
    tenant_state: str


class TenantState(NamedTuple):
    number: int
    name: str
    state: str


FOREVER: Final = 253_402_300_799
"""The end of the year 9999, seconds since the epoch."""


def box_certificate(tenant: int) -> bytes:
    """What stands in the register for the box itself, where a certificate's digest stands otherwise: an application of
    each tenant, by which the box makes what a kind says that it makes. It is no certificate's digest."""
    return b"cinnabar box %019d" % tenant


class Callers:
    """The register at one version, ready for look-ups."""

    def __init__(
        self,
        version: int,
        tenants: list[TenantState],
        certificates: list[Certificate],
        keys: list[KeyEntry] | None = None,
        boxes: Sequence[tuple[str, int, int]] = (),
    ) -> None:
        self.version = version
        self.keys = keys or []
        self.tenants = {tenant.name: tenant for tenant in tenants}
        self.by_certificate: dict[bytes, Caller] = {}
        for row in certificates:
            if row.state == row.application_state == row.tenant_state == "active":
                self.by_certificate[row.digest] = Caller(
                    row.tenant,
                    row.tenant_number,
                    row.application,
                    row.application_number,
                    "*" in row.permissions,
                    frozenset(row.permissions),
                    row.not_before,
                    row.not_after,
                )
        for tenant, number, application in boxes:
            own = Caller(tenant, number, BOX, application, True, frozenset("*"), 0, FOREVER)
            self.by_certificate[box_certificate(number)] = own
        self.applications = {(c.tenant, c.application): c for c in self.by_certificate.values()}
        self.by_number = {c.application_number: c for c in self.by_certificate.values()}

    def message(self) -> Register:
        """The register as it is pushed to every client."""
        return Register(
            version=self.version,
            tenants=sorted(t.name for t in self.tenants.values() if t.state == "active"),
            applications=[
                ApplicationEntry(digest, c.application, c.tenant, sorted(c.permissions), c.not_before, c.not_after)
                for digest, c in self.by_certificate.items()
            ],
            keys=self.keys,
        )
