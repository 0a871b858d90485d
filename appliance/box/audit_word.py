"""The audit process's word: how many log entries wait for the syslog receiver, and whether that is still audit enough.

It writes HOME/run/audit/word twice a second; the supervisor reads it where `audit.forced` is set. A word that is not
there, or is old, says nothing good: with forced audit, no work is done that nobody might ever see.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from appliance.box.settings import AuditSettings
from appliance.box.words import WORD_BYTES, Word
from appliance.files import read_file

LIFETIME_S = 10.0
"""How long a word is believed."""


class AuditWord(Word, frozen=True, kw_only=True):
    """What the audit process says of itself."""

    backlog: int
    """Entries that the receiver has not confirmed."""
    receiver: str
    """ready, failing, or off."""


def not_kept(path: Path, settings: AuditSettings, now: float | None = None) -> str | None:
    """Why work is to be refused, in words; None where it need not be."""
    if not settings.forced:
        return None
    if settings.syslog is None:
        return "audit is forced and no receiver is set"
    try:
        word = msgspec.json.decode(read_file(path, WORD_BYTES), type=AuditWord)
    except (OSError, msgspec.MsgspecError):
        return "the audit process does not say how it is"
    if not 0 <= (time.time() if now is None else now) - word.time <= LIFETIME_S:
        return "the audit process has not said for a while how it is"
    if word.backlog > settings.backlog:
        return f"{word.backlog} entries wait for the receiver"
    return None
