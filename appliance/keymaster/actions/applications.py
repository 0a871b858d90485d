"""Who may call for a tenant: its applications and their certificates."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import EnrolApplication, EnrolCertificate, ResumeApplication, SuspendApplication
from appliance.certificate_reading import read_certificate
from appliance.errors import BadRequest, Conflict, NotFound
from appliance.keymaster import register
from appliance.keymaster.certificates.enrolments import Enrolments
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor
from appliance.keymaster.standing import check_taken, last_word
from appliance.recorder.admin import AdminClient


class CertificateTaken(Conflict):
    """The certificate, or its key, is another application's. Whose it is, is not told (CHANNEL)."""

    code = "certificate-taken"
    title = "The certificate is another application's"
    control = "CHANNEL"


async def of_tenant(
    _room: Room, _proposal: Proposal, action: EnrolApplication | SuspendApplication | ResumeApplication
) -> None:
    """The box itself has no applications."""
    _tenant(action)


def _tenant(action: EnrolApplication | EnrolCertificate | SuspendApplication | ResumeApplication) -> str:
    if action.tenant is None:
        raise BadRequest("an application belongs to a tenant")
    return action.tenant


@executor(EnrolApplication, check=of_tenant)
async def enrol_application(ctx: ExecutionContext, action: EnrolApplication) -> StepResult:
    """Add it, or give it other permissions."""
    tenant, wanted = _tenant(action), sorted(set(action.permissions))

    def enrol(admin: AdminClient) -> None:
        found = register.application(admin, tenant, action.application)
        if found is None or found[0] != wanted:
            admin.enrol_application(tenant, action.application, wanted, ceremony=ctx.digest)

    await ctx.administer(enrol)
    return StepResult({"tenant": tenant, "application": action.application, "permissions": wanted})


async def acceptable(room: Room, proposal: Proposal, action: EnrolCertificate) -> None:
    """Issued by the box's own CA for clients, whose front would let nobody else in, still valid, and nobody else's."""
    made = enrolled_certificate(action)
    check_certificate(room, made)
    tenant = _tenant(action)
    check_nobody_elses(room, made, tenant, action.application)
    digest = made.fingerprint(hashes.SHA256())
    found = await room.administer(lambda admin: register.certificate(admin, digest))
    if found is not None and (found.tenant, found.application) != (tenant, action.application):
        raise CertificateTaken
    new = {(other.tenant, other.application) for other in proposal.actions if isinstance(other, EnrolApplication)}
    if (tenant, action.application) in new:
        return
    if await room.administer(lambda admin: register.application(admin, tenant, action.application)) is None:
        raise NotFound("the tenant has no such application")


def enrolled_certificate(action: EnrolCertificate) -> x509.Certificate:
    """Raises BadRequest."""
    try:
        return read_certificate(base64.b64decode(action.certificate, validate=True))
    except (ValueError, binascii.Error):
        raise BadRequest("the certificate cannot be read") from None


def check_certificate(room: Room, made: x509.Certificate) -> None:
    """Raises BadRequest."""
    issuer = x509.load_pem_x509_certificate((room.home.trust / "box-ca.pem").read_bytes())
    try:
        made.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise BadRequest("the certificate was not issued by the box's own CA for clients") from None
    try:
        purposes = set(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        purposes = set()
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise BadRequest("the certificate is not one for clients")
    if made.not_valid_after_utc <= datetime.datetime.now(datetime.UTC):
        raise BadRequest("the certificate has ended")


def check_nobody_elses(room: Room, made: x509.Certificate, tenant: str, application: str) -> None:
    """An enrolment says whose key it is from before the certificate is issued: also of one that is not in the register
    yet, because a crash came between. Raises CertificateTaken."""
    key = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    owners = Enrolments(room.journal).owners_of_key(hashlib.sha256(key).digest())
    if owners - {(tenant, application)}:
        raise CertificateTaken


@executor(EnrolCertificate, check=acceptable)
async def enrol_certificate(ctx: ExecutionContext, action: EnrolCertificate) -> StepResult:
    tenant, made = _tenant(action), enrolled_certificate(action)
    check_certificate(ctx.room, made)
    check_nobody_elses(ctx.room, made, tenant, action.application)
    digest = made.fingerprint(hashes.SHA256())

    def enrol(admin: AdminClient) -> None:
        found = register.certificate(admin, digest)
        if found is None:
            begin, end = int(made.not_valid_before_utc.timestamp()), int(made.not_valid_after_utc.timestamp())
            admin.enrol_certificate(tenant, action.application, digest, begin, end, ceremony=ctx.digest)
        elif (found.tenant, found.application) != (tenant, action.application):
            raise CertificateTaken

    await ctx.administer(enrol)
    return StepResult({"tenant": tenant, "application": action.application, "certificate": digest.hex()})


@executor(SuspendApplication, check=of_tenant)
async def suspend_application(ctx: ExecutionContext, action: SuspendApplication) -> StepResult:
    return await _set_state(ctx, action, suspended=True)


async def may_resume(room: Room, proposal: Proposal, action: ResumeApplication) -> None:
    """The application is stopped, and nobody has stopped it since officers were asked."""
    tenant = _tenant(action)
    found = await room.administer(lambda admin: register.application(admin, tenant, action.application))

    def same(one: object) -> bool:
        return isinstance(one, SuspendApplication) and (one.tenant, one.application) == (tenant, action.application)

    if found is not None:  # one that is not there cannot be given back: the step says so
        check_taken(room, proposal, stopped=found[1] != "active", since_us=last_word(room, proposal, same))


@executor(ResumeApplication, check=may_resume)
async def resume_application(ctx: ExecutionContext, action: ResumeApplication) -> StepResult:
    await may_resume(ctx.room, ctx.proposal, action)
    return await _set_state(ctx, action, suspended=False)


async def _set_state(
    ctx: ExecutionContext, action: SuspendApplication | ResumeApplication, *, suspended: bool
) -> StepResult:
    tenant = _tenant(action)
    await ctx.administer(
        lambda admin: register.set_application_state(
            admin, tenant, action.application, "suspended" if suspended else "active", ctx.digest
        )
    )
    return StepResult(
        {"tenant": tenant, "application": action.application, "state": "suspended" if suspended else "active"}
    )


@answers("applications")
async def applications(room: Room, tenant: str) -> list[dict[str, object]]:
    """A tenant's applications with their permissions, states and certificates."""
    states = await room.administer(lambda admin: admin.query("register_states"))
    rows = await room.administer(lambda admin: admin.query("register"))
    return [
        {
            "application": name,
            "permissions": permissions,
            "state": state,
            "certificates": [
                {
                    "certificate": bytes(row["certificate"]).hex(),
                    "state": row["state"],
                    "not_before": row["not_before"],
                    "not_after": row["not_after"],
                }
                for row in rows
                if (row["tenant"], row["application"]) == (tenant, name)
            ],
        }
        for owner, name, permissions, state in states["applications"]
        if owner == tenant
    ]
