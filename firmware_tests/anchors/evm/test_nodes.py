"""Anchors on real nodes: what they make of blocks is what we make of them, and their receipts are judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import msgspec
import pytest
from coincurve import PrivateKey

from appliance.anchors import AnchorRefused, Judgement, Reason, Rule, Strength
from appliance.anchors.evm import abi
from appliance.anchors.evm.headers import HeaderHash, read_header
from appliance.anchors.evm.judge import judge
from appliance.anchors.evm.proof import write_proof
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.rules import (
    Consensus,
    ContractRules,
    NodeAttests,
    Rules,
    TrustedHeader,
    TrustedHeaders,
    Validators,
    ValidatorSet,
)
from appliance.anchors.evm.seals import clique_signer
from appliance.anchors.evm.shapes import Named
from appliance.anchors.evm.trie import Trie
from firmware_tests.anchors.evm.nodes import Account, built, header_of, make_proof, raw_transactions, receipts
from firmware_tests.others.evm_nodes import Anvil, CliqueChain, Node
from firmware_tests.others.npm import node as npm

COMMITMENT = hashlib.sha256(b"the text of a checkpoint").digest()
# The first account of the mnemonic that anvil starts with, known to everybody.
FUNDED = PrivateKey(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    node = Anvil("--no-mining")
    yield node
    node.stop()


@pytest.fixture(scope="module")
def clique(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliqueChain]:
    account = Account.address_of(FUNDED)
    chain = CliqueChain(tmp_path_factory.mktemp("clique"), ["0x" + account.hex()])
    yield chain
    chain.stop()


def rules(chain: Account, contract: ContractRules, consensus: Consensus, rule: HeaderHash, depth: int = 0) -> Rules:
    return Rules(
        accounts=(chain.address.hex(),),
        chain_id=chain.chain_id,
        consensus=consensus,
        contract=contract,
        depth=depth,
        genesis=chain.node("eth_getBlockByNumber", "0x0", False)["hash"][2:],
        header_hash=rule,
    )


def check_block(node: Node, number: str) -> None:
    """The block's hash and both its roots come out of what it holds."""
    block = node("eth_getBlockByNumber", number, False)
    header = read_header(header_of(block))
    assert "0x" + header.hash(HeaderHash.ETHEREUM).hex() == block["hash"]
    assert Trie.of_list(raw_transactions(node, block)).root == header.transactions_root
    assert Trie.of_list(receipts(node, block)).root == header.receipts_root


def deployed(account: Account, shape: Named) -> ContractRules:
    """A contract of this shape on the account's chain."""
    if shape == "calldata":
        return ContractRules(address=None, shape=shape)
    voters = (32).to_bytes(32, "big") * 2 + (1).to_bytes(32, "big") + bytes(12) + account.address
    more = (1).to_bytes(32, "big") + (64).to_bytes(32, "big") + voters[64:] if shape == "evidence" else b""
    name = {"event": "CommitmentAnchors", "evidence": "VotedEvidence", "cmevi": "CmeviEvidence"}[shape]
    return ContractRules(address=account.deploy(built(name) + more).hex(), shape=shape)


def anchor(account: Account, contract: ContractRules, commitment: bytes, legacy: bool = False) -> str:
    """Make an anchor; the transaction in which its commitment is found."""
    to = account.address if contract.address is None else bytes.fromhex(contract.address)
    steps = range(contract.described.steps)
    return [account.send(to, contract.described.call_data(step, commitment), legacy) for step in steps][-1]


