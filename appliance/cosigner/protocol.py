"""What a witness's answer to add-checkpoint (C2SP tlog-witness) means. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from appliance.log.errors import MalformedNote
from appliance.log.note import Note, NoteSignature, VerifierKey, parse_note
from appliance.log.tree import MAXIMUM_SIZE
from appliance.log.witnesses import cosigned_at

SIZE_TYPE: Final = "text/x.tlog.size"
ANSWER_BYTES: Final = 16_384
"""Largest answer that is read: a witness has one cosignature, or a few."""
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class Trouble(Enum):
    """Why there is no cosignature: (what it is called, whether the log itself is in doubt)."""

    SILENT = ("silent", False)
    """No answer in time, or none that TLS let through."""
    BUSY = ("busy", False)
    """It asks to come again later (429), is not well, or refuses this log until a person decides (5xx)."""
    UNKNOWN_LOG = ("unknown-log", False)
    """It does not know the log (404): its operator has not entered it."""
    UNKNOWN_KEY = ("unknown-key", False)
    """It trusts none of the keys that signed the head (403): its operator has not entered the log's new key."""
    MALFORMED = ("malformed", False)
    """Its answer is none that a witness gives, or it found ours to be none (400)."""
    AHEAD = ("ahead", True)
    """It has cosigned a larger head of this log than the box has: the box was rolled back, or another holds its key."""
    FORKED = ("forked", True)
    """The head that it has cosigned is not one of this log's history (422, or 409 without a size)."""

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def doubts_the_log(self) -> bool:
        return self.value[1]


@dataclass(frozen=True)
class Cosigned:
    """The witness has cosigned the head."""

    line: NoteSignature
    time_s: int
    """When it says that it did, in seconds since the epoch."""


@dataclass(frozen=True)
class AtSize:
    """The last head that it has cosigned has another size than it was told; it may be larger than the one it was
    shown."""

    size: int


@dataclass(frozen=True)
class Refused:
    """There is no cosignature."""

    trouble: Trouble
    detail: str
    """For people; nothing that the witness wrote stands in it."""


Answer = Cosigned | AtSize | Refused


def read_answer(status: int, kind: str, body: bytes, note: Note, key: VerifierKey, old: int, size: int) -> Answer:
    """What a witness said to the head `note`, of `size` entries, when it was told that it last cosigned `old`.

    Only a cosignature by `key` counts; lines by other keys are ignored, as tlog-witness has it.
    """
    if status == 200:
        return _cosignature(body, note, key)
    if status == 409:
        return _conflict(kind, body, old, size)
    if status == 422:
        return Refused(Trouble.FORKED, f"the head of {size} does not follow the one of {old} that it has")
    if status == 404:
        return Refused(Trouble.UNKNOWN_LOG, "it does not know this log")
    if status == 403:
        return Refused(Trouble.UNKNOWN_KEY, "it trusts none of the keys that signed the head")
    if status == 429 or 500 <= status < 600:
        return Refused(Trouble.BUSY, f"status {status}")
    return Refused(Trouble.MALFORMED, f"status {status}")


def _cosignature(body: bytes, note: Note, key: VerifierKey) -> Answer:
    if not body.endswith(b"\n"):
        return Refused(Trouble.MALFORMED, "status 200 without a line")
    try:
        # As tlog-witness has it: the lines are read as those of a note, together with the text that they are of.
        read = parse_note(note.text + b"\n" + body)
    except MalformedNote:
        return Refused(Trouble.MALFORMED, "status 200 with lines that are none of a note")
    for line in read.signatures if read.text == note.text else ():
        if (line.name, line.key_id) == (key.name, key.key_id):
            at = cosigned_at(Note(note.text, (line,)), key)
            if at is not None:
                return Cosigned(line, at)
    return Refused(Trouble.MALFORMED, "status 200 without a cosignature of its key that holds")


def _conflict(kind: str, body: bytes, old: int, size: int) -> Answer:
    """A 409 is about the size that the witness was told, or, in another type, about the log's history."""
    if kind.partition(";")[0].strip().lower() != SIZE_TYPE:
        return Refused(Trouble.FORKED, f"it has another history than the head of {size}")
    said = _SIZE.fullmatch(body)
    known = MAXIMUM_SIZE + 1 if said is None else int(said[1])
    if known > MAXIMUM_SIZE:
        return Refused(Trouble.MALFORMED, "status 409 without a size")
    if known == old:
        return Refused(Trouble.MALFORMED, "status 409 with the size that it was told")
    return AtSize(known)
