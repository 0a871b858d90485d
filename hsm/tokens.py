"""Tokens: opened once a process, kept connected, with lanes into them and perhaps a standby beside them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from hsm import modules
from hsm.cryptoki import Cryptoki
from hsm.errors import (
    CryptokiError,
    HsmError,
    KeyMismatch,
    MechanismUnavailable,
    ModuleUnavailable,
    SelfTestFailed,
    TokenClosed,
    TokenUnavailable,
)
from hsm.health import KeyHealth, SiteHealth, TokenHealth
from hsm.identity import KEY_CHECK_MESSAGE, Identity, KeyCheck, same_identity
from hsm.initialise import initialise_token
from hsm.jobs import MAXIMUM_ATTEMPTS, AwaitedJob, Mailbox, WaitingJob
from hsm.lanes import InlineLane, LaneSettings, ThreadLanes
from hsm.mechanisms import HMAC_SHA256
from hsm.public_keys import verify
from hsm.routing import FIRST_DELAY_S, Lost, Place, Router
from hsm.signing import HeldKey, MacKey, SigningKey
from hsm.site import SELF_TEST_MESSAGE_BYTES, Connection, Counters, KeyRequest, Site
from hsm.uri import Pkcs11Uri

Held = TypeVar("Held", bound=HeldKey)

__all__ = ["Standby", "Token", "initialise_token", "open_token"]


@dataclass(frozen=True)
class Standby:
    """A second token that holds the same backup-made keys."""

    uri: Pkcs11Uri
    pin: Callable[[], str]


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
        self._keys: list[HeldKey] = []
        self._router = Router(settings, self._refresh)
        self._mailbox: Mailbox | None = None

    def add_site(self, site: Site) -> None:
        """Part of opening."""
        router, module = self._router, site.module
        if self.settings.mode == "inline":
            place = Place(site, InlineLane(site, router, self.counters))
        elif module.locks:
            place = Place(site, ThreadLanes(site, router, self.counters, self.settings))
        else:
            modules.release(module)
            raise ModuleUnavailable(f"{module.path} does not lock: its token can have an inline lane only")
        router.places.append(place)
        module.quiet_checks.append(place.is_quiet)

    def start(self, patience_s: float) -> None:
        """Part of opening: connect every site, or with a standby at least one."""
        self._router.start(patience_s)

    def close(self) -> None:
        """Wait for calls under way, close what is open, and give the modules back."""
        with self._router.guard:
            if self._router.closing.is_set():
                return
            self._router.closing.set()
            for key in self._keys:
                key._fast = None
        self._router.close()
        for place in self._router.places:
            place.site.module.quiet_checks.remove(place.is_quiet)
            modules.release(place.site.module)

    def signing_key(self, uri_attributes: Pkcs11Uri, scheme: str, *, lower_s: bool = False) -> SigningKey:
        """Find a key by object or id and hold it.

        Raises KeyNotFound, KeyAmbiguous, WeakKey, KeyMismatch, MechanismUnavailable, SelfTestFailed, TokenUnavailable.
        """
        request = KeyRequest(uri_attributes, scheme, lower_s)
        if not request.counted:
            raise MechanismUnavailable(f"{scheme} is no signature scheme: ask for the MAC key")
        held = self._held(request)
        if isinstance(held, SigningKey):
            return held
        identity = self._find(request)
        if isinstance(identity, KeyCheck):
            raise KeyMismatch("the key has no public key")
        return self._hold(SigningKey(self, request, identity), identity)

    def mac_key(self, uri_attributes: Pkcs11Uri) -> MacKey:
        """Find a secret key by object or id and hold it for message authentication codes.

        Raises KeyNotFound, KeyAmbiguous, WeakKey, KeyMismatch, MechanismUnavailable, TokenUnavailable.
        """
        request = KeyRequest(uri_attributes, HMAC_SHA256, lower_s=False)
        held = self._held(request)
        if isinstance(held, MacKey):
            return held
        identity = self._find(request)
        if not isinstance(identity, KeyCheck):
            raise KeyMismatch("the key is not a secret key")
        return self._hold(MacKey(self, request, identity.value), identity)

    def _held(self, request: KeyRequest) -> HeldKey | None:
        self._check_open()
        with self._router.guard:
            return next((key for key in self._keys if key.request == request), None)

    def _hold(self, key: Held, identity: Identity) -> Held:
        with self._router.guard:
            self._router.requests[key.request] = identity
            self._keys.append(key)
            self._refresh()
        return key

    def _find(self, request: KeyRequest) -> Identity:
        """Find a key in every token; by what it is known."""
        errors: list[HsmError] = []
        identity: Identity | None = None
        for place in self._router.places:
            try:
                connection = self._add_key(place, request, identity)
            except TokenUnavailable as error:
                errors.append(error)
                continue
            found = connection.keys.get(request)
            if found is None:
                errors.append(connection.key_errors[request])
                if isinstance(errors[-1], KeyMismatch):
                    raise errors[-1]
            elif identity is None:
                identity = found.identity
        if identity is None:
            raise errors[0]
        return identity

    def _add_key(self, place: Place, request: KeyRequest, pinned: Identity | None) -> Connection:
        """Find the key in the site's connection; a connection that is lost meanwhile is waited for, a few times."""
        site = place.site
        for _ in range(MAXIMUM_ATTEMPTS):
            try:
                with self._router.visit(place) as connection:
                    try:
                        site.add_key(connection, request, pinned)
                    except CryptokiError as error:
                        raise Lost(error) from error
            except Lost:
                deadline = time.monotonic() + self.settings.timeout_s
                while (
                    site.connection is None
                    and time.monotonic() < deadline
                    and not self._router.closing.wait(FIRST_DELAY_S)
                ):
                    pass
            else:
                return connection
        raise TokenUnavailable(str(site.last_error or f"{site.name} token: not connected"))

    def _refresh(self) -> None:
        """Give each key its shortest way, if it has one now. Called under the router's guard."""
        for key in self._keys:
            key._fast = self._shortest_way(key.request)

    def _shortest_way(self, request: KeyRequest) -> Callable[[bytes], bytes] | None:
        for place in self._router.places:
            connection = place.site.connection
            handle = connection.keys.get(request) if connection is not None else None
            if connection is not None and handle is not None and isinstance(place.lanes, InlineLane):
                with suppress(CryptokiError):
                    return place.lanes.prepared(connection, handle)
                return None
        return None

    def sign_waiting(self, request: KeyRequest, message: bytes) -> bytes:
        job = WaitingJob(request, message, self._router.deadline())
        self._router.submit(job)
        return job.result()

    def sign_awaited(self, request: KeyRequest, message: bytes) -> asyncio.Future[bytes]:
        mailbox = self._mailbox
        loop = asyncio.get_running_loop()
        if mailbox is None or mailbox.loop is not loop:
            mailbox = self._mailbox = Mailbox(loop, self.counters.drop)
        job = AwaitedJob(request, message, self._router.deadline(), mailbox)
        self._router.submit(job)
        return job.future

    def self_test(self) -> TokenHealth:
        """Sign and verify with every key on every connected token, through its lanes; a MAC key is held to its check.
        Blocks; may take timeout_ms.

        The outcome is kept for `health`. A token that fails is connected anew.
        """
        self._check_open()
        for place in self._router.places:
            connection = place.site.connection
            if connection is None:
                continue
            error: str | None = None
            for request, handle in list(connection.keys.items()):
                known = handle.identity
                mac = isinstance(known, KeyCheck)
                message = KEY_CHECK_MESSAGE if mac else secrets.token_bytes(SELF_TEST_MESSAGE_BYTES)
                job = WaitingJob(request, message, self._router.deadline(), place.site)
                self._router.submit(job)
                try:
                    signature = job.result()
                    if isinstance(known, KeyCheck):
                        _check_mac(known, signature)
                        continue
                    self.counters.drop("self-test")
                    verify(known, request.scheme, message, signature)
                except HsmError as failure:
                    error = str(failure)
                    self._router.lost(place.site, connection, failure)
                    break
            place.self_test_error, place.self_test_at = error, time.time()
        return self.health()

    def health(self) -> TokenHealth:
        """What is known, without asking the token."""
        return TokenHealth(tuple(self._site_health(place) for place in self._router.places))

    def _site_health(self, place: Place) -> SiteHealth:
        site, connection = place.site, place.site.connection
        keys = []
        for request in list(self._router.requests):
            found = connection.keys.get(request) if connection is not None else None
            failure = connection.key_errors.get(request) if connection is not None else None
            weaknesses = tuple(sorted(w.name.lower().replace("_", "-") for w in found.weaknesses)) if found else ()
            usable = found is not None
            keys.append(
                KeyHealth(str(request.uri), request.scheme, usable, weaknesses, str(failure) if failure else None)
            )
        return SiteHealth(
            site.name,
            connection is not None,
            str(site.last_error) if site.last_error else None,
            site.reconnects,
            place.lanes.hanging,
            place.lanes.replaced,
            place.self_test_at,
            place.self_test_error,
            tuple(keys),
        )

    @contextmanager
    def session(self, *, writable: bool = False) -> Iterator[tuple[Cryptoki, int]]:
        """A session of its own in the primary token, closed afterwards; the login stays.

        Raises TokenUnavailable.
        """
        self._check_open()
        place = self._router.places[0]
        cryptoki = place.site.cryptoki
        with self._router.visit(place) as connection:
            try:
                session = cryptoki.open_session(connection.slot_id, writable=writable)
            except CryptokiError as error:
                raise Lost(error) from error
            try:
                yield cryptoki, session
            finally:
                with suppress(CryptokiError):
                    cryptoki.close_session(session)

    @property
    def mechanisms(self) -> frozenset[int]:
        """What the primary token says it can do. Raises TokenUnavailable."""
        connection = self._router.places[0].site.connection
        if connection is None:
            raise TokenUnavailable("primary token: not connected")
        return connection.mechanisms

    @property
    def uri(self) -> Pkcs11Uri:
        """The URI that the primary token was opened by."""
        return self._router.places[0].site.uri

    def _check_open(self) -> None:
        if self._router.closing.is_set():
            raise TokenClosed("the token was closed")


def _check_mac(known: KeyCheck, mac: bytes) -> None:
    if not same_identity(known, KeyCheck(mac)):
        raise SelfTestFailed("the MAC key makes other MACs than before")


def _nothing() -> None:
    pass


def _nothing_said(_reason: str) -> None:
    pass
