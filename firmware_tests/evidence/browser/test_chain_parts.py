"""What the page's judges of chains are made of, by published vectors and against other libraries: in node."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any, Final

import coincurve
import pytest
from Crypto.Hash import keccak
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.secp256k1 import ORDER, recover
from appliance.anchors.evm.trie import Trie, index_key
from appliance.evidence.browser import rules
from firmware_tests.anchors.bitcoin.test_blocks import LITECOIN_GENESIS
from firmware_tests.anchors.evm.test_rlp import EXAMPLES, INVALID, items
from firmware_tests.anchors.evm.test_trie import PUBLISHED

Ask = Callable[..., Any]

KECCAK = {
    b"": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    b"abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    b"testing": "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02",
    b"The quick brown fox jumps over the lazy dog": "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
}
"""Of the Keccak team's and the Ethereum projects' own tests."""


@pytest.mark.parametrize(("data", "expected"), KECCAK.items())
def test_keccak_by_published_vectors(ask: Ask, data: bytes, expected: str) -> None:
    assert ask("keccak", data=data.hex()) == expected


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=600), st.sampled_from([135, 136, 137, 271, 272, 273, 4096]).map(bytes)))
def test_keccak_against_another_library(ask: Ask, data: bytes) -> None:
    assert ask("keccak", data=data.hex()) == keccak.new(digest_bits=256, data=data).hexdigest()


SM3: Final = {
    b"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    b"abcd" * 16: "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
}
"""GB/T 32905-2016, annex A."""


@pytest.mark.parametrize(("data", "expected"), SM3.items())
def test_sm3_by_the_standards_examples(ask: Ask, data: bytes, expected: str) -> None:
    assert ask("sm3", data=data.hex()) == expected


def _by_another_library(data: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize().hex()


@pytest.mark.parametrize("size", [*range(130), 4095, 1_000_003])
def test_sm3_of_every_length_around_a_block(ask: Ask, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert ask("sm3", data=data.hex()) == _by_another_library(data)


@settings(max_examples=80)
@given(st.binary(max_size=600))
def test_sm3_against_another_library(ask: Ask, data: bytes) -> None:
    assert ask("sm3", data=data.hex()) == _by_another_library(data)


def test_recovery_by_the_example_of_eip_155(ask: Ask) -> None:
    found = ask(
        "recover",
        digest="daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
        r="0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276",
        s="0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
        parity="0",
    )
    assert found == "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"


def _recovered(ask: Ask, digest: bytes, r: int, s: int, parity: int) -> str | None:
    found = ask("recover", digest=digest.hex(), r=str(r), s=str(s), parity=str(parity))
    assert found is None or isinstance(found, str)
    return found


def _by_the_program(digest: bytes, r: int, s: int, parity: int) -> str | None:
    try:
        return recover(digest, r, s, parity).hex()
    except MalformedChainData:
        return None


@settings(max_examples=60)
@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
def test_recovery_against_another_library(ask: Ask, secret: int, digest: bytes) -> None:
    signature = coincurve.PrivateKey(secret.to_bytes(32, "big")).sign_recoverable(digest, hasher=None)
    r, s, parity = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    assert _recovered(ask, digest, r, s, parity) == _by_the_program(digest, r, s, parity) is not None
    assert _recovered(ask, digest, r, ORDER - s, 1 - parity) == _recovered(ask, digest, r, s, parity)
    assert _recovered(ask, digest, r, s, 1 - parity) == _by_the_program(digest, r, s, 1 - parity)


@settings(max_examples=60)
@given(
    st.one_of(st.sampled_from([bytes(32), b"\xff" * 32, ORDER.to_bytes(32)]), st.binary(min_size=32, max_size=32)),
    st.one_of(st.integers(0, 2**256 - 1), st.sampled_from([0, 1, 2, ORDER - 1, ORDER, ORDER + 1])),
    st.one_of(st.integers(0, 2**256 - 1), st.sampled_from([0, 1, ORDER - 1, ORDER])),
    st.integers(0, 3),
)  # fmt: skip
def test_numbers_of_any_kind_give_the_same_key_or_none(ask: Ask, digest: bytes, r: int, s: int, parity: int) -> None:
    assert _recovered(ask, digest, r, s, parity) == _by_the_program(digest, r, s, parity)


def test_a_signature_that_any_key_would_make_is_none(ask: Ask) -> None:
    """s R = z G: the key would be the point at infinity, which no address is made of."""
    generator = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798
    digest = (12345).to_bytes(32, "big")
    assert _recovered(ask, digest, generator, 12345, 0) is None
    assert _by_the_program(digest, generator, 12345, 0) is None
    assert _recovered(ask, digest, generator, 12345, 1) == _by_the_program(digest, generator, 12345, 1) is not None


# --- RLP and tries ----------------------------------------------------------------------------------------------------


def _told(item: rlp.Item) -> Any:
    return item.hex() if isinstance(item, bytes) else [_told(one) for one in item]


@pytest.mark.parametrize(("item", "encoded"), EXAMPLES)
def test_rlp_by_published_examples(ask: Ask, item: rlp.Item, encoded: str) -> None:
    assert ask("rlp", data=encoded) == {"item": _told(item), "again": encoded}


@pytest.mark.parametrize("encoded", INVALID.values(), ids=INVALID)
def test_rlp_in_another_spelling_is_refused(ask: Ask, encoded: str) -> None:
    assert "malformed" in ask("rlp", data=encoded.lower())


@settings(max_examples=80)
@given(items)
def test_rlp_of_any_item(ask: Ask, item: Any) -> None:
    encoded = rlp.encode(item)
    try:
        rlp.decode(encoded)
    except MalformedChainData:
        assert "malformed" in ask("rlp", data=encoded.hex())
    else:
        assert ask("rlp", data=encoded.hex()) == {"item": _told(item), "again": encoded.hex()}


@settings(max_examples=150)
@given(st.binary(max_size=90))
def test_any_bytes_are_the_same_rlp_or_none(ask: Ask, data: bytes) -> None:
    found = ask("rlp", data=data.hex())
    try:
        item = rlp.decode(data)
    except MalformedChainData:
        assert "malformed" in found
    else:
        assert found == {"item": _told(item), "again": data.hex()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_proofs_of_published_tries(ask: Ask, name: str) -> None:
    entries, root = PUBLISHED[name]
    trie = Trie({key.encode(): value.encode() for key, value in entries.items()})
    assert trie.root.hex() == root
    for key, value in entries.items():
        nodes = [one.hex() for one in trie.proof(key.encode())]
        assert ask("trie", root=root, key=key.encode().hex(), nodes=nodes) == value.encode().hex()
        assert "malformed" in ask("trie", root=root, key=key.encode().hex() + "00", nodes=nodes)
        assert "malformed" in ask("trie", root=root, key=key.encode().hex(), nodes=nodes[:-1])
        assert "malformed" in ask("trie", root=root, key=key.encode().hex(), nodes=[*nodes, nodes[0]])


@pytest.mark.parametrize("count", [1, 2, 17, 130, 300])
def test_proofs_of_lists(ask: Ask, count: int) -> None:
    chance = random.Random(count)
    trie = Trie.of_list([chance.randbytes(chance.choice((1, 20, 200))) for _ in range(count)])
    for index in {0, count // 2, count - 1}:
        key = index_key(index)
        found = ask("trie", root=trie.root.hex(), key=key.hex(), nodes=[one.hex() for one in trie.proof(key)])
        assert found == trie.values[key].hex()


# --- scrypt -----------------------------------------------------------------------------------------------------------


def test_salsa_by_the_vector_of_rfc_7914(ask: Ask) -> None:
    given = (
        "7e879a214f3ec9867ca940e641718f26baee555b8c61c1b50df846116dcd3b1dee24f319df9b3d8514121e4b5ac5aa32"
        "76021d2909c74829edebc68db8b8c25e"
    )
    expected = (
        "a41f859c6608cc993b81cacb020cef05044b2181a2fd337dfd7b1c6396682f29b4393168e3c9e6bcfe6bc5b7a06d96ba"
        "e424cc102c91745c24ad673dc7618f81"
    )
    assert ask("salsa", data=given) == expected


def test_scrypt_by_the_vector_of_rfc_7914(ask: Ask) -> None:
    expected = (
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17"
        "e8d3e0fb2e0d3628cf35e20c38d18906"
    )
    assert ask("scrypt", password="", salt="", steps=16, size=64) == expected


@settings(max_examples=25)
@given(st.binary(max_size=100), st.binary(max_size=100), st.sampled_from([2, 16, 1024]), st.integers(1, 80))
def test_scrypt_against_another_library(ask: Ask, password: bytes, salt: bytes, steps: int, size: int) -> None:
    expected = hashlib.scrypt(password, salt=salt, n=steps, r=1, p=1, dklen=size).hex()
    assert ask("scrypt", password=password.hex(), salt=salt.hex(), steps=steps, size=size) == expected


def test_the_work_of_litecoins_first_block(ask: Ask) -> None:
    header = bytes.fromhex(LITECOIN_GENESIS)
    expected = hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32).hex()
    assert ask("scrypt", password=header.hex(), salt=header.hex(), steps=1024, size=32) == expected
    assert bytes.fromhex(expected)[::-1].hex() == "0000050c34a64b415b6b15b37f2216634b5b1669cb9a2e38d76f7213b0671e00"


def test_the_page_brings_the_shapes_of_contracts_that_the_program_has() -> None:
    line = next(one for one in rules().splitlines() if one.startswith("const SHAPES = "))
    shapes = json.loads(line.removeprefix("const SHAPES = ").removesuffix(";"))
    assert sorted(shapes) == ["calldata", "cmevi", "event", "evidence"]
    assert shapes["event"]["event"]["signature"] == "Anchored(bytes32,address)"
