"""Tenants with their quotas, and, for a tenant's own people, its applications, approval policies and seals.

The box's officers see that a tenant is there, its state and its quota; what its applications are is its own (CHANNEL).
"""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.parse import urlencode

import msgspec

from appliance.ceremonies import BOX, tenant_scope
from appliance.ceremonies.actions import PARTY
from appliance.errors import NotFound
from appliance.letters.seal_object import read_seal_object
from mgmt_service.access import Access, Area, Named
from mgmt_service.areas.keys import Step, free
from mgmt_service.dispatch import Context, url_with
from mgmt_service.ordering import MOST
from mgmt_service.roles import EVERYONE, OFFICERS
from mgmt_service.services import Services

area = Area("tenants")
DAY = 86_400
MEASURES = ("signatures", "stamps", "storage_bytes")


def scopes_of(services: Services, tenant: str) -> frozenset[str]:
    """The tenant's own scope. Raises NotFound."""
    if all(one.name != tenant for one in services.settings().tenants):
        raise NotFound("there is no such tenant")
    return frozenset({tenant_scope(tenant)})


class Use(msgspec.Struct, frozen=True):
    """One measure of a quota."""

    what: str
    used: int
    limit: int | None


class TenantLine(msgspec.Struct, frozen=True):
    name: str
    scope: str
    state: str
    token: str
    log: str
    published: bool
    uses: list[Use]
    mine: bool
    """Whether the viewer may see the inside."""
    steps: list[Step]


class Tenants(msgspec.Struct, frozen=True):
    tenants: list[TenantLine]
    may_make: bool


class CertificateLine(msgspec.Struct, frozen=True):
    certificate: str
    state: str
    not_before: int
    not_after: int
    days_left: int
    steps: list[Step]


class ApplicationLine(msgspec.Struct, frozen=True):
    name: str
    state: str
    permissions: list[str]
    """But for those of parties."""
    parties: list[str]
    """Ids of the parties that it acts for; `*`: of all."""
    certificates: list[CertificateLine]
    steps: list[Step]


class TierLine(msgspec.Struct, frozen=True):
    up_to: str
    currency: str
    approvers: list[str]
    threshold: int
    in_order: bool


class PolicyLine(msgspec.Struct, frozen=True):
    name: str
    version: int
    tiers: list[TierLine]
    proposal: str
    change: str
    """Where a ceremony begins that changes it; empty for who decides nothing."""


class SealLine(msgspec.Struct, frozen=True):
    """The newest version of a seal object."""

    name: str
    title: str
    type: str
    version: int
    withdrawn: bool
    not_before: str
    not_after: str
    picture: str
    """SHA-256; empty: it is withdrawn."""
    proposal: str
    """Empty: it was made with the box, for rehearsals."""
    steps: list[Step]


class Tenant(msgspec.Struct, frozen=True):
    """One tenant from the inside."""

    line: TenantLine
    applications: list[ApplicationLine]
    policies: list[PolicyLine]
    seals: list[SealLine]
    may_decide: bool
    steps: list[Step]


@area.read("/tenants", access=Access(roles=EVERYONE), gives=Tenants, template="tenants/list.html")
def tenants(context: Context) -> Tenants:
    """The viewer's tenants, all of them for the box's people, with states and quotas."""
    return Tenants(_lines(context), context.viewer.has(OFFICERS, BOX))


def _lines(context: Context) -> list[TenantLine]:
    whole = context.viewer.has(EVERYONE, BOX)
    mine = context.viewer.tenants
    found = context.services.desk.call(lambda client: client.tenants())
    return [_line(context, one) for one in found if whole or one["name"] in mine]


def _line(context: Context, one: dict[str, Any]) -> TenantLine:
    name = one["name"]
    return TenantLine(
        name=name,
        scope=tenant_scope(name),
        state=one["state"],
        token=one["token"] or "",
        log=one["log"] or "",
        published=one["published"],
        uses=[Use(what, one["used"][what], one["quota"][what]) for what in MEASURES],
        mine=name in context.viewer.tenants,
        steps=_tenant_steps(one) if context.viewer.has(OFFICERS, BOX) else [],
    )


def _tenant_steps(one: dict[str, Any]) -> list[Step]:
    name = one["name"]
    limits = {f"actions.0.quota.{what}": str(one["quota"][what]) for what in MEASURES if one["quota"][what] is not None}
    steps = [
        Step("set-quota", url_with("/ceremonies/new/set-quota", **{"actions.0.name": name}, **limits)),
        Step("rename-tenant", url_with("/ceremonies/new/rename-tenant", **{"actions.0.name": name})),
    ]
    if one["state"] == "active":
        link = url_with("/ceremonies/new/suspend-tenant", **{"actions.0.name": name})
        steps.append(Step("suspend-tenant", link, at_once=True))
    else:
        link = url_with("/ceremonies/new/free", **{"add": "resume-tenant", "actions.0.name": name})
        steps.append(Step("resume-tenant", link))
    return steps


