"""Organisations of a consortium: CAs, and members with certificates as Fabric's CAs issue them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.msp import identities_pb2

from appliance.anchors.fabric.rules import Msp

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def low_s(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def high_s(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return encode_dss_signature(r, max(s, P256_ORDER - s))


def _name(common: str, unit: str | None = None) -> x509.Name:
    parts = [] if unit is None else [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    return x509.Name([*parts, x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


class Identity:
    """A member: certificate, private key, and how messages name it."""

    def __init__(self, msp: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None) -> None:
        self.msp, self.certificate, self.key = msp, certificate, key
        self.pem = certificate.public_bytes(Encoding.PEM)
        self.der = certificate.public_bytes(Encoding.DER)
        self.serialized = identities_pb2.SerializedIdentity(mspid=msp, id_bytes=self.pem).SerializeToString()
        self.digest = hashlib.sha256(self.der).hexdigest()

    def sign(self, message: bytes) -> bytes:
        assert self.key is not None
        return low_s(self.key.sign(message, ec.ECDSA(hashes.SHA256())))


class Organisation:
    """An organisation with a root CA, and an intermediate one that issues where `intermediate`."""

    def __init__(
        self, msp: str, *, intermediate: bool = False, days: int = 3650, begin: datetime | None = None
    ) -> None:
        self.msp = msp
        self.begin, self.days = begin or datetime.now(UTC) - timedelta(days=30), days
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._certificate(_name(f"ca.{msp}"), self._root_key.public_key(), ca=True)
        self._issuer, self._key = self.root, self._root_key
        self.intermediates: list[x509.Certificate] = []
        if intermediate:
            key = ec.generate_private_key(ec.SECP256R1())
            made = self._certificate(_name(f"ica.{msp}"), key.public_key(), ca=True)
            self.intermediates, self._issuer, self._key = [made], made, key

    def _certificate(
        self, name: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ca: bool, days: int | None = None
    ) -> x509.Certificate:
        issuer = getattr(self, "_issuer", None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if issuer is None else issuer.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.begin)
            .not_valid_after(self.begin + timedelta(days=self.days if days is None else days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False,
                    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        return builder.sign(getattr(self, "_key", self._root_key), hashes.SHA256())

    def member(
        self, name: str, part: str, public_key: ec.EllipticCurvePublicKey | None = None, *, days: int | None = None
    ) -> Identity:
        """A member whose certificate's organisational unit is `part`; of a key made here unless one is given."""
        key = None if public_key is not None else ec.generate_private_key(ec.SECP256R1())
        held = key.public_key() if key is not None else public_key
        assert held is not None
        certificate = self._certificate(_name(f"{name}.{self.msp}", part), held, ca=False, days=days)
        return Identity(self.msp, certificate, key)

    def rule(self, *, revoked: tuple[str, ...] = (), node_ous: bool = True) -> Msp:
        """The organisation as a profile has it."""
        return Msp(
            name=self.msp,
            roots=[self.root.public_bytes(Encoding.DER)],
            intermediates=[one.public_bytes(Encoding.DER) for one in self.intermediates],
            node_ous=node_ous,
            revoked=list(revoked),
        )
