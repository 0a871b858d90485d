"""Keys that make message authentication codes: one purpose, nobody's signature, the same key after every loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from firmware_tests.hsm.words import P256, Books
from firmware_tests.running import wait_until
from hsm import (
    KeyAmbiguous,
    KeyExists,
    KeyMismatch,
    KeyNotFound,
    LaneSettings,
    MacKey,
    MechanismUnavailable,
    Pkcs11Uri,
    Standby,
    Token,
    TokenUnavailable,
    WeakKey,
)
from hsm import constants as ck
from hsm.agreement import generate_agreement_key
from hsm.cryptoki import Mechanism
from hsm.inventory import destroy_objects, list_objects
from hsm.keys import generate_key_pair
from hsm.mac import find_mac_key_weaknesses, generate_mac_key
from hsm.mechanisms import HMAC_SHA256
from hsm.policy import Weakness, mac_key_template
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

INLINE = LaneSettings(timeout_ms=5000)
THREADS = LaneSettings("threads", 4, timeout_ms=5000)
MODES = pytest.mark.parametrize("lanes", [INLINE, THREADS], ids=["inline", "threads"])
LABEL = Pkcs11Uri(object="m")


@pytest.fixture
def faulty_mac(softhsm: SoftHsm, forwarder: Forwarder) -> tuple[Forwarder, ThrowawayToken, Pkcs11Uri]:
    throwaway = softhsm.token(module=forwarder.module)
    token = throwaway.open()
    uri = generate_mac_key(token, "m")
    token.close()
    return forwarder, throwaway, uri


def test_the_same_message_gives_the_same_mac_and_another_key_another(
    softhsm: SoftHsm, open_with: Callable[..., Token], books: Books
) -> None:
    throwaway = softhsm.token()
    token = open_with(throwaway)
    first = token.mac_key(generate_mac_key(token, "m"))
    second = token.mac_key(generate_mac_key(token, "n"))
    assert first.mac(b"a") == first.mac(b"a")
    assert len({first.mac(b"a"), first.mac(b"b"), second.mac(b"a")}) == 3
    assert len(first.mac(b"")) == 32
    assert token.mac_key(LABEL).mac(b"a") == first.mac(b"a")
    before, check = first.mac(b"kept"), first.check
    token.close()
    again = open_with(throwaway).mac_key(LABEL)
    assert (again.mac(b"kept"), again.check) == (before, check)
    assert (books.calls, books.drops) == (0, [])


def test_it_is_hmac_with_sha256(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    """RFC 4231, test case 6, with a known key that is put into a token."""
    token = open_with(softhsm.token(), allow_weak_keys=True)
    template = mac_key_template(label="m", id=b"1", length=131)
    del template[ck.CKA_VALUE_LEN]
    with token.session(writable=True) as (cryptoki, session):
        cryptoki.create_object(session, template | {ck.CKA_VALUE: b"\xaa" * 131})
    mac = token.mac_key(LABEL).mac(b"Test Using Larger Than Block-Size Key - Hash Key First")
    assert mac.hex() == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    health = token.health().sites[0].keys[0]
    assert (health.scheme, health.usable, health.weaknesses) == (HMAC_SHA256, True, ("was-exposed",))


def test_a_key_that_was_outside_or_does_more_is_refused(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    template = mac_key_template(label="m", id=b"1", length=32)
    generation = Mechanism.of(ck.CKM_GENERIC_SECRET_KEY_GEN)
    wrong = {
        "a": ({ck.CKA_DERIVE: True}, Weakness.DERIVE),
        "b": ({ck.CKA_MODIFIABLE: True}, Weakness.MODIFIABLE),
        "c": ({ck.CKA_ENCRYPT: True}, Weakness.ENCRYPT),
        "d": ({ck.CKA_WRAP: True}, Weakness.WRAP),
        "e": ({ck.CKA_SENSITIVE: False}, Weakness.NOT_SENSITIVE),
        "f": ({ck.CKA_EXTRACTABLE: True}, Weakness.EXTRACTABLE),
        "g": ({ck.CKA_SIGN: False}, Weakness.CANNOT_MAC),
    }
    for label, (change, weakness) in wrong.items():
        with token.session(writable=True) as (cryptoki, session):
            cryptoki.generate_key(session, generation, {**template, **change, ck.CKA_LABEL: label, ck.CKA_ID: b""})
        uri = Pkcs11Uri(object=label)
        assert weakness in find_mac_key_weaknesses(token, uri)
        with pytest.raises(WeakKey):
            token.mac_key(uri)


def test_it_has_one_purpose_and_stands_in_the_inventory(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    generate_mac_key(token, "m", id=b"17")
    assert not find_mac_key_weaknesses(token, LABEL)
    (found,) = list_objects(token)
    assert (found.kind, found.label, found.id) == ("secret-key", "m", b"17")
    assert {"CKA_SIGN", "CKA_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"} <= set(found.flags)
    assert {"CKA_DERIVE", "CKA_ENCRYPT", "CKA_EXTRACTABLE", "CKA_MODIFIABLE", "CKA_COPYABLE"} <= set(found.cleared)
    with pytest.raises(KeyExists):
        generate_mac_key(token, "m")
    with pytest.raises(KeyExists):
        generate_mac_key(token, "n", id=b"17")


def test_an_exchanged_key_is_another_object(softhsm: SoftHsm, open_with: Callable[..., Token], books: Books) -> None:
    """With the same label, id and attributes: what it makes tells it."""
    token = open_with(softhsm.token())
    seen = set()
    for _ in range(3):
        uris = [generate_mac_key(token, "m", id=b"1"), generate_agreement_key(token, "r", id=b"2")]
        before = {one.kind: one for one in list_objects(token)}
        assert {one.kind: one for one in list_objects(token)} == before
        assert before["secret-key"].value
        assert before["private-key"].value
        seen |= {before["secret-key"].fingerprint, before["private-key"].fingerprint}
        assert destroy_objects(token, {one.fingerprint for one in before.values()}) == 3
        assert uris[0].id == b"1"
    assert len(seen) == 6
    assert (books.calls, books.drops) == (0, [])


def test_what_is_not_there_or_not_a_mac_key(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    with pytest.raises(KeyNotFound):
        token.mac_key(LABEL)
    with pytest.raises(KeyNotFound):
        find_mac_key_weaknesses(token, LABEL)
    generate_key_pair(token, "m", P256)
    with pytest.raises(KeyNotFound):
        token.mac_key(LABEL)
    with pytest.raises(MechanismUnavailable):
        token.signing_key(LABEL, HMAC_SHA256)
    template = mac_key_template(label="m", id=b"", length=32)
    with token.session(writable=True) as (cryptoki, session):
        for _ in range(2):
            cryptoki.generate_key(session, Mechanism.of(ck.CKM_GENERIC_SECRET_KEY_GEN), template)
    with pytest.raises(KeyAmbiguous):
        token.mac_key(LABEL)


@MODES
@pytest.mark.parametrize(
    "value", [ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_USER_NOT_LOGGED_IN, ck.CKR_DEVICE_REMOVED, ck.CKR_GENERAL_ERROR]
)
@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
def test_one_failure_is_not_seen_by_who_asks(
    faulty_mac: tuple[Forwarder, ThrowawayToken, Pkcs11Uri],
    open_with: Callable[..., Token],
    books: Books,
    lanes: LaneSettings,
    function: str,
    value: int,
) -> None:
    forwarder, throwaway, uri = faulty_mac
    key = open_with(throwaway, lanes).mac_key(uri)
    before = key.mac(b"a")
    forwarder.fail(value, function)
    assert key.mac(b"a") == before
    assert (books.calls, books.drops) == (0, [])


@MODES
@pytest.mark.parametrize("loss", ["drop_sessions", "log_out"])
def test_losses_are_restored_and_nothing_is_counted(
    faulty_mac: tuple[Forwarder, ThrowawayToken, Pkcs11Uri],
    open_with: Callable[..., Token],
    books: Books,
    lanes: LaneSettings,
    loss: str,
) -> None:
    forwarder, throwaway, uri = faulty_mac
    token = open_with(throwaway, lanes)
    key = token.mac_key(uri)

    async def ask() -> bytes:
        return await key.mac_async(b"a")

    before = asyncio.run(ask())
    for _ in range(3):
        getattr(forwarder, loss)()
        assert asyncio.run(ask()) == before
        assert key.mac(b"a") == before
    assert token.self_test().sites[0].self_test_error is None
    assert (books.calls, books.drops) == (0, [])


@MODES
def test_an_exchanged_key_is_not_used(
    faulty_mac: tuple[Forwarder, ThrowawayToken, Pkcs11Uri], open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    forwarder, throwaway, uri = faulty_mac
    token = open_with(throwaway, LaneSettings(lanes.mode, lanes.count, timeout_ms=1000))
    key = token.mac_key(uri)
    with token.session(writable=True) as (cryptoki, session):
        (handle,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY})
        cryptoki.destroy_object(session, handle)
    assert uri.object is not None
    generate_mac_key(token, uri.object, id=uri.id)
    forwarder.drop_sessions()
    forwarder.log_out()
    with pytest.raises((KeyMismatch, TokenUnavailable)):
        key.mac(b"a")
    assert "another one" in str(token.health().sites[0].keys[0].error)


@MODES
def test_a_standby_without_the_key_waits_for_its_token(
    faulty_mac: tuple[Forwarder, ThrowawayToken, Pkcs11Uri],
    softhsm: SoftHsm,
    open_with: Callable[..., Token],
    lanes: LaneSettings,
) -> None:
    forwarder, throwaway, uri = faulty_mac
    second = softhsm.token()
    short = LaneSettings(lanes.mode, lanes.count, timeout_ms=400)
    key = open_with(throwaway, short, standby=Standby(second.uri, second.pin)).mac_key(uri)
    before = key.mac(b"a")
    forwarder.remove_token()
    with pytest.raises(TokenUnavailable):
        key.mac(b"a")
    forwarder.insert_token()
    wait_until(lambda: made(key) == before)


def made(key: MacKey) -> bytes | None:
    try:
        return key.mac(b"a")
    except TokenUnavailable:
        return None
