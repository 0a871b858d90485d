"""Enrolment over secure transport (RFC 7030): the CA's certificate, first certificates and renewals.

The PKCS#10 request goes to the keymaster as it came: nothing here reads it. The first certificate is for whoever has a
one-time secret (HTTP Basic, on the public listener, whose TLS needs no client certificate); a renewal is for the client
certificate that the connection came with (on the applications listener).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.api.messages import NO_STORE, Request, Response
from appliance.enrolment.errors import RequestRefused, SecretRefused

if TYPE_CHECKING:
    from appliance.api.worker import Worker

MEDIA_PKCS10: Final = "application/pkcs10"
MEDIA_CERTIFICATES: Final = "application/pkcs7-mime"
MEDIA_ATTRIBUTES: Final = "application/csrattrs"
_CERTS_ONLY: Final = b"application/pkcs7-mime; smime-type=certs-only"
_BASE64: Final = b"content-transfer-encoding: base64\r\n"
_FRESH: Final = b"cache-control: public, max-age=3600\r\n"
ATTRIBUTES: Final = bytes.fromhex(
    # CsrAttrs (RFC 7030, section 4.5.2): ecdsa-with-SHA256, and a key of id-ecPublicKey on secp256r1
    "3021"  # SEQUENCE
    "06082a8648ce3d040302"
    "301506072a8648ce3d0201310a06082a8648ce3d030107"
)
"""What the box advises for a request."""


async def est_cacerts(worker: Worker, request: Request) -> Response:  # noqa: ARG001 - every handler's signature
    """GET /.well-known/est/cacerts: the CA of the box's own TLS certificates (RFC 7030, section 4.1)."""
    authority = x509.load_pem_x509_certificate((worker.home.trust / "box-ca.pem").read_bytes())
    return _certificates(authority, _FRESH)


async def est_attributes(worker: Worker, request: Request) -> Response:  # noqa: ARG001
    """GET /.well-known/est/csrattrs (section 4.5)."""
    return Response(_lines(ATTRIBUTES), MEDIA_ATTRIBUTES.encode(), headers=_BASE64 + _FRESH)


async def est_enrol(worker: Worker, request: Request) -> Response:
    """POST /.well-known/est/simpleenroll (section 4.2)"""
    user, secret = _basic(request.headers.get(b"authorization"))
    if not request.body:
        raise RequestRefused("there is no PKCS#10 request")
    der = await worker.enroller.enrol(user, secret, request.body)
    return _certificates(x509.load_der_x509_certificate(der), NO_STORE)


async def est_renew(worker: Worker, request: Request) -> Response:
    """POST /.well-known/est/simplereenroll (section 4.2.2)"""
    if not request.body:
        raise RequestRefused("there is no PKCS#10 request")
    der = await worker.enroller.renew(request.known_caller.certificate, request.body)
    return _certificates(x509.load_der_x509_certificate(der), NO_STORE)


def _basic(header: bytes | None) -> tuple[str, str]:
    """User and password (RFC 7617). Raises SecretRefused."""
    scheme, _, encoded = (header or b"").partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise SecretRefused("the one-time secret is missing")
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SecretRefused("the one-time secret is missing") from None
    if not colon or len(user) > 64 or len(password) > 256:
        raise SecretRefused("the secret is unknown, used, or too old")
    return user, password


def _certificates(certificate: x509.Certificate, cache: bytes) -> Response:
    """A certs-only CMS with one certificate, base64 in lines (RFC 8951)."""
    der = pkcs7.serialize_certificates([certificate], Encoding.DER)
    return Response(_lines(der), _CERTS_ONLY, headers=_BASE64 + cache)


def _lines(der: bytes) -> bytes:
    return base64.encodebytes(der)
