"""A partner's profile: what a tenant's officers decided about one partner. No message chooses anything beyond it.

HOME/partners/TENANT/PARTNER/VERSION.json, canonical JSON, written by the keymaster; the newest version is in force.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from appliance.certificate_reading import CertificateUnreadable, read_certificate
from appliance.gateway.errors import PartnerRefused
from appliance.gateway.formats import Format
from appliance.gateway.keys import Signing, encryption_for, fits_signing
from appliance.gateway.messages import Parties

CallName = Literal["begin", "event", "letter"]
MOST_CERTIFICATES: Final = 4
MOST_KINDS: Final = 64
Certificate = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z", min_length=1, max_length=20_000)]
"""DER, base64."""
LetterKind = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
PartnerName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?\Z")]
"""At most 56 characters: `partner-` and it are a permission."""
WindowSeconds = Annotated[int, msgspec.Meta(ge=1, le=3_600)]


class PartnerProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a partner's profile."""

    profile: Literal["cinnabar-partner/1"] = "cinnabar-partner/1"
    tenant: str
    partner: PartnerName
    """A name within the tenant: of the path, of the permission `partner-NAME`, and in the name that messages have it
    by."""
    title: str
    """The institution, for people."""
    version: int
    previous: str | None
    """SHA-256 of the version before; None for the first."""
    format: Format
    sign: Signing
    """How the partner signs; anything else is refused."""
    sign_certificates: Annotated[list[Certificate], msgspec.Meta(max_length=MOST_CERTIFICATES)]
    """Whose signatures count; two while one follows the other."""
    encrypt_certificate: Certificate
    """To whose key answers are encrypted: RSA, or P-256."""
    answer_key: str
    """The tenant's seal key that signs answers."""
    calls: Annotated[list[CallName], msgspec.Meta(max_length=len(get_args(CallName)))]
    """What it may ask for; empty: nothing, the partner is closed."""
    kinds: Annotated[list[LetterKind], msgspec.Meta(max_length=MOST_KINDS)]
    """Kinds of letters that it may begin, follow and read."""
    window_s: WindowSeconds = 300
    """How far a message's time may be from the box's clock, either way."""
    proposal: str
    """Digest of the proposal that decided it."""
    step: int


@dataclass(frozen=True)
class Signer:
    """A certificate whose signatures count."""

    key: PublicKeyTypes
    digest: bytes
    """SHA-256 of the certificate."""
    not_before: int
    not_after: int
    """Seconds since the epoch, both inclusive."""


def box_party(box: str, tenant: str) -> str:
    """By what name messages have a tenant of a box."""
    return f"cinnabar:{box}:{tenant}"


def parties_of(profile: PartnerProfile, box: str) -> Parties:
    """Of a message from the partner to its tenant."""
    own = box_party(box, profile.tenant)
    return Parties(f"{own}:{profile.partner}", own)


def check_profile(profile: PartnerProfile) -> None:
    """Whether certificates can be read, fit what they are for, and nothing is said twice. Raises PartnerRefused."""
    if not profile.sign_certificates:
        raise PartnerRefused("sign_certificates: a partner has one at least")
    for names in (profile.sign_certificates, profile.calls, profile.kinds):
        if len(set(names)) != len(names):
            raise PartnerRefused("something stands twice")
    for signer in signers_of(profile):
        if not fits_signing(profile.sign, signer.key):
            raise PartnerRefused(f"sign_certificates: a key is not one for {profile.sign}")
    encryption_key(profile)


def signers_of(profile: PartnerProfile) -> list[Signer]:
    """Raises PartnerRefused."""
    found = []
    for text in profile.sign_certificates:
        certificate = _read(text, "sign_certificates", "digital_signature")
        found.append(
            Signer(
                certificate.public_key(),
                hashlib.sha256(base64.b64decode(text)).digest(),
                int(certificate.not_valid_before_utc.timestamp()),
                int(certificate.not_valid_after_utc.timestamp()),
            )
        )
    return found


def encryption_key(profile: PartnerProfile) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """To what answers are encrypted. Raises PartnerRefused."""
    where = "encrypt_certificate"
    key = _read(profile.encrypt_certificate, where, "key_encipherment", "key_agreement").public_key()
    if encryption_for(key) is None or not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise PartnerRefused(f"{where}: answers are encrypted to P-256, or RSA of 2048 to 8192 bits")
    return key


def _read(text: str, where: str, *usages: str) -> x509.Certificate:
    """The certificate; one that says what its key is for says one of `usages` (RFC 5280, section 4.2.1.3)."""
    try:
        certificate = read_certificate(base64.b64decode(text, validate=True))
        certificate.public_key()
    except (CertificateUnreadable, binascii.Error, ValueError):
        raise PartnerRefused(f"{where}: no certificate that can be read") from None
    try:
        said = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return certificate
    if not any(getattr(said, usage) for usage in usages):
        raise PartnerRefused(f"{where}: the certificate's key is for something else")
    return certificate
