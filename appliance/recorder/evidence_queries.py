"""Reads for evidence files: which of the box's own signatures belong to a record, the same ones every time."""

from __future__ import annotations

import sqlite3

from appliance.errors import BadRequest
from appliance.store import letters, rows


class EvidenceQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection

    def query_checkpoint_covering(self, origin: str, size: int) -> bytes | None:
        """The first recorded checkpoint (a signed note) of a log with at least so many leaves; None: there is none."""
        if not isinstance(size, int) or not 0 < size < 1 << 63:
            raise BadRequest("a size of 1 to 2^63 - 1 is meant")
        ends = rows.housekeeping_ends(self.connection, "checkpoint", str(origin))
        if ends is None:
            return None
        low, high = ends
        if _size(rows.housekeeping_from(self.connection, "checkpoint", str(origin), high)[1]) < size:
            return None
        # Sizes rise with the rows' numbers (control FORK), so that the first one is found by halving.
        while low < high:
            middle = (low + high) // 2
            number, note = rows.housekeeping_from(self.connection, "checkpoint", str(origin), middle)
            if _size(note) >= size:
                high = middle
            else:
                low = number + 1
        return rows.housekeeping_from(self.connection, "checkpoint", str(origin), low)[1]

    def query_letter_of_any(self, tenants: list[str], letter: bytes) -> list[object] | None:
        """[tenant, view] of a letter of one of these tenants, for whoever holds its code; None: there is none."""
        found = letters.read_letter_of_any(self.connection, bytes(letter))
        return list(found) if found is not None and found[0] in tenants else None

    def query_list_at(self, authority: str, time: int) -> bytes | None:
        """The newest revocation list (DER) of an authority that was made at that time or before, in microseconds."""
        return rows.newest_housekeeping(self.connection, "crl", str(authority), _time(time))

    def query_answers_at(self, serials: list[str], time: int) -> list[bytes]:
        """The newest OCSP answer (DER) about each of these certificates that was made at that time or before, in
        microseconds, where there is one. `serials`: serial numbers, hexadecimal without leading zeros."""
        found = [rows.newest_housekeeping(self.connection, "ocsp", str(one), _time(time)) for one in serials[:_SERIALS]]
        return [one for one in found if one is not None]


_SERIALS = 256
"""Certificates that are asked about at once."""


def _time(time: int) -> int:
    if not isinstance(time, int) or not 0 <= time < 1 << 63:
        raise BadRequest("a time of 0 to 2^63 - 1 is meant")
    return time


def _size(note: bytes) -> int:
    """The tree size of a checkpoint (C2SP tlog-checkpoint: the second line)."""
    return int(note.split(b"\n", 2)[1])
