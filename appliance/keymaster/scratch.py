"""The private directories of steps (ExecutionContext.scratch): taken away once nobody can go on with their ceremony."""

from __future__ import annotations

import datetime
import shutil

from appliance.ceremonies import instant, read_proposal
from appliance.keymaster.context import Room, scratch_directory
from appliance.keymaster.journal import ENDED, ProposalRow


def clear_scratch(room: Room, now: datetime.datetime) -> int:
    """Take away what ended ceremonies left, and failed ones that are past their expiry; how many directories."""
    removed = 0
    try:
        found = sorted(scratch_directory(room.home).iterdir())
    except FileNotFoundError:
        return 0
    for path in found:
        row = room.journal.proposal(path.name.rpartition("-")[0])
        # A further run of a step finds what the first one noted.
        if row is None or row.state in ENDED or (row.state == "failed" and now >= _expiry(row)):
            shutil.rmtree(path)
            removed += 1
    return removed


def _expiry(row: ProposalRow) -> datetime.datetime:
    return instant(read_proposal(row.text).expires)
