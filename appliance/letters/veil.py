"""Veiled values (control VEIL): encrypted by their sender so that the box alone cannot open them. Pure.

    Z        = ECDH(ephemeral, the tenant's release key)        32 bytes; the release key never leaves its HSM
    outside  = the bid code's 17 bytes, or the platform's share, 32 bytes: not in the box before the opening
    share    = HKDF-SHA-256(ECDH(ephemeral, the platform's key), salt = SHA-256(core), info = "cinnabar veil share v1")
    header   = canonical JSON of all members but the ciphertext; it names tenant, kind, field, reference, commitment
    core     = the header without `outside_check`: a share opens the envelope that it was made for, and no other
    key, nonce = HKDF-SHA-256(Z || outside, salt = SHA-256(header), info = "cinnabar veil key v1")      32 and 12 bytes
    content  = salt (32 random bytes) || length of the plaintext (64 bits, big endian) || plaintext || zeros
    ciphertext = AES-256-GCM(key, nonce, content, associated data = header), its tag of 16 bytes at the end
    commitment = SHA-256("cinnabar veil commitment v1\\n" || salt || plaintext)
    outside_check = HKDF-SHA-256(outside, salt = ephemeral, info = "cinnabar veil check v1"), 16 bytes

RFC 5869, NIST SP 800-56A and SP 800-38D. The ephemeral key is fresh, so the key is, and with it the nonce. The content
is filled up with zeros to a length that tells little (`padded_length`). The header stands in the letter's sealed event:
what opens later is what was committed to then, or it does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import UNSET

from appliance.base64url import to_base64url
from appliance.letters.bid_code import code_secret
from appliance.letters.envelope import (
    CHECK_BYTES,
    LARGEST_PLAINTEXT,
    POINT_BYTES,
    Context,
    Envelope,
    Header,
    read_base64url,
    read_envelope,
)
from appliance.letters.errors import (
    EnvelopeDamaged,
    EnvelopeElsewhere,
    EnvelopeRefused,
    OpenedTooEarly,
    WrongCode,
)

__all__ = [
    "UNOPENED",
    "Context",
    "Envelope",
    "Opened",
    "Veiled",
    "accept_envelope",
    "check_opening",
    "commitment_of",
    "open_envelope",
    "padded_length",
    "platform_share",
    "read_envelope",
    "reopen",
    "veil",
]

COMMITMENT_PREFIX: Final = b"cinnabar veil commitment v1\n"
SALT_BYTES: Final = 32
AGREED_BYTES: Final = 32
UNOPENED: Final = "@veiled/"
"""Before a release key's id: the tenant's count of values that are veiled to it and not opened."""
_KEY_INFO: Final = b"cinnabar veil key v1"
_SHARE_INFO: Final = b"cinnabar veil share v1"
_CHECK_INFO: Final = b"cinnabar veil check v1"
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES, _LENGTH_BYTES = 32, 12, 16, 8
_SMALLEST_CONTENT = 256


@dataclass(frozen=True)
class Veiled:
    """What the sender gets."""

    envelope: Envelope
    """Goes to the box."""
    agreed: bytes
    """32 bytes, secret: with the code, or the share, they open the envelope without the box."""
    salt: bytes
    """32 bytes, secret until the opening: with the plaintext they prove the commitment."""


@dataclass(frozen=True)
class Opened:
    """What was in an envelope, with what proves it."""

    plaintext: bytes
    salt: bytes
    commitment: str
    """Hexadecimal; the same as in the envelope's header, by `check_opening`."""


