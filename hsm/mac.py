"""Making secret keys for message authentication codes (HMAC-SHA-256). They are used through `Token.mac_key`."""

from __future__ import annotations

import secrets

from hsm import constants as ck
from hsm.cryptoki import Cryptoki, Mechanism
from hsm.errors import CryptokiError, KeyAmbiguous, KeyExists, KeyNotFound, MechanismUnavailable, WeakKey
from hsm.policy import SECRET_KEY_ATTRIBUTES, Purpose, Weakness, mac_key_template, trimmed, weaknesses
from hsm.site import key_template
from hsm.tokens import Token
from hsm.uri import Pkcs11Uri

MAC_KEY_BYTES = 32


def generate_mac_key(token: Token, label: str, *, id: bytes | None = None) -> Pkcs11Uri:
    """Make a MAC key of 32 bytes in the primary token; returns its URI attributes (object and id).

    It never leaves the token: where the token is lost, so are its MACs. id defaults to 16 random bytes.

    Raises KeyExists, MechanismUnavailable, CryptokiError, TokenUnavailable, and WeakKey, after destroying the key, if
    the token made it weaker than asked.
    """
    if not {ck.CKM_GENERIC_SECRET_KEY_GEN, ck.CKM_SHA256_HMAC} <= token.mechanisms:
        raise MechanismUnavailable("the token has no HMAC with SHA-256")
    identifier = secrets.token_bytes(16) if id is None else id
    with token.session(writable=True) as (cryptoki, session):
        for taken in ({ck.CKA_LABEL: label}, {ck.CKA_ID: identifier}):
            if cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, **taken}):
                raise KeyExists("a secret key of that label or id is already in the token")
        refusal: CryptokiError | None = None
        for template in trimmed(mac_key_template(label=label, id=identifier, length=MAC_KEY_BYTES))[:-1]:
            try:
                handle = cryptoki.generate_key(session, Mechanism.of(ck.CKM_GENERIC_SECRET_KEY_GEN), template)
                break
            except CryptokiError as error:
                refusal = error
        else:
            raise refusal or MechanismUnavailable("the token makes no MAC key")
        found = weaknesses(cryptoki.get_attributes(session, handle, SECRET_KEY_ATTRIBUTES), Purpose.MAC)
        if found:
            cryptoki.destroy_object(session, handle)
            reasons = ", ".join(sorted(weakness.value for weakness in found))
            raise WeakKey(f"the token made a weaker key than asked, destroyed again: {reasons}")
    return Pkcs11Uri(object=label, id=identifier, type="secret-key")


def find_mac_key_weaknesses(token: Token, uri_attributes: Pkcs11Uri) -> frozenset[Weakness]:
    """The weaknesses of a secret key in the primary token. Raises KeyNotFound, KeyAmbiguous, TokenUnavailable."""
    with token.session() as (cryptoki, session):
        handles = cryptoki.find_objects(session, key_template(uri_attributes, ck.CKO_SECRET_KEY))
        if not handles:
            raise KeyNotFound("no secret key answers to the URI")
        if len(handles) > 1:
            raise KeyAmbiguous(f"{len(handles)} secret keys answer to the URI")
        return weaknesses(cryptoki.get_attributes(session, handles[0], SECRET_KEY_ATTRIBUTES), Purpose.MAC)


def mac_once(cryptoki: Cryptoki, session: int, handle: int, message: bytes) -> bytes:
    """The MAC of a secret key that is at hand by its handle: for proving, not for work. Raises CryptokiError."""
    return cryptoki.sign_once(session, Mechanism.of(ck.CKM_SHA256_HMAC), handle, message)
