"""Reading records without anybody waiting for a large one (control CHANNEL).

A body comes with its row while it is small. A large one is asked for in parts, one part in flight a worker, so that no
commit's answer waits behind more than one of them; and only once there is room for it among the bytes in flight of its
tenant and of the worker: what has none is answered busy. Opening and encoding one is a thread's work.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from appliance.api.errors import Busy

if TYPE_CHECKING:
    from appliance.recorder import RecorderClient

SMALL_BYTES: Final = 256 * 1024
"""Largest body that comes with its row, and is opened in the event loop."""
PART_BYTES: Final = 1024 * 1024
TENANT_BYTES: Final = 48 * 1024 * 1024
"""Of large bodies in flight for one tenant; one that is larger goes alone."""
WORKER_BYTES: Final = 96 * 1024 * 1024
"""Of large bodies in flight in one worker; in memory, each takes about five times its size."""

_T = TypeVar("_T")
# One at a time: a large body's opening takes this process's interpreter from stamps.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")


class RecordReads:
    """The reads of one worker."""

    def __init__(self, tenant_bytes: int = TENANT_BYTES, worker_bytes: int = WORKER_BYTES) -> None:
        self._tenant_bytes = tenant_bytes
        self._worker_bytes = worker_bytes
        self._part = asyncio.Lock()
        self._in_flight: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """Bytes of large bodies in flight."""
        return sum(self._in_flight.values())

    @contextlib.contextmanager
    def _room(self, tenant: str, size: int) -> Iterator[None]:
        mine, everybodys = self._in_flight.get(tenant, 0), self.in_flight
        if (mine and mine + size > self._tenant_bytes) or (everybodys and everybodys + size > self._worker_bytes):
            raise Busy("Too many bytes of large records are being read.")
        self._in_flight[tenant] = mine + size
        try:
            yield
        finally:
            left = self._in_flight[tenant] - size
            if left:
                self._in_flight[tenant] = left
            else:
                del self._in_flight[tenant]

    async def read(
        self, recorder: RecorderClient, tenant: str, record_id: bytes, use: Callable[[list[object]], _T]
    ) -> _T:
        """What `use` makes of a record's row; it runs in a thread where the body is large.

        Raises NotFound (another tenant's record alike), Archived, Busy.
        """
        row: list[object] = await recorder.query("get_record", tenant, record_id, SMALL_BYTES)
        size = row[-1]
        if not isinstance(size, int):
            return use(row)
        with self._room(tenant, size):
            parts: list[bytes] = []
            for offset in range(0, size, PART_BYTES):
                async with self._part:
                    parts.append(await recorder.query("record_part", tenant, record_id, offset, PART_BYTES))
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(_thread, lambda: use([*row[:-1], b"".join(parts)]))
