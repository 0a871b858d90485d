"""What a partner needs to know, besides its own keys, to write messages and read answers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.gateway.formats import Format
from appliance.gateway.keys import Signing


class MessageKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that messages to the tenant are encrypted to."""

    key: bytes
    """SubjectPublicKeyInfo, DER, of a point of P-256."""
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of it, hexadecimal."""


class PartnerSheet(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v1/gateway/{partner}` answers."""

    partner: str
    """By what name messages have the partner: their sender."""
    tenant: str
    """By what name messages have the tenant: their receiver."""
    format: Format
    sign: Signing
    """How the partner signs."""
    keys: list[MessageKey]
    """To which messages are encrypted, the newest first; the others still open."""
    answer_algorithm: Signing
    """How answers are signed."""
    answer_certificates: list[bytes]
    """DER: of the key that signs answers, and its chain."""
    calls: list[Literal["begin", "event", "letter"]]
    kinds: list[str]
    window: int
    """Seconds that a message's time may be from the box's clock."""
    version: int
    """Of the profile."""
