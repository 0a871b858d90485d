"""The anchorer's word: how each ledger stands. It is written every few seconds; the workers' metrics read it. A word
that is old says that the anchorer itself is not well."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from appliance.anchorer.views import LedgerView
from appliance.files import write_file

EVERY_SECONDS: Final = 2.0
LIFETIME_SECONDS: Final = 15.0
"""How long a word is believed."""


class AnchorerWord(msgspec.Struct, frozen=True, kw_only=True):
    """As JSON."""

    time: float
    """Seconds since the epoch."""
    ledgers: list[LedgerView]


def write_word(path: Path, word: AnchorerWord) -> None:
    """Replace the word as a whole; its directory says who may read it."""
    write_file(path, msgspec.json.encode(word), 0o640)


def read_word(path: Path, now: float | None = None) -> AnchorerWord | None:
    """The last word; None where there is none, or none that is believed any more."""
    try:
        word = msgspec.json.decode(path.read_bytes(), type=AnchorerWord)
    except (OSError, msgspec.MsgspecError):
        return None
    return word if 0 <= (time.time() if now is None else now) - word.time <= LIFETIME_SECONDS else None
