"""What is in a token: every object with what can be told of it, so that a change can be seen by comparing.

Nothing secret is asked for. What tells a public key, a certificate or a data object goes in as its SHA-256. A secret
key that makes MACs is told by its check (hsm.identity), a private key that agrees on secrets by what it agrees on with
the curve's base point, which is its own public point: another key with the same attributes is seen to be another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from hsm import constants as ck
from hsm.agreement import agree_once
from hsm.cryptoki import AttributeValue, Cryptoki
from hsm.errors import CryptokiError, SigningRefused, TokenUnavailable
from hsm.failures import Failure, classify
from hsm.identity import KEY_CHECK_MESSAGE
from hsm.mac import mac_once
from hsm.mechanisms import KeyKind
from hsm.public_keys import CURVE_PARAMETERS, PUBLIC_ATTRIBUTES
from hsm.tokens import Token

_CLASSES = {
    ck.CKO_DATA: "data",
    ck.CKO_CERTIFICATE: "certificate",
    ck.CKO_PUBLIC_KEY: "public-key",
    ck.CKO_PRIVATE_KEY: "private-key",
    ck.CKO_SECRET_KEY: "secret-key",
}
_OPEN = frozenset({"data", "certificate", "public-key"})
"""Classes whose value is no secret."""
_BASE_POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""Of P-256, uncompressed (SEC 2, section 2.4.2)."""
_FLAGS = tuple(sorted(ck.BOOLEAN_ATTRIBUTES))
_NAMES = {value: name for name, value in vars(ck).items() if name.startswith("CKA_")}


class TokenObject(NamedTuple):
    """One object. `flags`: the attributes that are true; those that the token does not know are in neither list."""

    kind: str
    """data, certificate, public-key, private-key, secret-key, or class-N."""
    label: str
    id: bytes
    key_type: int | None
    flags: tuple[str, ...]
    cleared: tuple[str, ...]
    """The attributes that are false."""
    value: str
    """SHA-256, hexadecimal, of what is public of it, or of what proves it; empty where nothing does."""

    def described(self) -> dict[str, Any]:
        """As JSON says it."""
        return {**self._asdict(), "id": self.id.hex()}

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of all that is told of it: another one is another object, or a changed one."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).digest()


def list_objects(token: Token) -> list[TokenObject]:
    """Every stored object in the primary token, as its user sees it. Raises TokenUnavailable."""
    with token.session() as (cryptoki, session):
        try:
            return [
                _object(cryptoki, session, handle) for handle in cryptoki.find_objects(session, {ck.CKA_TOKEN: True})
            ]
        except CryptokiError as error:
            raise TokenUnavailable(str(error)) from error


def destroy_objects(token: Token, fingerprints: Collection[bytes]) -> int:
    """Destroy the objects of these fingerprints, every one of several alike; how many were destroyed.

    Raises TokenUnavailable, CryptokiError."""
    destroyed = 0
    with token.session(writable=True) as (cryptoki, session):
        for handle in cryptoki.find_objects(session, {ck.CKA_TOKEN: True}):
            fingerprint = _object(cryptoki, session, handle).fingerprint
            if fingerprint in fingerprints:
                cryptoki.destroy_object(session, handle)
                destroyed += 1
    return destroyed


def _object(cryptoki: Cryptoki, session: int, handle: int) -> TokenObject:
    told = cryptoki.get_attributes(session, handle, (ck.CKA_CLASS, ck.CKA_LABEL, ck.CKA_ID, ck.CKA_KEY_TYPE, *_FLAGS))
    number = told.get(ck.CKA_CLASS)
    kind = _CLASSES.get(number, f"class-{number}") if isinstance(number, int) else "class-unknown"
    asked: tuple[int, ...] = (*PUBLIC_ATTRIBUTES, *((ck.CKA_VALUE, ck.CKA_APPLICATION) if kind in _OPEN else ()))
    public = cryptoki.get_attributes(session, handle, asked)
    public |= _proof(cryptoki, session, handle, told | public)
    label, identifier, key_type = told.get(ck.CKA_LABEL), told.get(ck.CKA_ID), told.get(ck.CKA_KEY_TYPE)
    return TokenObject(
        kind,
        label.decode("utf-8", "replace") if isinstance(label, bytes) else "",
        identifier if isinstance(identifier, bytes) else b"",
        key_type if isinstance(key_type, int) else None,
        tuple(_NAMES[flag] for flag in _FLAGS if told.get(flag) is True),
        tuple(_NAMES[flag] for flag in _FLAGS if told.get(flag) is False),
        _digest(public),
    )


def _proof(
    cryptoki: Cryptoki, session: int, handle: int, told: Mapping[int, AttributeValue]
) -> dict[int, AttributeValue]:
    """What a key makes that other attributes would not tell; nothing where it makes none. Raises CryptokiError."""
    try:
        kind, signs = told.get(ck.CKA_CLASS), told.get(ck.CKA_SIGN) is True
        if kind == ck.CKO_SECRET_KEY and signs and told.get(ck.CKA_KEY_TYPE) == ck.CKK_GENERIC_SECRET:
            return {ck.CKA_CHECK_VALUE: mac_once(cryptoki, session, handle, KEY_CHECK_MESSAGE)}
        agrees = told.get(ck.CKA_DERIVE) is True and told.get(ck.CKA_EC_PARAMS) == CURVE_PARAMETERS[KeyKind.P256]
        if kind == ck.CKO_PRIVATE_KEY and agrees and not signs:
            return {ck.CKA_CHECK_VALUE: agree_once(cryptoki, session, handle, _BASE_POINT)}
    except CryptokiError as error:
        if classify(error.value) is not Failure.REFUSED:
            raise
    except SigningRefused:
        pass
    return {}


def _digest(values: dict[int, AttributeValue]) -> str:
    text = b"".join(
        number.to_bytes(4, "big") + len(value).to_bytes(4, "big") + value
        for number, value in sorted(values.items())
        if isinstance(value, bytes) and value
    )
    return hashlib.sha256(text).hexdigest() if text else ""
