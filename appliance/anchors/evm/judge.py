"""What a receipt of an EVM chain proves of a commitment. Pure; a hostile one costs no more than 100 ms and 16 MiB."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.anchors.evm import trie
from appliance.anchors.evm.consensus import check_clique, check_committed, find_trusted, link
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.finding import find
from appliance.anchors.evm.headers import Header, HeaderHash, read_header
from appliance.anchors.evm.proof import Proof, StatedBlock, read_proof
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.receipts import TransactionReceipt, read_receipt
from appliance.anchors.evm.rules import NodeAttests, Rules, TrustedHeaders, Validators
from appliance.anchors.evm.transactions import SignedTransaction, read_transaction
from appliance.anchors.evm.trie import NotInTrie, index_key
from appliance.anchors.judgement import NOTHING_KNOWN, AnchorRefused, Judgement, Known, Reason, Rule, Strength

__all__ = ["Rules", "judge"]

_US = 1_000_000
_SEALS_RELY_ON = (("ecdsa", 256),)
"""secp256k1. Keccak-256, by which blocks name each other, has no name in a trust bundle."""


def judge(proof: bytes, commitment: bytes, rules: Rules, _known: Known = NOTHING_KNOWN) -> Judgement:
    """What the proof shows of a commitment (32 bytes) under a chain's rules. Raises AnchorRefused."""
    read = read_proof(proof)
    try:
        return _judge(read, commitment, rules)
    except MalformedChainData as error:
        raise AnchorRefused(Reason.MALFORMED, str(error)) from None


def _judge(proof: Proof, commitment: bytes, rules: Rules) -> Judgement:
    if proof.genesis != rules.genesis:
        raise AnchorRefused(EvmReason.WRONG_GENESIS, f"the node's first block was {proof.genesis}, not {rules.genesis}")
    if proof.contract != rules.contract:
        raise AnchorRefused(EvmReason.OTHER_CONTRACT, "the receipt names another contract than the profile")
    signed = read_transaction(bytes.fromhex(proof.transaction))
    _check_account(signed, rules)
    receipt = read_receipt(bytes.fromhex(proof.receipt))
    if isinstance(proof.block, StatedBlock):
        return _judge_stated(proof, proof.block, signed, receipt, commitment, rules)
    headers = [read_header(bytes.fromhex(each)) for each in (proof.block, *proof.headers)]
    hashes = link(headers, rules.header_hash)
    _check_in_block(proof, headers[0])
    find(rules.contract, signed, receipt, commitment)
    return _by_consensus(headers, hashes, rules)


def _check_account(signed: SignedTransaction, rules: Rules) -> None:
    chain_id = signed.transaction.chain_id
    if chain_id != rules.chain_id:
        raise AnchorRefused(EvmReason.WRONG_CHAIN_ID, f"the transaction is for chain {chain_id}, not {rules.chain_id}")
    if signed.sender.hex() not in rules.accounts:
        raise AnchorRefused(EvmReason.FOREIGN_ACCOUNT, f"the transaction is of {signed.sender.hex()}")


def _check_in_block(proof: Proof, header: Header) -> None:
    key = index_key(proof.index)
    for said, root, nodes, held, reason in (
        (
            "transaction",
            header.transactions_root,
            proof.transaction_proof,
            proof.transaction,
            EvmReason.TRANSACTION_NOT_IN_BLOCK,
        ),
        ("receipt", header.receipts_root, proof.receipt_proof, proof.receipt, EvmReason.RECEIPT_NOT_IN_BLOCK),
    ):
        try:
            found = trie.prove(root, key, [bytes.fromhex(node) for node in nodes])
        except NotInTrie as error:
            raise AnchorRefused(reason, f"the {said} is not in the block: {error}") from None
        if found != bytes.fromhex(held):
            raise AnchorRefused(reason, f"another {said} stands in the block at index {proof.index}")


def _judge_stated(
    proof: Proof,
    block: StatedBlock,
    signed: SignedTransaction,
    receipt: TransactionReceipt,
    commitment: bytes,
    rules: Rules,
) -> Judgement:
    if rules.header_hash is not HeaderHash.STATED:
        raise AnchorRefused(EvmReason.NO_HEADER, "the receipt has no header of the block, only what a node says of it")
    if proof.headers or proof.receipt_proof or proof.transaction_proof:
        raise AnchorRefused(Reason.MALFORMED, "proofs, from a chain whose headers are not of Ethereum's form")
    find(rules.contract, signed, receipt, commitment)
    return Judgement(
        strength=Strength.ATTESTED,
        by=Rule.NODE,
        time_us=block.timestamp * _US,
        place=f"block {block.number} (0x{block.hash})",
        notes=(
            "The transaction is signed by the account; that it is in the block, and when that was, is the node's word.",
        ),
    )


def _by_consensus(headers: Sequence[Header], hashes: Sequence[bytes], rules: Rules) -> Judgement:
    strength, by, note = _strength(headers, hashes, rules)
    on_top = len(headers) - 1
    if by is not Rule.TRUSTED_HEADER and on_top < rules.depth:
        raise AnchorRefused(EvmReason.NOT_DEEP_ENOUGH, f"{on_top} blocks stand on the anchor's, not {rules.depth}")
    return Judgement(
        strength=strength,
        by=by,
        time_us=headers[0].timestamp * _US,
        place=f"block {headers[0].number} (0x{hashes[0].hex()})",
        notes=(note,),
        relies_on=_SEALS_RELY_ON if by is Rule.VALIDATOR_SEALS else (),
    )


def _strength(headers: Sequence[Header], hashes: Sequence[bytes], rules: Rules) -> tuple[Strength, Rule, str]:
    match rules.consensus:
        case Validators() as validators if rules.header_hash is HeaderHash.CLIQUE:
            count = check_clique(headers, validators)
            return Strength.PROVEN, Rule.VALIDATOR_SEALS, f"{count} signers stand behind the block."
        case Validators() as validators:
            count = check_committed(headers[0], rules.header_hash, validators)
            return Strength.PROVEN, Rule.VALIDATOR_SEALS, f"{count} validators committed to the block."
        case TrustedHeaders() as trusted:
            number = find_trusted(headers, hashes, trusted)
            if number is not None:
                what = "is this block" if number == headers[0].number else "descends from this block"
                return Strength.PROVEN, Rule.TRUSTED_HEADER, f"Block {number}, which the profile trusts, {what}."
            return Strength.ATTESTED, Rule.NODE, "No block that the profile trusts descends from this one."
        case NodeAttests():
            return Strength.ATTESTED, Rule.NODE, "That the block is the chain's is the node's word."
