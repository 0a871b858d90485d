"""What cannot be read as the Bitcoin family writes it."""

from __future__ import annotations


class MalformedBitcoin(ValueError):
    """Bytes or text that are no transaction, header, branch or address of the Bitcoin family."""
