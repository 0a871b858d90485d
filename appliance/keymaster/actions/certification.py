"""Certificates of the box's and the tenants' keys: requested outside, imported, issued here, and self-signed roots."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import hashlib
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import hsm
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import (
    ActivateKey,
    CreateAuthority,
    ImportCertificate,
    IssueCertificate,
    RequestCertificate,
)
from appliance.certificate_reading import read_certificate
from appliance.errors import Conflict
from appliance.evidence.directory import read_directory
from appliance.keymaster.actions.keys import may_be, prove
from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.authorities import authority_settings, file_issued, may_issue, open_issuer
from appliance.keymaster.certificates.lint import CertificateRefused, Role, check, check_signature
from appliance.keymaster.certificates.naming import check_names
from appliance.keymaster.certificates.ocsp import RESPONDER_LIFETIME
from appliance.keymaster.certificates.rehearsed import issue, particulars, told
from appliance.keymaster.certificates.trust_bundles import read_last
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.ownership import note, noted, subject_names, write_chain
from appliance.keymaster.keys.states import KeyStateRefused
from appliance.keymaster.registry import StepResult, answers, executor
from hsm.public_keys import public_key_der
from hsm.x509 import hash_algorithm, private_key, rsa_padding

REQUEST: Final = "request.der"
LONGEST_CHAIN: Final = 8
_ROLES: Final[dict[str, Role]] = {
    "seal": "seal",
    "stamp": "stamp",
    "authority": "authority",
    "ocsp": "ocsp",
    "release": "release",
}
_AUTHORITY_ROLES: Final = {"seal": "seal", "stamp": "tsa", "release": "seal"}
"""The role, in the trust bundle, of the authority that certifies a purpose. Each certifies its own responder."""
_PROFILES: Final = {
    "seal": profiles.seal,
    "stamp": profiles.time_stamping_unit,
    "ocsp": profiles.ocsp_responder,
    "release": profiles.release,
}

Certified = RequestCertificate | ImportCertificate | IssueCertificate | CreateAuthority


async def may_certify(room: Room, proposal: Proposal, action: Certified) -> None:
    """A key of the scope's own, not stopped; an authority of the box for the purpose."""
    tenant = None if isinstance(action, CreateAuthority) else action.tenant
    state = may_be(room, proposal, tenant, action.key, action)
    if state not in {"pre-active", "active"}:
        raise KeyStateRefused(f"a key that is {state} gets no certificate")
    key = room.ledger.find(tenant, action.key)
    purpose = key.purpose if key is not None else _purpose_in(proposal, action.key)
    if purpose == "release" and isinstance(action, RequestCertificate):
        raise DocumentRefused("a release key signs no request: an authority of the box certifies it")
    if purpose == "log":
        raise DocumentRefused("a log key has no certificate: its verifier key stands in the trust bundle")
    if isinstance(action, CreateAuthority) is not (purpose == "authority"):
        raise DocumentRefused("a self-signed root is made over a key for an authority, and over no other")
    if isinstance(action, IssueCertificate):
        _check_issue(room, proposal, action, purpose)
    if isinstance(action, CreateAuthority) and not (key is not None and key.certificates):
        _check_root_name(room, _subject(room.settings, action))
    if isinstance(action, ImportCertificate):
        chain = decode_chain(action.chain)
        if key is not None:
            _check_chain(key, chain)


def _check_issue(room: Room, proposal: Proposal, action: IssueCertificate, purpose: str) -> None:
    """An authority for the purpose, in use, or put to use by an earlier action of the same ceremony."""
    check_names(room.settings, proposal, action)
    wanted = _AUTHORITY_ROLES.get(purpose)
    coming = _coming_authorities(proposal, action)
    if action.authority in coming:
        role: str | None = coming[action.authority]
    else:
        may_issue(room, action.authority)
        role = authority_role(room, authority_settings(room.settings, action.authority))
    if wanted is not None and role != wanted:
        raise DocumentRefused(f"{action.authority} does not certify keys for: {purpose}")
    if purpose == "ocsp" and action.days > RESPONDER_LIFETIME.days:
        raise DocumentRefused(
            f"nobody asks whether a responder is revoked: it is certified for {RESPONDER_LIFETIME.days} days at most"
        )


def _coming_authorities(proposal: Proposal, before: IssueCertificate) -> dict[str, str]:
    """Authorities that the proposal makes and activates before an action of it, with their roles."""
    made: dict[str, str] = {}
    active: set[str] = set()
    for action in proposal.actions:
        if action is before:
            break
        if isinstance(action, CreateAuthority):
            made[action.key] = action.role
        elif isinstance(action, ActivateKey) and action.tenant is None:
            active.add(action.key)
    return {name: role for name, role in made.items() if name in active}


