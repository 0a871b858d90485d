"""A custodian's share as people carry it: 30 words that say which set it is of and whether they were taken down well.

330 bits: a version (2 bits), the set's id (4 bytes), threshold and index (1 byte each), the share's value (32 bytes),
and a check, the first 3 bytes of SHA-256 over all before it. Words are those of BIP-0039 in English, 11 bits each, of
which the first four letters are enough. The check finds slips; which share is the right one is said by its mark in the
backup file: a SHA-256 over the whole share, which gives nothing away, for a share's value is 256 random bits.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
from dataclasses import dataclass

from mnemonic import Mnemonic

from appliance.errors import BadRequest
from appliance.secret_sharing import combine, split

SECRET_BYTES = 32
SET_BYTES = 4
WORDS = 30
_VERSION = 0
_CHECK_BYTES = 3
_BYTES = SET_BYTES + 2 + SECRET_BYTES + _CHECK_BYTES
_PREFIX = 4
_CHECK_CONTEXT = b"cinnabar share check v1\0"
_MARK_CONTEXT = b"cinnabar share v1\0"


class ShareRefused(BadRequest):
    """What a custodian entered is no share, not well copied, or not of this backup."""

    code = "share-refused"
    title = "This is not a share of the backup"
    control = "QUORUM"


@dataclass(frozen=True)
class Share:
    """One custodian's part of a wrapping key."""

    set_id: bytes
    """4 random bytes, the same in all shares of a set."""
    threshold: int
    """Shares that bring the wrapping key together."""
    index: int
    """1 to 255."""
    value: bytes

    def __repr__(self) -> str:
        return f"Share(set_id={self.set_id.hex()}, threshold={self.threshold}, index={self.index})"

    @property
    def mark(self) -> str:
        """What the backup file says of the share so that no other is taken for it: SHA-256, hexadecimal."""
        return hashlib.sha256(_MARK_CONTEXT + self._encoded()).hexdigest()

    def words(self) -> str:
        """The 30 words, separated by spaces."""
        encoded = self._encoded()
        number = int.from_bytes(encoded + _check(encoded))  # the version, 0, stands in the two bits before
        words = _dictionary()
        return " ".join(words[number >> (11 * place) & 2047] for place in reversed(range(WORDS)))

    def _encoded(self) -> bytes:
        return self.set_id + bytes([self.threshold, self.index]) + self.value


def make_shares(secret: bytes, threshold: int, count: int) -> list[Share]:
    """A new set of shares of 32 bytes, by rising index."""
    if len(secret) != SECRET_BYTES:
        raise ValueError("a shared secret has 32 bytes")
    set_id = os.urandom(SET_BYTES)
    return [Share(set_id, threshold, index, value) for index, value in split(secret, threshold, count).items()]


def read_share(text: str) -> Share:
    """The share that these words are; their first four letters are enough. Raises ShareRefused, which says no word."""
    typed = text.lower().split()
    if len(typed) != WORDS:
        raise ShareRefused(f"a share has {WORDS} words, these are {len(typed)}")
    known, number = _prefixes(), 0
    for place, word in enumerate(typed, 1):
        found = known.get(word[:_PREFIX])
        if found is None or not _dictionary()[found].startswith(word):
            raise ShareRefused(f"word {place} is not one of the list")
        number = number << 11 | found
    if number >> (8 * _BYTES) != _VERSION:
        raise ShareRefused("these words are no share that this box can read")
    encoded = (number & (1 << 8 * _BYTES) - 1).to_bytes(_BYTES)
    content, check = encoded[:-_CHECK_BYTES], encoded[-_CHECK_BYTES:]
    if not hmac.compare_digest(check, _check(content)):
        raise ShareRefused("the words do not fit together: one of them is wrong, or two are exchanged")
    threshold, index = content[SET_BYTES], content[SET_BYTES + 1]
    if not 1 <= threshold <= 255 or index == 0:
        raise ShareRefused("these words are no share")
    return Share(content[:SET_BYTES], threshold, index, content[SET_BYTES + 2 :])


def recover(shares: list[Share]) -> bytes:
    """The shared secret. Raises ShareRefused unless these are exactly as many different shares as one set needs."""
    if not shares or len({(share.set_id, share.threshold) for share in shares}) != 1:
        raise ShareRefused("the shares are not of one set")
    by_index = {share.index: share.value for share in shares}
    if len(by_index) != len(shares) or len(shares) != shares[0].threshold:
        raise ShareRefused(f"{shares[0].threshold} different shares are needed")
    return combine(by_index)


def _check(content: bytes) -> bytes:
    return hashlib.sha256(_CHECK_CONTEXT + content).digest()[:_CHECK_BYTES]


@functools.cache
def _dictionary() -> list[str]:
    return list(Mnemonic("english").wordlist)


@functools.cache
def _prefixes() -> dict[str, int]:
    return {word[:_PREFIX]: number for number, word in enumerate(_dictionary())}
