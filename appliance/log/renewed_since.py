"""Whether the newest logs of a box were renewed by a later life of it, which this copy of its disk has lost (FORK).

A copy from before its logs were renewed has all that the ended ones ever had, so their last heads lie on its history,
and witnesses have seen no larger ones. Only what was exported of the newer logs tells that it lacks everything since.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from appliance.box.settings import LogSettings
from appliance.log.errors import LogForked
from appliance.log.exports import export_file
from appliance.tree_hash import RENEWED_HASHES, renewed_origin


def later_origins(log: LogSettings) -> list[str]:
    """Origins of logs that may go on from the newest one of a line, and that are not in it."""
    line = {log.origin, *(one.origin for one in log.ended)}
    return [one for hashing in RENEWED_HASHES.values() if (one := renewed_origin(log.origin, hashing)) not in line]


def check_not_renewed_since(exports: Path, logs: Iterable[LogSettings]) -> None:
    """No log that goes on from one of these has had a head. Raises LogForked."""
    for log in logs:
        for origin in later_origins(log):
            if export_file(exports, origin).exists():
                raise went_on(log.origin, origin)


def went_on(ended: str, origin: str) -> LogForked:
    """What to raise of a log that this copy has as the newest one, and that was renewed."""
    return LogForked(
        f"{ended} has ended, and {origin} goes on from it: this box has lost all that was recorded since; it stays "
        "locked and a ceremony decides"
    )