def veil(
    plaintext: bytes,
    context: Context,
    release_key: ec.EllipticCurvePublicKey,
    *,
    code: str | None = None,
    platform_key: ec.EllipticCurvePublicKey | None = None,
) -> Veiled:
    """Encrypt a value of up to 16 MiB to a tenant's release key and, beside it, to a bid code or a platform's key.

    Raises WeakCode, and EnvelopeRefused for what cannot be encrypted so."""
    if (code is None) is (platform_key is None):
        raise EnvelopeRefused("/outside: a value is veiled by a code or by a platform's share, by one of them")
    if len(plaintext) > LARGEST_PLAINTEXT:
        raise EnvelopeRefused(f"a veiled value has at most {LARGEST_PLAINTEXT} bytes")
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    point = _point(ephemeral.public_key())
    if platform_key is not None and _point(platform_key) == _point(release_key):
        raise EnvelopeRefused("/platform: the platform's key is the release key: the box could open it alone")
    salt = os.urandom(SALT_BYTES)
    header = Header(
        commitment=commitment_of(salt, plaintext),
        context=context,
        ephemeral=to_base64url(point),
        outside="code" if platform_key is None else "share",
        outside_check="",
        platform=UNSET if platform_key is None else key_id(platform_key),
        release_key=key_id(release_key),
    )
    if platform_key is not None:
        outside = _share(ephemeral.exchange(ec.ECDH(), platform_key), header)
    else:
        outside = code_secret(code or "")
    header = msgspec.structs.replace(header, outside_check=_check(outside, point).hex())
    agreed = ephemeral.exchange(ec.ECDH(), release_key)
    content = salt + len(plaintext).to_bytes(_LENGTH_BYTES, "big") + plaintext
    content += bytes(padded_length(len(content)) - len(content))
    associated = header.encoded()
    key, nonce = _keys(agreed, outside, associated)
    envelope = Envelope(header=header, ciphertext=AESGCM(key).encrypt(nonce, content, associated))
    read_envelope(envelope.encoded())
    return Veiled(envelope, agreed, salt)


def accept_envelope(raw: bytes, expected: Context, release_key: ec.EllipticCurvePublicKey) -> Envelope:
    """Read an envelope that a letter is to carry, and hold it to what can be held now.

    That the ciphertext holds what is committed to shows at the opening alone: the sender's loss if not.

    Raises EnvelopeRefused, EnvelopeElsewhere, EnvelopeDamaged."""
    envelope = read_envelope(raw)
    _check_place(envelope.header, expected, release_key)
    _check_point(envelope.header.point)
    length = len(envelope.ciphertext) - _TAG_BYTES
    if length < _SMALLEST_CONTENT or length != padded_length(length):
        raise EnvelopeRefused("/ciphertext: no content has this length")
    return envelope


def open_envelope(
    envelope: Envelope,
    expected: Context,
    now_us: int,
    release_key: ec.EllipticCurvePublicKey,
    agree: Callable[[bytes], bytes],
    outside: str,
) -> Opened:
    """Open a value in the box. `expected`: what the letter says of itself (its `not_before` is not looked at);
    `now_us`: the shown time; `agree`: hsm.agreement.AgreementKey.agree of the release key; `outside`: the bid code, or
    the platform's share. The release key is used only when all else fits.

    Raises EnvelopeElsewhere, OpenedTooEarly, WeakCode, WrongCode, EnvelopeDamaged, and what `agree` raises."""
    header = envelope.header
    _check_place(header, expected, release_key)
    if header.context.not_before is not UNSET and now_us < header.context.not_before:
        raise OpenedTooEarly("/context/not_before: the time that its sender named has not come")
    secret = _outside_secret(header, outside)
    _check_point(header.point)
    return _open(envelope, agree(header.point), secret)


def reopen(envelope: Envelope, agreed: bytes, outside: str) -> Opened:
    """Open a value without the box, by what its ephemeral and the release key agreed on (32 bytes).

    Raises WeakCode, WrongCode, EnvelopeDamaged."""
    return _open(envelope, agreed, _outside_secret(envelope.header, outside))


def platform_share(envelope: Envelope, platform_key: ec.EllipticCurvePrivateKey) -> str:
    """The platform's share of one envelope, and of no other: 43 characters, handed out at the opening.

    Raises EnvelopeElsewhere, EnvelopeDamaged."""
    header = envelope.header
    if header.outside != "share" or header.platform != key_id(platform_key.public_key()):
        raise EnvelopeElsewhere("/platform: the envelope was made for another platform, or for none")
    share = to_base64url(_share(platform_key.exchange(ec.ECDH(), _check_point(header.point)), header))
    try:
        _outside_secret(header, share)
    except WrongCode:
        raise EnvelopeDamaged("/outside_check: the envelope was not made for this platform as it stands") from None
    return share


