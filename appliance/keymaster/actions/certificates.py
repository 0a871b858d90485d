"""Profiles under which certificates are issued unattended, and the one-time secrets by which that begins.

A profile is the box's quorum's word, for a tenant; who enrols under it is the tenant's own. What then happens without
anybody stands in appliance.keymaster.certificates.enrolling.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets
from typing import Any, Final

from cryptography import x509

from appliance.ceremonies import DocumentRefused, Proposal, instant
from appliance.ceremonies.actions import AuthoriseEnrolment, CreateTenant, EnrolApplication, SetCertificateProfile
from appliance.enrolment.names import NamePattern
from appliance.errors import BadRequest, Conflict, NotFound
from appliance.keymaster import register
from appliance.keymaster.certificates.authorities import authority_settings
from appliance.keymaster.certificates.enrolling import secret_digest
from appliance.keymaster.certificates.enrolments import AuthorisationRow, Enrolments, ProfileRow
from appliance.keymaster.certificates.profiles import LONGEST_SERVER
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor

SECRET_BYTES: Final = 20
SECRET_DAYS: Final = 7
"""How long a one-time secret may be used, at most."""
SHOWN: Final = 100
"""Certificates of a profile that are told of, the last ones."""
_US: Final = 1_000_000


async def may_set(room: Room, proposal: Proposal, action: SetCertificateProfile) -> None:
    """The front's own authority issues, for a tenant of the box, under names that can be read and an end to come."""
    NamePattern(action.common_name_pattern)
    _check_authority(room, action.authority)
    coming = {other.name for other in proposal.actions if isinstance(other, CreateTenant)}
    if action.tenant not in {tenant.name for tenant in room.settings.tenants} | coming:
        raise NotFound(f"the box has no tenant {action.tenant}")
    _check_owner(Enrolments(room.journal), action)
    if action.use == "tls-server" and action.days > LONGEST_SERVER.days:
        raise DocumentRefused(f"a server's certificate holds for {LONGEST_SERVER.days} days at most")
    if instant(action.until) <= datetime.datetime.now(datetime.UTC):
        raise DocumentRefused("the profile ends before it begins")


def _check_authority(room: Room, name: str) -> None:
    """Seals and stamps never share an authority with TLS; the front lets in what its own CA issued, and nobody else."""
    own = (room.home.root / authority_settings(room.settings, name).certificate).read_bytes()
    front = (room.home.trust / "box-ca.pem").read_bytes()
    if x509.load_pem_x509_certificate(own) != x509.load_pem_x509_certificate(front):
        raise BadRequest("certificates for TLS are issued by the box's own CA for clients")


def _check_owner(kept: Enrolments, action: SetCertificateProfile) -> None:
    found = kept.profile(action.profile)
    if found is not None and (found.tenant, found.use) != (action.tenant, action.use):
        raise Conflict("the profile is another tenant's, or for another use: take another name")


@executor(SetCertificateProfile, check=may_set)
async def set_profile(ctx: ExecutionContext, action: SetCertificateProfile) -> StepResult:
    """The profile as it is from now on; certificates that were issued under it stay, and renew under the new one."""
    _check_authority(ctx.room, action.authority)
    kept = Enrolments(ctx.room.journal)
    _check_owner(kept, action)
    kept.set_profile(
        ProfileRow(
            action.profile,
            action.authority,
            action.tenant,
            action.use,
            action.common_name_pattern,
            action.days,
            action.most,
            int(instant(action.until).timestamp()) * _US,
            ctx.digest,
        )
    )
    return StepResult({"profile": action.profile, "tenant": action.tenant, "until": action.until})


async def may_authorise(room: Room, proposal: Proposal, action: AuthoriseEnrolment) -> None:
    """Another tenant's profile and one that nobody has are refused alike (CHANNEL)."""
    if action.tenant is None:
        raise BadRequest("an application belongs to a tenant")
    tenant = action.tenant
    coming = [
        other
        for other in proposal.actions
        if isinstance(other, SetCertificateProfile) and (other.profile, other.tenant) == (action.profile, tenant)
    ]
    if not coming:
        _profile(Enrolments(room.journal), action)
    new = {(other.tenant, other.application) for other in proposal.actions if isinstance(other, EnrolApplication)}
    if (tenant, action.application) in new:
        return
    if await room.administer(lambda admin: register.application(admin, tenant, action.application)) is None:
        raise NotFound("the tenant has no such application")


def _profile(kept: Enrolments, action: AuthoriseEnrolment) -> ProfileRow:
    found = kept.profile(action.profile)
    if found is None or found.tenant != action.tenant:
        raise NotFound("the tenant has no such profile")
    return found


@executor(AuthoriseEnrolment, check=may_authorise)
async def authorise_enrolment(ctx: ExecutionContext, action: AuthoriseEnrolment) -> StepResult:
    """Show a one-time secret on the console. One that a run cut short had shown is worth nothing any more."""
    kept = Enrolments(ctx.room.journal)
    profile = _profile(kept, action)
    identity = hashlib.sha256(b"cinnabar enrolment id v1\0" + ctx.key_id).hexdigest()[:16]
    kept.add_authorisation(
        AuthorisationRow(
            identity,
            profile.name,
            profile.tenant,
            action.application,
            ctx.digest,
            int(ctx.judged.timestamp()) * _US,
            min(profile.until, int((ctx.judged + datetime.timedelta(days=SECRET_DAYS)).timestamp()) * _US),
            None,
            None,
            None,
        )
    )
    row = kept.authorisation(identity)
    if row is not None and row.used is None:
        secret = new_secret()
        kept.set_secret(identity, secret_digest(identity, secret))
        await ctx.show(f"One-time secret: {action.application} enrols as {profile.name}", f"{identity}:{secret}")
    return StepResult(
        {
            "profile": profile.name,
            "application": action.application,
            "enrolment": identity,
            "until": 0 if row is None else row.until // _US,
        }
    )


def new_secret() -> str:
    """160 random bits, in letters and digits that cannot be taken for each other, by fours."""
    text = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


@answers("profiles")
async def profiles(room: Room) -> list[dict[str, Any]]:
    """Every profile, with what was authorised and last issued under it. Times in microseconds since the epoch."""
    kept = Enrolments(room.journal)
    return [
        {
            "name": row.name,
            "authority": row.authority,
            "tenant": row.tenant,
            "use": row.use,
            "pattern": row.pattern,
            "days": row.days,
            "most": row.most,
            "until": row.until,
            "proposal": row.proposal,
            "authorisations": [
                {
                    "enrolment": one.id,
                    "application": one.application,
                    "made": one.made,
                    "until": one.until,
                    "used": one.used,
                    "proposal": one.proposal,
                }
                for one in kept.authorisations(row.name)
            ],
            "certificates": [
                {
                    "certificate": one.digest.hex(),
                    "renews": None if one.predecessor is None else one.predecessor.hex(),
                    "enrolment": one.authorisation,
                    "not_after": one.not_after,
                }
                for one in kept.of_profile(row.name)[-SHOWN:]
                if one.digest is not None
            ],
        }
        for row in kept.profiles()
    ]
