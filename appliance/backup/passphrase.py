"""The passphrase of a backup: from a file that only its owner can read, or asked for; never an argument."""

from __future__ import annotations

import stat
from pathlib import Path

from appliance.backup.errors import PassphraseUnusable

MINIMUM_CHARACTERS = 12


def read_passphrase(file: Path) -> bytes:
    """The first line of a file of mode 0600 or stricter. Raises PassphraseUnusable."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise PassphraseUnusable(f"{file} is not a regular file that only its owner can read")
    return check_passphrase(file.read_text(encoding="utf-8").partition("\n")[0])


def check_passphrase(text: str) -> bytes:
    """Raises PassphraseUnusable for one that is too short."""
    if len(text) < MINIMUM_CHARACTERS:
        raise PassphraseUnusable(f"a passphrase has at least {MINIMUM_CHARACTERS} characters")
    return text.encode()
