"""Under what a letter can be found by somebody who has no code: a pair of its fields, a file that was made of it. Pure.

What is kept is a hash of the values, spelled as in appliance.letters.uniqueness and keyed with the tenant's content
key; so the database tells nobody who is in it, and whoever looks must know both values to the letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from appliance.errors import CinnabarError
from appliance.letters.effects import spelled_values
from appliance.letters.fields import moment
from appliance.letters.kind import Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import normalised

PAIR: Final = "pair"
FILE: Final = "file"
"""Names under which values are hashed."""


def pair_of(kind: Kind, state: LetterState | None) -> tuple[str, ...] | None:
    """The kind's id and the values of its pair; None where it has none, or a value is not there."""
    if kind.pair is None or state is None:
        return None
    values = spelled_values(kind, state, kind.pair.fields)
    return None if values is None else (kind.id, *values)


def file_of(content: bytes) -> tuple[str, ...]:
    """What a file is found by: its SHA-256, hexadecimal."""
    return (hashlib.sha256(content).hexdigest(),)


def is_pair(kind: Kind, state: LetterState, given: Sequence[str], now_us: int) -> bool:
    """Whether the values given are those that the letter has now, and may be asked about by now."""
    found = pair_of(kind, state)
    if found is None or kind.pair is None:
        return False
    begins = state.fields.get(kind.pair.from_) if kind.pair.from_ is not None else None
    if kind.pair.from_ is not None and (begins is None or now_us < moment(begins, kind.zone)):
        return False
    try:
        return [normalised(one) for one in found[1:]] == [normalised(one) for one in given]
    except CinnabarError:
        return False
