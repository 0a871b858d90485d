"""By what a row is known again, so that it is accepted once: a hash under a key of the tenant's.

It says nothing to whoever has no such key, and differs between tenants, applications, kinds, events and batches.
"""

from __future__ import annotations

import hmac
import json
from typing import Final

import msgspec

from appliance.intake.rows import Row

KEY_BYTES: Final = 16
CONTENT_BYTES: Final = 8
_encode = msgspec.msgpack.Encoder(order="sorted").encode


def basis(application: str, kind: str, event: str, batch: str) -> bytes:
    """What a run's keys are derived from. `batch`: the caller's number of it, or the SHA-256 of the file."""
    text = json.dumps(["cinnabar intake v1", application, kind, event, batch], ensure_ascii=False)
    return b"cinnabar row keys v1\n" + text.encode()


class RowKeys:
    """Of one run. `secret`: 32 bytes, a keyed hash of `basis`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, row: Row) -> bytes:
        """16 bytes: of the row's key columns, or its number."""
        text = f"key\n{row.key}" if row.key else f"number\n{row.number}"
        return hmac.digest(self._secret, text.encode(), "sha256")[:KEY_BYTES]

    def content(self, row: Row) -> bytes:
        """8 bytes: of what stands in it, to tell whether it is the same row."""
        beside = (row.envelopes, row.receipts) if row.envelopes or row.receipts else ()
        text = b"content\n" + _encode((row.letter, row.fields, row.data, *beside))
        return hmac.digest(self._secret, text, "sha256")[:CONTENT_BYTES]
