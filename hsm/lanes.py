"""Lanes: streams of calls into a token. docs/decisions/0002-lanes.md tells why they are threads.

inline   one lane, on the thread that asks; for modules that answer in microseconds.
threads  `count` lanes, each a thread with its own session, for tokens that answer in milliseconds. A lane whose call
         does not come back in time is left behind and replaced.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from hsm.constants import CKR_SESSION_HANDLE_INVALID
from hsm.errors import CallTimedOut, CryptokiError, HsmError, SigningFailed, SigningRefused, TokenUnavailable
from hsm.failures import Failure, classify
from hsm.jobs import MAXIMUM_ATTEMPTS, Job
from hsm.site import Connection, Counters, KeyHandle, SignCall, Site


@dataclass(frozen=True)
class LaneSettings:
    """How many calls a token takes at once in this process."""

    mode: Literal["inline", "threads"] = "inline"
    count: int = 1
    timeout_ms: int = 10_000
    """How long a request waits for its token, and (threads only) how long one call may take."""

    def __post_init__(self) -> None:
        if self.mode not in ("inline", "threads"):
            raise ValueError("lanes are inline or threads")
        if self.mode == "inline" and self.count != 1:
            raise ValueError("an inline token has one lane a process")
        if not 1 <= self.count <= 1024:
            raise ValueError("a token has 1 to 1024 lanes")
        if self.timeout_ms < 1:
            raise ValueError("timeout_ms is positive")

    @property
    def timeout_s(self) -> float:
        return self.timeout_ms / 1000


class Router(Protocol):
    """Where a lane turns when it cannot serve a job itself."""

    def submit(self, job: Job) -> None: ...

    def lost(self, site: Site, connection: Connection, error: HsmError) -> None: ...


class Lanes(Protocol):
    """The lanes of one site."""

    def put(self, job: Job) -> None:
        """Take a job; it is settled, here or later, or handed back to the router."""

    def watch(self, now: float) -> None:
        """Replace what hangs."""

    def close(self) -> None: ...

    @property
    def idle(self) -> bool:
        """Whether no lane is in a call."""

    @property
    def hanging(self) -> int: ...

    @property
    def replaced(self) -> int: ...


class _Lane:
    """A session in the site's current connection. One thread at a time."""

    def __init__(self, site: Site, router: Router, counters: Counters) -> None:
        self.site = site
        self.connection: Connection | None = None
        self.call: SignCall | None = None
        self.lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        """Held around calls, never around the router, which has a lock of its own."""
        self._router = router
        self._counters = counters

    def serve(self, job: Job) -> None:
        """Settle the job or hand it back to the router."""
        if job.claimed:
            return
        if time.monotonic() > job.deadline:
            _fail(job, TokenUnavailable(f"{self.site.name} token: no lane was free in time"))
            return
        try:
            with self.lock:
                signature = self._sign(job)
        except _TryElsewhere as elsewhere:
            if elsewhere.lost is not None:
                self._router.lost(self.site, *elsewhere.lost)
            self._router.submit(job)
        except HsmError as error:
            _fail(job, error)
        except Exception as error:  # noqa: BLE001  a lane outlives every fault, and its asker hears of it
            _fail(job, SigningFailed(f"{self.site.name} token: {type(error).__name__} while signing"))
        else:
            if job.claim():
                job.settle(signature, None)
            elif job.request.counted:
                self._counters.drop("timed-out")

    def _sign(self, job: Job) -> bytes:
        while True:
            connection = self.site.connection
            key = connection.keys.get(job.request) if connection is not None else None
            if connection is None or key is None:
                raise _TryElsewhere(None)
            try:
                return self.call_in(connection)(key, job.message)
            except CryptokiError as error:
                self._after(error, connection, job)

    def call_in(self, connection: Connection) -> SignCall:
        if self.connection is not connection or self.call is None:
            return self.reopen(connection)
        return self.call

    def _after(self, error: CryptokiError, connection: Connection, job: Job) -> None:
        """Get ready for the next attempt, or raise."""
        failure = classify(error.value)
        if failure is Failure.REFUSED:
            raise SigningRefused(f"{self.site.name} token: {error}") from error
        job.attempts += 1
        if job.attempts >= MAXIMUM_ATTEMPTS:
            raise SigningFailed(f"{self.site.name} token: {error}") from error
        if failure is Failure.CONNECTION or (failure is Failure.TRANSIENT and job.attempts > 1):
            raise _TryElsewhere((connection, error))
        self.drop_session()

    def reopen(self, connection: Connection) -> SignCall:
        """A fresh session in the connection. Raises CryptokiError."""
        self.drop_session()
        session = self.site.cryptoki.open_session(connection.slot_id)
        self.call = SignCall(self.site.cryptoki, session, self._counters)
        self.connection = connection
        return self.call

    def drop_session(self) -> None:
        call, connection = self.call, self.connection
        self.call = self.connection = None
        if call is None or connection is None or connection.sessions_gone:
            return
        with self.site.module.calling():
            if connection.epoch == self.site.module.epoch:
                with contextlib.suppress(CryptokiError):
                    self.site.cryptoki.close_session(call.session)


