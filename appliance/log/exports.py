"""Exported checkpoints: the last head of each log, outside of what a restore brings back (control FORK)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from appliance.files import Owner, read_file, write_durably
from appliance.log.note import MAXIMUM_NOTE_BYTES


def export_directory(home: Path, setting: str) -> Path:
    """Where checkpoints are exported: `setting` is absolute or relative to the home."""
    return home / setting


def export_file(directory: Path, origin: str) -> Path:
    """The file of one log's last checkpoint, named by the SHA-256 of its origin."""
    return directory / f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"


def write_export(directory: Path, origin: str, note: bytes, owner: Owner | None = None) -> None:
    """Export a signed checkpoint, durably, over the one before. `owner`: see write_durably."""
    write_durably(export_file(directory, origin), note, owner)


def read_export(directory: Path, origin: str) -> bytes | None:
    """The last exported checkpoint, or None where nothing was exported."""
    try:
        return read_file(export_file(directory, origin), MAXIMUM_NOTE_BYTES)
    except FileNotFoundError:
        return None
