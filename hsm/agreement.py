"""Private keys that agree on secrets: Diffie-Hellman on P-256 (NIST SP 800-56A, section 5.7.1.2), and nothing else.

    uri = generate_agreement_key(token, "release-1")
    key = AgreementKey.find(token, uri)
    secret = key.agree(peer)          # peer: an uncompressed point, 65 bytes; secret: 32 bytes, the point's x

What comes out is raw: whoever uses it derives keys from it. The private key never leaves its token.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes import Structure, c_ulong, c_void_p
from typing import Self, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism
from hsm.errors import (
    CryptokiError,
    HsmError,
    KeyAmbiguous,
    KeyMismatch,
    KeyNotFound,
    MechanismUnavailable,
    PointRefused,
    SigningFailed,
    SigningRefused,
    TokenUnavailable,
    WeakKey,
)
from hsm.failures import Failure, classify
from hsm.jobs import MAXIMUM_ATTEMPTS
from hsm.keys import generate_key_pair, settle_half_made
from hsm.policy import KEY_ATTRIBUTES, Purpose, Weakness, weaknesses
from hsm.public_keys import PublicKey, same_public_key
from hsm.routing import FIRST_DELAY_S, Lost
from hsm.site import key_template, read_public_key
from hsm.tokens import Token
from hsm.uri import Pkcs11Uri

Result = TypeVar("Result")

AGREED_BYTES = 32
POINT_BYTES = 65
_SCHEME = "ecdsa-p256-sha256"
"""Names the kind of key pair that is made; the key never signs."""


class _EcdhParameters(Structure):
    _fields_ = [
        ("kdf", c_ulong),
        ("shared_length", c_ulong),
        ("shared", c_void_p),
        ("public_length", c_ulong),
        ("public", c_void_p),
    ]


def generate_agreement_key(token: Token, label: str, *, id: bytes | None = None) -> Pkcs11Uri:
    """Make a P-256 key that agrees on secrets and does nothing else; returns its URI attributes (object and id).

    Raises as `hsm.keys.generate_key_pair`, and MechanismUnavailable where the token derives nothing."""
    if ck.CKM_ECDH1_DERIVE not in token.mechanisms:
        raise MechanismUnavailable("the token does not agree on secrets (CKM_ECDH1_DERIVE)")
    return generate_key_pair(token, label, _SCHEME, id=id, purpose=Purpose.AGREE)


def settle_or_make_agreement_key(token: Token, label: str, *, id: bytes) -> None:
    """As `generate_agreement_key`; a pair of this label and id that is there already stays, half of one is made anew.
    Raises the same, and KeyAmbiguous."""
    if not settle_half_made(token, label, _SCHEME, id=id, purpose=Purpose.AGREE):
        generate_agreement_key(token, label, id=id)


class AgreementKey:
    """A private key that agrees on secrets, in the primary token. Made by `find`.

    It is found and held to its public key at every use: it is used seldom, and a handle can name another key.
    """

    def __init__(self, token: Token, uri: Pkcs11Uri, public_key: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._uri = uri
        self.public_key = public_key
        """The same for the key's whole life."""

    @classmethod
    def find(cls, token: Token, uri_attributes: Pkcs11Uri, *, allow_weak_keys: bool = False) -> Self:
        """Raises KeyNotFound, KeyAmbiguous, WeakKey, KeyMismatch, MechanismUnavailable, TokenUnavailable."""
        if ck.CKM_ECDH1_DERIVE not in token.mechanisms:
            raise MechanismUnavailable("the token does not agree on secrets (CKM_ECDH1_DERIVE)")

        def look() -> tuple[ec.EllipticCurvePublicKey, frozenset[Weakness]]:
            with token.session() as (cryptoki, session):
                try:
                    handle, public_key = _find(cryptoki, session, uri_attributes)
                    attributes = cryptoki.get_attributes(session, handle, KEY_ATTRIBUTES)
                except CryptokiError as error:
                    raise _typed(error) from error
                return public_key, weaknesses(attributes, Purpose.AGREE)

        try:
            public_key, found = _patiently(token, look)
        except (SigningFailed, SigningRefused) as error:
            raise TokenUnavailable(str(error)) from error
        if found and not allow_weak_keys:
            raise WeakKey("the agreement key is weak: " + ", ".join(sorted(one.value for one in found)))
        return cls(token, uri_attributes, public_key)

    def agree(self, peer: bytes) -> bytes:
        """The 32 bytes that this key and the peer's agree on. `peer`: an uncompressed point of P-256 (SEC 1, 2.3.3).
        Blocks; a lost session, login or token is restored meanwhile, for at most LaneSettings.timeout_ms.

        Raises PointRefused, SigningRefused, SigningFailed, KeyMismatch, KeyNotFound, KeyAmbiguous, TokenUnavailable,
        TokenClosed.
        """
        # Held to the curve here: not every token does, and one that does not gives its key away bit by bit.
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), peer)
        except ValueError:
            raise PointRefused("not a point of P-256") from None
        if len(peer) != POINT_BYTES:
            raise PointRefused("the point is not uncompressed")
        return _patiently(self._token, lambda: self._once(peer))

    def _once(self, peer: bytes) -> bytes:
        with self._token.session() as (cryptoki, session):
            try:
                handle, public_key = _find(cryptoki, session, self._uri)
                if not same_public_key(public_key, self.public_key):
                    raise KeyMismatch("the agreement key is another one than before")
                return agree_once(cryptoki, session, handle, peer)
            except CryptokiError as error:
                raise _typed(error) from error


