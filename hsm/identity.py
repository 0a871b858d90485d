"""By what a key is known again when it is found anew: its public key, or for a secret key what it makes of a message
that is used for nothing else."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from hsm.public_keys import PublicKey, same_public_key

KEY_CHECK_MESSAGE = b"cinnabar key check v1\n"
"""What a MAC key is known by: no other message of this box begins so."""


@dataclass(frozen=True)
class KeyCheck:
    """The MAC that a secret key makes of KEY_CHECK_MESSAGE: tells one key from another, and nothing of the key."""

    value: bytes


Identity = PublicKey | KeyCheck


def same_identity(one: Identity, other: Identity) -> bool:
    """Whether two finds are of one key."""
    if isinstance(one, KeyCheck) or isinstance(other, KeyCheck):
        return isinstance(one, KeyCheck) and isinstance(other, KeyCheck) and hmac.compare_digest(one.value, other.value)
    return same_public_key(one, other)
