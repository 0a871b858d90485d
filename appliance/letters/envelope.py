"""The envelope of a veiled value: its members, its one encoding, and what of it is authenticated. Pure.

Canonical JSON (RFC 8785), and no other bytes are an envelope. In it bytes are base64url without padding (RFC 4648,
section 5), digests lower-case hexadecimal. docs/veil.md shows one member by member.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
import rfc8785
from msgspec import UNSET, UnsetType

from appliance.base64url import from_base64url, to_base64url
from appliance.letters.errors import EnvelopeRefused

POINT_BYTES = 65
CHECK_BYTES = 16
LARGEST_PLAINTEXT = 16 * 1024 * 1024
LARGEST_ENVELOPE = 25 * 1024 * 1024

_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Base64 = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z")]
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,126}\Z")]
Outside = Literal["code", "share"]


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an envelope is for: opened in any other place, it does not open."""

    tenant: _Name
    """Whose release key it is encrypted to."""
    kind: _Digest
    """SHA-256 of the kind's file."""
    field: _Name
    """The field's name in the kind."""
    reference: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What the sender calls the letter, for example the tender and the bidder: the letter must say the same."""
    not_before: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | UnsetType = UNSET
    """Microseconds since 1970-01-01T00:00:00Z before which no box opens it, whatever its letter says later."""


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the ciphertext: what is authenticated with it."""

    commitment: _Digest
    """SHA-256 over salt and plaintext (appliance.letters.veil)."""
    context: Context
    ephemeral: Annotated[str, msgspec.Meta(pattern=r"\AB[A-Za-z0-9_-]{86}\Z")]
    """The sender's point of P-256, uncompressed, 65 bytes."""
    format: Literal["cinnabar-veil/1"] = "cinnabar-veil/1"
    outside: Outside
    """What opens it beside the release key: the sender's bid code, or the share of the tender platform."""
    outside_check: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    """16 bytes by which a wrong code or share is told before the release key is used."""
    platform: _Digest | UnsetType = UNSET
    """SHA-256 of the platform's public key, of a share."""
    release_key: _Digest
    """SHA-256 of the release key's public key (uncompressed point)."""

    def encoded(self) -> bytes:
        """Canonical JSON: the associated data."""
        return rfc8785.dumps(msgspec.to_builtins(self))

    def core(self) -> bytes:
        """Canonical JSON without `outside_check`: what a platform's share is for."""
        members = msgspec.to_builtins(self)
        del members["outside_check"]
        return rfc8785.dumps(members)

    @property
    def point(self) -> bytes:
        return read_base64url(self.ephemeral, "/ephemeral")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A header and its ciphertext."""

    header: Header
    ciphertext: bytes

    def encoded(self) -> bytes:
        """Canonical JSON. The ciphertext comes first: its name sorts before all others."""
        return b'{"ciphertext":"' + to_base64url(self.ciphertext).encode() + b'",' + self.header.encoded()[1:]

    @property
    def digest(self) -> str:
        """SHA-256 of the encoding, hexadecimal: by which events name it."""
        return hashlib.sha256(self.encoded()).hexdigest()


class _Whole(Header, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ciphertext: _Base64


def read_envelope(raw: bytes) -> Envelope:
    """Read an envelope. Raises EnvelopeRefused, naming the member."""
    if len(raw) > LARGEST_ENVELOPE:
        raise EnvelopeRefused(f"an envelope has at most {LARGEST_ENVELOPE} bytes")
    try:
        whole = msgspec.json.decode(raw, type=_Whole)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeRefused(f"not an envelope: {error}") from None
    members = {name: getattr(whole, name) for name in Header.__struct_fields__}
    envelope = Envelope(header=Header(**members), ciphertext=read_base64url(whole.ciphertext, "/ciphertext"))
    if (envelope.header.outside == "share") is (envelope.header.platform is UNSET):
        raise EnvelopeRefused("/platform: a share names its platform, and nothing else does")
    if len(envelope.header.point) != POINT_BYTES:
        raise EnvelopeRefused("/ephemeral: not an uncompressed point of P-256")
    try:
        same = envelope.encoded() == raw
    except (ValueError, UnicodeEncodeError):
        same = False
    if not same:
        raise EnvelopeRefused("the envelope is not canonical JSON (RFC 8785)")
    return envelope


def read_base64url(text: str, pointer: str) -> bytes:
    """Raises EnvelopeRefused, with the member's pointer, for what is not the one encoding of its bytes."""
    try:
        return from_base64url(text)
    except ValueError:
        raise EnvelopeRefused(f"{pointer}: not base64url") from None