def check_opening(commitment: str, salt: bytes, plaintext: bytes) -> bool:
    """Whether this is what was committed to (hexadecimal, from the sealed event)."""
    return len(salt) == SALT_BYTES and hmac.compare_digest(commitment_of(salt, plaintext), commitment)


def commitment_of(salt: bytes, plaintext: bytes) -> str:
    """The commitment, hexadecimal. `salt`: 32 bytes."""
    return hashlib.sha256(COMMITMENT_PREFIX + salt + plaintext).hexdigest()


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """By what envelopes name a release key or a platform's: SHA-256 of its uncompressed point, hexadecimal.

    Raises EnvelopeRefused if it is not a key of P-256."""
    return hashlib.sha256(_point(key)).hexdigest()


def padded_length(length: int) -> int:
    """The length that content of this length is filled up to: 256 at least, and then at most 1/8 more (PADMÉ, Nikitin
    and others, "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019)."""
    if length <= _SMALLEST_CONTENT:
        return _SMALLEST_CONTENT
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def _check_place(header: Header, expected: Context, release_key: ec.EllipticCurvePublicKey) -> None:
    for name in ("tenant", "kind", "field", "reference"):
        if getattr(header.context, name) != getattr(expected, name):
            raise EnvelopeElsewhere(f"/context/{name}: the envelope was made for another {name}")
    if header.release_key != key_id(release_key):
        raise EnvelopeElsewhere("/release_key: the envelope was made for another release key")


def _open(envelope: Envelope, agreed: bytes, outside: bytes) -> Opened:
    associated = envelope.header.encoded()
    key, nonce = _keys(agreed, outside, associated)
    try:
        content = AESGCM(key).decrypt(nonce, envelope.ciphertext, associated)
    except (InvalidTag, ValueError):
        raise EnvelopeDamaged("/ciphertext: the envelope was altered") from None
    start = SALT_BYTES + _LENGTH_BYTES
    length = int.from_bytes(content[SALT_BYTES:start], "big")
    salt, plaintext, rest = content[:SALT_BYTES], content[start : start + length], content[start + length :]
    whole = len(content) >= start + length and len(content) == padded_length(start + length) and not any(rest)
    if not whole or not check_opening(envelope.header.commitment, salt, plaintext):
        # A sender can make such an envelope; nobody can open one to two values.
        raise EnvelopeDamaged("/commitment: what is in the envelope is not what was committed to")
    return Opened(plaintext, salt, envelope.header.commitment)


def _outside_secret(header: Header, outside: str) -> bytes:
    """The code's or the share's bytes, if they are this envelope's."""
    if header.outside == "code":
        secret = code_secret(outside)
    else:
        try:
            secret = read_base64url(outside.strip(), "/share")
        except EnvelopeRefused:
            secret = b""
        if len(secret) != AGREED_BYTES:
            raise WrongCode("a share has 43 characters, base64url of 32 bytes")
    if not hmac.compare_digest(_check(secret, header.point).hex(), header.outside_check):
        raise WrongCode(f"the {header.outside} does not fit this envelope")
    return secret


def _share(agreed: bytes, header: Header) -> bytes:
    salt = hashlib.sha256(header.core()).digest()
    return HKDF(hashes.SHA256(), AGREED_BYTES, salt, _SHARE_INFO).derive(agreed)


def _check(outside: bytes, point: bytes) -> bytes:
    return HKDF(hashes.SHA256(), CHECK_BYTES, point, _CHECK_INFO).derive(outside)


def _keys(agreed: bytes, outside: bytes, associated: bytes) -> tuple[bytes, bytes]:
    salt = hashlib.sha256(associated).digest()
    derived = HKDF(hashes.SHA256(), _KEY_BYTES + _NONCE_BYTES, salt, _KEY_INFO).derive(agreed + outside)
    return derived[:_KEY_BYTES], derived[_KEY_BYTES:]


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    if not isinstance(key.curve, ec.SECP256R1):
        raise EnvelopeRefused("values are veiled to keys of P-256")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _check_point(point: bytes) -> ec.EllipticCurvePublicKey:
    try:
        if len(point) == POINT_BYTES:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        pass
    raise EnvelopeDamaged("/ephemeral: not a point of P-256")
