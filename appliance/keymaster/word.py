"""What the keymaster tells of itself: one small file, written after each round and read for the metrics."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class KeymasterWord(msgspec.Struct, frozen=True, kw_only=True):
    """Of this life of the process."""

    rounds: int
    failures: int
    """Rounds that failed; a failed one is tried again in the next."""
    succeeded: float | None = None
    """End of the last round that did not fail, seconds since the epoch."""
    unexplained_tenants: int = 0
    """Tenants that do not sign because their token holds what the ledger of keys does not explain."""


def write_word(path: Path, word: KeymasterWord) -> None:
    """Replace the word as a whole. It need not outlive the machine, so nothing is flushed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o644)  # whatever the umask: workers of other users read it
        file.write(msgspec.json.encode(word))
    scratch.replace(path)


def read_word(path: Path) -> KeymasterWord | None:
    """The last word; None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeymasterWord)
    except (OSError, msgspec.DecodeError):
        return None


def unexplained_tenants(path: Path) -> int:
    """How many tenants' tokens hold what nobody can explain, as last said."""
    word = read_word(path)
    return 0 if word is None else word.unexplained_tenants
