"""Who signed: identities of Fabric's organisations, and their signatures."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.anchors.fabric.messages import SerializedIdentity
from appliance.anchors.fabric.rules import Consenter, Msp
from appliance.anchors.fabric.wire import MalformedMessage

LONGEST_PATH: Final = 4
"""Certificates from a member's to its root."""
_ORDERS: Final = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
"""Orders of the groups (SEC 2, sections 2.4.2 and 2.5.1)."""


class Part(enum.StrEnum):
    """What a member is for, as the organisational unit of its certificate says."""

    PEER = "peer"
    ORDERER = "orderer"


class NotAMember(Exception):
    """An identity is of no organisation that counts, or not of the kind that counts."""


@dataclass(frozen=True)
class Member:
    """A certificate of an organisation."""

    msp: str
    certificate: x509.Certificate
    until: datetime
    """When the first certificate of its path ends."""

    @property
    def bits(self) -> int | None:
        """Of its key."""
        key = self.certificate.public_key()
        return key.key_size if isinstance(key, ec.EllipticCurvePublicKey) else None

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this member signed the message: ECDSA over SHA-256 with s in the lower half, as Fabric takes it."""
        key = self.certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _ORDERS:
            return False
        try:
            _, s = decode_dss_signature(signature)
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidSignature):
            return False
        return s <= _ORDERS[key.curve.name] // 2


class Members:
    """The organisations of a profile."""

    def __init__(self, msps: list[Msp]) -> None:
        """Raises ValueError for a certificate that cannot be read, for a name that stands twice, and for organisations
        with one authority: a member says itself which it is of, and would count for both."""
        self._msps: Mapping[str, _Authorities] = {one.name: _Authorities(one) for one in msps}
        if len(self._msps) != len(msps):
            raise ValueError("an MSP is named twice")
        keys = [key for one in self._msps.values() for key in one.keys]
        if len(set(keys)) != len(keys):
            raise ValueError("two MSPs have one certificate authority, so that their members cannot be told apart")

    def __contains__(self, msp: object) -> bool:
        return msp in self._msps

    def identity(self, serialized: bytes, moment: datetime, part: Part | None = None) -> Member:
        """Whom a SerializedIdentity names. Raises NotAMember."""
        try:
            identity = SerializedIdentity.decode(serialized)
            certificate = x509.load_pem_x509_certificate(identity.id_bytes)
        except (MalformedMessage, ValueError, x509.InvalidVersion):  # the last is no ValueError
            raise NotAMember("the identity cannot be read") from None
        return self.holder(identity.mspid, certificate, moment, part)

    def check_consenters(self, consenters: Sequence[Consenter]) -> None:
        """Raises ValueError for a certificate that cannot be read, and for a number that stands twice."""
        for one in consenters:
            _certificate(one.certificate)
        if len({one.id for one in consenters}) != len(consenters):
            raise ValueError("a consenter's number stands twice")

    def holder(self, msp: str, certificate: x509.Certificate, moment: datetime, part: Part | None = None) -> Member:
        """Who holds a certificate, at a moment (UTC). Raises NotAMember."""
        known = self._msps.get(msp)
        if known is None:
            raise NotAMember(f"{msp[:80]!r} is none of the profile's organisations")
        return known.member(certificate, moment, part)


def _certificate(encoded: bytes) -> x509.Certificate:
    """Raises ValueError."""
    try:
        return x509.load_der_x509_certificate(encoded)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None


class _Authorities:
    def __init__(self, msp: Msp) -> None:
        self._name = msp.name
        self._node_ous = msp.node_ous
        self._revoked = frozenset(msp.revoked)
        self._roots = [_certificate(one) for one in msp.roots]
        self._intermediates = [_certificate(one) for one in msp.intermediates]

    @property
    def keys(self) -> frozenset[bytes]:
        """Of all its authorities, SubjectPublicKeyInfo."""
        every = (*self._roots, *self._intermediates)
        form = PublicFormat.SubjectPublicKeyInfo
        return frozenset(one.public_key().public_bytes(Encoding.DER, form) for one in every)

    def member(self, certificate: x509.Certificate, moment: datetime, part: Part | None) -> Member:
        path = self._path(certificate, LONGEST_PATH - 1)
        if path is None:
            raise NotAMember(f"a certificate does not come from the CAs of {self._name}")
        if hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest() in self._revoked:
            raise NotAMember(f"a certificate of {self._name} is revoked")
        if part is not None and self._node_ous and part.value not in _units(certificate):
            raise NotAMember(f"a certificate of {self._name} is not that of a {part}")
        if not all(one.not_valid_before_utc <= moment <= one.not_valid_after_utc for one in path):
            raise NotAMember(f"a certificate of {self._name} is not valid at the transaction's time")
        return Member(self._name, certificate, min(one.not_valid_after_utc for one in path))

    def _path(self, certificate: x509.Certificate, left: int) -> list[x509.Certificate] | None:
        """From a certificate to a root."""
        for root in self._roots:
            if _issued(certificate, root):
                return [certificate, root]
        for between in self._intermediates if left > 1 else ():
            if _issued(certificate, between) and (above := self._path(between, left - 1)) is not None:
                return [certificate, *above]
        return None


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    try:
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:  # RFC 5280, section 4.2.1.3: then nothing is restricted
        return constraints.ca
    return constraints.ca and usage.key_cert_sign


def _units(certificate: x509.Certificate) -> list[str]:
    named = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return [str(one.value) for one in named]
