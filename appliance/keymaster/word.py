"""What the keymaster tells of itself: one small file, written after each round and read for the metrics."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.box.words import WORD_BYTES
from appliance.files import read_file, write_file


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
    """Replace the word as a whole; workers of other users read it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, msgspec.json.encode(word))


def read_word(path: Path) -> KeymasterWord | None:
    """The last word; None where there is none."""
    try:
        return msgspec.json.decode(read_file(path, WORD_BYTES), type=KeymasterWord)
    except (OSError, msgspec.DecodeError):
        return None


def unexplained_tenants(path: Path) -> int:
    """How many tenants' tokens hold what nobody can explain, as last said."""
    word = read_word(path)
    return 0 if word is None else word.unexplained_tenants
