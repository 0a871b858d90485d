"""An application's own certificate from a box: keys made here, requests by EST (RFC 7030), files that survive a crash.

A directory holds NAME.key (0600), NAME.crt (the certificate, then its CA) and ca.pem. A key is on disk before its
request leaves, and an answer before it takes the place of what was: whatever is cut off, the same command goes on.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import hashlib
import hmac
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
)
from cryptography.x509.oid import NameOID

from appliance.client.connection import check_address, show_certificate, unreachable
from appliance.client.errors import ApiError, NothingListens, NotTrusted, NotUnderstood, Refused, refusal
from appliance.files import write_durably

PATH: Final = "/.well-known/est/"
_TIMEOUT_S: Final = 40.0
_ANSWER_LIMIT: Final = 1 << 20


class NotOurs(ApiError):
    """What the box answered is not a certificate for the key that was sent, or not its CA's."""


@dataclass(frozen=True)
class Files:
    """Where an application's certificate stands."""

    directory: Path
    name: str

    @property
    def key(self) -> Path:
        return self.directory / f"{self.name}.key"

    @property
    def certificate(self) -> Path:
        return self.directory / f"{self.name}.crt"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def next(self) -> Files:
        """Where a renewal is put together."""
        return Files(self.directory, f"{self.name}.next")


def fetch_ca(url: str, fingerprint: str) -> x509.Certificate:
    """The box's CA, known by its SHA-256 (hexadecimal, colons allowed) and by nothing else: the connection that brings
    it is not trusted. Raises NotOurs, Unreachable."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    body = _ask(url, context, "GET", "cacerts", None)
    wanted = fingerprint.replace(":", "").strip().lower()
    for certificate in _certificates(body):
        if hmac.compare_digest(certificate.fingerprint(hashes.SHA256()).hex().encode(), wanted.encode()):
            return certificate
    raise NotOurs("the box has another CA than the fingerprint says: nothing was sent to it")


def enrol(
    url: str, files: Files, ca: x509.Certificate, user: str, secret: str, hosts: Sequence[str] = ()
) -> x509.Certificate:
    """A first certificate, for a one-time secret. Raises ApiError, OSError, FileExistsError where there is one."""
    if files.certificate.exists():
        raise FileExistsError(f"{files.certificate} is there already: renew it")
    files.directory.mkdir(parents=True, exist_ok=True)
    context = _context(ca)
    with _key_for_request(files) as key:
        answer = _ask(url, context, "POST", "simpleenroll", _request(key, files.name, hosts), (user, secret))
    made = _check(answer, key, ca)
    write_durably(files.ca, ca.public_bytes(Encoding.PEM))
    write_durably(files.certificate, made.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM))
    return made


def renew(url: str, files: Files, *, client: Files | None = None) -> x509.Certificate:
    """The certificate that follows the one in the files, under a new key. `client`: whose certificate asks, where it
    is a server's that is renewed. Raises ApiError, OSError."""
    finish(files)
    current = read(files)
    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    following = files.next
    context = _context(ca)
    asks = client or files
    show_certificate(context, asks.certificate, asks.key)
    common = str(current.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    with _key_for_request(following) as key:
        answer = _ask(url, context, "POST", "simplereenroll", _request(key, common, _hosts(current)))
    made = _check(answer, key, ca)
    write_durably(following.certificate, made.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM))
    finish(files)
    return made


def finish(files: Files) -> None:
    """Put a renewal in the place of what was, also one that was cut off here."""
    following = files.next
    if following.certificate.exists():
        if following.key.exists():
            following.key.replace(files.key)
        following.certificate.replace(files.certificate)


def read(files: Files) -> x509.Certificate:
    """The certificate in the files. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]


def ends_within(certificate: x509.Certificate, days: float) -> bool:
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) <= datetime.timedelta(days=days)


def read_secret(path: Path) -> tuple[str, str]:
    """USER:SECRET as the box's console showed it. Raises OSError, ValueError."""
    user, colon, secret = path.read_text().strip().partition(":")
    if not colon or not user or not secret or len(secret) > 256:
        raise ValueError(f"{path} does not hold USER:SECRET, as the console shows it")
    return user, secret


@contextlib.contextmanager
def _key_for_request(files: Files) -> Iterator[ec.EllipticCurvePrivateKey]:
    """The key for a request. It stays for the next attempt where the box may have taken the request; one that was made
    for a request that the box refused, or never got, goes again."""
    made_now = not files.key.exists()
    key = _key(files)
    try:
        yield key
    except (Refused, NothingListens, NotTrusted) as error:
        if made_now and not (isinstance(error, Refused) and error.problem.status >= 500):
            files.key.unlink(missing_ok=True)
        raise


def _key(files: Files) -> ec.EllipticCurvePrivateKey:
    """The key in the files, made now where there is none; on disk when this returns."""
    if files.key.exists():
        found = load_pem_private_key(files.key.read_bytes(), None)
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{files.key} is not one of this command's keys")
        return found
    made = ec.generate_private_key(ec.SECP256R1())
    write_durably(files.key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return made


def _request(key: ec.EllipticCurvePrivateKey, name: str, hosts: Sequence[str]) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return base64.encodebytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return named.get_values_for_type(x509.DNSName)


def _context(ca: x509.Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.public_bytes(Encoding.PEM).decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _ask(
    url: str,
    context: ssl.SSLContext,
    method: str,
    operation: str,
    body: bytes | None,
    basic: tuple[str, str] | None = None,
) -> bytes:
    """What the box answered. The environment is not looked at. Raises ApiError."""
    check_address(url)
    options: dict[str, Any] = {"headers": {"Accept": "application/pkcs7-mime"}}
    if body is not None:
        options["content"] = body
        options["headers"] |= {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
    if basic is not None:
        options["auth"] = basic
    try:
        with httpx.Client(verify=context, trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S) as client:
            response = client.request(method, url.rstrip("/") + PATH + operation, **options)
    except httpx.TransportError as failure:
        raise unreachable(failure) from failure
    if response.status_code != 200:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        raise refusal(response.status_code, media_type, response.content)
    return response.content


def _certificates(body: bytes) -> list[x509.Certificate]:
    if len(body) > _ANSWER_LIMIT:
        raise NotUnderstood("the answer is larger than certificates are")
    try:
        return pkcs7.load_der_pkcs7_certificates(base64.b64decode(b"".join(body.split()), validate=True))
    except (binascii.Error, ValueError):
        raise NotUnderstood("the answer holds no certificates") from None


def _check(body: bytes, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate) -> x509.Certificate:
    found = _certificates(body)
    if len(found) != 1 or found[0].public_key() != key.public_key():
        raise NotOurs("the answer is not a certificate for the key that was sent")
    try:
        found[0].verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        raise NotOurs("the certificate was not issued by the box's CA") from None
    return found[0]


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the whole certificate, hexadecimal: how registers and officers know it."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
