"""What travels between an API worker and the filer: one errand a connection, as frames of appliance.calls.framing.

An empty frame is answered by an empty one: that is how the supervisor sees that the filer is not hung.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

ANSWER_BYTES: Final = 1024 * 1024
"""Largest answer of an authority that is read."""
ERRAND_BYTES: Final = 8 * 1024 * 1024
"""Largest errand: its message is made of one letter's clear fields."""


class Errand(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One request to an authority."""

    method: Literal["GET", "POST", "PUT"]
    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps://[^@#\s]+\Z", max_length=2_000)]
    ca: Annotated[str, msgspec.Meta(min_length=1)]
    """PEM: whose TLS certificates are believed."""
    number: Annotated[str, msgspec.Meta(max_length=64)]
    """Of the filing: it travels as Idempotency-Key."""
    message: bytes
    """Signed already; empty where a receipt is asked for."""
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]
    """Of the whole, from the first byte to the last."""


class Answer(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """What the authority answered, as it came."""

    status: int
    body: bytes
    """Empty but for the statuses 200, 201 and 202: of no other one is it read."""


class Failed(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """There is no answer."""

    why: Annotated[str, msgspec.Meta(max_length=200)]
