"""Transactions, scripts, addresses and what is signed: by published vectors, and against python-bitcoinlib."""

from __future__ import annotations

from dataclasses import replace

import coincurve
import pytest
from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxInWitness, CTxOut, CTxWitness
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, CScriptWitness, SignatureHash
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.bitcoin.address import address_of
from appliance.anchors.bitcoin.anchor_transaction import MOST_COINS, Coin, anchor_size, anchor_transaction
from appliance.anchors.bitcoin.encoding import Reader, compact_size, from_shown, shown, unhex
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import commitment_script, commitments_of, payment_script, witness_program
from appliance.anchors.bitcoin.signing import HALF_ORDER, signature_digest, signed
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction, parse_transaction
from firmware_tests.anchors.bitcoin.material import COMMITMENT, KEY, PUBLIC_KEY, anchor, coinbase

# BIP 143, "Native P2WPKH": the unsigned transaction, the second input's key, and what is signed for it.
BIP143_UNSIGNED = (
    "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d27965"
    "5c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76"
    "ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
)
BIP143_KEY = "025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357"
BIP143_DIGEST = "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"


def test_the_digest_of_bip_143() -> None:
    transaction = parse_transaction(bytes.fromhex(BIP143_UNSIGNED))
    assert signature_digest(transaction, 1, bytes.fromhex(BIP143_KEY), 600_000_000).hex() == BIP143_DIGEST
    assert transaction.encode().hex() == BIP143_UNSIGNED


def test_addresses_of_bip_173() -> None:
    program = witness_program(bytes.fromhex("0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"))
    assert address_of("bc", program) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    assert address_of("tb", program) == "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_no_program_of_another_size_gets_an_address(size: int) -> None:
    with pytest.raises(MalformedBitcoin):
        address_of("bc", bytes(size))


_amounts = st.integers(0, 2**63 - 1)
_inputs = st.builds(
    Input,
    st.builds(OutPoint, st.binary(min_size=32, max_size=32), st.integers(0, 2**32 - 1)),
    st.binary(max_size=300),
    st.integers(0, 2**32 - 1),
    st.lists(st.binary(max_size=300), max_size=3).map(tuple),
)
_transactions = st.builds(
    Transaction,
    st.lists(_inputs, min_size=1, max_size=4).map(tuple),
    st.lists(st.builds(Output, _amounts, st.binary(max_size=300)), min_size=1, max_size=4).map(tuple),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**32 - 1),
)


def as_theirs(one: Transaction) -> CTransaction:
    inputs = [
        CTxIn(COutPoint(each.spends.txid, each.spends.index), CScript(each.script), each.sequence)
        for each in one.inputs
    ]
    outputs = [CTxOut(each.amount, CScript(each.script)) for each in one.outputs]
    witness = CTxWitness([CTxInWitness(CScriptWitness(list(each.witness))) for each in one.inputs])
    return CTransaction(inputs, outputs, one.lock_time, one.version, witness)


@given(_transactions)
def test_a_transaction_is_what_another_library_makes_of_it(one: Transaction) -> None:
    theirs = as_theirs(one)
    assert one.encode() == theirs.serialize()
    assert one.txid == theirs.GetTxid()
    assert parse_transaction(one.encode()) == one
    assert parse_transaction(one.stripped()).txid == one.txid


@given(_transactions, st.integers(0, 3), st.integers(0, 2**63 - 1))
def test_what_is_signed_is_what_another_library_says(one: Transaction, at: int, amount: int) -> None:
    at %= len(one.inputs)
    one = replace(one, lock_time=one.lock_time % 2**31)  # the other library takes it for a signed number here
    script = CScript(b"\x76\xa9\x14" + witness_program(PUBLIC_KEY) + b"\x88\xac")
    theirs = SignatureHash(script, as_theirs(one), at, SIGHASH_ALL, amount, SIGVERSION_WITNESS_V0)
    assert signature_digest(one, at, PUBLIC_KEY, amount) == theirs


