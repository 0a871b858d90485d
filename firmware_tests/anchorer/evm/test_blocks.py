"""Blocks with all sorts of transactions of others, and nodes that tell of them in their own ways."""

from __future__ import annotations

import asyncio
from typing import Any

import coincurve
import pytest

from appliance.anchors import Reason, Rule, State, Strength, commitment_of, judge
from appliance.anchors.evm import rlp
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.judgement import AnchorRefused
from appliance.box.ledgers.evm import EvmEndpoint
from firmware_tests.anchorer.evm.driving import GWEI, Place
from firmware_tests.anchorer.evm.lying import lying
from firmware_tests.others.evm_nodes import Anvil

FAR_US = 4_000_000_000_000_000


def authorization(chain_id: int) -> dict[str, str]:
    """Of somebody who lets a contract act for him (EIP-7702)."""
    key = coincurve.PrivateKey(bytes([3] * 32))
    digest = keccak256(b"\x05" + rlp.encode([rlp.integer(chain_id), bytes(20), rlp.integer(0)]))
    signature = key.sign_recoverable(digest, None)
    return {
        "chainId": hex(chain_id),
        "address": "0x" + bytes(20).hex(),
        "nonce": "0x0",
        "yParity": hex(signature[64]),
        "r": hex(int.from_bytes(signature[:32], "big")),
        "s": hex(int.from_bytes(signature[32:64], "big")),
    }


def crowd(anvil: Anvil, count: int) -> None:
    """Transactions of others, of four types, into the next block."""
    accounts = anvil("eth_accounts")
    chain_id = int(anvil("eth_chainId"), 16)
    for number in range(count):
        sender, to = accounts[number % 5], accounts[5 + number % 5]
        common = {"from": sender, "to": to, "value": hex(number), "gas": hex(200_000), "input": "0x" + "00ab" * number}
        access = [{"address": to, "storageKeys": ["0x" + "11" * 32, "0x" + bytes(32).hex()]}]
        fees = {"maxFeePerGas": hex(9 * GWEI), "maxPriorityFeePerGas": hex(GWEI)}
        more: dict[str, Any] = [
            {"type": "0x0", "gasPrice": hex(9 * GWEI)},
            {"type": "0x1", "gasPrice": hex(9 * GWEI), "accessList": access},
            {"type": "0x2", **fees, "accessList": access},
            {"type": "0x4", **fees, "authorizationList": [authorization(chain_id)]},
        ][number % 4]
        anvil("eth_sendTransaction", {**common, **more})


@pytest.mark.parametrize("count", [1, 20, 150])
def test_an_anchor_among_others(anvil: Anvil, on_anvil: Place, count: int) -> None:
    anvil("evm_setAutomine", False)

    async def run() -> None:
        driven = on_anvil.driven()
        crowd(anvil, count // 2)
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.SUBMITTED)
        crowd(anvil, count)
        await driven.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anchor.receipt is not None
        judge(anchor.receipt, commitment_of(anchor.checkpoint), on_anvil.profile, now_us=FAR_US)
        await driven.close()
        assert any(
            {"0x0", "0x1", "0x2", "0x4"} <= {one["type"] for one in block["transactions"]} or count < 8
            for block in [anvil("eth_getBlockByNumber", hex(height), True) for height in range(2, 8)]
            if block
        )

    asyncio.run(run())


def test_transactions_of_an_unknown_type_are_asked_for_as_bytes(anvil: Anvil, on_anvil: Place) -> None:
    def unknown(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getBlockByHash":
            for one in answer["result"]["transactions"]:
                one["type"] = "0x7d"
        return answer

    async def run() -> None:
        with lying(anvil.url) as node:
            node.change = unknown
            driven = on_anvil.changed(endpoints=[EvmEndpoint(url=node.url)]).driven()
            anchor = driven.anchor()
            await driven.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
            assert any(method == "eth_getRawTransactionByHash" for method, _ in node.calls)
            await driven.close()

    asyncio.run(run())


def test_where_headers_are_not_of_ethereums_form_the_node_attests(anvil: Anvil, on_anvil: Place) -> None:
    """As of FISCO BCOS: the block's members do not give its hash, and there are no roots to prove under."""

    def other_form(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method.startswith("eth_getBlockBy") and answer.get("result"):
            answer["result"]["stateRoot"] = answer["result"]["transactionsRoot"] = "0x" + "5a" * 32
        return answer

    async def run() -> None:
        with lying(anvil.url) as node:
            node.change = other_form
            through = on_anvil.changed(endpoints=[EvmEndpoint(url=node.url)])
            plain = through.driven()
            stays = plain.anchor()
            await plain.until(lambda: stays.state is State.MINED)
            for _ in range(5):
                anvil("evm_mine")
                await plain.step()
            assert stays.state is State.MINED
            assert "does not give its hash" in stays.causes or "not those of block" in stays.causes
            await plain.close()
            stated = through.ruled(header_hash=HeaderHash.STATED)
            driven = stated.driven()
            driven.anchors = plain.anchors
            await driven.until(lambda: stays.state is State.FINAL, lambda: anvil("evm_mine"))
            assert stays.receipt is not None
            found = judge(stays.receipt, commitment_of(stays.checkpoint), stated.profile, now_us=FAR_US)
            assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
            await driven.close()

    asyncio.run(run())


def test_settings_and_profile_of_two_chains_do_not_start(on_anvil: Place) -> None:
    for place in (
        on_anvil.changed(chain_id=1),
        on_anvil.changed(contract=type(on_anvil.rules.contract)(address=None, shape="calldata")),
    ):
        with pytest.raises(AnchorRefused, match="another chain or contract") as refused:
            place.driven()
        assert refused.value.reason is Reason.RULES_UNREADABLE