class _TryElsewhere(Exception):
    def __init__(self, lost: tuple[Connection, HsmError] | None) -> None:
        super().__init__()
        self.lost = lost


def _fail(job: Job, error: HsmError) -> None:
    if job.claim():
        job.settle(None, error)


class InlineLane:
    """One lane on the asking thread. The lock makes a second thread wait instead of spoiling the session."""

    def __init__(self, site: Site, router: Router, counters: Counters) -> None:
        self._lane = _Lane(site, router, counters)
        self._lock = self._lane.lock = threading.Lock()

    def put(self, job: Job) -> None:
        self._lane.serve(job)

    def prepared(self, connection: Connection, key: KeyHandle) -> Callable[[bytes], bytes]:
        """The shortest way to a signature, good as long as the connection is. Raises CryptokiError."""
        with self._lock:
            call = self._lane.call_in(connection)
        lock, lane = self._lock, self._lane

        def sign(message: bytes) -> bytes:
            with lock:
                if lane.call is not call:
                    # Lost or closed since the asker looked: the session may be gone, and the module with it.
                    raise CryptokiError("C_Sign", CKR_SESSION_HANDLE_INVALID)
                return call(key, message)

        return sign

    def watch(self, now: float) -> None:
        """Nothing to watch: an inline call that hangs holds the asking thread, and only its supervisor can tell."""

    def close(self) -> None:
        with self._lock:
            self._lane.drop_session()

    @property
    def idle(self) -> bool:
        return not self._lock.locked()

    hanging = 0
    replaced = 0


class _ThreadLane(_Lane):
    def __init__(self, site: Site, router: Router, counters: Counters) -> None:
        super().__init__(site, router, counters)
        self.job: Job | None = None
        self.started = 0.0
        self.abandoned = False
        self.thread: threading.Thread | None = None


class ThreadLanes:
    """`count` lanes that take jobs from one queue."""

    def __init__(self, site: Site, router: Router, counters: Counters, settings: LaneSettings) -> None:
        self._site = site
        self._router = router
        self._counters = counters
        self._settings = settings
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lanes: list[_ThreadLane] = []
        self._guard = threading.Lock()
        self._closed = False
        self.hanging = 0
        self.replaced = 0
        for _ in range(settings.count):
            self._start()

    @property
    def idle(self) -> bool:
        return not self.hanging and not any(lane.started for lane in list(self._lanes))

    def put(self, job: Job) -> None:
        self._queue.put(job)
        if self._closed:
            self._give_back()

    def _give_back(self) -> None:
        """After the lanes have ended: the router tells those who still wait."""
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    self._router.submit(job)

    def _start(self) -> None:
        lane = _ThreadLane(self._site, self._router, self._counters)
        lane.thread = threading.Thread(target=self._run, args=(lane,), name=f"hsm-lane-{self._site.name}", daemon=True)
        self._lanes.append(lane)
        lane.thread.start()

    def _run(self, lane: _ThreadLane) -> None:
        take = self._queue.get
        while True:
            job = take()
            if job is None:
                break
            lane.job = job
            lane.started = time.monotonic()
            lane.serve(job)
            lane.started = 0.0
            lane.job = None
            if lane.abandoned:
                with self._guard:
                    self.hanging -= 1
                    self._site.module.hanging_calls -= 1
                break
        lane.drop_session()

    def watch(self, now: float) -> None:
        oldest_start = now - self._settings.timeout_s
        for lane in list(self._lanes):
            started, job = lane.started, lane.job
            if started and started < oldest_start and job is not None:
                self._abandon(lane, job)

    def _abandon(self, lane: _ThreadLane, job: Job) -> None:
        with self._guard:
            if self._closed or lane.job is not job:
                return
            # A lane that comes back between this check and the next line counts as hanging until its next job ends.
            lane.abandoned = True
            self._lanes.remove(lane)
            self.hanging += 1
            self.replaced += 1
            self._site.module.hanging_calls += 1
        error = CallTimedOut(f"{self._site.name} token: no answer within {self._settings.timeout_ms} ms")
        _fail(job, error)
        connection = self._site.connection
        if self.hanging >= 2 * self._settings.count and connection is not None:
            # More threads would only hang too: wait for the token to come back.
            self._router.lost(self._site, connection, error)
        self._start()

    def close(self) -> None:
        with self._guard:
            lanes = list(self._lanes)
        for _ in lanes:
            self._queue.put(None)
        for lane in lanes:
            if lane.thread is not None and lane.thread is not threading.current_thread():
                lane.thread.join(self._settings.timeout_s)
                if lane.thread.is_alive():
                    self._site.module.hanging_calls += 1
        self._closed = True
        self._give_back()
