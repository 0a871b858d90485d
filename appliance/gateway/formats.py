"""The two formats of messages behind one face."""

from __future__ import annotations

from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from appliance.gateway.envelope import prepare_envelope, read_envelope
from appliance.gateway.jose import prepare_jose, read_jose
from appliance.gateway.keys import Signing
from appliance.gateway.messages import Head, Parties, PreparedMessage, ReadMessage

Format = Literal["envelope", "jose"]
MEDIA: Final[dict[str, str]] = {"envelope": "application/json", "jose": "application/jose"}
"""Media types (RFC 8259; RFC 7515, section 9.2.1)."""


def read_message(format_: Format, raw: bytes, parties: Parties) -> ReadMessage:
    """Take a message apart: nothing of it is true yet. Raises MessageRefused."""
    return read_envelope(raw, parties) if format_ == "envelope" else read_jose(raw, parties)


def prepare(
    format_: Format,
    content: bytes,
    head: Head,
    recipient: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    algorithm: Signing,
    certificate: bytes,
) -> PreparedMessage:
    """Encrypt a message. `certificate`: SHA-256 of the certificate whose key is going to sign it."""
    if format_ == "envelope":
        return prepare_envelope(content, head, recipient)
    return prepare_jose(content, head, recipient, algorithm, certificate)
