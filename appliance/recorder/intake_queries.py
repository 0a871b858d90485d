"""Reads of intake runs: what stands, the verdicts, and which rows were accepted. Another tenant's and nobody's answer
alike (control CHANNEL)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

from appliance.errors import BadRequest, NotFound
from appliance.recorder.intakes import shown
from appliance.store import intakes, rows
from appliance.store.intakes import IntakeRow

PAGE: Final = 100
"""Runs, or pages of verdicts, of one answer."""
PAGE_BYTES: Final = 1024 * 1024
KNOWN_LIMIT: Final = 1_000


class IntakeQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    _tenant: Callable[[str], int]

    def query_intakes(self, tenant: str, limit: int = 50, before: int = 0) -> list[dict[str, object]]:
        """A tenant's runs, the newest first, as the fields of appliance.store.intakes.IntakeRow with `tenant` and
        `application` by name; at most 100. `before`: number of the last one that was shown."""
        number = self._tenant(tenant)
        found = intakes.read_intakes(self.connection, number, before or (1 << 63) - 1, min(limit, PAGE))
        return [shown(row, tenant, self._name(row)) for row in found]

    def query_intake(self, tenant: str, intake: bytes) -> dict[str, object]:
        """One run, as `intakes`. Refused `not-found`, another tenant's alike."""
        row = self._intake(tenant, intake)
        return shown(row, tenant, self._name(row))

    def query_intake_pages(
        self, tenant: str, intake: bytes, first: int = 0, refused: bool = False
    ) -> list[dict[str, object]]:
        """Verdicts of a run from its row `first` (from 0) on, in order: dictionaries with start, rows, refused, told
        (encrypted by the tenant: what is said of refused rows) and verdicts, msgpack [[row's number in the file,
        status (0 accepted, 1 duplicate, 2 refused), letter, code, detail], ...]. At most about 1 MiB. `refused`: only
        pages in which a row is."""
        pages = intakes.read_pages(self.connection, self._intake(tenant, intake).number, first, PAGE, bool(refused))
        answer: list[dict[str, object]] = []
        size = 0
        for page in pages:
            size += len(page.verdicts) + len(page.told)
            if answer and size > PAGE_BYTES:
                break
            answer.append(page._asdict())
        return answer

    def query_intake_parts(self, run: int, start: int) -> list[list[object]]:
        """[[run's number, start, digest], ...] of parts of files that runs of all tenants name, after that part of that
        run, in order; at most 1000. For whoever sweeps the store of documents."""
        if not (isinstance(run, int) and isinstance(start, int) and 0 <= run < 1 << 63 and -1 <= start < 1 << 63):
            raise BadRequest("two numbers are meant")
        return [list(row) for row in intakes.read_named(self.connection, (run, start), KNOWN_LIMIT)]

    def query_intake_known(self, tenant: str, keys: list[bytes]) -> list[list[bytes] | None]:
        """[letter, content] of each key of a row that was accepted, in the same order; None where none was. At most
        1000."""
        number = self._tenant(tenant)
        if len(keys) > KNOWN_LIMIT:
            raise BadRequest(f"{KNOWN_LIMIT} keys are the most")
        found = [intakes.find_key(self.connection, number, key) for key in keys]
        return [None if one is None else list(one) for one in found]

    def _intake(self, tenant: str, intake: bytes) -> IntakeRow:
        number = self._tenant(tenant)
        if not isinstance(intake, bytes):
            raise BadRequest("bytes are meant")
        found = intakes.find_intake(self.connection, intake)
        if found is None or found.tenant != number:
            raise NotFound("there is no such run")
        return found

    def _name(self, row: IntakeRow) -> str:
        return rows.application_name(self.connection, row.application) or ""
