"""RFC 6962, section 2.1, word for word: recursive, over all entries. What the log's own functions are held to."""

from __future__ import annotations

from hashlib import sha256
from typing import Any


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(entries: list[bytes], new: Any = sha256) -> bytes:
    if not entries:
        return bytes(new(b"").digest())
    if len(entries) == 1:
        return bytes(new(b"\x00" + entries[0]).digest())
    k = split(len(entries))
    return bytes(new(b"\x01" + mth(entries[:k], new) + mth(entries[k:], new)).digest())


def path(m: int, entries: list[bytes], new: Any = sha256) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k], new), mth(entries[k:], new)]
    return [*path(m - k, entries[k:], new), mth(entries[:k], new)]


def proof(m: int, entries: list[bytes], new: Any = sha256) -> list[bytes]:
    return _subproof(m, entries, True, new)


def _subproof(m: int, entries: list[bytes], whole: bool, new: Any) -> list[bytes]:
    n = len(entries)
    if m == n:
        return [] if whole else [mth(entries, new)]
    k = split(n)
    if m <= k:
        return [*_subproof(m, entries[:k], whole, new), mth(entries[k:], new)]
    return [*_subproof(m - k, entries[k:], False, new), mth(entries[:k], new)]
