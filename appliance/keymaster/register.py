"""The recorder's register as executors compare with it before they change it: a step that is run again changes nothing.

Functions over a connected AdminClient; they block, so they run inside `ExecutionContext.administer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from appliance.errors import Conflict, NotFound
from appliance.recorder.admin import AdminClient
from appliance.recorder.administration import State


@dataclass(frozen=True)
class RegisteredCertificate:
    """A certificate of an application."""

    tenant: str
    application: str
    state: State


def tenant_state(admin: AdminClient, tenant: str) -> State | None:
    """None where the register has no such tenant."""
    states: dict[str, Any] = admin.query("register_states")
    return cast(State | None, dict(states["tenants"]).get(tenant))


def application(admin: AdminClient, tenant: str, name: str) -> tuple[list[str], State] | None:
    """(permissions, state), None where the register has no such application."""
    for owner, known, permissions, state in admin.query("register_states")["applications"]:
        if (owner, known) == (tenant, name):
            return permissions, state
    return None


def certificate(admin: AdminClient, digest: bytes) -> RegisteredCertificate | None:
    """By the SHA-256 of the whole certificate."""
    for row in admin.query("register"):
        if bytes(row["certificate"]) == digest:
            return RegisteredCertificate(row["tenant"], row["application"], row["state"])
    return None


def set_tenant_state(admin: AdminClient, tenant: str, state: State, ceremony: str) -> None:
    """Raises NotFound, Conflict for one that is revoked."""
    found = tenant_state(admin, tenant)
    _check(found, state, f"tenant {tenant}")
    if found != state:
        admin.set_state(state, tenant, ceremony=ceremony)


def set_application_state(admin: AdminClient, tenant: str, name: str, state: State, ceremony: str) -> None:
    """Raises NotFound, Conflict for one that is revoked."""
    found = application(admin, tenant, name)
    _check(None if found is None else found[1], state, f"application {name}")
    if found is not None and found[1] != state:
        admin.set_state(state, tenant, name, ceremony=ceremony)


def set_certificate_state(admin: AdminClient, digest: bytes, state: State, ceremony: str) -> None:
    """Of an application's certificate. Raises NotFound, Conflict for one that is revoked."""
    found = certificate(admin, digest)
    _check(None if found is None else found.state, state, "the certificate")
    if found is not None and found.state != state:
        admin.set_state(state, found.tenant, found.application, digest, ceremony=ceremony)


def _check(found: State | None, wanted: State, what: str) -> None:
    if found is None:
        raise NotFound(f"{what} is not in the register")
    if found == "revoked" != wanted:
        raise Conflict(f"{what} is revoked, for ever")
