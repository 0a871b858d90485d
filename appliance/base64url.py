"""Base64url without padding, in its one spelling: no bit of a text is free (RFC 4648, sections 3.5 and 5; RFC 7515)."""

from __future__ import annotations

import base64


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Raises ValueError for padding, any other character, and trailing bits that are not zero."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if to_base64url(data) != text:
        raise ValueError("not base64url in its one spelling")
    return data