def _patiently(token: Token, step: Callable[[], Result]) -> Result:
    """Do something in a session of one's own, anew after each loss, for at most LaneSettings.timeout_ms."""
    deadline = time.monotonic() + token.settings.timeout_s
    attempts = 0
    while True:
        try:
            return step()
        except (Lost, SigningFailed):
            attempts += 1
            if attempts >= MAXIMUM_ATTEMPTS or time.monotonic() > deadline:
                raise
        except TokenUnavailable:  # it is being connected anew, in the background
            if time.monotonic() > deadline:
                raise
        time.sleep(FIRST_DELAY_S)


def _typed(error: CryptokiError) -> HsmError:
    kind = classify(error.value)
    if kind is Failure.REFUSED:
        return SigningRefused(f"the token does not agree on a secret: {error}")
    if kind is Failure.TRANSIENT:
        return SigningFailed(str(error))
    return Lost(error)


def _find(cryptoki: Cryptoki, session: int, uri: Pkcs11Uri) -> tuple[int, ec.EllipticCurvePublicKey]:
    handles = cryptoki.find_objects(session, key_template(uri, ck.CKO_PRIVATE_KEY))
    if not handles:
        if not cryptoki.is_logged_in(session):
            raise CryptokiError("C_FindObjects", ck.CKR_USER_NOT_LOGGED_IN)
        raise KeyNotFound("no private key answers to the URI")
    if len(handles) > 1:
        raise KeyAmbiguous(f"{len(handles)} private keys answer to the URI")
    attributes = cryptoki.get_attributes(session, handles[0], (ck.CKA_ID, ck.CKA_LABEL))
    public_key: PublicKey = read_public_key(cryptoki, session, handles[0], attributes)
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise KeyMismatch("agreement keys are keys of P-256")
    return handles[0], public_key


def agree_once(cryptoki: Cryptoki, session: int, handle: int, peer: bytes) -> bytes:
    """What a private key of P-256 agrees on with a point, by way of an object of this session that is read and
    destroyed at once. Raises CryptokiError, SigningRefused."""
    template: dict[int, AttributeValue] = {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
        ck.CKA_VALUE_LEN: AGREED_BYTES,
        ck.CKA_TOKEN: False,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: False,
        ck.CKA_EXTRACTABLE: True,
    }
    try:
        derived = cryptoki.derive_key(session, _mechanism(peer), handle, template)
    except CryptokiError as error:
        if classify(error.value) is not Failure.REFUSED:
            raise
        # Some tokens want the point as a DER OCTET STRING (PKCS#11 v2.40, section 2.3.8 allows both).
        derived = cryptoki.derive_key(session, _mechanism(b"\x04\x41" + peer), handle, template)
    try:
        secret = cryptoki.get_attributes(session, derived, (ck.CKA_VALUE,)).get(ck.CKA_VALUE)
    finally:
        with suppress(CryptokiError):
            cryptoki.destroy_object(session, derived)
    if not isinstance(secret, bytes) or len(secret) != AGREED_BYTES:
        raise SigningRefused("the token does not show what was agreed on")
    return secret


def _mechanism(point: bytes) -> Mechanism:
    buffer = ctypes.create_string_buffer(point, len(point))
    parameters = _EcdhParameters(ck.CKD_NULL, 0, None, len(point), ctypes.addressof(buffer))
    mechanism = Mechanism.of(ck.CKM_ECDH1_DERIVE, parameters)
    mechanism._kept = (parameters, buffer)
    return mechanism
