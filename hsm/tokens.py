"""Tokens: opened once a process, kept connected, with lanes into them and perhaps a standby beside them."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from hsm import constants as ck
from hsm import modules
from hsm.cryptoki import Cryptoki
from hsm.errors import (
    CryptokiError,
    HsmError,
    KeyMismatch,
    ModuleUnavailable,
    PinRefused,
    PinUnavailable,
    TokenAmbiguous,
    TokenClosed,
    TokenUnavailable,
)
from hsm.health import KeyHealth, SiteHealth, TokenHealth
from hsm.initialise import initialise_token
from hsm.jobs import MAXIMUM_ATTEMPTS, AwaitedJob, Job, Mailbox, WaitingJob
from hsm.lanes import InlineLane, Lanes, LaneSettings, ThreadLanes
from hsm.public_keys import PublicKey, verify
from hsm.signing import SigningKey
from hsm.site import SELF_TEST_MESSAGE_BYTES, Connection, Counters, KeyRequest, Site
from hsm.uri import Pkcs11Uri

__all__ = ["Standby", "Token", "initialise_token", "open_token"]

_FIRST_DELAY_S = 0.01
_LONGEST_DELAY_S = 2.0
_RESTART_MODULE_EVERY = 4
_WATCH_PERIOD_S = 0.25


@dataclass(frozen=True)
class Standby:
    """A second token that holds the same backup-made keys."""

    uri: Pkcs11Uri
    pin: Callable[[], str]


@dataclass
class _Place:
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


def open_token(
    uri: Pkcs11Uri,
    pin: Callable[[], str],
    lanes: LaneSettings,
    *,
    count_call: Callable[[], None] | None = None,
    count_drop: Callable[[str], None] | None = None,
    standby: Standby | None = None,
    allow_weak_keys: bool = False,
    patience_s: float = 5.0,
) -> Token:
    """Log in once and keep the token connected until `close`.

    count_call is invoked immediately before each C_Sign, count_drop with a reason (failed, timed-out, cancelled,
    self-test) for each of those calls whose signature nobody got; both on any thread. Starting is tried again with
    back-off for patience_s seconds. With a standby, one of the two tokens is enough.

    Raises ModuleUnavailable, TokenUnavailable, TokenAmbiguous, PinRefused, PinUnavailable.
    """
    counters = Counters(count_call or _nothing, count_drop or _nothing_said)
    token = Token(lanes, counters)
    try:
        token.add_site(
            Site("primary", uri, pin, modules.acquire(uri.module_path), counters, allow_weak=allow_weak_keys)
        )
        if standby is not None:
            module = modules.acquire(standby.uri.module_path)
            token.add_site(Site("standby", standby.uri, standby.pin, module, counters, allow_weak=allow_weak_keys))
        token.start(patience_s)
    except BaseException:
        token.close()
        raise
    return token


class Token:
    """An open token. Made by `open_token`; safe to use from several threads."""

    def __init__(self, settings: LaneSettings, counters: Counters) -> None:
        self.settings = settings
        self.counters = counters
        self.template_level = 0
        """How far the templates of new keys must be trimmed for this token (hsm.policy.trimmed)."""
        self._places: list[_Place] = []
        self._requests: dict[KeyRequest, PublicKey | None] = {}
        self._keys: list[SigningKey] = []
        self._parked: list[Job] = []
        self._guard = threading.RLock()
        self._closing = threading.Event()
        self._mailbox: Mailbox | None = None
        self._watcher: threading.Thread | None = None

    # Opening and closing

    def add_site(self, site: Site) -> None:
        if self.settings.mode == "inline":
            self._places.append(_Place(site, InlineLane(site, self, self.counters)))
            return
        if not site.module.locks:
            modules.release(site.module)
            raise ModuleUnavailable(f"{site.module.path} does not lock: its token can have an inline lane only")
        self._places.append(_Place(site, ThreadLanes(site, self, self.counters, self.settings)))

    def start(self, patience_s: float) -> None:
        """Connect every site, or with a standby at least one."""
        deadline = time.monotonic() + patience_s
        errors: list[HsmError] = []
        for place in self._places:
            try:
                self._connect_patiently(place, deadline if not errors else time.monotonic())
            except HsmError as error:
                place.site.last_error = error
                errors.append(error)
        if len(errors) == len(self._places):
            raise errors[0]
        for place in self._places:
            if place.site.connection is None:
                self._reconnect_later(place)
        if self.settings.mode == "threads":
            self._ensure_watch()

    def _connect_patiently(self, place: _Place, deadline: float) -> None:
        delay, tries = _FIRST_DELAY_S, 0
        while True:
            try:
                place.site.publish(place.site.connect(self._requests))
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
        """Wait for calls under way, close what is open, and give the modules back."""
        with self._guard:
            if self._closing.is_set():
                return
            self._closing.set()
            parked, self._parked = self._parked, []
            for key in self._keys:
                key._fast = None
        for job in parked:
            _fail(job, TokenClosed("the token was closed"))
        for place in self._places:
            # From now on nothing finds a connection: calls under way end, and nothing new begins.
            connection = place.site.connection
            if connection is not None:
                place.site.lose(connection, TokenClosed("the token was closed"))
            place.lanes.close()
            reconnecting = place.reconnecting
            if reconnecting is not None:
                reconnecting.join(self.settings.timeout_s)
                if reconnecting.is_alive():
                    place.site.module.hanging_calls += 1
            if connection is not None:
                place.site.leave(connection)
            modules.release(place.site.module)

    # Keys

    def signing_key(self, uri_attributes: Pkcs11Uri, scheme: str, *, lower_s: bool = False) -> SigningKey:
        """Find a key by object or id and hold it.

        Raises KeyNotFound, KeyAmbiguous, WeakKey, KeyMismatch, MechanismUnavailable, SelfTestFailed, TokenUnavailable.
        """
        request = KeyRequest(uri_attributes, scheme, lower_s)
        self._check_open()
        with self._guard:
            for key in self._keys:
                if key.request == request:
                    return key
        errors: list[HsmError] = []
        public_key: PublicKey | None = None
        for place in self._places:
            try:
                connection = self._add_key(place, request, public_key)
            except TokenUnavailable as error:
                errors.append(error)
                continue
            found = connection.keys.get(request)
            if found is None:
                errors.append(connection.key_errors[request])
                if isinstance(errors[-1], KeyMismatch):
                    raise errors[-1]
            elif public_key is None:
                public_key = found.public_key
        if public_key is None:
            raise errors[0]
        with self._guard:
            self._requests[request] = public_key
            key = SigningKey(self, request, public_key)
            self._keys.append(key)
            self._refresh(key)
        return key

    def _add_key(self, place: _Place, request: KeyRequest, pinned: PublicKey | None) -> Connection:
        """Find the key in the site's connection; a connection that is lost meanwhile is waited for, a few times."""
        site = place.site
        for _ in range(MAXIMUM_ATTEMPTS):
            try:
                with self._visit(place) as connection:
                    try:
                        site.add_key(connection, request, pinned)
                    except CryptokiError as error:
                        raise _Lost(error) from error
            except _Lost:
                deadline = time.monotonic() + self.settings.timeout_s
                while (
                    site.connection is None and time.monotonic() < deadline and not self._closing.wait(_FIRST_DELAY_S)
                ):
                    pass
            else:
                return connection
        raise TokenUnavailable(str(site.last_error or f"{site.name} token: not connected"))

    def _refresh(self, key: SigningKey) -> None:
        """Give the key its shortest way, if it has one now."""
        key._fast = None
        if self.settings.mode != "inline":
            return
        for place in self._places:
            connection = place.site.connection
            handle = connection.keys.get(key.request) if connection is not None else None
            if connection is not None and handle is not None and isinstance(place.lanes, InlineLane):
                with suppress(CryptokiError):
                    key._fast = place.lanes.prepared(connection, handle)
                return

    # Signing

    def sign_waiting(self, request: KeyRequest, message: bytes, attempts: int = 0) -> bytes:
        job = WaitingJob(request, message, self._deadline())
        job.attempts = attempts
        self.submit(job)
        return job.result()

    def sign_awaited(self, request: KeyRequest, message: bytes, attempts: int = 0) -> asyncio.Future[bytes]:
        mailbox = self._mailbox
        loop = asyncio.get_running_loop()
        if mailbox is None or mailbox.loop is not loop:
            mailbox = self._mailbox = Mailbox(loop, self.counters.drop)
        job = AwaitedJob(request, message, self._deadline(), mailbox)
        job.attempts = attempts
        self.submit(job)
        return job.future

    def _deadline(self) -> float:
        return time.monotonic() + self.settings.timeout_s

    def submit(self, job: Job) -> None:
        """Send a job to the first site that has its key, or let it wait for one."""
        place = self._place_for(job)
        if place is not None:
            place.lanes.put(job)
            return
        with self._guard:
            place = self._place_for(job)
            if place is None:
                self._park(job)
                return
        place.lanes.put(job)

    def _place_for(self, job: Job) -> _Place | None:
        for place in self._places:
            connection = place.site.connection
            if connection is not None and job.request in connection.keys and job.site in (None, place.site):
                return place
        return None

    def _park(self, job: Job) -> None:
        """Let the job wait for a site to come back, but not longer than any request would since the site went."""
        if self._closing.is_set():
            _fail(job, TokenClosed("the token was closed"))
            return
        down = [place for place in self._places if place.site.connection is None and job.site in (None, place.site)]
        if not down:
            errors = [
                place.site.connection.key_errors.get(job.request)
                for place in self._places
                if place.site.connection is not None
            ]
            _fail(job, next((error for error in errors if error is not None), TokenUnavailable("no token has the key")))
            return
        latest = max(place.site.down_since or time.monotonic() for place in down)
        job.deadline = min(job.deadline, latest + self.settings.timeout_s)
        if job.deadline <= time.monotonic() or all(isinstance(p.site.last_error, PinRefused) for p in down):
            _fail(job, _why_down(down))
            return
        self._parked.append(job)
        self._ensure_watch()

    def lost(self, site: Site, connection: Connection, error: HsmError) -> None:
        """A lane says that a connection is gone: connect anew in the background."""
        if not site.lose(connection, error) or self._closing.is_set():
            return
        with self._guard:
            for key in self._keys:
                self._refresh(key)
            for place in self._places:
                if place.site is site:
                    place.left.append(connection)
                    self._reconnect_later(place)

    def _reconnect_later(self, place: _Place) -> None:
        if place.reconnecting is None:
            name = f"hsm-reconnect-{place.site.name}"
            place.reconnecting = threading.Thread(target=self._reconnect, args=(place,), name=name, daemon=True)
            place.reconnecting.start()

    def _reconnect(self, place: _Place) -> None:
        """Connect anew until it succeeds; one thread a site at a time."""
        site, delay, tries = place.site, _FIRST_DELAY_S, 0
        while not self._closing.is_set():
            while place.left:
                site.leave(place.left.pop())
            try:
                with self._guard:
                    requests = dict(self._requests)
                connection = site.connect(requests)
            except HsmError as error:
                site.last_error = error
                tries += 1
                self._expire_parked(time.monotonic())
            else:
                self._came_back(place, connection)
                with self._guard:
                    # It may be lost again already, which did not start a second thread.
                    if site.connection is not None or self._closing.is_set():
                        place.reconnecting = None
                        return
            # Half of the delay is random: many processes lose a token in the same instant.
            self._closing.wait(delay * (0.5 + random.random() / 2))  # noqa: S311
            delay = min(2 * delay, _LONGEST_DELAY_S)
            if tries % _RESTART_MODULE_EVERY == 0 or _not_initialised(site.last_error):
                self._restart_module(place)

    def _restart_module(self, place: _Place) -> None:
        """Start the module afresh, which some need after a loss, while no thread of this process calls it.

        Whoever calls it through a connection says so before looking whether there is one; there is none now.
        """
        if place.lanes.idle and not place.visitors and not self._closing.is_set():
            with suppress(HsmError):
                place.site.module.reinitialise()

    def _came_back(self, place: _Place, connection: Connection) -> None:
        site = place.site
        with self._guard:
            if self._closing.is_set():
                site.leave(connection)
                return
            for request, public_key in self._requests.items():
                # A key that was asked for while the connection was being made
                if request not in connection.keys and request not in connection.key_errors:
                    with suppress(CryptokiError):
                        site.add_key(connection, request, public_key)
            site.reconnects += 1
            site.publish(connection)
            for key in self._keys:
                self._refresh(key)
            parked, self._parked = self._parked, []
        for job in parked:
            self.submit(job)

    # Watching

    def _ensure_watch(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._watch, name="hsm-watch", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        period = min(_WATCH_PERIOD_S, self.settings.timeout_s / 4)
        while not self._closing.wait(period):
            now = time.monotonic()
            for place in self._places:
                place.lanes.watch(now)
            self._expire_parked(now)

    def _expire_parked(self, now: float) -> None:
        with self._guard:
            down = [place for place in self._places if place.site.connection is None]
            hopeless = bool(down) and all(isinstance(place.site.last_error, PinRefused) for place in down)
            expired = [job for job in self._parked if job.deadline <= now or hopeless]
            self._parked = [job for job in self._parked if not (job.deadline <= now or hopeless)]
            error = _why_down(down)
        for job in expired:
            _fail(job, error)

    # Health

    def self_test(self) -> TokenHealth:
        """Sign and verify with every key on every connected token, through its lanes. Blocks; may take timeout_ms.

        The outcome is kept for `health`. A token that fails is connected anew.
        """
        self._check_open()
        for place in self._places:
            connection = place.site.connection
            if connection is None:
                continue
            error: str | None = None
            for request, handle in list(connection.keys.items()):
                message = secrets.token_bytes(SELF_TEST_MESSAGE_BYTES)
                job = WaitingJob(request, message, self._deadline(), place.site)
                self.submit(job)
                try:
                    signature = job.result()
                    self.counters.drop("self-test")
                    verify(handle.public_key, request.scheme, message, signature)
                except HsmError as failure:
                    error = str(failure)
                    self.lost(place.site, connection, failure)
                    break
            place.self_test_error, place.self_test_at = error, time.time()
        return self.health()

    def health(self) -> TokenHealth:
        """What is known, without asking the token."""
        return TokenHealth(tuple(self._site_health(place) for place in self._places))

    def _site_health(self, place: _Place) -> SiteHealth:
        site, connection = place.site, place.site.connection
        keys = []
        for request in list(self._requests):
            found = connection.keys.get(request) if connection is not None else None
            failure = connection.key_errors.get(request) if connection is not None else None
            weaknesses = tuple(sorted(w.name.lower().replace("_", "-") for w in found.weaknesses)) if found else ()
            usable = found is not None
            keys.append(
                KeyHealth(str(request.uri), request.scheme, usable, weaknesses, str(failure) if failure else None)
            )
        down_for = None if site.down_since is None else time.monotonic() - site.down_since
        return SiteHealth(
            site.name,
            connection is not None,
            down_for,
            str(site.last_error) if site.last_error else None,
            site.reconnects,
            place.lanes.hanging,
            place.lanes.replaced,
            place.self_test_at,
            place.self_test_error,
            tuple(keys),
        )

    # For keys, vault and backup

    @contextmanager
    def session(self, *, writable: bool = False) -> Iterator[tuple[Cryptoki, int]]:
        """A session of its own in the primary token, closed afterwards; the login stays.

        Raises TokenUnavailable.
        """
        self._check_open()
        place = self._places[0]
        cryptoki = place.site.cryptoki
        with self._visit(place) as connection:
            try:
                session = cryptoki.open_session(connection.slot_id, writable=writable)
            except CryptokiError as error:
                raise _Lost(error) from error
            try:
                yield cryptoki, session
            finally:
                with suppress(CryptokiError):
                    cryptoki.close_session(session)

    @contextmanager
    def _visit(self, place: _Place) -> Iterator[Connection]:
        """Use a site's connection outside its lanes; `_Lost` in the body is a loss of the connection."""
        with self._guard:
            place.visitors += 1
        try:
            connection = place.site.connection
            if connection is None:
                raise TokenUnavailable(f"{place.site.name} token: {place.site.last_error or 'not connected'}")
            try:
                yield connection
            except _Lost as loss:
                self.lost(place.site, connection, loss.error)
                raise
        finally:
            with self._guard:
                place.visitors -= 1

    @property
    def mechanisms(self) -> frozenset[int]:
        """What the primary token says it can do. Raises TokenUnavailable."""
        connection = self._places[0].site.connection
        if connection is None:
            raise TokenUnavailable("primary token: not connected")
        return connection.mechanisms

    @property
    def uri(self) -> Pkcs11Uri:
        """The URI that the primary token was opened by."""
        return self._places[0].site.uri

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise TokenClosed("the token was closed")


class _Lost(TokenUnavailable):
    """A connection turned out to be lost while it was used outside the lanes."""

    def __init__(self, error: CryptokiError) -> None:
        super().__init__(str(error))
        self.error = error


def _nothing() -> None:
    pass


def _nothing_said(_reason: str) -> None:
    pass


def _fail(job: Job, error: HsmError) -> None:
    if job.claim():
        job.settle(None, error)


def _why_down(down: list[_Place]) -> HsmError:
    for place in down:
        if isinstance(place.site.last_error, PinRefused):
            return PinRefused(str(place.site.last_error))
    reasons = "; ".join(str(place.site.last_error) for place in down if place.site.last_error)
    return TokenUnavailable(reasons or "the token is not connected")


def _not_initialised(error: HsmError | None) -> bool:
    cause = error.__cause__ if error is not None else None
    return isinstance(cause, CryptokiError) and cause.value == ck.CKR_CRYPTOKI_NOT_INITIALIZED
