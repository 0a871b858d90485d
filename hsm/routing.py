"""Where a request goes: to the first token that has its key, or to wait for one that is being connected anew."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from hsm import constants as ck
from hsm.errors import (
    CryptokiError,
    HsmError,
    PinRefused,
    PinUnavailable,
    TokenAmbiguous,
    TokenClosed,
    TokenUnavailable,
)
from hsm.identity import Identity
from hsm.jobs import Job
from hsm.lanes import Lanes, LaneSettings
from hsm.site import Connection, KeyRequest, Site

FIRST_DELAY_S = 0.01
_LONGEST_DELAY_S = 2.0
_RESTART_MODULE_EVERY = 4
_WATCH_PERIOD_S = 0.25


@dataclass
class Place:
    """A site with its lanes."""

    site: Site
    lanes: Lanes
    reconnecting: threading.Thread | None = None
    left: list[Connection] = field(default_factory=list)
    """Lost connections whose login session may still be open."""
    visitors: int = 0
    """Callers that use the connection outside the lanes."""
    self_test_error: str | None = None
    self_test_at: float | None = None

    def is_quiet(self) -> bool:
        """Whether no thread is in a call through this place, nor can begin one.

        Whoever calls the module through a connection says so before looking whether there is one.
        """
        return self.site.connection is None and self.lanes.idle and not self.visitors


class Lost(TokenUnavailable):
    """A connection turned out to be lost while it was used outside the lanes."""

    def __init__(self, error: CryptokiError) -> None:
        super().__init__(str(error))
        self.error = error


class Router:
    """The places of one token, and the jobs that wait for one of them."""

    def __init__(self, settings: LaneSettings, refresh: Callable[[], None]) -> None:
        self.places: list[Place] = []
        self.requests: dict[KeyRequest, Identity | None] = {}
        """Every key that is held, with the public key or check that it must keep."""
        self.guard = threading.RLock()
        self.closing = threading.Event()
        self._settings = settings
        self._refresh = refresh
        self._parked: list[Job] = []
        self._watcher: threading.Thread | None = None

    def start(self, patience_s: float) -> None:
        """Connect every site, or with a standby at least one."""
        deadline = time.monotonic() + patience_s
        errors: list[HsmError] = []
        for place in self.places:
            try:
                self._connect_patiently(place, deadline if not errors else time.monotonic())
            except HsmError as error:
                place.site.last_error = error
                errors.append(error)
        if len(errors) == len(self.places):
            raise errors[0]
        for place in self.places:
            if place.site.connection is None:
                self._reconnect_later(place)
        if self._settings.mode == "threads":
            self._ensure_watch()

    def _connect_patiently(self, place: Place, deadline: float) -> None:
        delay, tries = FIRST_DELAY_S, 0
        while True:
            try:
                with place.site.module.calling():
                    place.site.publish(place.site.connect(self.requests))
                return
            except (PinRefused, PinUnavailable, TokenAmbiguous):
                raise
            except HsmError:
                tries += 1
                if time.monotonic() + delay > deadline:
                    raise
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)
            if tries % _RESTART_MODULE_EVERY == 0:
                with suppress(HsmError):
                    place.site.module.reinitialise()

    def close(self) -> None:
        """Wait for calls under way and close what is open. Once only."""
        with self.guard:
            self.closing.set()
            parked, self._parked = self._parked, []
        for job in parked:
            _fail(job, TokenClosed("the token was closed"))
        for place in self.places:
            # From now on nothing finds a connection: calls under way end, and nothing new begins.
            connection = place.site.connection
            if connection is not None:
                place.site.lose(connection, TokenClosed("the token was closed"))
            place.lanes.close()
            reconnecting = place.reconnecting
            if reconnecting is not None:
                reconnecting.join(self._settings.timeout_s)
                if reconnecting.is_alive():
                    place.site.module.hanging_calls += 1
            if connection is not None:
                place.site.leave(connection)

    def deadline(self) -> float:
        """Until when a request that is made now may wait."""
        return time.monotonic() + self._settings.timeout_s

    def submit(self, job: Job) -> None:
        """Send a job to the first site that has its key, or let it wait for one."""
        place = self._place_for(job)
        if place is not None:
            place.lanes.put(job)
            return
        with self.guard:
            place = self._place_for(job)
            if place is None:
                self._park(job)
                return
        place.lanes.put(job)

    def _place_for(self, job: Job) -> Place | None:
        for place in self.places:
            connection = place.site.connection
            if connection is not None and job.request in connection.keys and job.site in (None, place.site):
                return place
        return None

    def _park(self, job: Job) -> None:
        """Let the job wait for a site to come back, but not longer than any request would since the site went."""
        if self.closing.is_set():
            _fail(job, TokenClosed("the token was closed"))
            return
        down = [place for place in self.places if place.site.connection is None and job.site in (None, place.site)]
        if not down:
            errors = [
                place.site.connection.key_errors.get(job.request)
                for place in self.places
                if place.site.connection is not None
            ]
            _fail(job, next((error for error in errors if error is not None), TokenUnavailable("no token has the key")))
            return
        latest = max(place.site.down_since or time.monotonic() for place in down)
        job.deadline = min(job.deadline, latest + self._settings.timeout_s)
        if job.deadline <= time.monotonic() or all(isinstance(p.site.last_error, PinRefused) for p in down):
            _fail(job, _why_down(down))
            return
        self._parked.append(job)
        self._ensure_watch()

    def lost(self, site: Site, connection: Connection, error: HsmError) -> None:
        """A lane says that a connection is gone: connect anew in the background."""
        if not site.lose(connection, error) or self.closing.is_set():
            return
        with self.guard:
            self._refresh()
            for place in self.places:
                if place.site is site:
                    place.left.append(connection)
                    self._reconnect_later(place)

    def _reconnect_later(self, place: Place) -> None:
        if place.reconnecting is None:
            name = f"hsm-reconnect-{place.site.name}"
            place.reconnecting = threading.Thread(target=self._reconnect, args=(place,), name=name, daemon=True)
            place.reconnecting.start()

    def _reconnect(self, place: Place) -> None:
        """Connect anew until it succeeds; one thread a site at a time."""
        site, delay, tries = place.site, FIRST_DELAY_S, 0
        while not self.closing.is_set():
            while place.left:
                site.leave(place.left.pop())
            try:
                with self.guard:
                    requests = dict(self.requests)
                with site.module.calling():
                    self._came_back(place, site.connect(requests))
            except HsmError as error:
                site.last_error = error
                tries += 1
                self._expire_parked(time.monotonic())
            else:
                with self.guard:
                    # It may be lost again already, which did not start a second thread.
                    if site.connection is not None or self.closing.is_set():
                        place.reconnecting = None
                        return
            # Half of the delay is random: many processes lose a token in the same instant.
            self.closing.wait(delay * (0.5 + random.random() / 2))  # noqa: S311
            delay = min(2 * delay, _LONGEST_DELAY_S)
            if tries % _RESTART_MODULE_EVERY == 0 or _not_initialised(site.last_error):
                # Some modules need a fresh start after a loss.
                with suppress(HsmError):
                    site.module.reinitialise()

    def _came_back(self, place: Place, connection: Connection) -> None:
        site = place.site
        with self.guard:
            if self.closing.is_set():
                site.leave(connection)
                return
            for request, identity in self.requests.items():
                # A key that was asked for while the connection was being made
                if request not in connection.keys and request not in connection.key_errors:
                    with suppress(CryptokiError):
                        site.add_key(connection, request, identity)
            site.reconnects += 1
            site.publish(connection)
            self._refresh()
            parked, self._parked = self._parked, []
        for job in parked:
            self.submit(job)

    def _ensure_watch(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._watch, name="hsm-watch", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        period = min(_WATCH_PERIOD_S, self._settings.timeout_s / 4)
        while not self.closing.wait(period):
            now = time.monotonic()
            for place in self.places:
                place.lanes.watch(now)
            self._expire_parked(now)

    def _expire_parked(self, now: float) -> None:
        with self.guard:
            down = [place for place in self.places if place.site.connection is None]
            hopeless = bool(down) and all(isinstance(place.site.last_error, PinRefused) for place in down)
            expired = [job for job in self._parked if job.deadline <= now or hopeless]
            self._parked = [job for job in self._parked if not (job.deadline <= now or hopeless)]
            error = _why_down(down)
        for job in expired:
            _fail(job, error)

    @contextmanager
    def visit(self, place: Place) -> Iterator[Connection]:
        """Use a site's connection outside its lanes. A body that raises `Lost` has found it lost.

        Raises TokenUnavailable.
        """
        with self.guard:
            place.visitors += 1
        try:
            connection = place.site.connection
            if connection is None:
                raise TokenUnavailable(f"{place.site.name} token: {place.site.last_error or 'not connected'}")
            try:
                yield connection
            except Lost as loss:
                self.lost(place.site, connection, loss.error)
                raise
        finally:
            with self.guard:
                place.visitors -= 1


def _fail(job: Job, error: HsmError) -> None:
    if job.claim():
        job.settle(None, error)


def _why_down(down: list[Place]) -> HsmError:
    for place in down:
        if isinstance(place.site.last_error, PinRefused):
            return PinRefused(str(place.site.last_error))
    reasons = "; ".join(str(place.site.last_error) for place in down if place.site.last_error)
    return TokenUnavailable(reasons or "the token is not connected")


def _not_initialised(error: HsmError | None) -> bool:
    cause = error.__cause__ if error is not None else None
    return isinstance(cause, CryptokiError) and cause.value == ck.CKR_CRYPTOKI_NOT_INITIALIZED
