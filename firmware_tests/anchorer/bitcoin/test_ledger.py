"""Anchors on a real node: from due to final, and what a person with the node's own tools finds there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.anchors import Rule, State, Strength
from appliance.anchors.bitcoin.opentimestamps import ots_file
from appliance.anchors.bitcoin.proof import BitcoinProof
from appliance.anchors.bitcoin.txout_proof import txout_proof
from firmware_tests.anchorer.bitcoin.stage import REGTEST, Stage, anchors_in
from firmware_tests.others.litecoin import LitecoinNode


def test_an_anchor_goes_through_its_states_and_ends_final(node: LitecoinNode, stage: Stage) -> None:
    number = stage.due()
    stage.step()
    assert stage.state(number) is State.SUBMITTED
    assert node.cli("getrawmempool") == []  # signed and stored; nothing was sent in that step
    stage.step()
    sent = node.cli("getrawmempool")
    assert len(sent) == 1
    node.mine()
    stage.step()
    assert stage.state(number) is State.MINED
    node.mine(2)
    stage.step()
    assert stage.state(number) is State.FINAL
    found = stage.judge(number)
    assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
    assert anchors_in(node, stage) == {stage.work[number].commitment: sent}


def final(node: LitecoinNode, stage: Stage) -> BitcoinProof:
    """The proof of an anchor that has become final among other transactions."""
    number = stage.due()
    stage.until(lambda: bool(node.cli("getrawmempool")))
    for _ in range(4):
        node.cli("sendtoaddress", node.cli("getnewaddress"), "0.5")
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    return msgspec.json.decode(bytes(stage.receipts[number].proof), type=BitcoinProof)


def test_the_nodes_own_tools_find_what_the_receipt_says(node: LitecoinNode, stage: Stage) -> None:
    proof = final(node, stage)
    transaction = node.cli("decoderawtransaction", proof.transaction)
    assert proof.count == 6
    data, change = transaction["vout"]
    assert data["scriptPubKey"]["asm"] == f"OP_RETURN {stage.work[1].commitment.hex()}"
    assert data["value"] == 0
    assert change["scriptPubKey"]["addresses"] == [stage.address]
    assert node.cli("verifytxoutproof", txout_proof(proof).hex()) == [transaction["txid"]]
    block = proof.chain()[0].hash[::-1].hex()
    assert txout_proof(proof).hex() == node.cli("gettxoutproof", f'["{transaction["txid"]}"]', block)


def test_a_damaged_proof_is_refused_by_the_node_as_well(node: LitecoinNode, stage: Stage) -> None:
    encoded = bytearray(txout_proof(final(node, stage)))
    encoded[90] ^= 1
    assert node.cli("verifytxoutproof", encoded.hex()) == []


def test_the_anchor_as_ots_file_leads_to_the_block_of_the_node(
    node: LitecoinNode, stage: Stage, tmp_path: Path
) -> None:
    proof = final(node, stage)
    text = stage.work[1].checkpoint.partition(b"\n\n")[0] + b"\n"
    (tmp_path / "head").write_bytes(text)
    (tmp_path / "head.ots").write_bytes(ots_file(proof, stage.work[1].commitment, "scrypt"))
    told = subprocess.run(
        (str(Path(sys.executable).parent / "ots"), "--no-bitcoin", "info", str(tmp_path / "head.ots")),
        capture_output=True, text=True, check=True, timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin"},
    ).stdout  # fmt: skip
    height = int(told.partition("LitecoinBlockHeaderAttestation(")[2].partition(")")[0])
    header = node.cli("getblockheader", node.cli("getblockhash", str(height)))
    assert f"# Litecoin block merkle root {header['merkleroot']}" in told
    assert header["time"] * 1_000_000 == stage.judge(1).time_us


def test_only_the_newest_of_several_heads_is_anchored(node: LitecoinNode, stage: Stage) -> None:
    numbers = [stage.due() for _ in range(5)]
    stage.until(lambda: stage.state(numbers[-1]) is State.FINAL, node.mine)
    assert {stage.state(one) for one in numbers[:-1]} == {State.SUPERSEDED}
    assert list(anchors_in(node, stage)) == [stage.work[numbers[-1]].commitment]


def test_anchors_follow_one_another_on_unconfirmed_change_and_no_further_than_allowed(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    stage = make(node, unconfirmed=3)
    node.pay(stage.address, ("1",))
    node.mine(3)
    numbers = []
    for _ in range(5):
        numbers.append(stage.due())
        for _ in range(3):
            stage.step()
    assert [stage.state(one) for one in numbers] == [State.SUBMITTED] * 3 + [None] * 2
    waiting = node.cli("getrawmempool", "true")
    assert sorted(one["ancestorcount"] for one in waiting.values()) == [1, 2, 3]
    stage.until(lambda: stage.state(numbers[-1]) is State.FINAL, node.mine)
    assert stage.state(numbers[3]) is State.SUPERSEDED
    assert all(len(sent) == 1 for sent in anchors_in(node, stage).values())


def test_a_profile_that_asks_for_work_waits_for_it(node: LitecoinNode, make: Callable[..., Stage]) -> None:
    """Ten headers of two hashes each: final comes with the tenth, though three would be deep enough."""
    stage = make(node, rules=msgspec.structs.replace(REGTEST, least_work=f"{20:x}"))
    node.pay(stage.address, ("1",))
    node.mine(3)
    number = stage.due()
    stage.until(lambda: stage.state(number) is State.MINED, node.mine)
    while stage.state(number) is State.MINED:
        node.mine()
        stage.step()
    proof = msgspec.json.decode(bytes(stage.receipts[number].proof), type=BitcoinProof)
    assert len(proof.chain()) == 10
    found = stage.judge(number)
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.PROOF_OF_WORK)


def test_an_account_without_coins_is_told_and_works_once_it_is_paid(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    stage = make(node)
    number = stage.due()
    stage.step()
    assert stage.state(number) is None
    assert stage.told[number][-1][1].startswith(stage.address)
    node.pay(stage.address, ("0.00004", "0.00003"))
    node.mine(3)
    stage.step()
    assert stage.state(number) is None
    node.pay(stage.address, ("0.00007", "0.00006"))
    stage.step()
    assert stage.state(number) is None  # paid, but not yet as deep as finality
    node.mine(2)
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert len(stage.desk.signed[0].inputs) > 1
