"""Base64 with one spelling: no bit of a message is free (RFC 4648, section 3.5)."""

from __future__ import annotations

import base64
import binascii

from appliance.base64url import from_base64url
from appliance.gateway.errors import MessageRefused


def to_base64(data: bytes) -> str:
    """RFC 4648, section 4, with padding."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Raises MessageRefused."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or to_base64(data) != text:
        raise MessageRefused("not base64 in its one spelling")
    return data


def read_base64url(text: str) -> bytes:
    """RFC 4648, section 5, without padding, as RFC 7515 has it. Raises MessageRefused."""
    try:
        return from_base64url(text)
    except ValueError:
        raise MessageRefused("not base64url in its one spelling") from None
