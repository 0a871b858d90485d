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
# The first accounts of the mnemonic that anvil starts with, known to everybody.
FUNDED = PrivateKey(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))
SECOND_FUNDED = PrivateKey(bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"))


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


def deployed(account: Account, shape: Named, legacy: bool = False) -> ContractRules:
    """A contract of this shape on the account's chain."""
    if shape == "calldata":
        return ContractRules(address=None, shape=shape)
    voters = (32).to_bytes(32, "big") * 2 + (1).to_bytes(32, "big") + bytes(12) + account.address
    more = (1).to_bytes(32, "big") + (64).to_bytes(32, "big") + voters[64:] if shape == "evidence" else b""
    name = {"event": "CommitmentAnchors", "evidence": "VotedEvidence", "cmevi": "CmeviEvidence"}[shape]
    return ContractRules(address=account.deploy(built(name) + more, legacy).hex(), shape=shape)


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


def test_the_last_vote_is_the_anchor_whoever_casts_it(anvil: Anvil) -> None:
    account = Account(FUNDED, anvil)
    other = Account(SECOND_FUNDED, anvil)
    voters = (account.address, other.address)
    arguments = b"".join(
        [
            (2).to_bytes(32, "big"),
            (64).to_bytes(32, "big"),
            (2).to_bytes(32, "big"),
            *(bytes(12) + each for each in voters),
        ]
    )
    contract = ContractRules(address=account.deploy(built("VotedEvidence") + arguments).hex(), shape="evidence")
    own = anchor(account, contract, COMMITMENT)
    assert contract.address is not None
    address, shape = bytes.fromhex(contract.address), contract.described
    last = other.send(address, shape.call_data(1, COMMITMENT))
    under = rules(account, contract, NodeAttests(), HeaderHash.ETHEREUM)
    both = msgspec.structs.replace(under, accounts=tuple(each.hex() for each in voters))

    def verdict(name: str, accepted: Rules) -> str:
        try:
            return str(judge(write_proof(make_proof(anvil, name, contract, 0)), COMMITMENT, accepted).strength)
        except AnchorRefused as refused:
            return str(refused.reason)

    assert verdict(own, both) == EvmReason.OTHER_EVENT
    assert verdict(last, both) == Strength.ATTESTED
    assert verdict(last, under) == EvmReason.FOREIGN_ACCOUNT


# From the one whose receipts have a status on.
HARDFORKS = ("byzantium", "istanbul", "berlin", "london", "paris", "shanghai", "cancun", "prague", "osaka")


@pytest.mark.parametrize("hardfork", HARDFORKS)
def test_a_full_block_of_each_fork_is_rebuilt_and_each_of_its_anchors_proved(hardfork: str) -> None:
    node = Anvil("--no-mining", "--hardfork", hardfork)
    try:
        account = Account(FUNDED, node)
        old = HARDFORKS.index(hardfork) < HARDFORKS.index("london")
        contract = ContractRules(address=None, shape="calldata")
        commitments = [hashlib.sha256(bytes([at])).digest() for at in range(20)]
        names = [
            account.submit(account.address, each, legacy=old or at % 3 == 0) for at, each in enumerate(commitments)
        ]
        account.seal()
        check_block(node, "latest")
        block = node("eth_getBlockByNumber", "latest", False)
        assert len(block["transactions"]) == 20
        itself = TrustedHeaders(headers=(TrustedHeader(hash=block["hash"][2:], number=int(block["number"], 16)),))
        under = rules(account, contract, itself, HeaderHash.ETHEREUM)
        for name, commitment in zip(names, commitments, strict=True):
            proof = write_proof(make_proof(node, name, contract, 0))
            assert judge(proof, commitment, under).by is Rule.TRUSTED_HEADER
    finally:
        node.stop()


@pytest.mark.parametrize("hardfork", ["istanbul", "london"])
def test_a_full_block_with_a_clique_seal_is_rebuilt_and_each_of_its_anchors_proved(
    hardfork: str, tmp_path: Path
) -> None:
    chain = CliqueChain(tmp_path, ["0x" + Account.address_of(FUNDED).hex()], hardfork=hardfork)
    try:
        account = Account(FUNDED, chain)
        contract = deployed(account, "event", legacy=hardfork == "istanbul")
        assert contract.address is not None
        commitments = [hashlib.sha256(bytes([at])).digest() for at in range(20)]
        names = [
            account.submit(
                bytes.fromhex(contract.address),
                contract.described.call_data(0, each),
                legacy=hardfork == "istanbul" or at % 3 == 0,
            )
            for at, each in enumerate(commitments)
        ]
        chain.seal(2)
        for number in (1, 2, 3):
            check_block(chain.nodes[0], hex(number))
        members = tuple(sorted(signer[2:] for signer in chain.signers))
        listed = Validators(sets=(ValidatorSet(addresses=members, from_block=0),))
        under = rules(account, contract, listed, HeaderHash.CLIQUE, depth=1)
        for name, commitment in zip(names, commitments, strict=True):
            proof = write_proof(make_proof(chain.nodes[0], name, contract, 1))
            assert judge(proof, commitment, under).by is Rule.VALIDATOR_SEALS
    finally:
        chain.stop()


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
        for _ in range(account.nonce - 1):
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
