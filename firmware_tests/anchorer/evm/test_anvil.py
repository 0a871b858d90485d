"""Anchors on anvil: a real node, whose blocks nobody seals. What befalls transactions on their way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from appliance.anchorer.evm import fees
from appliance.anchorer.evm.memory import read_memory
from appliance.anchors import Rule, State, Strength, commitment_of, judge
from appliance.anchors.evm.rules import ContractRules
from firmware_tests.anchorer.evm.conftest import place_on_anvil
from firmware_tests.anchorer.evm.driving import GWEI, Anchor, Driven, HeldDesk, Place, deploy
from firmware_tests.others.evm_nodes import ETHER, Anvil, account_of

FAR_US = 4_000_000_000_000_000


def driven(place: Place, run: Callable[[Driven], Awaitable[None]], clock: Callable[[], float] = time.time) -> Driven:
    """A ledger, driven by `run`."""

    async def whole() -> Driven:
        made = place.driven(clock=clock)
        try:
            await run(made)
        finally:
            await made.close()
        return made

    return asyncio.run(whole())


def transactions_of(anvil: Anvil, place: Place) -> int:
    """How many transactions of the account the chain has."""
    return int(anvil("eth_getTransactionCount", account_of(place.key), "latest"), 16)


def of(anchor: Anchor) -> str:
    """The newest transaction of an anchor, as the node calls it."""
    return "0x" + read_memory(anchor.memory).newest.hash.hex()


def test_a_node_says_more_than_a_pipe_holds_and_goes_on(anvil: Anvil) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    for _ in range(20):  # a line of 16 bytes for each call, and a pipe holds 65,536
        assert len(httpx.post(anvil.url, json=[call] * 500, timeout=10).json()) == 500


@pytest.mark.parametrize("kind", ["fee-market", "legacy"])
def test_an_anchor_becomes_final_and_its_receipt_shows_it(anvil: Anvil, on_anvil: Place, kind: str) -> None:
    place = on_anvil.changed(transactions=kind)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert anchor.receipt is not None
        found = judge(anchor.receipt, commitment_of(anchor.checkpoint), place.profile, now_us=FAR_US)
        assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
        sent = anvil("eth_getTransactionByHash", of(anchor))
        assert int(sent["type"], 16) == (2 if kind == "fee-market" else 0)
        assert int(sent["value"], 16) == 0

    driven(place, run)


@pytest.mark.parametrize(
    ("contract", "shape", "transactions"),
    [
        ("CommitmentAnchors", "event", 1),
        ("CmeviEvidence", "cmevi", 1),
        ("VotedEvidence", "evidence", 2),
        ("", "calldata", 1),
    ],
)
def test_every_shape_of_contract_takes_an_anchor(
    anvil: Anvil, tmp_path: Path, contract: str, shape: str, transactions: int
) -> None:
    place = place_on_anvil(anvil, tmp_path)
    address = None
    if contract:
        one = (1).to_bytes(32, "big")
        voters = bytes.fromhex(account_of(place.key)[2:]).rjust(32, b"\0")
        arguments = one + (64).to_bytes(32, "big") + one + voters if shape == "evidence" else b""
        address = deploy(anvil, anvil("eth_accounts")[0], contract, arguments)[2:].lower()
    rules = ContractRules(address=address, shape=shape)  # type: ignore[arg-type]
    place = place.changed(contract=rules).ruled(contract=rules)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert transactions_of(anvil, place) == transactions

    driven(place, run)


def test_a_crash_after_any_step_anchors_once(anvil: Anvil, on_anvil: Place) -> None:
    """Each step is made, forgotten, and made again by a new process."""

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()

        async def forgotten() -> None:
            await ledger.step(stored=False)
            await ledger.restart()

        for _ in range(40):
            await forgotten()
            await ledger.step()
            if anchor.state is State.FINAL:
                break
            anvil("evm_mine")
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert transactions_of(anvil, on_anvil) == 1

    driven(on_anvil, run)


def test_what_was_sent_and_not_stored_is_found_in_its_block(anvil: Anvil, on_anvil: Place) -> None:
    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.step()
        assert anchor.memory
        await ledger.step(stored=False)  # sent, and the process dies before that is stored
        assert anchor.state is None
        anvil.mined(of(anchor))
        await ledger.restart()
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert transactions_of(anvil, on_anvil) == 1

    driven(on_anvil, run)


def test_several_anchors_go_on_beside_each_other(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        for _ in range(5):
            made = ledger.anchor()
            await ledger.until(lambda made=made: made.state is State.SUBMITTED)  # type: ignore[misc]
        assert [read_memory(one.memory).newest.nonce for one in ledger.anchors] == [0, 1, 2, 3, 4]
        await ledger.until(lambda: not ledger.open, lambda: anvil("evm_mine"))
        assert {one.state for one in ledger.anchors} == {State.FINAL}
        assert transactions_of(anvil, on_anvil) == 5

    driven(on_anvil, run)


def test_of_several_heads_that_wait_the_newest_is_anchored(anvil: Anvil, on_anvil: Place) -> None:
    async def run(ledger: Driven) -> None:
        older, newer = ledger.anchor(), ledger.anchor()
        await ledger.until(lambda: newer.state is State.FINAL, lambda: anvil("evm_mine"))
        assert older.states == [None]
        assert "later head" in older.causes
        assert transactions_of(anvil, on_anvil) == 1

    driven(on_anvil, run)


def test_a_dropped_transaction_is_sent_again_the_same(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        first = of(anchor)
        for _ in range(3):
            anvil("anvil_dropTransaction", first)
            assert anvil("eth_getTransactionByHash", first) is None
            await ledger.step()
            assert anvil("eth_getTransactionByHash", first) is not None
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert of(anchor) == first
        assert len(read_memory(anchor.memory).attempts) == 1

    driven(on_anvil, run)


def passed_by(anvil: Anvil, anchor: Anchor) -> None:
    """A block that does not take an anchor's transaction."""
    anvil("anvil_dropTransaction", of(anchor))
    anvil("evm_mine")


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", ["fee-market", "legacy"])
def test_a_stuck_transaction_is_replaced_by_a_dearer_one(anvil: Anvil, on_anvil: Place, kind: str) -> None:
    anvil("evm_setAutomine", False)
    clock = Clock()
    place = on_anvil.changed(transactions=kind, replace_after_s=60.0)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        first = read_memory(anchor.memory).newest
        clock.now += 59
        await ledger.step()
        assert len(read_memory(anchor.memory).attempts) == 1
        clock.now += 2
        await ledger.step()
        assert len(read_memory(anchor.memory).attempts) == 1, "there was no block that could have taken it"
        passed_by(anvil, anchor)
        await ledger.step()
        attempts = read_memory(anchor.memory).attempts
        assert len(attempts) == 2
        assert not attempts[1].sent_s, "a replacement is stored before it is sent"
        assert anvil("eth_getTransactionByHash", of(anchor)) is None
        await ledger.step()
        assert anvil("eth_getTransactionByHash", "0x" + first.hash.hex()) is None
        assert anvil("eth_getTransactionByHash", of(anchor)) is not None
        assert attempts[1].nonce == first.nonce
        assert attempts[1].fees.fee * 10 >= first.fees.fee * 11
        assert attempts[1].fees.tip * 10 >= first.fees.tip * 11
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert transactions_of(anvil, place) == 1

    driven(place, run, clock)


