"""Group commit: a thread of its own makes changes durable, all that have come meanwhile in one transaction."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from appliance.witness.errors import StateUnwritable
from appliance.witness.state import Change

_MOST: Final = 1_024
"""Changes in one transaction."""

_Waiting = tuple[Change, "asyncio.Future[None]"]

log = structlog.get_logger("witness")


class GroupCommit:
    """See the module. Make it inside a running loop."""

    def __init__(self, apply: Callable[[Sequence[Change]], None]) -> None:
        self._apply = apply
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.transactions = 0
        self.failing = False
        """The last transaction failed."""
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
        self._thread.start()

    def submit(self, change: Change) -> asyncio.Future[None]:
        """Done when the change is on disk; fails with StateUnwritable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((change, future))
        return future

    def close(self) -> None:
        """Returns when all that was submitted is on disk or has failed."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            taken = [self._queue.get()]
            while len(taken) < _MOST and not self._queue.empty():
                taken.append(self._queue.get())
            batch = [one for one in taken if one is not None]
            ended = len(batch) < len(taken)
            if batch:
                self._commit(batch)

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        failure: StateUnwritable | None = None
        try:
            self._apply([change for change, _ in batch])
            self.transactions += 1
        except (sqlite3.Error, OSError, StateUnwritable) as error:
            failure = error if isinstance(error, StateUnwritable) else StateUnwritable(str(error))
            log.error("state-unwritable", control="FORK", changes=len(batch), error=str(error))
        except Exception as error:  # whoever waits is told, whatever it was
            failure = StateUnwritable(type(error).__name__)
            log.exception("state-unwritable", control="FORK", changes=len(batch))
        self.failing = failure is not None
        self._loop.call_soon_threadsafe(_settle, batch, failure)


def _settle(batch: Sequence[_Waiting], failure: StateUnwritable | None) -> None:
    for _, future in batch:
        if not future.cancelled():
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure.again())
