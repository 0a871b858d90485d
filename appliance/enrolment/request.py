"""A PKCS#10 request (RFC 2986) as one may send it: its proof of possession, its key, its names. Without I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from appliance.enrolment.errors import RequestRefused

REQUEST_BYTES: Final = 16 * 1024
"""Largest body of a request, base64 and line ends included."""
RSA_BITS: Final = (3072, 4096)
"""Smallest and largest modulus: 128 bits of strength (SP 800-57, part 1), and no more work than that needs."""
NAMES: Final = 20
"""Most host names in one request."""
_COMMON_NAME_LIMIT: Final = 64
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)

RequestKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True)
class CertificateRequest:
    """What was asked for, checked as far as that needs no profile. Other attributes and extensions are passed over:
    the profile decides what a certificate holds (RFC 7030, section 4.2.1)."""

    common_name: str
    hosts: tuple[str, ...]
    """DNS names of a subjectAltName, in order."""
    public_key: RequestKey
    key_digest: bytes
    """SHA-256 of its SubjectPublicKeyInfo."""


_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,  # a TLS feature of a number that the library does not know
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def read_request(body: bytes) -> CertificateRequest:
    """The request in an EST body: base64 of DER (RFC 8951), or DER itself. Raises RequestRefused."""
    der = _decoded(body)
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        signed = request.is_signature_valid
        algorithm = request.signature_hash_algorithm
        subject = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        hosts = _hosts(request)
    except _UNREADABLE:
        raise RequestRefused("the PKCS#10 request cannot be read") from None
    _check_key(key)
    if not isinstance(key, ed25519.Ed25519PublicKey) and not isinstance(algorithm, _HASHES):
        raise RequestRefused("the request is signed with a hash that is not taken")
    if not signed:
        raise RequestRefused("the request does not prove that its sender has the key")
    if len(subject) != 1 or not isinstance(subject[0].value, str):
        raise RequestRefused("the request names one common name")
    name = subject[0].value
    if not 0 < len(name) <= _COMMON_NAME_LIMIT or not name.isprintable():
        raise RequestRefused(f"a common name has 1 to {_COMMON_NAME_LIMIT} printable characters")
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return CertificateRequest(name, hosts, key, hashlib.sha256(spki).digest())  # type: ignore[arg-type]


def _decoded(body: bytes) -> bytes:
    if len(body) > REQUEST_BYTES:
        raise RequestRefused(f"a request has at most {REQUEST_BYTES} bytes")
    if body[:1] == b"\x30" and body[1:2] >= b"\x80":
        return body
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise RequestRefused("the body is not base64") from None


def _check_key(key: object) -> None:
    good = (
        (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES))
        or (isinstance(key, rsa.RSAPublicKey) and _good_rsa(key))
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not good:
        raise RequestRefused(f"the key is none of P-256, P-384, Ed25519, RSA of {RSA_BITS[0]} to {RSA_BITS[1]} bits")


def _good_rsa(key: rsa.RSAPublicKey) -> bool:
    exponent = key.public_numbers().e
    return RSA_BITS[0] <= key.key_size <= RSA_BITS[1] and exponent & 1 == 1 and 65_537 <= exponent < 1 << 256


def _hosts(request: x509.CertificateSigningRequest) -> tuple[str, ...]:
    try:
        named = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    found = tuple(one.value for one in named if isinstance(one, x509.DNSName))
    if len(found) != len(list(named)) or len(found) > NAMES:
        raise RequestRefused(f"a subjectAltName holds at most {NAMES} DNS names, and nothing else")
    for host in found:
        if not _HOST.match(host) or host.rpartition(".")[2].isdigit():  # an address is no name
            raise RequestRefused(f"{host[:80]!r} is no host name in lower-case letters")
    return found
