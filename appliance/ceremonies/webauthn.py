"""What a browser and an authenticator say (WebAuthn level 3), read strictly. Nothing here knows of officers.

An approval holds only if it was made on the approval origin itself, at top level, by a user whom the authenticator
verified. That is stricter than relying parties commonly are, so the few lines that decide stand here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import cbor2

from appliance.base64url import from_base64url, to_base64url
from appliance.ceremonies.cose import read_cbor
from appliance.ceremonies.errors import OTHER_CHALLENGE, StatementRefused
from appliance.quoting import quote

CLIENT_DATA_BYTES = 8 * 1024
AUTHENTICATOR_DATA_BYTES = 8 * 1024

_USER_PRESENT = 0x01
_USER_VERIFIED = 0x04
_BACKUP_ELIGIBLE = 0x08
_BACKED_UP = 0x10
_ATTESTED = 0x40
_EXTENSIONS = 0x80


@dataclass(frozen=True)
class AttestedCredential:
    """The credential that a registration brings (section 6.5.2)."""

    model: str
    """AAGUID in its text form."""
    credential_id: bytes
    public_key: bytes
    """COSE key, as encoded by the authenticator."""


@dataclass(frozen=True)
class AuthenticatorData:
    """Section 6.1. The signature counter is left out: passkeys that are synchronised keep it at zero."""

    rp_id_hash: bytes
    user_present: bool
    user_verified: bool
    backup_eligible: bool
    attested: AttestedCredential | None


def read_base64url(text: str, what: str) -> bytes:
    """Bytes of base64url in its one spelling. Raises StatementRefused."""
    try:
        return from_base64url(text)
    except ValueError:
        raise StatementRefused(f"the {what} is not base64url in its one spelling") from None


def check_client_data(
    data: bytes,
    kind: Literal["webauthn.get", "webauthn.create"],
    challenge: bytes,
    origins: Sequence[str],
    *,
    other: str = OTHER_CHALLENGE,
) -> None:
    """Whether a client data JSON is of this kind, over this challenge, from one of these origins at top level
    (sections 5.8.1 and 7). Members that are not known are no error: browsers add some. `other`: what to say where
    another challenge was signed. Raises StatementRefused."""
    if len(data) > CLIENT_DATA_BYTES:
        raise StatementRefused(f"the client data has at most {CLIENT_DATA_BYTES} bytes")
    try:
        members = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise StatementRefused("the client data is not one JSON object") from None
    if not isinstance(members, dict):
        raise StatementRefused("the client data is not one JSON object")
    if members.get("type") != kind:
        raise StatementRefused(f"the client data is of another type than {kind}")
    said = members.get("challenge")
    if not isinstance(said, str) or not said.isascii():
        raise StatementRefused("the client data has no challenge")
    if not hmac.compare_digest(said, to_base64url(challenge)):
        raise StatementRefused(other)
    origin = members.get("origin")
    if not isinstance(origin, str) or origin not in origins:
        raise StatementRefused(f"the origin {quote(str(origin))} is none that approvals may come from")
    if members.get("crossOrigin", False) is not False or "topOrigin" in members:
        raise StatementRefused("the statement was made inside another site's page")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def read_authenticator_data(data: bytes) -> AuthenticatorData:
    """Authenticator data (section 6.1), wholly. Raises StatementRefused."""
    if not 37 <= len(data) <= AUTHENTICATOR_DATA_BYTES:
        raise StatementRefused("the authenticator data has no permitted length")
    flags, rest = data[32], data[37:]
    attested = None
    if flags & _ATTESTED:
        attested, rest = _read_attested(rest)
    if flags & _EXTENSIONS:
        if not isinstance(read_cbor(rest), dict):
            raise StatementRefused("the authenticator's extensions are no map")
    elif rest:
        raise StatementRefused("bytes follow the authenticator data")
    if flags & _BACKED_UP and not flags & _BACKUP_ELIGIBLE:
        raise StatementRefused("a passkey that cannot be copied says that it was")
    return AuthenticatorData(
        rp_id_hash=data[:32],
        user_present=bool(flags & _USER_PRESENT),
        user_verified=bool(flags & _USER_VERIFIED),
        backup_eligible=bool(flags & _BACKUP_ELIGIBLE),
        attested=attested,
    )


def _read_attested(data: bytes) -> tuple[AttestedCredential, bytes]:
    length = int.from_bytes(data[16:18])
    identifier = data[18 : 18 + length]
    if len(data) < 18 or not 1 <= length <= 1023 or len(identifier) != length:
        raise StatementRefused("the credential id has no permitted length")
    stream = BytesIO(data[18 + length :])
    try:
        cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError, TypeError, ArithmeticError):
        raise StatementRefused("the public key is not CBOR") from None
    end = 18 + length + stream.tell()
    text = data[:16].hex()
    model = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return AttestedCredential(model, identifier, data[18 + length : end]), data[end:]


def check_presence(data: AuthenticatorData, rp_id: str) -> None:
    """Whether it was made for this relying party, by a user who was there and was verified. Raises StatementRefused."""
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(rp_id.encode()).digest()):
        raise StatementRefused("the authenticator answered another relying party")
    if not data.user_present or not data.user_verified:
        raise StatementRefused("the authenticator did not verify its user")
