"""The front's own certificate and key, replaced as one: cut off anywhere, it is the old one or the new."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from appliance.box.home import Home
from appliance.errors import BadRequest
from appliance.files import read_file, sync_directory, write_file

PEM_BYTES: Final = 64 * 1024


class FrontCertificateRefused(BadRequest):
    """Not a certificate for the front's names with its key."""

    code = "front-certificate-refused"
    title = "The front does not take this certificate"


def check(home: Home, chain: bytes, key: bytes) -> None:
    """Whether this may follow the certificate that stands: its own key, the same names, the same issuer's key.

    So whoever speaks for the keymaster cannot have the front answer to other names. Raises FrontCertificateRefused."""
    if len(chain) + len(key) > PEM_BYTES:
        raise FrontCertificateRefused("it is too large")
    try:
        current = x509.load_pem_x509_certificates(read_file(home.front / "server.crt", PEM_BYTES))
        following = x509.load_pem_x509_certificates(chain)
        private = load_pem_private_key(key, None)
        issuer = x509.load_pem_x509_certificate(read_file(home.trust / "box-ca.pem", PEM_BYTES))
        following[0].verify_directly_issued_by(issuer)
        names = [
            made[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            for made in (current, following)
        ]
    except Exception as error:  # noqa: BLE001 - whatever does not read is not taken
        raise FrontCertificateRefused(f"it cannot be read, or is not the box's CA's: {type(error).__name__}") from None
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*spki) != following[0].public_key().public_bytes(*spki):
        raise FrontCertificateRefused("the key is not the certificate's")
    if names[0] != names[1]:
        raise FrontCertificateRefused("the front keeps its names")


def replace(home: Home, chain: bytes, key: bytes) -> list[Path]:
    """Put certificate and key in the place of what was; the files as they stand."""
    write_file(home.front / "next.key", key, 0o600)
    sync_directory(home.front)
    write_file(home.front / "next.crt", chain)
    sync_directory(home.front)
    finish(home)
    return [home.front / "server.key", home.front / "server.crt"]


def finish(home: Home) -> None:
    """Go on with a replacement that was cut off; to be called before the front starts."""
    key, chain = home.front / "next.key", home.front / "next.crt"
    if chain.exists():
        if key.exists():
            key.replace(home.front / "server.key")
        chain.replace(home.front / "server.crt")
        sync_directory(home.front)
    key.unlink(missing_ok=True)
