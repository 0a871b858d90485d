"""The box's authorities at work: their keys in the token, and what becomes of a certificate before anybody gets it.

A certificate is on record (control RECORD), then among the issued ones, from which CRLs and OCSP answers are made, and
only then let out.
"""

from __future__ import annotations

import asyncio

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import hsm
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings
from appliance.errors import NotFound
from appliance.files import sync_directory, write_file
from appliance.keymaster.certificates.profiles import Issuer
from appliance.keymaster.context import Room
from appliance.keymaster.keys.states import KeyStateRefused
from hsm.x509 import hash_algorithm, private_key


def authority_settings(settings: BoxSettings, name: str) -> CertificateAuthoritySettings:
    """Raises NotFound."""
    for authority in settings.authorities:
        if authority.name == name:
            return authority
    raise NotFound(f"the box has no authority {name}")


def crl_url(settings: BoxSettings, authority: str) -> str:
    """Where certificates say that an authority's CRL is; empty where the box has no such address."""
    return _below(settings, f"/crl/{authority}.crl")


def ocsp_url(settings: BoxSettings, authority: str) -> str:
    """Where certificates say that their state is told; empty where the box has no such address, or no responder."""
    has_responder = any(one.name == authority and one.responder is not None for one in settings.authorities)
    return _below(settings, f"/ocsp/{authority}") if has_responder else ""


def _below(settings: BoxSettings, path: str) -> str:
    base = settings.front.revocation_url
    return "" if base is None else base.rstrip("/") + path


def may_issue(room: Room, name: str) -> None:
    """Raises KeyStateRefused where the authority's key is stopped."""
    known = room.ledger.find(None, name)
    if known is not None and known.state != "active":
        raise KeyStateRefused(f"the authority's key is {known.state}")


async def open_issuer(room: Room, name: str, *, for_revocation: bool = False) -> Issuer:
    """An authority that can sign. `for_revocation`: its CRLs go on also when its key is stopped.

    Raises NotFound, KeyStateRefused, HsmError."""
    settings = authority_settings(room.settings, name)
    if not for_revocation:
        may_issue(room, name)
    return await asyncio.to_thread(_open, room, settings)


def _open(room: Room, settings: CertificateAuthoritySettings) -> Issuer:
    name = settings.name
    key = room.user_token(settings.token).signing_key(hsm.Pkcs11Uri.parse(settings.key_uri), settings.scheme)
    certificate = x509.load_pem_x509_certificate((room.home.root / settings.certificate).read_bytes())
    if certificate.public_key() != key.public_key:
        raise NotFound(f"the authority {name} has a certificate that is not its key's")
    algorithm = hash_algorithm(key)
    if algorithm is None or isinstance(algorithm, hashes.SHA512):
        raise NotFound(f"the authority {name} signs by a scheme that authorities do not use")
    return Issuer(
        certificate,
        private_key(key),
        algorithm,
        crl_url(room.settings, name),
        ocsp_url(room.settings, name),
    )


async def keep_issued(room: Room, authority: str, certificate: x509.Certificate) -> bytes:
    """Put a new certificate on record and among the issued ones; its DER, which may go out now.

    Raises RecorderUnavailable, OutcomeUnknown."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    await room.record_signature("certificate", authority, certificate.subject.rfc4514_string(), der)
    file_issued(room, certificate)
    return der


def file_issued(room: Room, certificate: x509.Certificate) -> None:
    """Have CRLs and OCSP know the certificate; again is no error."""
    path = room.home.issued / f"{certificate.fingerprint(hashes.SHA256()).hex()}.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, certificate.public_bytes(serialization.Encoding.PEM))
        sync_directory(path.parent)