def _check_root_name(room: Room, subject: x509.Name) -> None:
    """Each authority has a name of its own: CRLs and answers are told apart by it (RFC 5280, section 4.1.2.4)."""
    for authority in room.settings.authorities:
        if authority_certificate(room, authority).subject == subject:
            raise DocumentRefused(f"the authority {authority.name} has that name")


def _subject(settings: BoxSettings, action: RequestCertificate | IssueCertificate | CreateAuthority) -> x509.Name:
    return profiles.name(*subject_names(settings, action.common_name, action.organisation), action.country)


def _purpose_in(proposal: Proposal, name: str) -> str:
    return next((str(getattr(a, "purpose", "")) for a in proposal.actions if getattr(a, "key", None) == name), "")


def authority_certificate(room: Room, authority: CertificateAuthoritySettings) -> x509.Certificate:
    return x509.load_pem_x509_certificate((room.home.root / authority.certificate).read_bytes())


def authority_role(room: Room, authority: CertificateAuthoritySettings) -> str | None:
    """What the trust bundle trusts an authority for."""
    der = authority_certificate(room, authority).public_bytes(serialization.Encoding.DER)
    text = base64.b64encode(der).decode()
    bundle = read_last(read_directory(room.home.trust)).document
    return next((entry.role for entry in bundle.authorities if entry.certificate == text), None)


# A CA outside


