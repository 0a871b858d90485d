"""Making and judging keys."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping

from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism
from hsm.errors import (
    CryptokiError,
    KeyAmbiguous,
    KeyExists,
    KeyMismatch,
    KeyNotFound,
    MechanismUnavailable,
    TokenUnavailable,
    WeakKey,
)
from hsm.failures import Failure, classify
from hsm.mechanisms import RSA_MAXIMUM_BITS, RSA_MINIMUM_BITS, KeyKind, scheme_named
from hsm.policy import (
    KEY_ATTRIBUTES,
    Purpose,
    Weakness,
    is_made_for_backup,
    private_key_template,
    public_key_template,
    trimmed,
    weaknesses,
)
from hsm.public_keys import (
    CURVE_PARAMETERS,
    ED25519_PARAMETERS,
    ML_DSA_PARAMETER_SETS,
    PUBLIC_ATTRIBUTES,
    check_fits,
    public_key_from_attributes,
)
from hsm.site import key_template
from hsm.tokens import Token
from hsm.uri import Pkcs11Uri

_PAUSE_S = 0.1
_TOKEN_TROUBLE = frozenset(
    {ck.CKR_DEVICE_REMOVED, ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_SESSION_CLOSED, ck.CKR_USER_NOT_LOGGED_IN}
    | {ck.CKR_TOKEN_NOT_PRESENT, ck.CKR_CRYPTOKI_NOT_INITIALIZED}
)
# Several tokens fail when two key pairs are made at once in one process.
_one_at_a_time = threading.Lock()


def generate_key_pair(
    token: Token,
    label: str,
    scheme: str,
    *,
    id: bytes | None = None,
    rsa_bits: int = 3072,
    for_backup: bool = False,
    allow_weak_keys: bool = False,
    purpose: Purpose = Purpose.SIGN,
) -> Pkcs11Uri:
    """Make a key pair of one purpose, to sign if nothing else is said, in the primary token; returns its URI attributes
    (object and id).

    scheme names the kind of key (hsm.mechanisms.SCHEMES). id defaults to 16 random bytes. for_backup: the key can
    leave the token wrapped by a trusted key, and only so; otherwise it can never leave it.

    Raises KeyExists, MechanismUnavailable, CryptokiError, TokenUnavailable, and WeakKey, after destroying the key, if
    the token made it weaker than asked.
    """
    kind = scheme_named(scheme).kind
    if kind is KeyKind.RSA and not (RSA_MINIMUM_BITS <= rsa_bits <= RSA_MAXIMUM_BITS and rsa_bits % 8 == 0):
        raise MechanismUnavailable("RSA keys have 2048 to 4096 bits, a multiple of 8")
    identifier = secrets.token_bytes(16) if id is None else id
    mechanism, choices = _generation(kind, rsa_bits)
    if mechanism.mechanism not in token.mechanisms:
        raise MechanismUnavailable(f"the token cannot make keys for {scheme}")
    with _one_at_a_time, token.session(writable=True) as (cryptoki, session):
        for taken in ({ck.CKA_LABEL: label}, {ck.CKA_ID: identifier}):
            if cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, **taken}):
                raise KeyExists("a private key of that label or id is already in the token")
        private = private_key_template(label=label, id=identifier, for_backup=for_backup, purpose=purpose)
        public = public_key_template(label=label, id=identifier, purpose=purpose)
        templates = list(zip(trimmed(public), trimmed(private), strict=True))
        public_handle, private_handle = _generate(token, (cryptoki, session), mechanism, templates, choices)
        attributes = cryptoki.get_attributes(session, private_handle, KEY_ATTRIBUTES)
        found = weaknesses(attributes, purpose)
        if (found and not allow_weak_keys) or is_made_for_backup(attributes) is not for_backup:
            cryptoki.destroy_object(session, private_handle)
            cryptoki.destroy_object(session, public_handle)
            reasons = ", ".join(sorted(weakness.value for weakness in found))
            raise WeakKey(f"the token made a weaker key than asked, destroyed again: {reasons or 'not for backup'}")
    return Pkcs11Uri(object=label, id=identifier, type="private")


def settle_half_made(
    token: Token, label: str, scheme: str, *, id: bytes, for_backup: bool = False, purpose: Purpose = Purpose.SIGN
) -> bool:
    """What a process that died while it made this key pair has left: whether the pair is there, whole and as asked.

    Half of a pair, or a pair that `generate_key_pair` would not have kept, is destroyed, so that it can be made anew.
    Raises KeyAmbiguous, TokenUnavailable, CryptokiError."""
    with token.session(writable=True) as (cryptoki, session):
        private = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_ID: id})
        public = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_ID: id})
        if len(private) > 1 or len(public) > 1:
            raise KeyAmbiguous(f"{len(private)} private and {len(public)} public keys have the id of one")
        if private and public:
            attributes = cryptoki.get_attributes(session, private[0], (*KEY_ATTRIBUTES, ck.CKA_LABEL))
            shown = cryptoki.get_attributes(session, public[0], (*PUBLIC_ATTRIBUTES, ck.CKA_VALUE))
            if (
                not weaknesses(attributes, purpose)
                and is_made_for_backup(attributes) is for_backup
                and attributes.get(ck.CKA_LOCAL) is True
                and attributes.get(ck.CKA_LABEL) == label.encode()
                and _is_for(scheme, shown)
            ):
                return True
        for handle in (*private, *public):
            cryptoki.destroy_object(session, handle)
        return False


def find_weaknesses(token: Token, uri_attributes: Pkcs11Uri, purpose: Purpose = Purpose.SIGN) -> frozenset[Weakness]:
    """The weaknesses of a private key in the primary token. Raises KeyNotFound, KeyAmbiguous, TokenUnavailable."""
    with token.session() as (cryptoki, session):
        handle = _only(cryptoki.find_objects(session, key_template(uri_attributes, ck.CKO_PRIVATE_KEY)))
        return weaknesses(cryptoki.get_attributes(session, handle, KEY_ATTRIBUTES), purpose)


def destroy_key_pair(token: Token, uri_attributes: Pkcs11Uri) -> None:
    """Destroy a private key and its public half. Raises KeyNotFound, KeyAmbiguous, TokenUnavailable, CryptokiError."""
    with token.session(writable=True) as (cryptoki, session):
        handle = _only(cryptoki.find_objects(session, key_template(uri_attributes, ck.CKO_PRIVATE_KEY)))
        cryptoki.destroy_object(session, handle)
        for public in cryptoki.find_objects(session, key_template(uri_attributes, ck.CKO_PUBLIC_KEY)):
            cryptoki.destroy_object(session, public)


def list_keys(token: Token) -> list[Pkcs11Uri]:
    """The private keys in the primary token, each by object and id."""
    with token.session() as (cryptoki, session):
        listed = []
        for handle in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY}):
            attributes = cryptoki.get_attributes(session, handle, (ck.CKA_LABEL, ck.CKA_ID))
            label, identifier = attributes.get(ck.CKA_LABEL), attributes.get(ck.CKA_ID)
            listed.append(
                Pkcs11Uri(
                    object=label.decode("utf-8", "replace") if isinstance(label, bytes) and label else None,
                    id=identifier if isinstance(identifier, bytes) and identifier else None,
                    type="private",
                )
            )
        return listed


def _is_for(scheme: str, attributes: Mapping[int, AttributeValue]) -> bool:
    """Whether a public key's attributes tell a key for the scheme."""
    try:
        found = public_key_from_attributes(attributes)
        if found is not None:
            check_fits(found, scheme)
    except (KeyMismatch, MechanismUnavailable):
        return False
    return found is not None


