"""Ids and idempotency keys in and out of their written forms."""

from __future__ import annotations

import hashlib
import os
import time
import uuid

from appliance.api.messages import Request
from appliance.recorder.errors import IdempotencyKeyInvalid
from appliance.recorder.messages import Idempotency


def idempotency_of(request: Request) -> Idempotency | None:
    """The request's Idempotency-Key with the digest of what it stands for: method, address, media type and body.

    Raises IdempotencyKeyInvalid unless it is a UUIDv7 in its usual form (RFC 9562, sections 4 and 5.7). Whether its
    time is in the window is the recorder's to say.
    """
    header = request.headers.get(b"idempotency-key")
    if header is None:
        return None
    text = header.decode("latin-1").strip().strip('"')
    try:
        key = uuid.UUID(text)
    except ValueError:
        raise IdempotencyKeyInvalid("Idempotency-Key is not a UUID.") from None
    if key.version != 7 or str(key) != text.lower():
        raise IdempotencyKeyInvalid("Idempotency-Key is not a UUIDv7 in its usual form.")
    head = f"{request.method}\n{request.path}?{request.query}\n{request.media_type}\n".encode()
    return Idempotency(key.bytes, hashlib.sha256(head + request.body).digest())


def new_idempotency_key() -> bytes:
    """A UUIDv7 (RFC 9562, section 5.7) of our own, 16 bytes, for a command that needs one and got none."""
    random = bytearray(os.urandom(16))
    random[:6] = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    random[6] = 0x70 | random[6] & 0x0F
    random[8] = 0x80 | random[8] & 0x3F
    return bytes(random)
