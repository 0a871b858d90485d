"""Certificates held, released and revoked: in the register at once, and on the CRL of whoever issued them.

A hold stands on the CRL as certificateHold and is lifted by leaving the certificate out of the next full one (RFC 5280,
section 5.3.1). The CRL itself is made by the keymaster's housekeeping, which sees the change within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.box.settings import CertificateAuthoritySettings
from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import HoldCertificate, ReleaseCertificate, RevokeCertificate
from appliance.errors import Conflict, NotFound
from appliance.keymaster import register
from appliance.keymaster.certificates.enrolments import Enrolments
from appliance.keymaster.certificates.revocation import read_crl
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor
from appliance.keymaster.standing import check_taken, last_word
from appliance.recorder.admin import AdminClient
from appliance.recorder.messages import BOX_LOG

CRL_PATIENCE_S = 8.0
"""How long a step waits for the CRL that tells of it."""
CertificateAction = HoldCertificate | ReleaseCertificate | RevokeCertificate


async def owned(room: Room, _proposal: Proposal, action: CertificateAction) -> None:
    """The certificate is the scope's own: another tenant's and one that nobody has are refused alike (CHANNEL)."""
    if await _owner(room, action.certificate) != (action.tenant,):
        raise NotFound("there is no such certificate")


async def _owner(room: Room, certificate: str) -> tuple[str | None] | None:
    """Whose a certificate is, (None,) being the box; None where this box knows no such certificate."""
    digest = bytes.fromhex(certificate)
    found = await room.administer(lambda admin: register.certificate(admin, digest))
    if found is not None:
        return (found.tenant,)
    enrolled = Enrolments(room.journal).owner_of(digest)
    if enrolled is not None:
        return (enrolled,)  # a server's: the register knows those of clients
    in_use = [(unit.tenant, unit.certificate) for unit in room.settings.units]
    in_use += [(key.tenant, key.certificate) for key in room.settings.seal_keys]
    for tenant, path in in_use:
        if _first(room.home.root / path) == digest:
            return (tenant,)
    for key in room.ledger.keys(every=True):
        if any(hashlib.sha256(encoded).digest() == digest for encoded in key.certificates[:1]):
            return (key.tenant,)
    if (room.home.issued / f"{certificate}.pem").exists():
        return (None,)
    return None


def _first(path: Path) -> bytes | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return x509.load_pem_x509_certificates(path.read_bytes())[0].fingerprint(hashes.SHA256())
    return None


@executor(HoldCertificate, check=owned)
async def hold_certificate(ctx: ExecutionContext, action: HoldCertificate) -> StepResult:
    """One officer's word, at once; a ceremony releases it."""
    return await _change(ctx, action, "held", "")


async def may_release(room: Room, proposal: Proposal, action: ReleaseCertificate) -> None:
    """The certificate is the scope's own and held, and nobody has held it anew since officers were asked."""
    await owned(room, proposal, action)
    digest = bytes.fromhex(action.certificate)
    since: list[int] = await room.administer(
        lambda admin: [row[1] for row in admin.query("certificate_states") if bytes(row[0]) == digest]
    )
    found = await room.administer(lambda admin: register.certificate(admin, digest))
    stopped = bool(since) or (found is not None and found.state != "active")

    def same(one: object) -> bool:
        return isinstance(one, HoldCertificate) and one.certificate == action.certificate

    word = last_word(room, proposal, same)
    check_taken(room, proposal, stopped=stopped, since_us=max([*since, word or 0]))


@executor(ReleaseCertificate, check=may_release)
async def release_certificate(ctx: ExecutionContext, action: ReleaseCertificate) -> StepResult:
    await may_release(ctx.room, ctx.proposal, action)
    return await _change(ctx, action, "released", "")


@executor(RevokeCertificate, check=owned)
async def revoke_certificate(ctx: ExecutionContext, action: RevokeCertificate) -> StepResult:
    return await _change(ctx, action, "revoked", action.reason)


async def _change(
    ctx: ExecutionContext, action: CertificateAction, state: Literal["held", "released", "revoked"], reason: str
) -> StepResult:
    if await _owner(ctx.room, action.certificate) != (action.tenant,):
        raise NotFound("there is no such certificate")
    digest = bytes.fromhex(action.certificate)

    def change(admin: AdminClient) -> None:
        # First what stands beside the register: when the register shows the change, all of it is done.
        admin.set_certificate(action.tenant or BOX_LOG, digest, state, reason, ceremony=ctx.digest)
        found = register.certificate(admin, digest)
        if found is None:
            return
        if state == "held" and found.state == "revoked":
            raise Conflict("the certificate is revoked, for ever")
        states: dict[str, Literal["active", "suspended", "revoked"]] = {
            "held": "suspended",
            "released": "active",
            "revoked": "revoked",
        }
        register.set_certificate_state(admin, digest, states[state], ctx.digest)

    await ctx.administer(change)
    told = await _until_told(ctx, action.certificate, listed=state != "released")
    return StepResult({"certificate": action.certificate, "state": state, "reason": reason or None, **told})


async def _until_told(ctx: ExecutionContext, certificate: str, *, listed: bool) -> dict[str, object]:
    """Wait for the CRL that tells of it: its authority and number. A CRL that does not come in time follows."""
    path = ctx.home.issued / f"{certificate}.pem"
    if not path.exists():
        return {}  # an outside CA's: its CRL is not ours to make
    issued = x509.load_pem_x509_certificate(path.read_bytes())
    authority = _authority(ctx.room, issued)
    if authority is None:
        return {}
    deadline = asyncio.get_running_loop().time() + CRL_PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        crl = read_crl(ctx.home.root / authority.crl)
        if crl is not None:
            on_it = crl.get_revoked_certificate_by_serial_number(issued.serial_number) is not None
            if on_it is listed:
                number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
                return {"authority": authority.name, "crl": number}
        await asyncio.sleep(0.1)
    return {"authority": authority.name, "crl": None}


def _authority(room: Room, issued: x509.Certificate) -> CertificateAuthoritySettings | None:
    for authority in room.settings.authorities:
        with contextlib.suppress(OSError, ValueError):
            own = x509.load_pem_x509_certificate((room.home.root / authority.certificate).read_bytes())
            if own.subject == issued.issuer:
                return authority
    return None
