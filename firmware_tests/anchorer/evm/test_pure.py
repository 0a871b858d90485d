"""Fees, nonces, memory, and what the desk makes of fields: rules without a node."""

from __future__ import annotations

import contextlib

import coincurve
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchorer.evm import fees
from appliance.anchorer.evm.errors import MemoryDamaged
from appliance.anchorer.evm.fees import Fees, TooDear
from appliance.anchorer.evm.memory import Attempt, Memory, read_memory, write_memory
from appliance.anchorer.evm.nonces import MOST_WAITING, next_nonce
from appliance.anchors.evm.rules import ContractRules
from appliance.anchors.evm.secp256k1 import address_of
from appliance.anchors.evm.transactions import FeeMarketTransaction, LegacyTransaction, read_transaction
from appliance.box.ledgers import LedgerSettings
from appliance.box.ledgers.evm import EvmEndpoint, EvmLedgerSettings
from appliance.log.checkpoint import Checkpoint
from appliance.log.ledgers import RequestRefused
from appliance.log.ledgers.evm import EvmRequest, EvmTransactions
from appliance.log.ledgers.request import CheckedCheckpoint
from firmware_tests.anchorer.evm.driving import GWEI, ORIGIN, note, settings_of

CONTRACT = ContractRules(address="ab" * 20, shape="event")
AMOUNTS = st.integers(0, 10**15)
KINDS = st.sampled_from(["fee-market", "legacy"])
KEY = coincurve.PrivateKey(bytes([5] * 32))
PUBLIC = KEY.public_key.format()
CHECKED = CheckedCheckpoint(Checkpoint(ORIGIN, 7, bytes(32)), bytes(range(32)))


def settings(**more: object) -> EvmLedgerSettings:
    return settings_of(["http://127.0.0.1:9"], 1337, CONTRACT, **more)


# --- fees ---------------------------------------------------------------------------------------------------------


@given(AMOUNTS, AMOUNTS, st.one_of(st.none(), AMOUNTS), AMOUNTS, KINDS)
def test_a_first_offer_is_within_the_limits_and_enough_for_the_next_block(
    most: int, most_tip: int, base: int | None, suggested: int, kind: str
) -> None:
    limits = settings(transactions=kind, maximum_fee_per_gas=most, maximum_priority_fee_per_gas=most_tip)
    try:
        offered = fees.first(limits, base, suggested)
    except TooDear:
        assert base is None or base > min(most, suggested if kind == "legacy" else most)
        return
    assert 0 <= offered.tip <= offered.fee <= most
    assert offered.tip <= most_tip
    assert offered.fee >= (base or 0)
    assert kind == "fee-market" or offered.tip == 0


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, KINDS)
def test_a_raised_offer_is_within_the_limits_and_a_tenth_more(
    most: int, most_tip: int, base: int, suggested: int, kind: str
) -> None:
    limits = settings(transactions=kind, maximum_fee_per_gas=most, maximum_priority_fee_per_gas=most_tip)
    try:
        offered = fees.first(limits, base, suggested)
    except TooDear:
        return
    for _ in range(400):
        more = fees.raised(limits, offered, offered)
        if more is None:
            break
        assert more.fee * 10 >= offered.fee * 11
        assert more.fee > offered.fee
        assert more.fee <= most
        assert kind == "legacy" or (more.tip * 10 >= offered.tip * 11 and offered.tip < more.tip <= most_tip)
        assert more.tip <= more.fee
        offered = more
    else:
        raise AssertionError("it rises without end")


def test_a_chain_without_a_fee_market_is_told_from_one_that_is_too_dear() -> None:
    with pytest.raises(TooDear, match="legacy"):
        fees.first(settings(), None, 1)
    with pytest.raises(TooDear, match="the settings allow"):
        fees.first(settings(maximum_fee_per_gas=GWEI), 2 * GWEI, 1)


def test_where_gas_is_free_nothing_is_paid() -> None:
    free = settings(transactions="legacy", maximum_fee_per_gas=0)
    assert fees.first(free, None, 0) == Fees(0, 0)
    assert fees.raised(free, Fees(0, 0), Fees(0, 0)) is None


# --- nonces -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(0, 2000), st.sets(st.integers(0, 1100), max_size=40))
def test_a_nonce_is_nobodys_and_the_lowest_of_those(mined: int, waiting: int, reserved: set[int]) -> None:
    nonce = next_nonce(mined, waiting, reserved)
    assert nonce not in reserved
    assert nonce >= mined
    first = min(max(mined, waiting), mined + MOST_WAITING)
    assert all(one in reserved for one in range(first, nonce))
    assert nonce <= mined + MOST_WAITING + len(reserved)