SHAPES: list[Named] = ["calldata", "cmevi", "event", "evidence"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("legacy", [False, True], ids=["fee market", "legacy"])
def test_an_anchor_of_each_shape_on_anvil_is_attested(anvil: Anvil, shape: Named, legacy: bool) -> None:
    account = Account(FUNDED, anvil)
    contract = deployed(account, shape)
    commitment = hashlib.sha256(f"{shape} {legacy}".encode()).digest()
    name = anchor(account, contract, commitment, legacy)
    check_block(anvil, "latest")
    proof = make_proof(anvil, name, contract, 0)
    found = judge(write_proof(proof), commitment, rules(account, contract, NodeAttests(), HeaderHash.ETHEREUM))
    assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
    block = anvil("eth_getBlockByNumber", "latest", False)
    assert found.place == f"block {int(block['number'], 16)} ({block['hash']})"
    assert found.time_us == int(block["timestamp"], 16) * 1_000_000
    with pytest.raises(AnchorRefused) as refused:
        judge(write_proof(proof), COMMITMENT, rules(account, contract, NodeAttests(), HeaderHash.ETHEREUM))
    assert refused.value.reason is Reason.OTHER_COMMITMENT


def test_a_trusted_header_proves_an_anchor_on_anvil_and_contradicts_one_after_a_reorganisation(anvil: Anvil) -> None:
    account = Account(FUNDED, anvil)
    contract = deployed(account, "event")
    name = anchor(account, contract, COMMITMENT)
    anvil("anvil_mine", "0x5")
    block = anvil("eth_getBlockByHash", anvil("eth_getTransactionReceipt", name)["blockHash"], False)
    trusted = anvil("eth_getBlockByNumber", hex(int(block["number"], 16) + 4), False)
    known = TrustedHeaders(headers=(TrustedHeader(hash=trusted["hash"][2:], number=int(trusted["number"], 16)),))
    under = rules(account, contract, known, HeaderHash.ETHEREUM, depth=1)
    reaching, short = (make_proof(anvil, name, contract, count) for count in (5, 3))
    assert judge(write_proof(reaching), COMMITMENT, under).by is Rule.TRUSTED_HEADER
    assert judge(write_proof(short), COMMITMENT, under).strength is Strength.ATTESTED
    itself = TrustedHeaders(headers=(TrustedHeader(hash=block["hash"][2:], number=int(block["number"], 16)),))
    alone = make_proof(anvil, name, contract, 0)
    assert (
        judge(write_proof(alone), COMMITMENT, msgspec.structs.replace(under, consensus=itself)).by
        is Rule.TRUSTED_HEADER
    )
    # The chain goes another way from before the trusted block on: it is not the one that the profile knows.
    anvil("anvil_reorg", 3, [])
    anvil("anvil_mine", "0x3")
    other = make_proof(anvil, name, contract, 5)
    with pytest.raises(AnchorRefused) as refused:
        judge(write_proof(other), COMMITMENT, under)
    assert refused.value.reason is EvmReason.CONTRADICTS_TRUSTED_HEADER


def test_a_failed_transaction_anchors_nothing(anvil: Anvil) -> None:
    account = Account(FUNDED, anvil)
    contract = deployed(account, "cmevi")
    anchor(account, contract, COMMITMENT)
    again = anchor(account, contract, COMMITMENT)  # the contract takes each hash once
    assert anvil("eth_getTransactionReceipt", again)["status"] == "0x0"
    with pytest.raises(AnchorRefused) as refused:
        judge(
            write_proof(make_proof(anvil, again, contract, 0)),
            COMMITMENT,
            rules(account, contract, NodeAttests(), HeaderHash.ETHEREUM),
        )
    assert refused.value.reason is EvmReason.FAILED_TRANSACTION


def test_contracts_tell_what_they_hold(anvil: Anvil) -> None:
    account = Account(FUNDED, anvil)
    for shape in ("evidence", "cmevi"):
        contract = deployed(account, shape)
        read = contract.described.read
        assert read is not None
        assert contract.address is not None
        address = bytes.fromhex(contract.address)
        anchor(account, contract, COMMITMENT)
        assert read.tells(account.call(address, read.data(COMMITMENT)), COMMITMENT)
        assert not read.tells(bytes(32), COMMITMENT)


def test_evidence_needs_its_votes(anvil: Anvil) -> None:
    account = Account(FUNDED, anvil)
    contract = deployed(account, "evidence")
    assert contract.address is not None
    address, shape = bytes.fromhex(contract.address), contract.described
    asked = account.send(address, shape.call_data(0, COMMITMENT))
    under = rules(account, contract, NodeAttests(), HeaderHash.ETHEREUM)
    with pytest.raises(AnchorRefused) as refused:
        judge(write_proof(make_proof(anvil, asked, contract, 0)), COMMITMENT, under)
    assert refused.value.reason is EvmReason.OTHER_EVENT
    voted = account.send(address, shape.call_data(1, COMMITMENT))
    assert judge(write_proof(make_proof(anvil, voted, contract, 0)), COMMITMENT, under).strength is Strength.ATTESTED
    again = account.send(address, shape.call_data(1, COMMITMENT))
    assert anvil("eth_getTransactionReceipt", again)["status"] == "0x0"


def test_clique_seals_prove_an_anchor(clique: CliqueChain) -> None:
    account = Account(FUNDED, clique)
    contract = deployed(account, "event")
    name = anchor(account, contract, COMMITMENT)
    clique.seal(6)
    node = clique.nodes[0]
    for number in range(1, node.height + 1):
        check_block(node, hex(number))
        header = read_header(header_of(node("eth_getBlockByNumber", hex(number), False)))
        assert "0x" + clique_signer(header).hex() == node("test_signer", hex(number))
    members = tuple(sorted(signer[2:] for signer in clique.signers))
    listed = Validators(sets=(ValidatorSet(addresses=members, from_block=0),))

    def judged(on_top: int, consensus: Consensus, depth: int = 0) -> Judgement:
        under = rules(account, contract, consensus, HeaderHash.CLIQUE, depth)
        return judge(write_proof(make_proof(node, name, contract, on_top)), COMMITMENT, under)

    found = judged(6, listed, depth=6)
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.VALIDATOR_SEALS)
    assert judged(1, listed).strength is Strength.PROVEN
    for on_top, consensus, depth, reason in (
        (0, listed, 0, EvmReason.TOO_FEW_SEALS),
        (2, listed, 3, EvmReason.NOT_DEEP_ENOUGH),
        (6, Validators(sets=(ValidatorSet(addresses=members[:2], from_block=0),)), 0, EvmReason.FOREIGN_SEAL),
        (6, Validators(sets=(ValidatorSet(addresses=members, from_block=10**6),)), 0, EvmReason.NO_VALIDATORS),
    ):
        with pytest.raises(AnchorRefused) as refused:
            judged(on_top, consensus, depth)
        assert refused.value.reason is reason


