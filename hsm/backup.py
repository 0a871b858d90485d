"""Moving backup-made keys to a second token: wrapped by AES-256 key wrap with padding (NIST SP 800-38F, RFC 5649).

The wrapping key's value comes from outside (a ceremony combines it from shares). On the first token the security
officer installs it as trusted and able to wrap only: a user's session cannot put another in its place. On the second
token it lives for one unwrapping as a session object that can do nothing else. Nobody leaves an UNWRAP key behind:
with it a session could read a wrapped key in the clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hsm import constants as ck
from hsm import modules
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism
from hsm.errors import (
    CryptokiError,
    HsmError,
    KeyAmbiguous,
    KeyExists,
    KeyNotFound,
    MechanismUnavailable,
    PinRefused,
    TokenUnavailable,
    WeakKey,
)
from hsm.keys import destroy_key_pair
from hsm.mechanisms import scheme_named
from hsm.policy import KEY_ATTRIBUTES, is_made_for_backup, private_key_template, public_key_template
from hsm.public_keys import CURVE_PARAMETERS, PublicKey, check_fits, same_public_key
from hsm.site import key_template, matches
from hsm.tokens import Token
from hsm.uri import Pkcs11Uri

WRAPPING_KEY_BYTES = 32
_MECHANISMS = (ck.CKM_AES_KEY_WRAP_PAD, ck.CKM_AES_KEY_WRAP_KWP)
_PURPOSES = (
    *(ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_ENCRYPT, ck.CKA_DECRYPT),
    *(ck.CKA_SIGN, ck.CKA_VERIFY, ck.CKA_DERIVE),
)


def install_wrapping_key(uri: Pkcs11Uri, so_pin: Callable[[], str], label: str, value: bytes) -> None:
    """Put a trusted, wrap-only AES-256 key into a token, as its security officer.

    No session of this process may be open on the token. Raises KeyExists, TokenUnavailable, PinRefused, CryptokiError.
    """
    _check_value(value)
    with _security_officer(uri, so_pin) as (cryptoki, session):
        if cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: label}):
            raise KeyExists(f"a secret key called {label!r} is already in the token")
        template = _aes_key(value, ck.CKA_WRAP) | {
            ck.CKA_TOKEN: True,
            # The security officer can make public objects only; a key that only wraps gives nothing away by it.
            ck.CKA_PRIVATE: False,
            ck.CKA_TRUSTED: True,
            ck.CKA_MODIFIABLE: False,
            ck.CKA_LABEL: label,
        }
        cryptoki.create_object(session, template)


def remove_wrapping_keys(token: Token, prefix: str) -> int:
    """Destroy every wrapping key in the primary token whose label begins so; how many there were.

    Raises TokenUnavailable, and CryptokiError where the token lets only its security officer destroy them: then
    `remove_wrapping_keys_as_officer`.
    """
    with token.session(writable=True) as (cryptoki, session):
        return _remove(cryptoki, session, prefix)


def count_nameless_keys(token: Token) -> int:
    """AES keys without a label in the primary token.

    SoftHSM makes an object first and gives it its attributes then; another process that touches it in that moment
    leaves it without them: without label, value and trust."""
    with token.session() as (cryptoki, session):
        return len(_nameless(cryptoki, session))


def remove_nameless_keys(token: Token) -> None:
    """Destroy them. For a caller who counted none before."""
    with token.session(writable=True) as (cryptoki, session):
        for handle in _nameless(cryptoki, session):
            cryptoki.destroy_object(session, handle)


def remove_wrapping_keys_as_officer(uri: Pkcs11Uri, so_pin: Callable[[], str], prefix: str) -> int:
    """The same as the security officer; as for `install_wrapping_key`, no session of this process may be open."""
    with _security_officer(uri, so_pin) as (cryptoki, session):
        return _remove(cryptoki, session, prefix)


def wrap_key(token: Token, uri_attributes: Pkcs11Uri, wrapping_label: str) -> bytes:
    """A backup-made private key of the primary token, wrapped by the trusted key of that label (PKCS#8 inside).

    Raises KeyNotFound, KeyAmbiguous, WeakKey if the wrapping key is not trusted or can do more than wrap, or the key
    is not made for backup, MechanismUnavailable, CryptokiError, TokenUnavailable.
    """
    mechanism = _mechanism(token)
    with token.session() as (cryptoki, session):
        wrapping = _only(cryptoki, session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: wrapping_label})
        shown = cryptoki.get_attributes(session, wrapping, (ck.CKA_TRUSTED, *_PURPOSES))
        others = [purpose for purpose in _PURPOSES if purpose != ck.CKA_WRAP and shown.get(purpose) is True]
        if shown.get(ck.CKA_TRUSTED) is not True or others:
            raise WeakKey("the wrapping key is not trusted, or has another purpose too")
        key = _only(cryptoki, session, key_template(uri_attributes, ck.CKO_PRIVATE_KEY))
        if not is_made_for_backup(cryptoki.get_attributes(session, key, KEY_ATTRIBUTES)):
            raise WeakKey("the key is not made for backup")
        return cryptoki.wrap_key(session, mechanism, wrapping, key)


def restore_key(
    token: Token, wrapped: bytes, value: bytes, uri_attributes: Pkcs11Uri, scheme: str, public_key: PublicKey
) -> None:
    """Unwrap a key into the primary token under the same object and id, with its public key beside it.

    value: the 32 bytes of the wrapping key. The restored key signs once and is destroyed again if the signature does
    not verify under public_key. Raises KeyExists, MechanismUnavailable, SelfTestFailed, CryptokiError,
    TokenUnavailable.
    """
    _check_value(value)
    check_fits(public_key, scheme)
    if uri_attributes.object is None or uri_attributes.id is None:
        raise KeyNotFound("a restored key needs both object and id in its URI")
    mechanism = _mechanism(token)
    with token.session(writable=True) as (cryptoki, session):
        for taken in ({ck.CKA_LABEL: uri_attributes.object}, {ck.CKA_ID: uri_attributes.id}):
            if cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, **taken}):
                raise KeyExists("a private key of that label or id is already in the token")
        unwrapping = cryptoki.create_object(
            session, _aes_key(value, ck.CKA_UNWRAP) | {ck.CKA_TOKEN: False, ck.CKA_PRIVATE: True}
        )
        try:
            private = private_key_template(label=uri_attributes.object, id=uri_attributes.id, for_backup=True)
            private |= {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_KEY_TYPE: scheme_named(scheme).kind.value[0]}
            # Some tokens set one attribute after the other: what forbids changes comes last.
            private[ck.CKA_COPYABLE] = private.pop(ck.CKA_COPYABLE)
            private[ck.CKA_MODIFIABLE] = private.pop(ck.CKA_MODIFIABLE)
            handle = cryptoki.unwrap_key(session, mechanism, unwrapping, wrapped, private)
        finally:
            cryptoki.destroy_object(session, unwrapping)
        try:
            public = public_key_template(label=uri_attributes.object, id=uri_attributes.id)
            cryptoki.create_object(session, public | _public_value(public_key, scheme))
        except BaseException:
            cryptoki.destroy_object(session, handle)
            raise
    try:
        restored = token.signing_key(uri_attributes, scheme)
        if not same_public_key(restored.public_key, public_key):
            raise WeakKey("the restored key is not the one that was wrapped")
    except HsmError:
        destroy_key_pair(token, uri_attributes)
        raise


@contextmanager
def _security_officer(uri: Pkcs11Uri, so_pin: Callable[[], str]) -> Iterator[tuple[Cryptoki, int]]:
    module = modules.acquire(uri.module_path)
    try:
        cryptoki = module.cryptoki
        found = [info for info in cryptoki.tokens() if matches(uri, info)]
        if len(found) != 1:
            raise TokenUnavailable(f"{len(found)} tokens answer to the URI")
        session = cryptoki.open_session(found[0].slot_id, writable=True)
        try:
            try:
                cryptoki.login(session, ck.CKU_SO, so_pin().encode())
            except CryptokiError as error:
                if error.value in (ck.CKR_PIN_INCORRECT, ck.CKR_PIN_LOCKED, ck.CKR_PIN_INVALID, ck.CKR_PIN_LEN_RANGE):
                    raise PinRefused(
                        f"the token refused the security officer's PIN ({error}): begin again with the right one;"
                        " after a few wrong ones a token locks it"
                    ) from None
                raise
            try:
                yield cryptoki, session
            finally:
                with suppress(CryptokiError):
                    cryptoki.logout(session)
        finally:
            with suppress(CryptokiError):
                cryptoki.close_session(session)
    finally:
        modules.release(module)


def _nameless(cryptoki: Cryptoki, session: int) -> list[int]:
    aes = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES})
    return [one for one in aes if not cryptoki.get_attributes(session, one, (ck.CKA_LABEL,)).get(ck.CKA_LABEL)]


def _remove(cryptoki: Cryptoki, session: int, prefix: str) -> int:
    removed = 0
    for handle in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_WRAP: True}):
        label = cryptoki.get_attributes(session, handle, (ck.CKA_LABEL,)).get(ck.CKA_LABEL)
        if isinstance(label, bytes) and label.startswith(prefix.encode()):
            cryptoki.destroy_object(session, handle)
            removed += 1
    return removed


def _aes_key(value: bytes, purpose: int) -> dict[int, AttributeValue]:
    return {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_AES,
        ck.CKA_VALUE: value,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: False,
        **{other: other == purpose for other in _PURPOSES},
    }


def _check_value(value: bytes) -> None:
    if len(value) != WRAPPING_KEY_BYTES:
        raise ValueError("a wrapping key has 32 bytes")


def _mechanism(token: Token) -> Mechanism:
    for mechanism in _MECHANISMS:
        if mechanism in token.mechanisms:
            return Mechanism.of(mechanism)
    raise MechanismUnavailable("the token has no AES key wrap with padding")


def _only(cryptoki: Cryptoki, session: int, template: Mapping[int, AttributeValue]) -> int:
    found = cryptoki.find_objects(session, template)
    if not found:
        raise KeyNotFound("the key is not in the token")
    if len(found) > 1:
        raise KeyAmbiguous("several keys of that name are in the token")
    return found[0]


def _public_value(public_key: PublicKey, scheme: str) -> dict[int, AttributeValue]:
    kind = scheme_named(scheme).kind
    value: dict[int, AttributeValue] = {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_KEY_TYPE: kind.value[0]}
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        numbers = public_key.public_numbers()
        size = (public_key.key_size + 7) // 8
        point = b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        # An OCTET STRING around the uncompressed point; up to 97 bytes, so that its length is one byte.
        return value | {ck.CKA_EC_PARAMS: CURVE_PARAMETERS[kind], ck.CKA_EC_POINT: bytes([4, len(point)]) + point}
    if isinstance(public_key, rsa.RSAPublicKey):
        rsa_numbers = public_key.public_numbers()
        return value | {
            ck.CKA_MODULUS: rsa_numbers.n.to_bytes((public_key.key_size + 7) // 8, "big"),
            ck.CKA_PUBLIC_EXPONENT: rsa_numbers.e.to_bytes(3, "big"),
        }
    raise MechanismUnavailable(f"keys for {scheme} cannot be restored")