# --- memory -------------------------------------------------------------------------------------------------------


def test_memory_is_read_as_it_was_written() -> None:
    raw = LegacyTransaction(chain_id=1, nonce=4, gas_price=9, gas=21_000, to=bytes(20)).signed(1, 1, 0)
    memory = Memory(
        step=1, attempts=(Attempt(raw, 1.5), Attempt(raw, 2.5, 3.5)), earlier=(Attempt(raw, 1.0),), taken_at=9
    )
    assert read_memory(write_memory(memory)) == memory
    assert read_memory(b"") == Memory()
    assert memory.newest.nonce == 4
    assert memory.newest.fees == Fees(9, 0)


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_a_memory_or_refused(encoded: bytes) -> None:
    with contextlib.suppress(MemoryDamaged):
        read_memory(encoded)


# --- the desk -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**7), AMOUNTS, AMOUNTS, st.integers(0, 3), KINDS)
def test_whatever_is_asked_only_anchors_within_the_settings_are_signed(
    nonce: int, gas: int, fee: int, tip: int, step: int, kind: str
) -> None:
    limits = settings(transactions=kind)
    request = EvmRequest(ledger="chain", checkpoint=note(7), nonce=nonce, gas=gas, fee=fee, tip=tip, step=step)
    try:
        unsigned = EvmTransactions().make(request, CHECKED, limits, PUBLIC)
    except RequestRefused:
        assert gas > limits.gas or fee > limits.maximum_fee_per_gas or step > 0 or tip > 0
        return
    (digest,) = unsigned.digests
    signed = read_transaction(unsigned.signed([KEY.sign_recoverable(digest, None)[:64]]))
    made = signed.transaction
    assert signed.sender == address_of(PUBLIC)
    assert (made.chain_id, made.nonce, made.to.hex(), made.value) == (1337, nonce, CONTRACT.address, 0)
    assert made.data == CONTRACT.described.call_data(0, CHECKED.commitment)
    assert made.gas <= limits.gas
    if isinstance(made, FeeMarketTransaction):
        assert kind == "fee-market"
        assert made.max_priority_fee_per_gas <= limits.maximum_priority_fee_per_gas
        assert made.max_fee_per_gas <= limits.maximum_fee_per_gas
    else:
        assert kind == "legacy"
        assert made.gas_price <= limits.maximum_fee_per_gas


def test_without_a_contract_the_account_writes_to_itself() -> None:
    alone = ContractRules(address=None, shape="calldata")
    request = EvmRequest(ledger="chain", checkpoint=note(7), nonce=0, gas=50_000, fee=GWEI, tip=0)
    unsigned = EvmTransactions().make(request, CHECKED, msgspec.structs.replace(settings(), contract=alone), PUBLIC)
    assert unsigned.transaction.to == address_of(PUBLIC)
    assert unsigned.transaction.data == CHECKED.commitment


def test_a_signature_of_another_key_is_not_released() -> None:
    request = EvmRequest(ledger="chain", checkpoint=note(7), nonce=0, gas=50_000, fee=GWEI, tip=0)
    unsigned = EvmTransactions().make(request, CHECKED, settings(), PUBLIC)
    other = coincurve.PrivateKey(bytes([6] * 32)).sign_recoverable(unsigned.digests[0], None)[:64]
    with pytest.raises(Exception, match="not that of the account"):
        unsigned.signed([other])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("endpoints", []),
        ("endpoints", [{"url": "ftp://x"}]),
        ("endpoints", [{"url": "http://user:password@node"}]),
        ("chain_id", 0),
        ("chain_id", 2**53),
        ("contract", {"address": "0x" + "ab" * 20, "shape": "event"}),
        ("contract", {"address": None, "shape": "event"}),
        ("contract", {"address": "ab" * 20, "shape": "other"}),
        ("maximum_fee_per_gas", -1),
        ("gas", 20_999),
        ("transactions", "blob"),
        ("more", 1),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(member: str, value: object) -> None:
    plain = msgspec.to_builtins(settings())
    assert msgspec.convert(plain, LedgerSettings) == settings()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**plain, member: value}, LedgerSettings)


def test_what_the_box_signs_in_with_is_named_once_for_its_owner() -> None:
    endpoints = [
        EvmEndpoint(url="https://a", token_file="secrets/a"),
        EvmEndpoint(url="https://b", password_file="secrets/b"),
        EvmEndpoint(url="https://c"),
    ]
    assert settings(endpoints=endpoints).secret_files == ["secrets/a", "secrets/b"]
