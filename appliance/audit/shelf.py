"""The directory of made exports: what an export is called, and how long its files stay."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

_NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-(.+)-([0-9a-f]{8})\.")


def export_name(log: str) -> str:
    """A new one: the time, the log and something random."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{log.strip('@')}-{os.urandom(4).hex()}"


def keep_newest(directory: Path, log: str, count: int) -> None:
    """Take away the files of a log's exports but those of its newest `count`."""
    made: dict[tuple[str, str], list[Path]] = {}
    for path in directory.iterdir():
        found = _NAME.match(path.name)
        if found is not None and found[2] == log.strip("@"):
            made.setdefault((found[1], found[3]), []).append(path)
    for export in sorted(made, reverse=True)[count:]:
        for path in made[export]:
            path.unlink(missing_ok=True)