@given(_transactions, st.data())
def test_a_transaction_cut_short_or_with_more_is_refused(one: Transaction, data: st.DataObject) -> None:
    encoded = one.encode()
    with pytest.raises(MalformedBitcoin):
        parse_transaction(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(MalformedBitcoin):
        parse_transaction(encoded + data.draw(st.binary(min_size=1, max_size=4)))


@given(st.binary(max_size=300))
def test_whatever_is_read_is_written_back_the_same(data: bytes) -> None:
    try:
        found = parse_transaction(data)
    except MalformedBitcoin:
        return
    assert found.encode() == data


def test_forms_that_are_not_the_one_right_one_are_refused() -> None:
    good = anchor().encode()
    for bad in (
        good[:5] + b"\x08" + good[6:],  # Litecoin's flag of extension blocks
        good[:5] + b"\x00" + good[6:],
        good[:6] + b"\xfd\x01\x00" + good[7:],  # a count in more bytes than it takes
        good[:4] + b"\x00\x01\x00" + good[7:],  # no input
        b"\x02\0\0\0\0\1" + coinbase().stripped()[4:-4] + b"\0" + bytes(4),  # witnesses, all empty
        b"\xff" * 500_000,
    ):
        with pytest.raises(MalformedBitcoin):
            parse_transaction(bad)


@given(st.integers(0, 2**64 - 1))
def test_a_compact_size_has_one_form(number: int) -> None:
    assert Reader(compact_size(number)).compact_size(2**64) == number
    if number < 2**32:
        with pytest.raises(MalformedBitcoin):
            Reader(b"\xff" + number.to_bytes(8, "little")).compact_size(2**64)
    with pytest.raises(MalformedBitcoin):
        Reader(compact_size(number)).compact_size(number - 1)


def test_numbers_and_hashes_that_cannot_be_are_refused() -> None:
    with pytest.raises(MalformedBitcoin):
        compact_size(2**64)
    for text in ("zz", "AB" * 32, "ab" * 31, "ab " * 32, "a"):
        with pytest.raises(MalformedBitcoin):
            from_shown(text)
    with pytest.raises(MalformedBitcoin):
        unhex("AB")
    assert shown(from_shown("ab" * 31 + "cd")) == "ab" * 31 + "cd"


def test_an_anchor_carries_the_commitment_and_gives_the_change_back() -> None:
    coins = [Coin(OutPoint(bytes([n]) * 32, n), 1_000 * n) for n in range(1, 4)]
    made = anchor_transaction(coins, COMMITMENT, PUBLIC_KEY, 500)
    assert commitments_of(made) == (COMMITMENT,)
    assert made.outputs == (Output(0, b"\x6a\x20" + COMMITMENT), Output(5_500, payment_script(PUBLIC_KEY)))
    assert all(one.sequence < 0xFFFFFFFE for one in made.inputs)


@pytest.mark.parametrize(
    ("coins", "fee"), [([], 0), ([(1, 5)], 5), ([(1, 5)], -1), ([(1, 5), (1, 5)], 1), ([(n, 9) for n in range(21)], 1)]
)
def test_coins_that_make_no_anchor_are_refused(coins: list[tuple[int, int]], fee: int) -> None:
    with pytest.raises(MalformedBitcoin):
        anchor_transaction([Coin(OutPoint(bytes(32), n), amount) for n, amount in coins], COMMITMENT, PUBLIC_KEY, fee)


@given(st.integers(1, MOST_COINS))
def test_the_size_that_fees_are_counted_by_is_the_true_one(coins: int) -> None:
    made = anchor(coins=coins)
    true = -(-(3 * len(made.stripped()) + len(made.encode())) // 4)  # BIP 141
    assert true <= anchor_size(coins) <= true + coins + 1


def test_a_signature_is_what_the_key_made_and_nothing_else_is_taken() -> None:
    made = anchor()
    signature, key = made.inputs[0].witness
    assert key == PUBLIC_KEY
    assert signature[-1] == SIGHASH_ALL
    digest = signature_digest(made, 0, PUBLIC_KEY, 50_000)
    assert coincurve.PublicKey(PUBLIC_KEY).verify(signature[:-1], digest, hasher=None)
    good = KEY.sign_recoverable(digest, hasher=None)[:64]
    order = 2 * HALF_ORDER + 1
    high = good[:32] + (order - int.from_bytes(good[32:])).to_bytes(32)
    for bad in (high, good[:63], bytes(64), good[:32] + bytes(32)):
        with pytest.raises(MalformedBitcoin):
            signed(made, PUBLIC_KEY, [bad])


def test_scripts_of_other_lengths_are_none() -> None:
    with pytest.raises(MalformedBitcoin):
        commitment_script(bytes(31))
    for key in (bytes(33), PUBLIC_KEY[:32], b"\x04" + bytes(64)):
        with pytest.raises(MalformedBitcoin):
            payment_script(key)
    for script in (b"\x6a\x1f" + bytes(31), b"\x6a\x20" + bytes(33), b"\x6a\x4c\x20" + bytes(32), b"\x51" + bytes(33)):
        assert commitments_of(Transaction(made_inputs(), (Output(0, script),))) == ()


def made_inputs() -> tuple[Input, ...]:
    return (Input(OutPoint(bytes(32), 0)),)
