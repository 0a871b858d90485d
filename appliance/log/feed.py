"""The recorder as the logs' source of records: appliance.log.records.Records over a RecorderClient."""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import CinnabarError
from appliance.log.records import HousekeepingRow, RecordedHead, RowKind
from appliance.recorder.client import RecorderClient
from appliance.recorder.errors import OutcomeUnknown


class RecorderFeed:
    """Reads and rows over one connection. `count_drop` is told of a signature that was made and not recorded."""

    def __init__(self, client: RecorderClient, count_drop: Callable[[str], None]) -> None:
        self._client = client
        self._count_drop = count_drop

    async def leaves(self, log: str, first: int, limit: int) -> bytes:
        packed: bytes = await self._client.query("read_leaves", log, first, limit)
        return packed

    async def head(self, origin: str) -> RecordedHead | None:
        found = await self._client.query("head", origin)
        return None if found is None else RecordedHead(*found[:3])

    async def record(self, kind: RowKind, key: str, time: int, subject: str, body: bytes) -> None:
        try:
            await self._client.housekeeping(kind, key, time, subject, body)
        except OutcomeUnknown:
            raise  # the client learns it later, and counts
        except CinnabarError:
            if kind != "box-leaf":
                self._count_drop("not-recorded")
            raise

    async def housekeeping(self, after: int, limit: int) -> list[HousekeepingRow]:
        return [HousekeepingRow(*row) for row in await self._client.query("housekeeping_after", after, limit)]

    async def totals(self) -> dict[str, int]:
        found: dict[str, int] = await self._client.query("totals")
        return found
