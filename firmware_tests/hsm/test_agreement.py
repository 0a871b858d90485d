"""Keys that agree on secrets: as OpenSSL agrees, for one purpose, and the same key after every loss."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_tests.hsm.words import P256, Books
from hsm import HsmError, KeyMismatch, KeyNotFound, LaneSettings, Pkcs11Uri, Token, TokenUnavailable, WeakKey
from hsm import constants as ck
from hsm.agreement import AgreementKey, generate_agreement_key
from hsm.errors import PointRefused
from hsm.keys import destroy_key_pair, find_weaknesses, generate_key_pair
from hsm.policy import Purpose, Weakness
from hsm.public_keys import verify
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

LABEL = Pkcs11Uri(object="r")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.fixture
def faulty_release(softhsm: SoftHsm, forwarder: Forwarder) -> tuple[Forwarder, ThrowawayToken, Pkcs11Uri]:
    throwaway = softhsm.token(module=forwarder.module)
    token = throwaway.open()
    uri = generate_agreement_key(token, "r")
    token.close()
    return forwarder, throwaway, uri


def test_it_agrees_as_openssl_does_and_leaves_nothing_behind(
    softhsm: SoftHsm, open_with: Callable[..., Token], books: Books
) -> None:
    token = open_with(softhsm.token())
    key = AgreementKey.find(token, generate_agreement_key(token, "r"))
    for _ in range(20):
        peer = ec.generate_private_key(ec.SECP256R1())
        assert key.agree(point(peer)) == peer.exchange(ec.ECDH(), key.public_key)
    with token.session() as (cryptoki, session):
        assert not cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY})
    assert (books.calls, books.drops) == (0, [])


def test_it_has_one_purpose(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    generate_agreement_key(token, "r")
    assert not find_weaknesses(token, LABEL, Purpose.AGREE)
    assert {Weakness.CANNOT_SIGN, Weakness.DERIVE} <= find_weaknesses(token, LABEL)
    with pytest.raises(WeakKey):
        token.signing_key(LABEL, P256)
    generate_key_pair(token, "s", P256)
    assert {Weakness.CANNOT_AGREE, Weakness.SIGN} <= find_weaknesses(token, Pkcs11Uri(object="s"), Purpose.AGREE)
    with pytest.raises(WeakKey):
        AgreementKey.find(token, Pkcs11Uri(object="s"))
    with pytest.raises(KeyNotFound):
        AgreementKey.find(token, Pkcs11Uri(object="t"))
    generate_key_pair(token, "p", "ecdsa-p384-sha384", purpose=Purpose.AGREE)
    with pytest.raises(KeyMismatch):
        AgreementKey.find(token, Pkcs11Uri(object="p"))


def test_what_is_no_point_of_the_curve_never_reaches_the_token(
    softhsm: SoftHsm, open_with: Callable[..., Token]
) -> None:
    token = open_with(softhsm.token())
    key = AgreementKey.find(token, generate_agreement_key(token, "r"))
    good = point(ec.generate_private_key(ec.SECP256R1()))
    compressed = bytes([2 + (good[-1] & 1)]) + good[1:33]
    other_curve = ec.generate_private_key(ec.SECP256K1())
    for bad in (b"", b"\0", good[:-1], good + b"\0", good[:1] + bytes(64), compressed, point(other_curve)):
        with pytest.raises(PointRefused):
            key.agree(bad)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=64, max_size=64))
    def off_the_curve(rest: bytes) -> None:
        with pytest.raises(PointRefused):
            key.agree(b"\x04" + rest)

    off_the_curve()


@pytest.mark.parametrize("function", ["C_OpenSession", "C_FindObjectsInit", "C_GetAttributeValue"])
@pytest.mark.parametrize("value", [ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_GENERAL_ERROR, ck.CKR_DEVICE_REMOVED])
def test_one_loss_is_not_seen_by_who_looks_for_the_key(
    faulty_release: tuple[Forwarder, ThrowawayToken, Pkcs11Uri],
    open_with: Callable[..., Token],
    function: str,
    value: int,
) -> None:
    forwarder, throwaway, uri = faulty_release
    token = open_with(throwaway)
    forwarder.fail(value, function)
    assert AgreementKey.find(token, uri).public_key is not None
    forwarder.fail(value, function, times=None)
    with pytest.raises(TokenUnavailable):
        AgreementKey.find(open_with(throwaway, LaneSettings(timeout_ms=300), patience_s=0.0), uri)


@pytest.mark.parametrize("function", ["C_DeriveKey", "C_OpenSession", "C_FindObjectsInit", "C_GetAttributeValue"])
@pytest.mark.parametrize(
    "value",
    [ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_USER_NOT_LOGGED_IN, ck.CKR_DEVICE_REMOVED, ck.CKR_GENERAL_ERROR],
)
def test_one_loss_is_not_seen_by_who_asks(
    faulty_release: tuple[Forwarder, ThrowawayToken, Pkcs11Uri],
    open_with: Callable[..., Token],
    function: str,
    value: int,
) -> None:
    forwarder, throwaway, uri = faulty_release
    key = AgreementKey.find(open_with(throwaway), uri)
    peer = ec.generate_private_key(ec.SECP256R1())
    forwarder.fail(value, function)
    assert key.agree(point(peer)) == peer.exchange(ec.ECDH(), key.public_key)


@pytest.mark.parametrize("loss", ["drop_sessions", "log_out"])
def test_lost_sessions_and_logins_are_restored(
    faulty_release: tuple[Forwarder, ThrowawayToken, Pkcs11Uri], open_with: Callable[..., Token], loss: str
) -> None:
    forwarder, throwaway, uri = faulty_release
    key = AgreementKey.find(open_with(throwaway), uri)
    peer = ec.generate_private_key(ec.SECP256R1())
    for _ in range(3):
        getattr(forwarder, loss)()
        assert key.agree(point(peer)) == peer.exchange(ec.ECDH(), key.public_key)


def test_a_removed_token_fails_typed_and_an_exchanged_key_is_not_used(
    faulty_release: tuple[Forwarder, ThrowawayToken, Pkcs11Uri], open_with: Callable[..., Token]
) -> None:
    forwarder, throwaway, uri = faulty_release
    token = open_with(throwaway, LaneSettings(timeout_ms=3_000))
    key = AgreementKey.find(token, uri)
    peer = point(ec.generate_private_key(ec.SECP256R1()))
    forwarder.remove_token()
    with pytest.raises(TokenUnavailable):
        key.agree(peer)
    forwarder.insert_token()
    forwarder.fail(0x68, "C_DeriveKey", times=None)
    with pytest.raises(HsmError):
        key.agree(peer)
    forwarder.reset()
    assert uri.object is not None
    destroy_key_pair(token, uri)
    with pytest.raises(KeyNotFound):
        key.agree(peer)
    generate_agreement_key(token, uri.object, id=uri.id)
    with pytest.raises(KeyMismatch):
        key.agree(peer)


def test_several_threads_agree_while_others_sign(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    """As a worker does: signatures in its loop's thread, openings beside it."""
    token = open_with(softhsm.token())
    key = AgreementKey.find(token, generate_agreement_key(token, "r"))
    signer = token.signing_key(generate_key_pair(token, "s", P256), P256)
    stop = threading.Event()

    def agree(_number: int) -> int:
        done = 0
        while not stop.is_set():
            peer = ec.generate_private_key(ec.SECP256R1())
            assert key.agree(point(peer)) == peer.exchange(ec.ECDH(), key.public_key)
            done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(agree, number) for number in range(4)]
        for number in range(1000):
            message = str(number).encode()
            verify(signer.public_key, P256, message, signer.sign(message))
        stop.set()
        assert all(one.result() > 0 for one in running)
    assert token.health().sites[0].reconnects == 0