def test_a_chain_with_the_same_id_and_another_genesis_is_another_chain(clique: CliqueChain, tmp_path: Path) -> None:
    account = Account(FUNDED, clique)
    contract = deployed(account, "event")
    other = CliqueChain(tmp_path, ["0x" + account.address.hex()], timestamp=1_600_000_000)
    try:
        there = Account(FUNDED, other)
        # The same account in the same state creates its contract at the same address.
        for _ in range(int(account.node("eth_getTransactionCount", "0x" + account.address.hex(), "latest"), 16) - 1):
            there.send(account.address, b"")
        assert deployed(there, "event") == contract
        name = anchor(there, contract, COMMITMENT)
        other.seal(3)
        members = tuple(sorted(signer[2:] for signer in clique.signers))
        listed = Validators(sets=(ValidatorSet(addresses=members, from_block=0),))
        under = rules(account, contract, listed, HeaderHash.CLIQUE)
        with pytest.raises(AnchorRefused) as refused:
            judge(write_proof(make_proof(other.nodes[0], name, contract, 3)), COMMITMENT, under)
        assert refused.value.reason is EvmReason.WRONG_GENESIS
    finally:
        other.stop()


def test_the_committed_bytecode_is_what_the_sources_give() -> None:
    room = Path(str(resources.files("appliance.anchors.evm").joinpath("contracts")))
    assert json.loads((room / "built.json").read_text()) == npm("build-contracts.mjs", str(room))


def test_shapes_name_functions_and_events_that_the_contracts_have() -> None:
    room = resources.files("appliance.anchors.evm").joinpath("contracts")
    contracts = json.loads(room.joinpath("built.json").read_text())["contracts"]
    for shape, name in (("event", "CommitmentAnchors"), ("evidence", "VotedEvidence"), ("cmevi", "CmeviEvidence")):
        described = ContractRules(address="00" * 20, shape=shape).described
        members = {
            (entry["type"], f"{entry['name']}({','.join(each['type'] for each in entry['inputs'])})"): entry
            for entry in contracts[name]["abi"]
            if "name" in entry
        }
        for call in (*described.calls, described.read):
            assert call is None or ("function", call.function) in members
        event = described.event
        assert event is not None
        inputs = members["event", event.signature]["inputs"]
        assert event.indexed == tuple(at for at, each in enumerate(inputs) if each["indexed"])
        assert abi.parameter_types(event.signature) == tuple(each["type"] for each in inputs)