def test_whichever_of_two_is_mined_is_the_anchor(anvil: Anvil, on_anvil: Place) -> None:
    """The replacement is signed; before it is sent, the first one is mined after all."""
    anvil("evm_setAutomine", False)
    clock = Clock()

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        first = of(anchor)
        clock.now += 1_000
        passed_by(anvil, anchor)
        raw = read_memory(anchor.memory).newest.raw
        await ledger.step()
        assert of(anchor) != first
        anvil("eth_sendRawTransaction", "0x" + raw.hex())  # another node had it still
        anvil("evm_mine")
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anvil("eth_getTransactionByHash", first)["blockHash"] is not None
        assert transactions_of(anvil, on_anvil) == 1

    driven(on_anvil, run, clock)


def test_fees_stay_below_the_limits_however_long_it_takes(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)
    clock = Clock()
    place = on_anvil.changed(maximum_fee_per_gas=6 * GWEI, maximum_priority_fee_per_gas=3 * GWEI)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        for _ in range(60):
            await ledger.step()
            clock.now += 200
            if anchor.state is State.SUBMITTED:
                passed_by(anvil, anchor)
        attempts = read_memory(anchor.memory).attempts
        assert 2 <= len(attempts) < 30
        assert all(one.fees.fee <= 6 * GWEI and one.fees.tip <= 3 * GWEI for one in attempts)
        assert anchor.history[-1][1].startswith("no more may be offered for it")
        raised = fees.raised(place.settings, attempts[-1].fees, attempts[-1].fees)
        assert raised is None, "the limits were reached"

    driven(place, run, clock)


