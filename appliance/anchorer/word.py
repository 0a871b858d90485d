"""The anchorer's word: how each ledger stands. It is written every few seconds; the workers' metrics read it. A word
that is old says that the anchorer itself is not well."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.anchorer.views import LedgerView
from appliance.box.words import Word, read_word

EVERY_SECONDS: Final = 2.0
LIFETIME_SECONDS: Final = 15.0
"""How long a word is believed."""


class AnchorerWord(Word, frozen=True, kw_only=True):
    """What the anchorer says of itself."""

    ledgers: list[LedgerView]


def read_anchorer_word(path: Path, now: float | None = None) -> AnchorerWord | None:
    """The last word; None where there is none, or none that is believed any more."""
    return read_word(path, AnchorerWord, LIFETIME_SECONDS, now)