@executor(RequestCertificate, check=may_certify)
async def request_certificate(ctx: ExecutionContext, action: RequestCertificate) -> StepResult:
    """A PKCS#10 request (RFC 2986), signed by the key, as an output of the ceremony."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    done = noted(ctx, REQUEST)
    if done is None:
        done = await asyncio.to_thread(_request, ctx, action, key)
        await ctx.room.record_signature("certificate", key.label, f"request for {key.label}", done)
        note(ctx, REQUEST, done)
    request = x509.load_der_x509_csr(done)
    facts = {
        "key": key.label,
        "subject": request.subject.rfc4514_string(),
        "public_key": hashlib.sha256(key.public_key).hexdigest(),
        "request": hashlib.sha256(done).hexdigest(),
    }
    return StepResult(facts, {f"{key.label}.csr.pem": request.public_bytes(serialization.Encoding.PEM)})


def _request(ctx: ExecutionContext, action: RequestCertificate, key: LedgerKey) -> bytes:
    signing = _open(ctx.room, key)
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(ctx.settings, action))
    throwaway = ec.generate_private_key(ec.SECP256R1())
    x509.load_der_x509_csr(builder.sign(throwaway, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    request = builder.sign(private_key(signing), hash_algorithm(signing), rsa_padding=rsa_padding(signing))
    if not request.is_signature_valid or public_key_der(signing.public_key) != key.public_key:
        raise CertificateRefused("the request is not signed by the key")
    return request.public_bytes(serialization.Encoding.DER)


def _open(room: Room, key: LedgerKey) -> hsm.SigningKey:
    """The key in its token, and the very one of the ledger. Blocks. Raises HsmError, Conflict."""
    found = room.user_token(key.token).signing_key(hsm.Pkcs11Uri.parse(key.uri), key.scheme)
    if public_key_der(found.public_key) != key.public_key:
        raise Conflict("the token has another key under that id")
    return found


def decode_chain(chain: list[str]) -> list[x509.Certificate]:
    """Raises CertificateRefused."""
    if not 0 < len(chain) <= LONGEST_CHAIN:
        raise CertificateRefused(f"a chain has 1 to {LONGEST_CHAIN} certificates")
    try:
        return [read_certificate(base64.b64decode(text, validate=True)) for text in chain]
    except (ValueError, binascii.Error) as error:
        raise CertificateRefused(f"a certificate of the chain cannot be read: {error}") from None


def _check_chain(key: LedgerKey, chain: list[x509.Certificate]) -> None:
    """The first is the key's, each is signed by the next, each keeps the rules. Raises CertificateRefused."""
    own = (
        chain[0].public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if own != key.public_key:
        raise CertificateRefused("the certificate is another key's")
    now = datetime.datetime.now(datetime.UTC)
    for index, certificate in enumerate(chain):
        above = chain[index + 1] if index + 1 < len(chain) else None
        if above is not None:
            check_signature(certificate, above)
        elif index:
            _check_last(certificate)
        if certificate.not_valid_after_utc <= now:
            raise CertificateRefused("a certificate of the chain is over")
        if index == 0 and above is not None:
            check(certificate, _ROLES[key.purpose], above)
        elif index == 0:
            raise CertificateRefused("the certificate comes with its issuer's")
        elif above is not None or certificate.subject == certificate.issuer:
            check(certificate, "authority", above)


def _check_last(certificate: x509.Certificate) -> None:
    if certificate.subject == certificate.issuer:
        try:
            certificate.verify_directly_issued_by(certificate)
        except (InvalidSignature, ValueError, TypeError):
            raise CertificateRefused("the root of the chain is not signed by its own key") from None


@executor(ImportCertificate, check=may_certify)
async def import_certificate(ctx: ExecutionContext, action: ImportCertificate) -> StepResult:
    """Take the certificate that an outside CA made for a key, with its chain."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    chain = decode_chain(action.chain)
    _check_chain(key, chain)
    encoded = [certificate.public_bytes(serialization.Encoding.DER) for certificate in chain]
    _keep(ctx, key, encoded)
    return StepResult({"key": key.label, **told(chain[0])}, {f"{key.label}.pem": _pem(encoded)})


def _keep(ctx: ExecutionContext, key: LedgerKey, chain: list[bytes]) -> None:
    write_chain(ctx.home, key.label, chain)
    ctx.room.ledger.set_certificates(key, chain)


def _pem(chain: list[bytes]) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in chain)


# The box's own authorities


@executor(IssueCertificate, check=may_certify)
async def issue_certificate(ctx: ExecutionContext, action: IssueCertificate) -> StepResult:
    """A certificate by an authority of the box, rehearsed and linted before the authority's key signs."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    check_names(ctx.settings, None, action)
    settings = authority_settings(ctx.settings, action.authority)
    issuer = await open_issuer(ctx.room, settings.name)
    await asyncio.to_thread(prove, ctx.room, key)
    public = serialization.load_der_public_key(key.public_key)
    chosen = particulars(ctx)
    subject = _subject(ctx.settings, action)
    lifetime = datetime.timedelta(days=action.days)
    profile = _PROFILES.get(key.purpose)
    if profile is None:
        raise DocumentRefused(f"there is no profile of certificates for: {key.purpose}")

    def build(by: profiles.Issuer) -> x509.Certificate:
        return profile(by, subject, public, chosen.moment, lifetime, chosen.number)

    der, facts = await issue(ctx, issuer, build, _ROLES[key.purpose], settings.name)
    file_issued(ctx.room, x509.load_der_x509_certificate(der))
    chain = [der, issuer.certificate.public_bytes(serialization.Encoding.DER)]
    _keep(ctx, key, chain)
    facts = {"key": key.label, "authority": settings.name, "lint": "passed", "rehearsed": True, **facts}
    return StepResult(facts, {f"{key.label}.pem": _pem(chain)})


@executor(CreateAuthority, check=may_certify)
async def create_authority(ctx: ExecutionContext, action: CreateAuthority) -> StepResult:
    """A self-signed root, rehearsed and linted alike. It serves once it is activated."""
    key = ctx.room.ledger.key(None, action.key)
    signing = await asyncio.to_thread(_open, ctx.room, key)
    chosen = particulars(ctx)
    subject = _subject(ctx.settings, action)
    _check_root_name(ctx.room, subject)
    lifetime = datetime.timedelta(days=action.days)
    algorithm = hash_algorithm(signing)
    if algorithm is None or algorithm.name == "sha512":
        raise CertificateRefused("authorities sign over SHA-256 or SHA-384")

    def build(by: profiles.Issuer) -> x509.Certificate:
        return profiles.authority(
            subject,
            by.key,
            signing.public_key,
            algorithm,
            chosen.moment,
            lifetime,
            chosen.number,
        )

    # The issuer of a root is itself: only its key matters here, and its certificate is what comes out.
    own = profiles.Issuer(None, private_key(signing), algorithm, "")  # type: ignore[arg-type]
    der, facts = await issue(ctx, own, build, "authority", key.label, self_signed=True)
    _keep(ctx, key, [der])
    activation = msgspec.structs.replace(key.activation, role=action.role)
    ctx.room.ledger.set_activation(key, activation)
    facts = {"key": key.label, "role": action.role, "lint": "passed", "rehearsed": True, **facts}
    return StepResult(facts, {f"{key.label}.pem": _pem([der])})


@answers("certificates")
async def list_certificates(room: Room, scope: str) -> list[dict[str, Any]]:
    """The certificates of a scope's keys, `box` or `tenant/NAME`, the key's own first of each."""
    tenant = scope.removeprefix("tenant/") if scope.startswith("tenant/") else None
    found: list[dict[str, Any]] = []
    for key in room.ledger.keys(tenant):
        for der in key.certificates[:1]:
            certificate = x509.load_der_x509_certificate(der)
            found.append(
                {"key": key.label, "state": key.state, "purpose": key.purpose, "der": der, **told(certificate)}
            )
    return found
