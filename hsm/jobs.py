"""A signature that is asked for, on its way to a lane and back to who waits for it."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from hsm.errors import HsmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hsm.site import KeyRequest, Site

MAXIMUM_ATTEMPTS = 4
"""Sessions or connections that one request may use up before it fails."""


class Job(ABC):
    """One request. Exactly one of the lane, the watch and the router settles it: whoever claims it first."""

    __slots__ = ("_unclaimed", "attempts", "deadline", "message", "request", "site")

    def __init__(self, request: KeyRequest, message: bytes, deadline: float, site: Site | None = None) -> None:
        self.request = request
        self.message = message
        self.deadline = deadline
        """When waiting for a lane or a token ends, by time.monotonic()."""
        self.attempts = 0
        self.site = site
        """Where it must be signed; None: wherever the key is."""
        self._unclaimed = [None]

    def claim(self) -> bool:
        """Whether the caller is the one to settle the job. list.pop is atomic under the interpreter lock."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    @property
    def claimed(self) -> bool:
        return not self._unclaimed

    @abstractmethod
    def settle(self, signature: bytes | None, error: HsmError | None) -> None:
        """Hand over the outcome; called once, by the claimer, on any thread."""


class WaitingJob(Job):
    """A job whose asker blocks."""

    __slots__ = ("_done", "_error", "_signature")

    def __init__(self, request: KeyRequest, message: bytes, deadline: float, site: Site | None = None) -> None:
        super().__init__(request, message, deadline, site)
        self._done = threading.Event()
        self._signature = b""
        self._error: HsmError | None = None

    def settle(self, signature: bytes | None, error: HsmError | None) -> None:
        self._signature, self._error = signature or b"", error
        self._done.set()

    def result(self) -> bytes:
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._signature


class Mailbox:
    """Brings outcomes from lane threads to futures of one event loop, many at each wake-up of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, drop: Callable[[str], None]) -> None:
        self.loop = loop
        self._drop = drop
        self._arrived: deque[tuple[asyncio.Future[bytes], bytes | None, HsmError | None, bool]] = deque()
        self._woken = False

    def post(
        self, future: asyncio.Future[bytes], signature: bytes | None, error: HsmError | None, *, counted: bool
    ) -> None:
        self._arrived.append((future, signature, error, counted))
        # Two threads may both wake the loop: harmless. None may leave it asleep: the flag falls before the emptying.
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop is closed: nobody waits any more
                if counted and signature is not None:
                    self._drop("cancelled")

    def _deliver(self) -> None:
        self._woken = False
        arrived = self._arrived
        while arrived:
            future, signature, error, counted = arrived.popleft()
            if future.done():
                if counted and signature is not None:
                    self._drop("cancelled")
            elif error is not None:
                future.set_exception(error)
            elif signature is not None:
                future.set_result(signature)


class AwaitedJob(Job):
    """A job whose asker awaits a future."""

    __slots__ = ("_mailbox", "future")

    def __init__(self, request: KeyRequest, message: bytes, deadline: float, mailbox: Mailbox) -> None:
        super().__init__(request, message, deadline)
        self._mailbox = mailbox
        self.future: asyncio.Future[bytes] = mailbox.loop.create_future()

    def settle(self, signature: bytes | None, error: HsmError | None) -> None:
        self._mailbox.post(self.future, signature, error, counted=self.request.counted)
