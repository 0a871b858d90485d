"""One login to one token: found by its URI, its keys found by theirs, checked, and found anew after a loss.

A `Connection` is what a login gave: sessions opened in it and handles found in it are worth nothing after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism, TokenInfo
from hsm.errors import (
    CryptokiError,
    HsmError,
    KeyAmbiguous,
    KeyMismatch,
    KeyNotFound,
    PinRefused,
    TokenAmbiguous,
    TokenUnavailable,
    WeakKey,
)
from hsm.identity import KEY_CHECK_MESSAGE, Identity, KeyCheck, same_identity
from hsm.mechanisms import HMAC_SHA256, SigningSpec, choose, mac_spec
from hsm.modules import Module
from hsm.policy import (
    KEY_ATTRIBUTES,
    SECRET_KEY_ATTRIBUTES,
    Purpose,
    Weakness,
    is_made_for_backup,
    weaknesses,
)
from hsm.public_keys import (
    PUBLIC_ATTRIBUTES,
    PublicKey,
    check_fits,
    public_key_from_attributes,
    verify,
)
from hsm.uri import Pkcs11Uri

_SALT = os.urandom(16)
_refused_pins: set[bytes] = set()
_LARGEST_SIGNATURE_BYTES = 5120
SELF_TEST_MESSAGE_BYTES = 32


@dataclass(frozen=True)
class KeyRequest:
    """A signing key as it is asked for, or one that makes MACs."""

    uri: Pkcs11Uri
    scheme: str
    """One of hsm.mechanisms.SCHEMES, or HMAC_SHA256."""
    lower_s: bool

    @property
    def counted(self) -> bool:
        """Whether what it makes counts as a signature."""
        return self.scheme != HMAC_SHA256


@dataclass(frozen=True)
class KeyHandle:
    """A key as found in one connection."""

    handle: int
    spec: SigningSpec
    mechanism: Mechanism
    identity: Identity
    weaknesses: frozenset[Weakness]
    for_backup: bool


@dataclass(eq=False)
class Connection:
    """A live login. `session` is the one that logged in; it stays open as long as the connection is used."""

    slot_id: int
    session: int
    epoch: int
    mechanisms: frozenset[int]
    keys: dict[KeyRequest, KeyHandle] = field(default_factory=dict)
    key_errors: dict[KeyRequest, HsmError] = field(default_factory=dict)
    sessions_gone: bool = False
    """After a loss: the token has closed its sessions by itself, so their handles must not be touched again."""


@dataclass(frozen=True)
class Counters:
    """Called around every C_Sign (control RECORD of the callers)."""

    call: Callable[[], None]
    """Immediately before each C_Sign."""
    drop: Callable[[str], None]
    """For each counted call that left no signature with a caller: failed, timed-out, cancelled, self-test."""


class SignCall:
    """Signs in one session, one call at a time. This is the hot path."""

    __slots__ = ("_buffer", "_call", "_drop", "_length", "_length_address", "_sign", "_sign_init", "session")

    def __init__(self, cryptoki: Cryptoki, session: int, counters: Counters) -> None:
        self.session = session
        self._sign_init = cryptoki.sign_init
        self._sign = cryptoki.sign
        self._call = counters.call
        self._drop = counters.drop
        self._buffer: Any = ctypes.create_string_buffer(_LARGEST_SIGNATURE_BYTES)
        self._length = ctypes.c_ulong()
        self._length_address = ctypes.addressof(self._length)

    def __call__(self, key: KeyHandle, message: bytes) -> bytes:
        """The signature in its X.509 form. Raises CryptokiError, SigningFailed for an impossible answer."""
        spec = key.spec
        counted = spec.counted
        data = spec.prepare(message)
        value = self._sign_init(self.session, ctypes.addressof(key.mechanism), key.handle)
        if value:
            raise CryptokiError("C_SignInit", value)
        self._length.value = spec.maximum_bytes
        if counted:
            self._call()
        value = self._sign(self.session, data, len(data), self._buffer, self._length_address)
        if value:
            if counted:
                self._drop("failed")
            raise CryptokiError("C_Sign", value)
        return spec.finish(self._buffer[: self._length.value])


class Site:
    """One token: the primary or the standby."""

    def __init__(
        self, name: str, uri: Pkcs11Uri, pin: Callable[[], str], module: Module, counters: Counters, *, allow_weak: bool
    ) -> None:
        self.name = name
        self.uri = uri
        self.module = module
        self.connection: Connection | None = None
        self.last_error: HsmError | None = None
        self.down_since: float | None = time.monotonic()
        self.reconnects = 0
        self._pin = pin
        self._counters = counters
        self._allow_weak = allow_weak
        self._guard = threading.Lock()

    @property
    def cryptoki(self) -> Cryptoki:
        return self.module.cryptoki

    def connect(self, requests: Mapping[KeyRequest, Identity | None]) -> Connection:
        """Find the token, log in once, find and check the keys. The connection is not yet published.

        A key that is missing, changed or too weak does not stop the others: it stands in `key_errors`.
        Raises TokenUnavailable, TokenAmbiguous, PinRefused, PinUnavailable.
        """
        try:
            info = self._find_token()
            session = self.cryptoki.open_session(info.slot_id)
        except CryptokiError as error:
            raise TokenUnavailable(f"{self.name} token: {error}") from error
        try:
            self._login(session, info)
            mechanisms = self.cryptoki.mechanisms(info.slot_id)
            connection = Connection(info.slot_id, session, self.module.epoch, mechanisms)
            for request, pinned in requests.items():
                self.add_key(connection, request, pinned)
            return connection
        except CryptokiError as error:
            self._close_quietly(session)
            raise TokenUnavailable(f"{self.name} token: {error}") from error
        except BaseException:
            self._close_quietly(session)
            raise

    def add_key(self, connection: Connection, request: KeyRequest, pinned: Identity | None) -> None:
        """Find a key and use it once, so that its handle is known to be that of its public key or check."""
        session = self.cryptoki.open_session(connection.slot_id)
        try:
            key = self._find_key(session, connection.mechanisms, request)
            if pinned is not None and not same_identity(pinned, key.identity):
                raise KeyMismatch(f"{self.name} token: the key {_key_name(request)} is another one than before")
            self.prove(session, key)
        except CryptokiError:
            raise
        except HsmError as error:
            connection.keys.pop(request, None)
            connection.key_errors[request] = error
        else:
            connection.key_errors.pop(request, None)
            connection.keys[request] = key
        finally:
            self._close_quietly(session)

    def prove(self, session: int, key: KeyHandle) -> None:
        """Sign and verify a random message; a key without a public one was proved by what it was found with.

        Raises SelfTestFailed, CryptokiError."""
        if isinstance(key.identity, KeyCheck):
            return
        message = secrets.token_bytes(SELF_TEST_MESSAGE_BYTES)
        signature = SignCall(self.cryptoki, session, self._counters)(key, message)
        self._counters.drop("self-test")
        verify(key.identity, key.spec.scheme, message, signature)

    def publish(self, connection: Connection) -> None:
        with self._guard:
            self.connection, self.down_since, self.last_error = connection, None, None

    def lose(self, connection: Connection, error: HsmError) -> bool:
        """Note that a connection is lost; whether this caller is the first to say so."""
        with self._guard:
            if self.connection is not connection:
                return False
            self.connection, self.down_since, self.last_error = None, time.monotonic(), error
            connection.sessions_gone = isinstance(error, CryptokiError) and error.value in _SESSIONS_GONE
            return True

    def leave(self, connection: Connection) -> None:
        """Close the login session of a connection that is no longer used."""
        with self.module.calling():
            if connection.epoch == self.module.epoch and not connection.sessions_gone:
                self._close_quietly(connection.session)

    def _close_quietly(self, session: int) -> None:
        with contextlib.suppress(CryptokiError):
            self.cryptoki.close_session(session)

    def _find_token(self) -> TokenInfo:
        found = [info for info in self.cryptoki.tokens() if matches(self.uri, info)]
        if not found:
            raise TokenUnavailable(f"no token answers to the {self.name} URI")
        if len(found) > 1:
            raise TokenAmbiguous(f"{len(found)} tokens answer to the {self.name} URI: name its serial too")
        return found[0]

    def _login(self, session: int, info: TokenInfo) -> None:
        exclusive = getattr(self._pin, "exclusive", contextlib.nullcontext)
        with exclusive():
            pin = self._pin().encode()
            where = f"{self.module.path}\0{info.serial}\0".encode()
            mark = hashlib.sha256(_SALT + where + pin).digest()
            # The flags are read again inside the lock: another process may just have spent a try.
            check_pin_may_be_tried(self.cryptoki.token_info(info.slot_id).flags, refused_before=mark in _refused_pins)
            try:
                self.cryptoki.login(session, ck.CKU_USER, pin)
            except CryptokiError as error:
                if error.value == ck.CKR_USER_ALREADY_LOGGED_IN:
                    return
                if error.value not in _PIN_REFUSALS:
                    raise
                _refused_pins.add(mark)
                note_refused = getattr(self._pin, "note_refused", None)
                if note_refused is not None:
                    note_refused()
                raise PinRefused(f"{self.name} token: {error}; it is not tried again") from None

    def _find_key(self, session: int, mechanisms: frozenset[int], request: KeyRequest) -> KeyHandle:
        cryptoki = self.cryptoki
        mac = request.scheme == HMAC_SHA256
        template = key_template(request.uri, ck.CKO_SECRET_KEY if mac else ck.CKO_PRIVATE_KEY)
        handles = cryptoki.find_objects(session, template)
        if not handles:
            if not cryptoki.is_logged_in(session):
                # Private objects are hidden from who is not logged in: the key may well be there.
                raise CryptokiError("C_FindObjects", ck.CKR_USER_NOT_LOGGED_IN)
            raise KeyNotFound(f"{self.name} token: no {_kind(request)} key answers to {_key_name(request)}")
        if len(handles) > 1:
            raise KeyAmbiguous(
                f"{self.name} token: {len(handles)} {_kind(request)} keys answer to {_key_name(request)}"
            )
        handle = handles[0]
        asked = SECRET_KEY_ATTRIBUTES if mac else KEY_ATTRIBUTES
        attributes = cryptoki.get_attributes(session, handle, (*asked, ck.CKA_ID, ck.CKA_LABEL))
        found = weaknesses(attributes, Purpose.MAC if mac else Purpose.SIGN)
        if found and not self._allow_weak:
            reasons = ", ".join(sorted(weakness.value for weakness in found))
            raise WeakKey(f"{self.name} token: the key {_key_name(request)} is weak: {reasons}")
        if mac:
            return self._mac_key(session, handle, mac_spec(mechanisms), found)
        public_key = read_public_key(cryptoki, session, handle, attributes)
        check_fits(public_key, request.scheme)
        spec = choose(request.scheme, mechanisms, lower_s=request.lower_s)
        mechanism = Mechanism.of(spec.mechanism, spec.parameter)
        return KeyHandle(handle, spec, mechanism, public_key, found, is_made_for_backup(attributes))

    def _mac_key(self, session: int, handle: int, spec: SigningSpec, found: frozenset[Weakness]) -> KeyHandle:
        mechanism = Mechanism.of(spec.mechanism)
        unproved = KeyHandle(handle, spec, mechanism, KeyCheck(b""), found, for_backup=False)
        check = SignCall(self.cryptoki, session, self._counters)(unproved, KEY_CHECK_MESSAGE)
        return replace(unproved, identity=KeyCheck(check))


_PIN_REFUSALS = frozenset(
    {ck.CKR_PIN_INCORRECT, ck.CKR_PIN_INVALID, ck.CKR_PIN_LEN_RANGE, ck.CKR_PIN_LOCKED, ck.CKR_PIN_EXPIRED}
)
_SESSIONS_GONE = frozenset(
    {ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_SESSION_CLOSED, ck.CKR_DEVICE_REMOVED, ck.CKR_TOKEN_NOT_PRESENT}
    | {ck.CKR_CRYPTOKI_NOT_INITIALIZED}
)


def check_pin_may_be_tried(flags: int, *, refused_before: bool) -> None:
    """Raise PinRefused if trying this PIN could lock the token or can only fail."""
    if flags & ck.CKF_USER_PIN_LOCKED:
        raise PinRefused("the token's user PIN is locked: the security officer must set a new one")
    if refused_before:
        raise PinRefused("the token refused this PIN before; it is not tried again")
    if flags & ck.CKF_USER_PIN_FINAL_TRY:
        raise PinRefused("one more wrong PIN would lock the token: log in by hand with the right one first")


def matches(uri: Pkcs11Uri, info: TokenInfo) -> bool:
    """Whether a token has every attribute that the URI names."""
    return (
        bool(info.flags & ck.CKF_TOKEN_INITIALIZED)
        and uri.token in (None, info.label)
        and uri.serial in (None, info.serial)
        and uri.manufacturer in (None, info.manufacturer)
        and uri.model in (None, info.model)
        and uri.slot_id in (None, str(info.slot_id))
    )


def key_template(uri: Pkcs11Uri, object_class: int) -> dict[int, AttributeValue]:
    """The search template for a key. Raises KeyNotFound if the URI names neither object nor id."""
    template: dict[int, AttributeValue] = {ck.CKA_CLASS: object_class}
    if uri.object is not None:
        template[ck.CKA_LABEL] = uri.object
    if uri.id is not None:
        template[ck.CKA_ID] = uri.id
    if len(template) == 1:
        raise KeyNotFound("the key's URI names neither object nor id")
    return template


def read_public_key(
    cryptoki: Cryptoki, session: int, private_handle: int, attributes: Mapping[int, AttributeValue]
) -> PublicKey:
    """The public key that belongs to a private key: told by the key itself, or by the public object of its id."""
    key = public_key_from_attributes(cryptoki.get_attributes(session, private_handle, PUBLIC_ATTRIBUTES))
    if key is not None:
        return key
    identifier, label = attributes.get(ck.CKA_ID), attributes.get(ck.CKA_LABEL)
    template: dict[int, AttributeValue] = {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY}
    if identifier:
        template[ck.CKA_ID] = identifier
    elif label:
        template[ck.CKA_LABEL] = label
    for handle in cryptoki.find_objects(session, template) if len(template) > 1 else []:
        key = public_key_from_attributes(cryptoki.get_attributes(session, handle, (*PUBLIC_ATTRIBUTES, ck.CKA_VALUE)))
        if key is not None:
            return key
    raise KeyNotFound("no public key stands beside the private key")


def _kind(request: KeyRequest) -> str:
    return "private" if request.counted else "secret"


def _key_name(request: KeyRequest) -> str:
    return str(Pkcs11Uri(object=request.uri.object, id=request.uri.id))