def _only(handles: list[int]) -> int:
    if not handles:
        raise KeyNotFound("no private key answers to the URI")
    if len(handles) > 1:
        raise KeyAmbiguous(f"{len(handles)} private keys answer to the URI")
    return handles[0]


def _generation(kind: KeyKind, rsa_bits: int) -> tuple[Mechanism, list[dict[int, AttributeValue]]]:
    """The mechanism, and the public attributes that name the kind of key, in the forms that tokens take."""
    if kind in CURVE_PARAMETERS:
        return Mechanism.of(ck.CKM_EC_KEY_PAIR_GEN), [{ck.CKA_EC_PARAMS: CURVE_PARAMETERS[kind]}]
    if kind is KeyKind.RSA:
        attributes: dict[int, AttributeValue] = {ck.CKA_MODULUS_BITS: rsa_bits, ck.CKA_PUBLIC_EXPONENT: b"\1\0\1"}
        return Mechanism.of(ck.CKM_RSA_PKCS_KEY_PAIR_GEN), [attributes]
    if kind is KeyKind.ED25519:
        return Mechanism.of(ck.CKM_EC_EDWARDS_KEY_PAIR_GEN), [{ck.CKA_EC_PARAMS: form} for form in ED25519_PARAMETERS]
    return Mechanism.of(ck.CKM_ML_DSA_KEY_PAIR_GEN), [{ck.CKA_PARAMETER_SET: ML_DSA_PARAMETER_SETS[kind]}]


def _generate(
    token: Token,
    session: tuple[Cryptoki, int],
    mechanism: Mechanism,
    templates: list[tuple[dict[int, AttributeValue], dict[int, AttributeValue]]],
    choices: list[dict[int, AttributeValue]],
) -> tuple[int, int]:
    """Try the templates from the fullest on; what this token took once is where the next key begins."""
    cryptoki, handle = session
    refusal = CryptokiError("C_GenerateKeyPair", ck.CKR_TEMPLATE_INCONSISTENT)
    for level, (public, private) in enumerate(templates):
        if level < token.template_level:
            continue
        for choice in choices:
            try:
                pair = _generate_patiently(cryptoki, handle, mechanism, public | choice, private)
            except CryptokiError as error:
                if error.value in _TOKEN_TROUBLE:
                    raise TokenUnavailable(str(error)) from error
                refusal = error
            else:
                token.template_level = level
                return pair
    raise refusal


def _generate_patiently(
    cryptoki: Cryptoki,
    session: int,
    mechanism: Mechanism,
    public: dict[int, AttributeValue],
    private: dict[int, AttributeValue],
) -> tuple[int, int]:
    """Tokens fail now and then when several processes make keys at once."""
    try:
        return cryptoki.generate_key_pair(session, mechanism, public, private)
    except CryptokiError as error:
        if classify(error.value) is not Failure.TRANSIENT:
            raise
    time.sleep(_PAUSE_S * (1 + secrets.randbelow(100) / 100))
    return cryptoki.generate_key_pair(session, mechanism, public, private)
