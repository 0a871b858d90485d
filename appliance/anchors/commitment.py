"""What is written to a ledger: 32 bytes that commit to a checkpoint of the box's log, and by it to every tenant."""

from __future__ import annotations

import hashlib
from typing import Final

from appliance.log.note import parse_note

COMMITMENT_BYTES: Final = 32


def commitment_of(checkpoint_note: bytes) -> bytes:
    """SHA-256 of a checkpoint's text (C2SP tlog-checkpoint): origin, size, root, each with its newline.

    The signatures are left out: another cosignature changes nothing of what is anchored. They are not verified here.
    Raises MalformedNote.
    """
    return hashlib.sha256(parse_note(checkpoint_note).text).digest()
