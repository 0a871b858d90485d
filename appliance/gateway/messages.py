"""What a message is, whatever its format: who to whom, when, with which nonce; what is signed; how it is opened."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from appliance.gateway.errors import MessageRefused
from appliance.gateway.keys import Recipient

_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")
_LEAST: Final = ((re.compile(r"[0-9]*"), 39), (re.compile(r"[0-9a-f]*|[0-9A-F]*"), 32), (_NONCE, 22))
"""Alphabets, and how many of their symbols hold 128 bits."""
EARLIEST_MS: Final = 10**12
LATEST_MS: Final = 10**13 - 1


@dataclass(frozen=True)
class Parties:
    """Who sends to whom, by the names that messages and keys are bound to."""

    sender: str
    receiver: str

    def answer(self) -> Parties:
        """The other way round."""
        return Parties(self.receiver, self.sender)


@dataclass(frozen=True)
class Head:
    """What a message says of itself."""

    parties: Parties
    nonce: str
    time_ms: int
    """Milliseconds since 1970-01-01T00:00:00Z, 13 digits."""


@dataclass(frozen=True)
class ReadMessage:
    """A message taken apart; nothing of it is true until its signature was verified."""

    head: Head
    signed: bytes
    """The bytes that its signature is over."""
    signature: bytes
    """X.509 form."""
    algorithm: str | None
    """What the message says that it was signed by; None where its format does not say."""
    certificate: bytes | None
    """SHA-256 of the certificate that it says it was signed by, likewise."""
    open: Callable[[Recipient], bytes]
    """Decrypts it. Raises MessageRefused, and what an HSM raises."""


@dataclass(frozen=True)
class PreparedMessage:
    """A message that lacks its signature."""

    to_be_signed: bytes
    complete: Callable[[bytes], bytes]
    """The message, from its signature in X.509 form."""


def fresh_nonce() -> str:
    """128 random bits, 22 characters."""
    return secrets.token_urlsafe(16)


def check_nonce(nonce: str) -> None:
    """Whether a nonce can hold 128 bits in the alphabet that it is written in. Raises MessageRefused."""
    if not _NONCE.fullmatch(nonce):
        raise MessageRefused("a nonce has 22 to 64 characters of base64url")
    least = next(count for alphabet, count in _LEAST if alphabet.fullmatch(nonce))
    if len(nonce) < least:
        raise MessageRefused("the nonce holds less than 128 bits")
