"""The transaction as the log follower's desk builds it: whatever is asked for, it is an anchor within the settings. The
desk itself, with a key in a token: firmware_tests/log/test_ledger_desk.py and firmware_tests/scenarios."""

from __future__ import annotations

import coincurve
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.bitcoin.anchor_transaction import MOST_COINS
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.scripts import commitments_of, payment_script
from appliance.anchors.bitcoin.signing import signature_digest
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction, parse_transaction
from appliance.box.ledgers import AccountSettings, BitcoinLedgerSettings
from appliance.log.checkpoint import Checkpoint
from appliance.log.ledgers import BitcoinRequest, CheckedCheckpoint, RequestRefused
from appliance.log.ledgers.bitcoin import BitcoinCoin, BitcoinTransactions

KEY = coincurve.PrivateKey(bytes(31) + b"\5")
PUBLIC_KEY = KEY.public_key.format()
CHECKED = CheckedCheckpoint(Checkpoint("log.example/rehearsal/box", 7, bytes(32)), bytes(range(32)))
SETTINGS = BitcoinLedgerSettings(
    name="ltc",
    profile="ledgers/ledger-ltc.json",
    account=AccountSettings(token="box", key_uri="pkcs11:object=ltc"),
    address_prefix="rltc",
    url="http://127.0.0.1:1/",
    password_file="ledgers/password",
    most_fee=5_000,
    least_change=1_000,
)


def maker(amounts: dict[int, int]) -> Transaction:
    """A transaction that pays the account these amounts, by their indexes."""
    outputs = [Output(amounts.get(at, 1), payment_script(PUBLIC_KEY)) for at in range(max(amounts) + 1)]
    return Transaction((Input(OutPoint(bytes(32), 0)),), tuple(outputs))


def request(coins: list[tuple[int, int]], fee: int) -> BitcoinRequest:
    """Coins as index and amount, all of one transaction."""
    made = maker(dict(coins))
    asked = [
        BitcoinCoin(txid=shown(made.txid), index=index, amount=amount, made_by=made.stripped())
        for index, amount in coins
    ]
    return BitcoinRequest(ledger="ltc", checkpoint=b"", coins=asked, fee=fee)


def make(asked: BitcoinRequest) -> bytes:
    unsigned = BitcoinTransactions().make(asked, CHECKED, SETTINGS, PUBLIC_KEY)
    return unsigned.signed([KEY.sign_recoverable(digest, hasher=None)[:64] for digest in unsigned.digests])


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20_000)), min_size=1, max_size=MOST_COINS),
    st.integers(1, 10_000),
)
def test_what_is_made_is_an_anchor_within_the_settings_and_nothing_else(coins: list[tuple[int, int]], fee: int) -> None:
    total = sum(amount for _, amount in coins)
    allowed = fee <= SETTINGS.most_fee and total - fee >= SETTINGS.least_change
    allowed = allowed and len({index for index, _ in coins}) == len(coins)
    if not allowed:
        with pytest.raises(RequestRefused):
            make(request(coins, fee))
        return
    made = parse_transaction(make(request(coins, fee)))
    assert commitments_of(made) == (CHECKED.commitment,)
    data, change = made.outputs
    assert (data.amount, change.amount, change.script) == (0, total - fee, payment_script(PUBLIC_KEY))
    assert [(one.spends.txid.hex(), one.spends.index) for one in made.inputs] == [
        (maker(dict(coins)).txid.hex(), index) for index, _ in coins
    ]
    for place, (one, (_, amount)) in enumerate(zip(made.inputs, coins, strict=True)):
        signature, key = one.witness
        assert key == PUBLIC_KEY
        digest = signature_digest(made, place, PUBLIC_KEY, amount)
        assert coincurve.PublicKey(PUBLIC_KEY).verify(signature[:-1], digest, hasher=None)


@pytest.mark.parametrize(
    "changed",
    [
        {"coins": []},
        {"coins": [{"txid": "ab" * 32, "index": n, "amount": 9} for n in range(MOST_COINS + 1)]},
        {"coins": [{"txid": "AB" * 32, "index": 0, "amount": 9}]},
        {"coins": [{"txid": "ab" * 31, "index": 0, "amount": 9}]},
        {"coins": [{"txid": "ab" * 32, "index": 1 << 32, "amount": 9}]},
        {"coins": [{"txid": "ab" * 32, "index": 0, "amount": 0}]},
        {"coins": [{"txid": "ab" * 32, "index": 0, "amount": 1 << 60}]},
        {"fee": 0},
        {"fee": -1},
        {"outputs": []},
        {"digest": "00" * 32},
    ],
)
def test_a_request_of_another_form_is_none(changed: dict[str, object]) -> None:
    good = msgspec.to_builtins(request([(0, 9_000)], 500))
    assert msgspec.convert(good, BitcoinRequest) == request([(0, 9_000)], 500)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, **changed}, BitcoinRequest)


def test_signatures_over_lies_about_other_coins_never_make_a_transaction_that_pays_a_coin_as_its_fee() -> None:
    """CVE-2020-14199: each signature commits to the amount of its own coin. Two requests of the same inputs and
    outputs, each true about one coin and false about the other, would give a transaction whose fee is a whole coin."""
    true = request([(0, 1_000_000), (1, 1_000_000)], 500)
    first, second = true.coins
    small = 2_000
    for lying in (
        [first, msgspec.structs.replace(second, amount=small)],
        [msgspec.structs.replace(first, amount=small), second],
    ):
        with pytest.raises(RequestRefused, match="not of 2000"):
            make(msgspec.structs.replace(true, coins=lying))
    make(true)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"made_by": b""}, "is not shown"),
        ({"made_by": b"\0" * 90}, "is not shown"),
        ({"made_by": maker({0: 1_000_000}).stripped()}, "did not make"),
        ({"index": 2}, "did not make"),
        ({"amount": 999_999}, "another's, or not of"),
    ],
)
def test_several_coins_come_with_what_made_them(changed: dict[str, object], reason: str) -> None:
    true = request([(0, 1_000_000), (1, 1_000_000)], 500)
    lying = [true.coins[0], msgspec.structs.replace(true.coins[1], **changed)]
    with pytest.raises(RequestRefused, match=reason):
        make(msgspec.structs.replace(true, coins=lying))
    make(msgspec.structs.replace(true, coins=[msgspec.structs.replace(true.coins[0], made_by=b"")]))


def test_a_coin_of_another_script_is_not_spent_with_others() -> None:
    others = Transaction((Input(OutPoint(bytes(32), 0)),), (Output(9_000, payment_script(b"\2" + bytes(32))),))
    true = request([(0, 1_000_000), (1, 1_000_000)], 500)
    foreign = BitcoinCoin(txid=shown(others.txid), index=0, amount=9_000, made_by=others.stripped())
    with pytest.raises(RequestRefused, match="another's"):
        make(msgspec.structs.replace(true, coins=[true.coins[0], foreign]))
