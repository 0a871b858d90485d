"""The hash of a log's tree: SHA-256 as RFC 6962 has it, or another one that the log's origin names.

C2SP names no hash but SHA-256, and asks for another origin where the meaning of a log's signatures changes. So the last
part of an origin's path says which hash it is: `log.example/bank/sha512`. Every other origin is of SHA-256. Who knows a
log's origin, which its signature covers, so knows its hash; nothing that is proven chooses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol


class Digest(Protocol):
    """What hashlib's functions give."""

    def digest(self) -> bytes: ...


@dataclass(frozen=True)
class TreeHash:
    """A hash of trees; leaves and nodes are made apart by a first byte (RFC 6962, section 2.1)."""

    name: str
    """As hashlib and trust bundles have it."""
    size: int
    """Bytes of a digest; also of each entry of a box's log, which is a commitment under the same hash."""
    new: Callable[[bytes], Digest]

    def digest(self, data: bytes) -> bytes:
        """`size` bytes."""
        return self.new(data).digest()

    @property
    def empty_root(self) -> bytes:
        """Root of the tree without leaves."""
        return self.digest(b"")


SHA256: Final = TreeHash("sha256", 32, hashlib.sha256)
SHA512: Final = TreeHash("sha512", 64, hashlib.sha512)
SM3: Final = TreeHash("sm3", 32, partial(hashlib.new, "sm3"))
"""GB/T 32905, out of the OpenSSL that Python is built with."""
RENEWED_HASHES: Final = {one.name: one for one in (SHA512, SM3)}
"""Those that an origin names by its last part."""
TREE_HASHES: Final = (SHA256, *RENEWED_HASHES.values())
LARGEST_HASH: Final = 64


def hash_of(origin: str) -> TreeHash:
    """The hash of a log's tree."""
    return RENEWED_HASHES.get(origin.rpartition("/")[2], SHA256)


def renewed_origin(origin: str, hashing: TreeHash) -> str:
    """The origin of the log that follows another one under a hash that an origin can name."""
    stem, _, last = origin.rpartition("/")
    return f"{stem if last in RENEWED_HASHES else origin}/{hashing.name}"
