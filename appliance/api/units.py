"""A tenant's units and seal keys as a worker holds them: profile, key in the HSM, and the tenant's cipher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance import der
from appliance.api.bodies import BodyCipher
from appliance.timestamps import PreparedStamp, TimeStampUnit, UnitProfile

if TYPE_CHECKING:
    from appliance.seals import SealProfile
    from hsm import SigningKey
    from hsm.agreement import AgreementKey


def tokens_certificates(profile: UnitProfile) -> bytes:
    """DER of the `certificates [0]` that the unit's tokens carry: its certificate and chain, in SET OF order."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - at start only

    encoded = sorted(certificate.public_bytes(Encoding.DER) for certificate in (profile.certificate, *profile.chain))
    return der.tlv(der.context(0), b"".join(encoded))


def insert_certificates(token: bytes, certificates: bytes) -> bytes:
    """A TimeStampToken without certificates, with them: what the unit answered where certReq was set.

    `certificates` is the whole DER element [0]. Raises DerError for what is not such a token.
    """
    content_info = der.Reader(token).enter()
    content_type = content_info.raw(der.OBJECT_IDENTIFIER)
    signed_data = content_info.enter(der.context(0)).enter()
    head = signed_data.raw(der.INTEGER) + signed_data.raw(der.SET) + signed_data.raw(der.SEQUENCE)
    if signed_data.peek() == der.context(0):
        return token
    body = der.sequence(head, certificates, signed_data.rest())
    return der.sequence(content_type, der.tlv(der.context(0), body))


@dataclass(frozen=True, slots=True)
class StampingUnit:
    """A time-stamping unit, ready to sign."""

    name: str
    tenant: str
    public: bool
    unit: TimeStampUnit
    key: SigningKey
    cipher: BodyCipher
    certificates: bytes
    """See tokens_certificates."""

    def complete_bare(self, prepared: PreparedStamp, signature: bytes) -> bytes:
        """The token without certificates, as it is kept."""
        return self.unit.complete(_without_certificates(prepared), signature)

    def restored(self, token: bytes, certificates: bool) -> bytes:
        """A kept token as it was handed out."""
        return insert_certificates(token, self.certificates) if certificates else token


def _without_certificates(prepared: PreparedStamp) -> PreparedStamp:
    return PreparedStamp(
        prepared.to_be_signed,
        prepared.time_us,
        prepared.serial,
        prepared.policy,
        prepared.digest_name,
        prepared.digest,
        False,
        prepared.tst_info,
    )


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A seal key, ready to sign."""

    name: str
    tenant: str
    profile: SealProfile
    key: SigningKey
    cipher: BodyCipher
    not_after: int
    """End of the certificate's validity, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """A key that values are veiled to, ready to open them."""

    name: str
    tenant: str
    key: AgreementKey
    chain: list[bytes]
    """DER; its own certificate first."""
