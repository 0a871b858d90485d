"""Two tokens with the same backup-made keys: fail over and back; the backup wrap itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_tests.hsm.words import P256
from hsm import (
    CryptokiError,
    HsmError,
    KeyExists,
    KeyMismatch,
    LaneSettings,
    Pkcs11Uri,
    SelfTestFailed,
    Standby,
    Token,
    TokenUnavailable,
    WeakKey,
    open_token,
)
from hsm import constants as ck
from hsm.backup import install_wrapping_key, restore_key, wrap_key
from hsm.cryptoki import Mechanism
from hsm.keys import find_weaknesses, generate_key_pair, list_keys
from hsm.public_keys import verify
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

LANES = [LaneSettings(timeout_ms=3000), LaneSettings("threads", 3, timeout_ms=3000)]
MODES = pytest.mark.parametrize("lanes", LANES, ids=["inline", "threads"])


@dataclass
class Pair:
    first: ThrowawayToken
    second: ThrowawayToken
    forwarders: tuple[Forwarder, Forwarder]
    key: Pkcs11Uri
    only_first: Pkcs11Uri

    def open(self, lanes: LaneSettings, **named: object) -> Token:
        return open_token(
            self.first.uri, self.first.pin, lanes, standby=Standby(self.second.uri, self.second.pin), **named
        )


@pytest.fixture
def pair(softhsm: SoftHsm, forwarder: Forwarder, forwarder_library: Path, tmp_path: Path) -> Iterator[Pair]:
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    other = Forwarder(forwarder_library, softhsm.module, other_directory)
    first, second = softhsm.token(module=forwarder.module), softhsm.token(module=other.module)
    value = os.urandom(32)
    install_wrapping_key(first.uri, lambda: first.so_pin, "wrapping", value)
    token, beside = first.open(), second.open()
    key = generate_key_pair(token, "k", P256, for_backup=True)
    only_first = generate_key_pair(token, "log", "ed25519")
    public_key = token.signing_key(key, P256).public_key
    restore_key(beside, wrap_key(token, key, "wrapping"), value, key, P256, public_key)
    token.close()
    beside.close()
    yield Pair(first, second, (forwarder, other), key, only_first)
    other.reset()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@MODES
def test_the_standby_signs_while_the_first_is_away_and_the_first_takes_over_again(
    pair: Pair, lanes: LaneSettings
) -> None:
    token = pair.open(lanes)
    key = token.signing_key(pair.key, P256)
    counts = [forwarder.calls for forwarder in pair.forwarders]
    verify(key.public_key, P256, b"1", key.sign(b"1"))
    standby_before = counts[1]("C_Sign")
    pair.forwarders[0].remove_token()
    start = time.monotonic()
    for _ in range(10):
        verify(key.public_key, P256, b"2", key.sign(b"2"))
    assert time.monotonic() - start < lanes.timeout_ms / 1000
    assert counts[1]("C_Sign") >= standby_before + 10
    assert token.health().degraded
    assert token.health().available
    pair.forwarders[0].insert_token()
    wait_until(lambda: token.health().sites[0].connected)
    standby_before = counts[1]("C_Sign")
    verify(key.public_key, P256, b"3", key.sign(b"3"))
    assert counts[1]("C_Sign") == standby_before
    token.close()


@MODES
def test_a_key_that_is_on_the_first_token_only_waits_for_it(pair: Pair, lanes: LaneSettings) -> None:
    token = pair.open(LaneSettings(lanes.mode, lanes.count, timeout_ms=300))
    key = token.signing_key(pair.only_first, "ed25519")
    pair.forwarders[0].remove_token()
    with pytest.raises(TokenUnavailable):
        key.sign(b"m")
    pair.forwarders[0].insert_token()
    wait_until(lambda: token.health().sites[0].connected)
    verify(key.public_key, "ed25519", b"m", key.sign(b"m"))
    token.close()


@MODES
def test_one_of_the_two_is_enough_to_start(pair: Pair, lanes: LaneSettings) -> None:
    pair.forwarders[0].remove_token()
    token = pair.open(lanes, patience_s=0.3)
    key = token.signing_key(pair.key, P256)
    verify(key.public_key, P256, b"m", key.sign(b"m"))
    pair.forwarders[0].insert_token()
    wait_until(lambda: token.health().sites[0].connected)
    verify(key.public_key, P256, b"m", key.sign(b"m"))
    token.close()


def test_a_standby_with_another_key_of_the_same_name_is_refused(softhsm: SoftHsm) -> None:
    first, second = softhsm.token(), softhsm.token()
    identifier = b"same"
    for throwaway in (first, second):
        token = throwaway.open()
        generate_key_pair(token, "k", P256, id=identifier)
        token.close()
    token = open_token(first.uri, first.pin, LANES[0], standby=Standby(second.uri, second.pin))
    with pytest.raises(KeyMismatch):
        token.signing_key(Pkcs11Uri(object="k"), P256)
    token.close()


@pytest.mark.parametrize("scheme", [P256, "ecdsa-p384-sha384", "ecdsa-secp256k1-sha256", "rsa-pss-sha256"])
def test_a_backup_made_key_is_wrapped_and_restored_as_strong_as_it_was(softhsm: SoftHsm, scheme: str) -> None:
    first, second = softhsm.token(), softhsm.token()
    value = os.urandom(32)
    install_wrapping_key(first.uri, lambda: first.so_pin, "wrapping", value)
    token, beside = first.open(), second.open()
    uri = generate_key_pair(token, "k", scheme, rsa_bits=2048, for_backup=True)
    key = token.signing_key(uri, scheme)
    wrapped = wrap_key(token, uri, "wrapping")
    restore_key(beside, wrapped, value, uri, scheme, key.public_key)
    assert not find_weaknesses(beside, uri)
    restored = beside.signing_key(uri, scheme)
    verify(key.public_key, scheme, b"m", restored.sign(b"m"))
    with pytest.raises(KeyExists):
        restore_key(beside, wrapped, value, uri, scheme, key.public_key)
    with beside.session() as (cryptoki, session):
        # No key that unwraps is left behind.
        assert cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY}) == []
    token.close()
    beside.close()


def test_what_must_not_be_wrapped_or_restored(softhsm: SoftHsm) -> None:
    first, second = softhsm.token(), softhsm.token()
    value = os.urandom(32)
    install_wrapping_key(first.uri, lambda: first.so_pin, "wrapping", value)
    with pytest.raises(KeyExists):
        install_wrapping_key(first.uri, lambda: first.so_pin, "wrapping", value)
    token, beside = first.open(), second.open()
    kept = generate_key_pair(token, "kept", P256)
    moving = generate_key_pair(token, "moving", P256, for_backup=True)
    other = token.signing_key(kept, P256)
    key = token.signing_key(moving, P256)
    with pytest.raises(WeakKey):
        wrap_key(token, kept, "wrapping")
    with token.session(writable=True) as (cryptoki, session):
        cryptoki.generate_key(
            session,
            Mechanism.of(ck.CKM_AES_KEY_GEN),
            {ck.CKA_VALUE_LEN: 32, ck.CKA_TOKEN: True, ck.CKA_WRAP: True, ck.CKA_UNWRAP: True, ck.CKA_LABEL: "mine"},
        )
    with pytest.raises(WeakKey):
        wrap_key(token, moving, "mine")
    wrapped = wrap_key(token, moving, "wrapping")
    with pytest.raises(HsmError):
        restore_key(beside, wrapped, os.urandom(32), moving, P256, key.public_key)
    with pytest.raises(HsmError):
        restore_key(beside, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), value, moving, P256, key.public_key)
    with pytest.raises(ValueError, match="32 bytes"):
        restore_key(beside, wrapped, b"short", moving, P256, key.public_key)
    # The right wrapping, but said to be another key's: it proves otherwise and is destroyed again.
    with pytest.raises((SelfTestFailed, WeakKey)):
        restore_key(beside, wrapped, value, moving, P256, other.public_key)
    assert list_keys(beside) == []
    ed25519 = generate_key_pair(token, "ed", "ed25519", for_backup=True)
    with pytest.raises(CryptokiError):
        wrap_key(token, ed25519, "wrapping")
    token.close()
    beside.close()