@area.read(
    "/tenants/<tenant>",
    access=Access(roles=EVERYONE, scope=Named("tenant", scopes_of)),
    gives=Tenant,
    template="tenants/show.html",
)
def tenant(context: Context, tenant: str) -> Tenant:
    """A tenant from the inside: its applications with their certificates, its approval policies, its quota."""
    line = next((one for one in _lines(context) if one.name == tenant), None)
    if line is None:
        raise NotFound("there is no such tenant")
    deciding = context.viewer.has(OFFICERS, tenant_scope(tenant))
    applications = context.services.desk.call(lambda client: client.applications(tenant))
    applications.sort(key=lambda one: str(one["application"]))
    policies = context.services.desk.call(lambda client: client.policies(tenant))
    seals = context.services.desk.call(lambda client: client.seal_objects(tenant))
    return Tenant(
        line=line,
        applications=[_application(tenant, one, deciding) for one in applications],
        policies=[_policy(tenant, msgspec.json.decode(one), deciding) for one in policies],
        seals=[_seal(tenant, one, deciding) for one in seals],
        may_decide=deciding,
        steps=_own_steps(context, tenant) if deciding else [],
    )


def _own_steps(context: Context, tenant: str) -> list[Step]:
    return [
        *_missing_policies(context.services.desk.call(lambda client: client.missing_policies(tenant))),
        Step("enrol-application", url_with("/ceremonies/new/enrol-application", **{"shared.tenant": tenant})),
        Step("authorise-enrolment", free("authorise-enrolment", tenant)),
        Step("set-approval-policy", free("set-approval-policy", tenant)),
        Step("register-seal", url_with("/ceremonies/new/register-seal", **{"actions.0.tenant": tenant})),
        Step("install-adapter", url_with("/ceremonies/new/install-adapter", **{"actions.0.tenant": tenant})),
        Step("set-partner", url_with("/ceremonies/new/set-partner", **{"actions.0.tenant": tenant})),
        Step("install-kind", url_with("/ceremonies/new/install-kind", **{"actions.0.tenant": tenant})),
        Step("set-witnesses", url_with("/ceremonies/new/set-witnesses", **{"actions.0.tenant": tenant})),
    ]


def _missing_policies(found: list[dict[str, Any]]) -> list[Step]:
    """A ceremony that sets all the policies that the tenant's kinds ask for, filled in with what officers may begin
    with."""
    if not found:
        return []
    asked = [("add", "set-approval-policy") for _ in found[:MOST]]
    for at, one in enumerate(found[:MOST]):
        asked += [(f"actions.{at}.tenant", one["tenant"]), (f"actions.{at}.policy", one["policy"])]
        for row, tier in enumerate(one["tiers"]):
            values = {**tier, "approvers": " ".join(tier["approvers"]), "threshold": str(tier["threshold"])}
            values.pop("in_order")  # not ticked
            asked += [(f"actions.{at}.tiers.{row}.{name}", value) for name, value in values.items()]
    return [Step("missing-policies", f"/ceremonies/new/free?{urlencode(asked)}")]


def _application(tenant: str, one: dict[str, Any], deciding: bool) -> ApplicationLine:
    name, now = one["application"], time.time()
    steps = []
    if deciding:
        steps.append(Step("enrol-certificate", free("enrol-certificate", tenant, application=name)))
        permissions = " ".join(one["permissions"])
        steps.append(Step("permissions", free("enrol-application", tenant, application=name, permissions=permissions)))
        if one["state"] == "active":
            link = free("suspend-application", tenant, application=name)
            steps.append(Step("suspend-application", link, at_once=True))
        elif one["state"] == "suspended":
            steps.append(Step("resume-application", free("resume-application", tenant, application=name)))
    return ApplicationLine(
        name=name,
        state=one["state"],
        permissions=[each for each in one["permissions"] if not each.startswith(PARTY)],
        parties=[each.removeprefix(PARTY) for each in one["permissions"] if each.startswith(PARTY)],
        certificates=[_certificate(tenant, certificate, now, deciding) for certificate in one["certificates"]],
        steps=steps,
    )


def _certificate(tenant: str, one: dict[str, Any], now: float, deciding: bool) -> CertificateLine:
    digest, steps = one["certificate"], []
    if deciding and one["state"] == "active":
        steps.append(Step("hold", free("hold-certificate", tenant, certificate=digest), at_once=True))
    if deciding and one["state"] == "suspended":
        steps.append(Step("release", free("release-certificate", tenant, certificate=digest)))
    if deciding and one["state"] != "revoked":
        steps.append(Step("revoke", free("revoke-certificate", tenant, certificate=digest)))
    return CertificateLine(
        certificate=digest,
        state=one["state"],
        not_before=one["not_before"],
        not_after=one["not_after"],
        days_left=int((one["not_after"] - now) // DAY),
        steps=steps,
    )


def _policy(tenant: str, document: dict[str, Any], deciding: bool) -> PolicyLine:
    tiers = msgspec.convert(document["tiers"], list[TierLine])
    filled: dict[str, str] = {"policy": document["policy"]}
    for number, tier in enumerate(document["tiers"]):
        filled |= {f"tiers.{number}.{name}": _text(value) for name, value in tier.items() if value is not False}
    return PolicyLine(
        name=document["policy"],
        version=document["version"],
        tiers=tiers,
        proposal=document["proposal"],
        change=free("set-approval-policy", tenant, **filled) if deciding else "",
    )


def _seal(tenant: str, text: bytes, deciding: bool) -> SealLine:
    found = read_seal_object(text)
    link = free("withdraw-seal", tenant, seal=found.seal)
    return SealLine(
        name=found.seal,
        title=found.title,
        type=found.type,
        version=found.version,
        withdrawn=found.withdrawn,
        not_before=found.not_before,
        not_after=found.not_after,
        picture=hashlib.sha256(found.png()).hexdigest() if found.image else "",
        proposal=found.proposal or "",
        steps=[Step("withdraw-seal", link, at_once=True)] if deciding and not found.withdrawn else [],
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "on" if value is True else str(value)
