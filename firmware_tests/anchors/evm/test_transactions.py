"""Transactions: the published examples, what is signed is recovered, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.secp256k1 import ORDER, address_of, normalised, recover
from appliance.anchors.evm.transactions import (
    MAXIMUM_TRANSACTION_BYTES,
    FeeMarketTransaction,
    LegacyTransaction,
    Transaction,
    read_transaction,
)

# The example of EIP-155.
EIP155 = LegacyTransaction(
    chain_id=1, nonce=9, gas_price=20 * 10**9, gas=21000, to=bytes.fromhex("35" * 20), value=10**18
)
EIP155_HASH = "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
EIP155_RAW = (
    "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
    "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
    "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)
EIP155_KEY = bytes.fromhex("46" * 32)
EIP155_SENDER = "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"

# Made with viem 2.39.
FEE_MARKET = FeeMarketTransaction(
    chain_id=1,
    nonce=0,
    max_priority_fee_per_gas=10**9,
    max_fee_per_gas=10**9,
    gas=21000,
    to=bytes.fromhex("70997970c51812dc3a010c7d01b50e0d17dc79c8"),
    value=10**18,
)
FEE_MARKET_RAW = (
    "02f8720180843b9aca00843b9aca008252089470997970c51812dc3a010c7d01b50e0d17dc79c8880de0b6b3a764000080c080"
    "a0182c8cbe9c63b8447c2f953085570b33023f5eef5f11ea48cb919909b619095e"
    "a040c65acd60b3c054ac73d5314a4befdc7a64bae3c7819e3079c6237ef5951f2e"
)
FEE_MARKET_HASH = "b97fef798c937bdfdd97763637a3c846a0e2054db0d31d792d6f1327c386a41e"
FEE_MARKET_KEY = bytes.fromhex("aa" * 32)

# Of block 5102442 of the Goerli network, before which it had no fee market.
GOERLI_RAW = rlp.encode(
    [
        rlp.integer(0x1CDE),
        rlp.integer(0x1176592E00),
        rlp.integer(0x3D090),
        bytes.fromhex("aa6ce64b8c7aee2fa652ea4d240bbffcb7d98d1b"),
        b"",
        bytes.fromhex("4b2a026d" + f"{0x24D7:064x}" + f"{0x40:064x}" + "00" * 32),
        rlp.integer(0x2E),
        rlp.integer(0x90B768024DDD5E88B3131B3D4CF2EA34F5D6133D8A9DBD118E4395283C1411F5),
        rlp.integer(0x1D4DB88BB1C7B847660D751459C9B705356CEF9518A947582600F3107EA7565),
    ]
)
GOERLI_HASH = "2bdcc1dc5f41bf1420b4594f43d2e72c133f01350638b3a639171c2ea1d2ff81"
GOERLI_SENDER = "a121d112a8ca7ee375b537c1b05f0420aa78f790"


def sign(transaction: Transaction, key: PrivateKey) -> bytes:
    signature = key.sign_recoverable(transaction.signing_hash(), hasher=None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return transaction.signed(r, s, signature[64])


def test_keccak_is_that_of_the_submission_and_not_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"


def test_the_example_of_eip_155() -> None:
    assert EIP155.signing_hash().hex() == EIP155_HASH
    assert sign(EIP155, PrivateKey(EIP155_KEY)).hex() == EIP155_RAW
    read = read_transaction(bytes.fromhex(EIP155_RAW))
    assert read.transaction == EIP155
    assert read.sender.hex() == EIP155_SENDER
    assert address_of(PrivateKey(EIP155_KEY).public_key.format()).hex() == EIP155_SENDER


def test_a_fee_market_transaction_of_another_library() -> None:
    read = read_transaction(bytes.fromhex(FEE_MARKET_RAW))
    assert read.transaction == FEE_MARKET
    key = PrivateKey(FEE_MARKET_KEY)
    assert read.sender == address_of(key.public_key.format())
    assert read.hash.hex() == FEE_MARKET_HASH
    assert sign(FEE_MARKET, key).hex() == FEE_MARKET_RAW


def test_a_transaction_of_a_public_network() -> None:
    read = read_transaction(GOERLI_RAW)
    assert (read.hash.hex(), read.sender.hex(), read.transaction.chain_id) == (GOERLI_HASH, GOERLI_SENDER, 5)


amounts = st.integers(0, 2**256 - 1)
quantities = st.integers(0, 2**64 - 1)
recipients = st.one_of(st.just(b""), st.binary(min_size=20, max_size=20))
common = {
    "chain_id": st.integers(1, 2**53 - 1),
    "nonce": quantities,
    "gas": quantities,
    "to": recipients,
    "value": amounts,
    "data": st.binary(max_size=200),
}
transactions = st.one_of(
    st.builds(LegacyTransaction, gas_price=amounts, **common),
    st.builds(FeeMarketTransaction, max_priority_fee_per_gas=amounts, max_fee_per_gas=amounts, **common),
)
keys = st.integers(1, ORDER - 1).map(lambda secret: PrivateKey(secret.to_bytes(32, "big")))


@given(transactions, keys)
def test_what_is_signed_is_read_and_its_signer_recovered(transaction: Transaction, key: PrivateKey) -> None:
    read = read_transaction(sign(transaction, key))
    if transaction.chain_id * 2 + 36 < 2**64:
        assert read.transaction == transaction
        assert read.sender == address_of(key.public_key.format())


@given(keys, st.binary(min_size=32, max_size=32), st.booleans())
def test_a_plain_signature_is_brought_into_the_form_of_chains(key: PrivateKey, digest: bytes, high: bool) -> None:
    signature = key.sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    address = address_of(key.public_key.format())
    assert normalised(digest, r, ORDER - s if high else s, address) == (r, s, signature[64])
    with pytest.raises(MalformedChainData):
        normalised(digest, r, s, bytes(20))


@settings(max_examples=300)
@given(st.one_of(st.just(bytes.fromhex(EIP155_RAW)), st.just(bytes.fromhex(FEE_MARKET_RAW))), st.data())
def test_a_changed_byte_never_leaves_the_sender_as_it_was(raw: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]
    try:
        read = read_transaction(changed)
    except MalformedChainData:
        return
    assert read.sender != read_transaction(raw).sender


def remade(raw: str, place: int, value: rlp.Encodable) -> bytes:
    data = bytes.fromhex(raw)
    kind, body = (data[:1], data[1:]) if data[0] < 0xC0 else (b"", data)
    fields: list[rlp.Encodable] = list(rlp.decode_list(body))
    fields[place] = value
    return kind + rlp.encode(fields)


REFUSED = {
    "nothing": (b"", "empty"),
    "a transaction of before EIP-155": (remade(EIP155_RAW, 6, rlp.integer(27)), "names no chain"),
    "a number with a leading zero": (remade(EIP155_RAW, 0, b"\x00\x09"), "whole number"),
    "a nonce of nine bytes": (remade(EIP155_RAW, 0, bytes([1]) * 9), "whole number"),
    "half an address": (remade(EIP155_RAW, 3, bytes(10)), "recipient"),
    "the higher s": (
        remade(EIP155_RAW, 8, rlp.integer(ORDER - int(EIP155_RAW[-64:], 16))), "lower one",
    ),
    "r of zero": (remade(EIP155_RAW, 7, b""), "recoverable"),
    "a parity of two": (remade(FEE_MARKET_RAW, 9, b"\x02"), "recoverable"),
    "an access list": (remade(FEE_MARKET_RAW, 8, [[bytes(20), []]]), "access list"),
    "an access list that is none": (remade(FEE_MARKET_RAW, 8, b"\x01"), "string where a list"),
    "a type that is not ours": (b"\x03" + bytes.fromhex(FEE_MARKET_RAW)[1:], "type 3"),
    "a field too few": (b"\x02" + rlp.encode([b""] * 11), "12 fields"),
    "a string": (b"\x83dog", "type 131"),
    "one that is larger than any node takes": (bytes(MAXIMUM_TRANSACTION_BYTES + 1), "are taken"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedChainData, match=said):
        read_transaction(raw)


def test_the_chain_is_part_of_what_is_signed() -> None:
    assert replace(EIP155, chain_id=2).signing_hash() != EIP155.signing_hash()
    assert replace(FEE_MARKET, chain_id=2).signing_hash() != FEE_MARKET.signing_hash()


def test_recovery_refuses_numbers_out_of_range() -> None:
    for r, s, parity in ((0, 1, 0), (ORDER, 1, 0), (1, 0, 0), (1, ORDER, 0), (1, 1, 2), (5, 1, 0)):
        with pytest.raises(MalformedChainData):
            recover(bytes(32), r, s, parity)
    with pytest.raises(MalformedChainData):
        recover(bytes(31), 1, 1, 0)


def test_a_public_key_must_be_a_point() -> None:
    with pytest.raises(MalformedChainData):
        address_of(b"\x02" + bytes(32))
