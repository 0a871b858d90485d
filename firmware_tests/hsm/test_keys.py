"""Keys as a token makes and shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hsm import (
    CryptokiError,
    HsmError,
    KeyAmbiguous,
    KeyExists,
    KeyNotFound,
    MechanismUnavailable,
    Pkcs11Uri,
    Token,
    TokenAmbiguous,
    WeakKey,
    initialise_token,
)
from hsm import constants as ck
from hsm.cryptoki import Mechanism
from hsm.keys import destroy_key_pair, find_weaknesses, generate_key_pair, list_keys
from hsm.mechanisms import SCHEMES
from hsm.policy import KEY_ATTRIBUTES, Weakness
from hsm.public_keys import CURVE_PARAMETERS, KeyKind, verify
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm

P256 = "ecdsa-p256-sha256"
AVAILABLE = [name for name in SCHEMES if not name.startswith("ml-dsa")]


@pytest.mark.parametrize("for_backup", [False, True])
@pytest.mark.parametrize("scheme", AVAILABLE)
def test_a_made_key_has_one_purpose_and_signs(
    softhsm: SoftHsm, open_with: Callable[..., Token], scheme: str, for_backup: bool
) -> None:
    token = open_with(softhsm.token())
    uri = generate_key_pair(token, "k", scheme, rsa_bits=2048, for_backup=for_backup)
    assert not find_weaknesses(token, uri)
    with token.session() as (cryptoki, session):
        (handle,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY})
        shown = cryptoki.get_attributes(session, handle, KEY_ATTRIBUTES)
    for capability in (ck.CKA_SIGN_RECOVER, ck.CKA_DECRYPT, ck.CKA_UNWRAP, ck.CKA_DERIVE):
        assert shown[capability] is False
    assert (shown[ck.CKA_SENSITIVE], shown[ck.CKA_MODIFIABLE], shown[ck.CKA_COPYABLE]) == (True, False, False)
    assert (shown[ck.CKA_EXTRACTABLE], shown[ck.CKA_WRAP_WITH_TRUSTED]) == (for_backup, for_backup)
    key = token.signing_key(uri, scheme)
    for message in (b"", b"message", bytes(100_000)):
        verify(key.public_key, scheme, message, key.sign(message))


def test_low_s_where_asked(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    from hsm.encodings import CURVE_ORDERS

    token = open_with(softhsm.token())
    key = token.signing_key(
        generate_key_pair(token, "k", "ecdsa-secp256k1-sha256"), "ecdsa-secp256k1-sha256", lower_s=True
    )
    for number in range(20):
        signature = key.sign(bytes([number]))
        verify(key.public_key, "ecdsa-secp256k1-sha256", bytes([number]), signature)
        assert decode_dss_signature(signature)[1] <= CURVE_ORDERS["secp256k1"] // 2


def test_the_attributes_of_a_made_key_cannot_be_changed_and_it_cannot_be_wrapped(
    softhsm: SoftHsm, open_with: Callable[..., Token]
) -> None:
    token = open_with(softhsm.token())
    generate_key_pair(token, "k", P256, for_backup=True)
    with token.session(writable=True) as (cryptoki, session):
        (handle,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY})
        assert ck.CKA_VALUE not in cryptoki.get_attributes(session, handle, [ck.CKA_VALUE])
        wrapping = cryptoki.generate_key(
            session,
            Mechanism.of(ck.CKM_AES_KEY_GEN),
            {ck.CKA_VALUE_LEN: 32, ck.CKA_TOKEN: False, ck.CKA_WRAP: True},
        )
        # Made for backup, but this wrapping key is not the security officer's.
        with pytest.raises(CryptokiError):
            cryptoki.wrap_key(session, Mechanism.of(ck.CKM_AES_KEY_WRAP_PAD), wrapping, handle)


def make_weak_key(token: Token, label: str) -> Pkcs11Uri:
    """A key as common tools make it: derives too, and can be changed."""
    with token.session(writable=True) as (cryptoki, session):
        names = {ck.CKA_LABEL: label, ck.CKA_ID: label.encode(), ck.CKA_TOKEN: True}
        cryptoki.generate_key_pair(
            session,
            Mechanism.of(ck.CKM_EC_KEY_PAIR_GEN),
            names | {ck.CKA_EC_PARAMS: CURVE_PARAMETERS[KeyKind.P256], ck.CKA_VERIFY: True},
            names | {ck.CKA_SIGN: True, ck.CKA_DERIVE: True, ck.CKA_PRIVATE: True, ck.CKA_SENSITIVE: True},
        )
    return Pkcs11Uri(object=label)


def test_a_weak_key_is_refused_unless_allowed_and_then_shown(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    throwaway = softhsm.token()
    token = open_with(throwaway)
    weak = make_weak_key(token, "weak")
    assert {Weakness.DERIVE, Weakness.MODIFIABLE} <= find_weaknesses(token, weak)
    with pytest.raises(WeakKey, match="derive"):
        token.signing_key(weak, P256)
    lenient = open_with(throwaway, allow_weak_keys=True)
    key = lenient.signing_key(weak, P256)
    verify(key.public_key, P256, b"m", key.sign(b"m"))
    assert "derive" in lenient.health().sites[0].keys[0].weaknesses


def test_names_that_are_missing_double_or_empty(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token(), allow_weak_keys=True)
    with pytest.raises(KeyNotFound):
        token.signing_key(Pkcs11Uri(object="absent"), P256)
    with pytest.raises(KeyNotFound):
        token.signing_key(Pkcs11Uri(), P256)
    make_weak_key(token, "twin")
    make_weak_key(token, "twin")
    with pytest.raises(KeyAmbiguous):
        token.signing_key(Pkcs11Uri(object="twin"), P256)
    uri = generate_key_pair(token, "one", P256)
    for label, identifier in (("one", None), ("other", uri.id)):
        with pytest.raises(KeyExists):
            generate_key_pair(token, label, P256, id=identifier)


def test_a_scheme_that_does_not_fit_the_key_or_the_token(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    uri = generate_key_pair(token, "k", P256)
    for scheme in ("ecdsa-p384-sha384", "ecdsa-secp256k1-sha256", "rsa-pss-sha256", "ed25519", "nonsense"):
        with pytest.raises(MechanismUnavailable):
            token.signing_key(uri, scheme)
    with pytest.raises(MechanismUnavailable):
        generate_key_pair(token, "quantum", "ml-dsa-65")
    for bits in (1024, 2047, 8192):
        with pytest.raises(MechanismUnavailable):
            generate_key_pair(token, "rsa", "rsa-pss-sha256", rsa_bits=bits)


def test_keys_are_listed_and_destroyed_with_their_public_half(
    softhsm: SoftHsm, open_with: Callable[..., Token]
) -> None:
    token = open_with(softhsm.token())
    uris = {generate_key_pair(token, name, P256) for name in ("a", "b")}
    assert set(list_keys(token)) == uris
    for uri in uris:
        destroy_key_pair(token, uri)
    assert list_keys(token) == []
    with token.session() as (cryptoki, session):
        assert cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY}) == []
    with pytest.raises(KeyNotFound):
        destroy_key_pair(token, uris.pop())


def test_keys_made_at_once_all_succeed(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    failures: list[HsmError] = []

    def make(number: int) -> None:
        try:
            generate_key_pair(token, f"k{number}", P256)
        except HsmError as error:
            failures.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(list_keys(token)) == 8


def test_a_key_is_made_although_the_token_fails_once(
    softhsm: SoftHsm, forwarder: Forwarder, open_with: Callable[..., Token]
) -> None:
    token = open_with(softhsm.token(module=forwarder.module))
    forwarder.fail(ck.CKR_GENERAL_ERROR, "C_GenerateKeyPair")
    assert not find_weaknesses(token, generate_key_pair(token, "k", P256))


def test_a_token_is_made_with_its_label_and_found_by_it(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    throwaway = softhsm.token("Grüne Bank")
    assert throwaway.uri.serial
    token = open_with(throwaway)
    assert token.health().available
    with pytest.raises(TokenAmbiguous):
        initialise_token(softhsm.module, "Grüne Bank", "1234", "1234")
