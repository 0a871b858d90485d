"""Officers in software: they register passkeys and sign statements bit for bit as a browser and an authenticator would.

Every knob of `SoftwareOfficer.sign` makes one thing wrong that an attacker could try.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from appliance.base64url import to_base64url
from appliance.ceremonies.constitution import Credential, Person
from appliance.ceremonies.statements import CardEvidence, PasskeyEvidence, Statement, Verb, challenge
from hsm import Pkcs11Uri, Token
from hsm.keys import generate_key_pair
from hsm.x509 import private_key

RP_ID = "approve.localhost"
ORIGIN = "https://approve.localhost:8443"
MODEL = "63696e6e-6162-6172-2d74-657374206b65"
"""AAGUID of the software authenticator."""

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED, EXTENSIONS = 1, 4, 8, 16, 64, 128
_PRESENT = USER_PRESENT | USER_VERIFIED

_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass
class SoftwareOfficer:
    """A person with one passkey. `algorithm`: es256, es384, es512, eddsa or rs256."""

    name: str
    algorithm: str = "es256"
    rp_id: str = RP_ID
    origin: str = ORIGIN
    backup_eligible: bool = False
    model: str = MODEL
    title: str = ""
    key: _Key = field(init=False)
    credential_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = _new_key(self.algorithm)
        self.credential_id = secrets.token_bytes(32)
        self.title = self.title or self.name.title()

    @property
    def public_key(self) -> bytes:
        """The COSE key."""
        return cose_key(self.key)

    def credential(self, **changes: Any) -> Credential:
        members: dict[str, Any] = {
            "kind": "passkey",
            "id": to_base64url(self.credential_id),
            "public_key": base64.b64encode(self.public_key).decode(),
            "model": self.model,
            "backup_eligible": self.backup_eligible,
            "rp_id": self.rp_id,
        }
        return Credential(**(members | changes))

    def person(self) -> Person:
        return Person(id=self.name, name=self.title, credentials=[self.credential()])

    def register(
        self,
        challenge: bytes,
        *,
        kind: str = "webauthn.create",
        origin: str | None = None,
        rp_id: str | None = None,
        flags: int = _PRESENT,
        more: dict[str, Any] | None = None,
        attestation: str = "none",
        public_key: bytes | None = None,
    ) -> dict[str, Any]:
        """What PublicKeyCredential.toJSON() of a registration gives. `attestation`: none, or packed (self)."""
        client_data = self._client_data(kind, challenge, origin, more)
        attested = (
            bytes.fromhex(self.model.replace("-", ""))
            + len(self.credential_id).to_bytes(2)
            + self.credential_id
            + (public_key or self.public_key)
        )
        data = self._authenticator_data(rp_id, flags | ATTESTED) + attested
        statement: dict[str, Any] = {}
        if attestation == "packed":
            algorithm = cbor2.loads(self.public_key)[3]
            statement = {"alg": algorithm, "sig": self._sign(data + hashlib.sha256(client_data).digest())}
        attestation_object = cbor2.dumps({"fmt": attestation, "attStmt": statement, "authData": data})
        return {
            "id": to_base64url(self.credential_id),
            "rawId": to_base64url(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": to_base64url(client_data),
                "attestationObject": to_base64url(attestation_object),
                "transports": ["usb"],
            },
        }

    def sign(
        self,
        verb: Verb,
        proposal: str,
        *,
        kind: str = "webauthn.get",
        signed_challenge: bytes | None = None,
        origin: str | None = None,
        rp_id: str | None = None,
        flags: int = _PRESENT,
        counter: int = 0,
        after: bytes = b"",
        more: dict[str, Any] | None = None,
        client_data: bytes | None = None,
        officer: str | None = None,
        credential: str | None = None,
    ) -> Statement:
        """A statement about the proposal with this digest. `more`: further members of the client data; `after`: bytes
        after the authenticator data; `client_data`: all of it, instead."""
        if client_data is None:
            signed = challenge(verb, proposal) if signed_challenge is None else signed_challenge
            client_data = self._client_data(kind, signed, origin, more)
        data = self._authenticator_data(rp_id, flags, counter) + after
        return Statement(
            verb=verb,
            proposal=proposal,
            officer=officer or self.name,
            credential=credential or to_base64url(self.credential_id),
            evidence=PasskeyEvidence(
                authenticator_data=to_base64url(data),
                client_data_json=to_base64url(client_data),
                signature=to_base64url(self._sign(data + hashlib.sha256(client_data).digest())),
            ),
        )

    def _client_data(self, kind: str, challenge: bytes, origin: str | None, more: dict[str, Any] | None) -> bytes:
        members = {
            "type": kind,
            "challenge": to_base64url(challenge),
            "origin": origin or self.origin,
            "crossOrigin": False,
        }
        return json.dumps(members | (more or {}), separators=(",", ":")).encode()

    def _authenticator_data(self, rp_id: str | None, flags: int, counter: int = 0) -> bytes:
        if self.backup_eligible:
            flags |= BACKUP_ELIGIBLE
        return hashlib.sha256((rp_id or self.rp_id).encode()).digest() + bytes([flags]) + counter.to_bytes(4)

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(_DIGESTS[self.algorithm]))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message)


_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "es256": hashes.SHA256(),
    "es384": hashes.SHA384(),
    "es512": hashes.SHA512(),
}


def _new_key(algorithm: str) -> _Key:
    if algorithm == "eddsa":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "rs256":
        return rsa.generate_private_key(65537, 2048)
    curves: dict[str, ec.EllipticCurve] = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def cose_key(key: _Key) -> bytes:
    """The public key as an authenticator encodes it (CTAP2 canonical CBOR)."""
    public = key.public_key()
    members: dict[int, Any]
    if isinstance(public, ed25519.Ed25519PublicKey):
        members = {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
    elif isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        members = {1: 3, 3: -257, -1: numbers.n.to_bytes(public.key_size // 8), -2: numbers.e.to_bytes(3)}
    else:
        size = (public.curve.key_size + 7) // 8
        curve, algorithm = {256: (1, -7), 384: (2, -35), 521: (3, -36)}[public.curve.key_size]
        point = public.public_numbers()
        members = {1: 2, 3: algorithm, -1: curve, -2: point.x.to_bytes(size), -3: point.y.to_bytes(size)}
    return cbor2.dumps(members, canonical=True)


class CardOfficer:
    """A person with a PKCS#11 card: an ECDSA key in a token, and a certificate that names her."""

    def __init__(self, name: str, token: Token, *, valid: tuple[datetime.datetime, datetime.datetime] | None = None):
        self.name = name
        uri = generate_key_pair(token, f"card-{name}-{secrets.token_hex(4)}", "ecdsa-p256-sha256")
        self.key = private_key(token.signing_key(Pkcs11Uri.parse(str(uri)), "ecdsa-p256-sha256"))
        self.certificate = card_certificate(name, self.key, valid)

    def credential(self) -> Credential:
        encoded = self.certificate.public_bytes(serialization.Encoding.DER)
        return Credential(
            kind="card",
            id=hashlib.sha256(encoded).hexdigest(),
            public_key=base64.b64encode(encoded).decode(),
            model="SoftHSM",
        )

    def person(self) -> Person:
        return Person(id=self.name, name=self.name.title(), credentials=[self.credential()])

    def sign(
        self,
        verb: Verb,
        proposal: str,
        *,
        content: bytes | None = None,
        certificate: x509.Certificate | None = None,
        options: tuple[pkcs7.PKCS7Options, ...] = (
            pkcs7.PKCS7Options.DetachedSignature,
            pkcs7.PKCS7Options.Binary,
            pkcs7.PKCS7Options.NoCapabilities,
        ),
    ) -> Statement:
        signed = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(challenge(verb, proposal) if content is None else content)
            .add_signer(certificate or self.certificate, self.key, hashes.SHA256())  # type: ignore[arg-type]
            .sign(serialization.Encoding.DER, list(options))
        )
        return Statement(
            verb=verb,
            proposal=proposal,
            officer=self.name,
            credential=self.credential().id,
            evidence=CardEvidence(signed_data=to_base64url(signed)),
        )


def card_certificate(
    name: str, key: Any, valid: tuple[datetime.datetime, datetime.datetime] | None = None
) -> x509.Certificate:
    """A self-signed certificate for signatures."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    begin, end = valid or (now - datetime.timedelta(days=1), now + datetime.timedelta(days=365))
    use = dict.fromkeys(
        (
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.KeyUsage(digital_signature=True, content_commitment=True, **use), critical=True)
        .sign(key, hashes.SHA256())
    )
