"""A second, different token: tpm2-pkcs11 on a software TPM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_tests.hsm.words import Books
from hsm import LaneSettings, MechanismUnavailable, Token, WeakKey
from hsm.keys import destroy_key_pair, find_weaknesses, generate_key_pair
from hsm.policy import Weakness
from hsm.public_keys import verify
from hsm.testing.softhsm import ThrowawayToken
from hsm.testing.tpm import tpm_token
from hsm.vault import create_content_key

SCHEMES = ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pkcs1-sha256"]


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayToken]:
    directory: Path = tmp_path_factory.mktemp("tpm")
    with tpm_token(directory) as throwaway:
        yield throwaway


@pytest.mark.parametrize("scheme", SCHEMES)
def test_keys_are_made_and_sign(
    tpm: ThrowawayToken, books: Books, open_with: Callable[..., Token], scheme: str
) -> None:
    token = open_with(tpm, allow_weak_keys=True)
    uri = generate_key_pair(token, f"k-{scheme}", scheme, rsa_bits=2048, allow_weak_keys=True)
    found = find_weaknesses(token, uri)
    assert Weakness.MODIFIABLE in found
    assert not found & {Weakness.NOT_SENSITIVE, Weakness.EXTRACTABLE, Weakness.WAS_EXPOSED, Weakness.SIGN_RECOVER}
    key = token.signing_key(uri, scheme)
    for number in range(5):
        verify(key.public_key, scheme, bytes([number]), key.sign(bytes([number])))
    assert token.self_test().available
    assert "modifiable" in token.health().sites[0].keys[0].weaknesses
    assert books.balanced(5)
    strict = open_with(tpm)
    with pytest.raises(WeakKey):
        strict.signing_key(uri, scheme)


def test_a_key_that_comes_out_weaker_than_asked_is_destroyed(
    tpm: ThrowawayToken, open_with: Callable[..., Token]
) -> None:
    token = open_with(tpm)
    with pytest.raises(WeakKey):
        generate_key_pair(token, "strict", "ecdsa-p256-sha256")
    uri = generate_key_pair(token, "strict", "ecdsa-p256-sha256", allow_weak_keys=True)
    destroy_key_pair(token, uri)


def test_what_the_token_cannot_do_is_told(tpm: ThrowawayToken, open_with: Callable[..., Token]) -> None:
    token = open_with(tpm)
    for scheme in ("ed25519", "ml-dsa-44"):
        with pytest.raises(MechanismUnavailable):
            generate_key_pair(token, scheme, scheme)
    with pytest.raises(MechanismUnavailable):
        create_content_key(token)


def test_lanes_of_threads(tpm: ThrowawayToken, open_with: Callable[..., Token]) -> None:
    token = open_with(tpm, LaneSettings("threads", 2), allow_weak_keys=True)
    scheme = "ecdsa-p256-sha256"
    key = token.signing_key(generate_key_pair(token, "lanes", scheme, allow_weak_keys=True), scheme)

    async def main() -> list[bytes]:
        return await asyncio.gather(*(key.sign_async(b"m") for _ in range(40)))

    for signature in asyncio.run(main()):
        verify(key.public_key, scheme, b"m", signature)