def test_a_chain_that_is_too_dear_is_waited_for(anvil: Anvil, on_anvil: Place) -> None:
    place = on_anvil.changed(maximum_fee_per_gas=1 * GWEI)
    anvil("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    anvil("evm_mine")

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.step()
        assert anchor.state is None
        assert not anchor.memory
        assert "the settings allow 1000000000" in anchor.causes
        anvil("anvil_setNextBlockBaseFeePerGas", hex(GWEI // 2))
        anvil("evm_mine")
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))

    driven(place, run)


def test_an_account_without_money_waits_until_it_has_some(anvil: Anvil, on_anvil: Place) -> None:
    anvil("anvil_setBalance", account_of(on_anvil.key), "0x0")

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        for _ in range(4):
            await ledger.step()
        assert anchor.state in (None, State.SUBMITTED)
        assert "nsufficient" in anchor.causes
        anvil("anvil_setBalance", account_of(on_anvil.key), hex(ETHER))
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert transactions_of(anvil, on_anvil) == 1

    driven(on_anvil, run)


def foreign(anvil: Anvil, place: Place, nonce: int) -> str:
    """A transaction of another box that has the same account."""
    sender = account_of(place.key)
    anvil("anvil_impersonateAccount", sender)
    more = {"from": sender, "to": sender, "nonce": hex(nonce), "maxFeePerGas": hex(90 * GWEI), "gas": hex(21_000)}
    name: str = anvil("eth_sendTransaction", {**more, "maxPriorityFeePerGas": hex(80 * GWEI)})
    return name


def test_a_nonce_that_another_box_took_is_seen_and_the_anchor_made_anew(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        first = read_memory(anchor.memory).newest
        anvil("anvil_dropTransaction", of(anchor))
        foreign(anvil, on_anvil, first.nonce)
        anvil("evm_mine")
        await ledger.step()
        assert "has the nonce 0" in anchor.history[-1][1]
        assert read_memory(anchor.memory).newest == first, "ours might still be the one that counts"
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert read_memory(anchor.memory).newest.nonce == 1
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert transactions_of(anvil, on_anvil) == 2

    driven(on_anvil, run)


def test_two_boxes_on_one_account_both_anchor(anvil: Anvil, on_anvil: Place) -> None:
    """They take turns step by step, so that they often choose the same nonce."""
    anvil("evm_setAutomine", False)

    async def run() -> None:
        boxes = [on_anvil.driven(), on_anvil.driven(first_size=1_000)]
        for round in range(4):
            for one in boxes:
                one.anchor()
            for _ in range(60):
                for one in boxes:
                    await one.step()
                anvil("evm_mine")
                if not any(one.open for one in boxes):
                    break
            assert not any(one.open for one in boxes), round
        for one in boxes:
            assert {anchor.state for anchor in one.anchors} == {State.FINAL}
            await one.close()
        assert transactions_of(anvil, on_anvil) == 8

    asyncio.run(run())


def test_a_gap_that_another_box_left_is_filled_by_the_next_anchor(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        lost = foreign(anvil, on_anvil, 0)
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        assert read_memory(anchor.memory).newest.nonce == 1
        anvil("anvil_dropTransaction", lost)  # the other box is gone, and its transaction with it
        for _ in range(3):
            anvil("evm_mine")
            await ledger.step()
        assert anchor.state is State.SUBMITTED
        assert "behind 1 others" in anchor.history[-1][1]
        following = ledger.anchor()
        await ledger.until(lambda: not ledger.open, lambda: anvil("evm_mine"))
        assert read_memory(following.memory).newest.nonce == 0
        assert {anchor.state, following.state} == {State.FINAL}

    driven(on_anvil, run)


def test_a_reorganisation_takes_an_anchor_back(anvil: Anvil, on_anvil: Place) -> None:
    place = on_anvil.ruled(depth=6)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.MINED)
        anvil("anvil_mine", hex(2))
        await ledger.step()
        assert anchor.state is State.MINED
        anvil("anvil_reorg", 3, [])  # three new blocks, without it
        await ledger.step()
        assert anchor.state is State.SUBMITTED
        assert "reorganisation" in anchor.history[-1][1]
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anchor.states == [None, *[State.SUBMITTED, State.MINED] * 2, State.FINAL]
        assert len(read_memory(anchor.memory).attempts) == 1
        assert transactions_of(anvil, place) == 1

    driven(place, run)


def test_a_reorganisation_takes_both_calls_of_an_anchor_back(anvil: Anvil, tmp_path: Path) -> None:
    place = place_on_anvil(anvil, tmp_path, depth=8)
    one = (1).to_bytes(32, "big")
    voter = bytes.fromhex(account_of(place.key)[2:]).rjust(32, b"\0")
    arguments = one + (64).to_bytes(32, "big") + one + voter
    address = deploy(anvil, anvil("eth_accounts")[0], "VotedEvidence", arguments)
    anvil("evm_setAutomine", False)
    rules = ContractRules(address=address[2:].lower(), shape="evidence")
    place = place.changed(contract=rules).ruled(contract=rules)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.MINED, lambda: anvil("evm_mine"))
        memory = read_memory(anchor.memory)
        both = [memory.earlier[0].hash, memory.newest.hash]
        height = min(anvil.mined("0x" + name.hex())["blockNumber"] for name in both)
        anvil("anvil_reorg", int(anvil("eth_blockNumber"), 16) - int(height, 16) + 1, [])
        assert transactions_of(anvil, place) == 0
        await ledger.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        memory = read_memory(anchor.memory)
        assert [memory.earlier[0].hash, memory.newest.hash] == both
        assert transactions_of(anvil, place) == 2

    driven(place, run)


def test_a_call_that_would_fail_is_not_sent(anvil: Anvil, tmp_path: Path) -> None:
    place = place_on_anvil(anvil, tmp_path)
    one = (1).to_bytes(32, "big")
    nobody = bytes(31) + b"\x05"
    address = deploy(anvil, anvil("eth_accounts")[0], "VotedEvidence", one + (64).to_bytes(32, "big") + one + nobody)
    rules = ContractRules(address=address[2:].lower(), shape="evidence")
    place = place.changed(contract=rules).ruled(contract=rules)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        for _ in range(8):
            await ledger.step()
            anvil("evm_mine")
        assert anchor.state is State.SUBMITTED
        assert "no voter" in anchor.history[-1][1]
        assert transactions_of(anvil, place) == 1  # the request; the vote is not this account's to give

    driven(place, run)


def test_a_transaction_that_failed_ends_as_failed_once_that_is_final(anvil: Anvil, on_anvil: Place) -> None:
    """It was good when it was signed, and the contract is another when it is mined."""
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        anchor = ledger.anchor()
        await ledger.until(lambda: anchor.state is State.SUBMITTED)
        anvil("anvil_setCode", "0x" + str(on_anvil.rules.contract.address), "0xfe")
        await ledger.until(lambda: anchor.state is State.FAILED, lambda: anvil("evm_mine"))
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FAILED]
        assert "failed" in anchor.history[-1][1]

    driven(on_anvil, run)


