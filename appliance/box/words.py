"""Words: what a process says of itself, again and again, in a small file that others read. One that is old says that
its process is not well, and is not believed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from appliance.files import read_file, write_file

WORD_BYTES: Final = 16 * 1024 * 1024
"""Of a process that speaks of every log of the box."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """As JSON; a process's own adds what it has to say."""

    time: float
    """When it was said, in seconds since the epoch."""


Said = TypeVar("Said", bound=Word)


def write_word(path: Path, word: Word, mode: int = 0o640) -> None:
    """Replace the word as a whole; its directory says who may reach it. Raises OSError."""
    write_file(path, msgspec.json.encode(word), mode)


def read_word(path: Path, kind: type[Said], lifetime_s: float, now: float | None = None) -> Said | None:
    """The last word; None where there is none, or none that is believed any more. `lifetime_s`: how long it is, in
    seconds. `now`: in seconds since the epoch, the machine's clock where not given."""
    try:
        word = msgspec.json.decode(read_file(path, WORD_BYTES), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
    return word if 0 <= (time.time() if now is None else now) - word.time <= lifetime_s else None