def test_a_new_key_goes_on_where_the_old_one_stood(anvil: Anvil, on_anvil: Place) -> None:
    """The account's key is changed while a transaction of the old one waits: that one is still followed, none is made
    twice, and the next anchor is of the new account."""
    anvil("evm_setAutomine", False)
    key = bytes([9] * 32)
    anvil("anvil_setBalance", account_of(key), hex(ETHER))
    place = on_anvil.ruled(accounts=(account_of(on_anvil.key)[2:], account_of(key)[2:]))
    clock = Clock()

    async def run() -> None:
        before = place.driven(clock=clock)
        waiting = before.anchor()
        await before.until(lambda: waiting.state is State.SUBMITTED)
        await before.close()
        after = place.driven(HeldDesk(place.settings, key), clock)
        after.anchors = before.anchors
        passed_by(anvil, waiting)
        clock.now += 10_000  # too old by far: but a transaction of the old key cannot be replaced any more
        following = after.anchor()
        await after.until(lambda: not after.open, lambda: anvil("evm_mine"))
        assert {waiting.state, following.state} == {State.FINAL}
        senders = {read_memory(one.memory).newest.sender.hex() for one in after.anchors}
        assert senders == set(place.rules.accounts)
        await after.close()

    asyncio.run(run())


def test_a_node_that_was_restarted_without_its_pool_is_told_again(anvil: Anvil, on_anvil: Place) -> None:
    anvil("evm_setAutomine", False)

    async def run(ledger: Driven) -> None:
        anchors = []
        for _ in range(3):
            anchors.append(ledger.anchor())
            await ledger.until(lambda: anchors[-1].state is State.SUBMITTED)
        anvil("anvil_dropAllTransactions")
        await ledger.until(lambda: not ledger.open, lambda: anvil("evm_mine"))
        assert {one.state for one in anchors} == {State.FINAL}
        assert transactions_of(anvil, on_anvil) == 3

    driven(on_anvil, run)
