"""A table of receipts' proofs, honest and damaged, each with the verdict that every verifier must come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.anchors import Reason
from appliance.anchors.evm import rlp
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.proof import Proof, StatedBlock
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.receipts import Log, TransactionReceipt
from appliance.anchors.evm.rules import ContractRules, NodeAttests, Rules, TrustedHeaders
from appliance.anchors.evm.shapes import Call, Event, Shape
from appliance.anchors.evm.trie import Trie, index_key
from firmware_tests.anchors.evm.chains import (
    ACCOUNT,
    COMMITMENT,
    CONTRACT,
    NUMBER,
    OTHER_COMMITMENT,
    VALIDATORS,
    Anchor,
    Chain,
    address,
    event_log,
    listed,
    proof,
    raw_transaction,
    rules,
    trusted,
)

CLIQUE, IBFT2, QBFT, ETHEREUM, STATED = (
    HeaderHash.CLIQUE,
    HeaderHash.IBFT2,
    HeaderHash.QBFT,
    HeaderHash.ETHEREUM,
    HeaderHash.STATED,
)
SEALED = (CLIQUE, IBFT2, QBFT)
FOREIGN = 555
"""A key that nobody listed."""


@dataclass(frozen=True)
class Case:
    """A proof under rules. `verdict`: a Strength, or the Reason of its refusal."""

    name: str
    proof: Proof
    rules: Rules
    verdict: str
    commitment: bytes = COMMITMENT


def changed(value: Any, **members: Any) -> Any:
    """A msgspec Struct with other members."""
    return msgspec.structs.replace(value, **members)


def flipped(text: str, place: int = -1) -> str:
    """Hexadecimal with one bit of one byte changed."""
    data = bytearray.fromhex(text)
    data[place] ^= 1
    return data.hex()


def honest(rule: HeaderHash, on_top: int = 3) -> Proof:
    return proof(Chain(rule), on_top=on_top)


def cases() -> list[Case]:
    """The whole table."""
    found = [Case(f"honest, {rule}", honest(rule), rules(rule), "proven") for rule in SEALED]
    found.append(Case("honest, no seals", honest(ETHEREUM), rules(ETHEREUM), "attested"))
    found.append(Case("honest, trust in nobody", honest(CLIQUE), rules(CLIQUE, trust=NodeAttests()), "attested"))
    found += _shapes() + _mixed_up() + _logs() + _seals() + _chains() + _stated()
    return found


def _shapes() -> list[Case]:
    data = ContractRules(address=None, shape="calldata")
    elsewhere = ContractRules(address=CONTRACT.hex(), shape="calldata")
    own = Shape(
        calls=(Call(arguments=("text:seal", "commitment"), function="keep(string,bytes)"),),
        event=Event(commitment=2, indexed=(1,), signature="Kept(string,address,string)"),
    )
    kept = ContractRules(address=CONTRACT.hex(), shape=own)
    text = COMMITMENT.hex().encode()
    words = [(64).to_bytes(32, "big"), (128).to_bytes(32, "big"), (4).to_bytes(32, "big"), b"seal".ljust(32, b"\0")]
    written = b"".join(words) + (64).to_bytes(32, "big") + text
    assert own.event is not None
    log = Log(CONTRACT, (own.event.topic, bytes(12) + address(ACCOUNT)), written)
    cut = Log(CONTRACT, log.topics, written[:-1])
    away = Log(CONTRACT, log.topics, words[0] + bytes([255]) * 32 + b"".join(words[2:]))
    made = [
        Case(f"call data to {said}", proof(Chain(CLIQUE), Anchor(contract)), rules(CLIQUE, contract), "proven")
        for said, contract in (("the account itself", data), ("an address", elsewhere))
    ]
    moved = changed(proof(Chain(CLIQUE), Anchor(data)), contract=elsewhere)
    made.append(Case("call data to another address", moved, rules(CLIQUE, elsewhere), EvmReason.OTHER_CONTRACT))
    calls = (
        Call(arguments=("commitment",), function="ask(bytes32)"),
        Call(arguments=("commitment",), function="keep(bytes32)"),
    )
    twice = ContractRules(address=CONTRACT.hex(), shape=Shape(calls=calls))
    last, first = proof(Chain(CLIQUE), Anchor(twice)), proof(Chain(CLIQUE), Anchor(twice, step=0))
    made.append(Case("the last of two calls", last, rules(CLIQUE, twice), "proven"))
    made.append(Case("the first of two calls", first, rules(CLIQUE, twice), Reason.OTHER_COMMITMENT))
    failed = proof(Chain(CLIQUE), Anchor(data, status=0))
    made.append(Case("call data that failed", failed, rules(CLIQUE, data), EvmReason.FAILED_TRANSACTION))
    strange = proof(Chain(CLIQUE), Anchor(data, OTHER_COMMITMENT))
    made.append(Case("call data of another log", strange, rules(CLIQUE, data), Reason.OTHER_COMMITMENT))
    for said, each, verdict in (
        ("a text in an event of one's own", log, "proven"),
        ("a text in an event that is cut short", cut, Reason.OTHER_COMMITMENT),
        ("a text in an event that points away", away, Reason.OTHER_COMMITMENT),
    ):
        made.append(Case(said, proof(Chain(CLIQUE), Anchor(kept, logs=(each,))), rules(CLIQUE, kept), str(verdict)))
    return made


def _mixed_up() -> list[Case]:
    good, other = honest(CLIQUE), proof(Chain(CLIQUE), Anchor(commitment=OTHER_COMMITMENT))
    under = rules(CLIQUE)
    not_there, no_receipt = EvmReason.TRANSACTION_NOT_IN_BLOCK, EvmReason.RECEIPT_NOT_IN_BLOCK
    raw = raw_transaction(ACCOUNT, CONTRACT, b"", nonce=9)
    success = TransactionReceipt(2, 1, 100_000, (event_log(),)).encode().hex()
    failed = proof(Chain(CLIQUE), Anchor(status=0))
    another = Trie.of_list([raw])
    assert another.root
    alone = tuple(each.hex() for each in another.proof(index_key(0)))
    nodes, first = good.receipt_proof, good.headers[0]
    with_proof = changed(good, receipt=other.receipt, receipt_proof=other.receipt_proof)
    own_proof = changed(good, transaction=raw.hex(), transaction_proof=alone, index=0)
    exchanged = changed(good, receipt_proof=good.transaction_proof, transaction_proof=nodes)
    table: list[tuple[str, Proof, str]] = [
        ("another log's commitment", other, Reason.OTHER_COMMITMENT),
        ("the receipt of another block", changed(good, receipt=other.receipt), no_receipt),
        ("the receipt and proof of another block", with_proof, no_receipt),
        ("the transaction of another block", changed(good, transaction=other.transaction), not_there),
        ("a transaction that no block has", changed(good, transaction=raw.hex()), not_there),
        ("a transaction with a proof of its own", own_proof, not_there),
        ("the index of another", changed(good, index=16), not_there),
        ("a large index", changed(good, index=2**32 - 1), not_there),
        ("no proof of the transaction", changed(good, transaction_proof=()), not_there),
        ("no proof of the receipt", changed(good, receipt_proof=()), no_receipt),
        ("a proof cut short", changed(good, receipt_proof=nodes[:-1]), no_receipt),
        ("a proof with a node too many", changed(good, receipt_proof=(*nodes, nodes[0])), no_receipt),
        ("a node changed", changed(good, receipt_proof=(flipped(nodes[0]), *nodes[1:])), no_receipt),
        ("proofs exchanged", exchanged, not_there),
        ("a success that was a failure", changed(failed, receipt=success), no_receipt),
        ("a failure", failed, EvmReason.FAILED_TRANSACTION),
        ("a transaction of another account", proof(Chain(CLIQUE), Anchor(sender=FOREIGN)), EvmReason.FOREIGN_ACCOUNT),
        ("a transaction for another chain", proof(Chain(CLIQUE), Anchor(chain_id=1)), EvmReason.WRONG_CHAIN_ID),
        ("another genesis", changed(good, genesis="00" * 32), EvmReason.WRONG_GENESIS),
        ("a transaction cut short", changed(good, transaction=good.transaction[:-2]), Reason.MALFORMED),
        ("a receipt cut short", changed(good, receipt=good.receipt[:-2]), Reason.MALFORMED),
        ("a header cut short", changed(good, block=str(good.block)[:-2]), Reason.MALFORMED),
        ("a header on top cut short", changed(good, headers=(first[:-2], *good.headers[1:])), Reason.MALFORMED),
        ("an empty transaction", changed(good, transaction=""), Reason.MALFORMED),
        ("an empty receipt", changed(good, receipt=""), Reason.MALFORMED),
        ("an empty header", changed(good, block=""), Reason.MALFORMED),
    ]  # fmt: skip
    made = [Case(name, each, under, str(verdict)) for name, each, verdict in table]
    named = changed(good, contract=ContractRules(address="11" * 20, shape="event"))
    made.append(Case("a receipt that names another contract", named, under, EvmReason.OTHER_CONTRACT))
    elsewhere = ContractRules(address="11" * 20, shape="event")
    made.append(Case("a profile of another contract", good, rules(CLIQUE, elsewhere), EvmReason.OTHER_CONTRACT))
    return made


def _logs() -> list[Case]:
    topic = event_log().topics[0]
    displaced = Log(CONTRACT, (topic, bytes(32), COMMITMENT), b"")
    beside = Log(CONTRACT, (topic, bytes(32), bytes(32)), COMMITMENT)
    table: list[tuple[str, tuple[Log, ...], str]] = [
        ("no log", (), EvmReason.OTHER_CONTRACT),
        ("a log of another contract", (event_log(contract=b"\x09" * 20),), EvmReason.OTHER_CONTRACT),
        ("another event of the contract", (Log(CONTRACT, (b"\x01" * 32, COMMITMENT), b""),), EvmReason.OTHER_EVENT),
        ("a log without topics", (Log(CONTRACT, (), topic + COMMITMENT),), EvmReason.OTHER_EVENT),
        ("a topic too few", (Log(CONTRACT, (topic, COMMITMENT), b""),), Reason.OTHER_COMMITMENT),
        ("the commitment in another topic", (displaced,), Reason.OTHER_COMMITMENT),
        ("the commitment in the data", (beside,), Reason.OTHER_COMMITMENT),
        ("two commitments", (event_log(OTHER_COMMITMENT), event_log()), "proven"),
        ("another contract's event, and the contract's own", (event_log(contract=b"\x09" * 20), event_log()), "proven"),
    ]  # fmt: skip
    return [
        Case(name, proof(Chain(CLIQUE), Anchor(logs=logs)), rules(CLIQUE), str(verdict))
        for name, logs, verdict in table
    ]


def _seals() -> list[Case]:
    made: list[Case] = []

    def add(name: str, chain: Chain, verdict: str, under: Rules | None = None, on_top: int = 3) -> None:
        made.append(
            Case(f"{name}, {chain.rule}", proof(chain, on_top=on_top), under or rules(chain.rule), str(verdict))
        )

    add("several blocks in a second", Chain(CLIQUE, interval=0), "proven")
    for rule in SEALED:
        add("blocks older than their parents", Chain(rule, interval=-1), EvmReason.BROKEN_CHAIN)
    add("a foreign signer", Chain(CLIQUE, (101, 102, FOREIGN, 104)), EvmReason.FOREIGN_SEAL)
    add("a signer twice in a row", Chain(CLIQUE, (101, 101, 102, 103)), EvmReason.REPEATED_SEAL)
    add("a signer before its turn", Chain(CLIQUE, (101, 102, 101, 103)), EvmReason.REPEATED_SEAL)
    add("two signers of four", Chain(CLIQUE), EvmReason.TOO_FEW_SEALS, changed(rules(CLIQUE), depth=0), on_top=1)
    add("three signers of four", Chain(CLIQUE), "proven", on_top=2)
    many = tuple(range(201, 210))
    nine = changed(rules(CLIQUE), consensus=listed((0, many)))
    add("five signers of nine", Chain(CLIQUE, many), "proven", nine, on_top=4)
    add("four signers of nine", Chain(CLIQUE, many), EvmReason.TOO_FEW_SEALS, nine, on_top=3)
    early = (201, 202, 203, 201, 204, 205, 206)
    add("one of nine three blocks later", Chain(CLIQUE, early), EvmReason.REPEATED_SEAL, nine, on_top=6)
    again = (201, 202, 203, 204, 205, 201, 206)
    add("one of nine five blocks later", Chain(CLIQUE, again), "proven", nine, on_top=6)
    add("an epoch that names its signers", Chain(CLIQUE, named=VALIDATORS), "proven")
    add("an epoch that names others", Chain(CLIQUE, named=(*VALIDATORS, FOREIGN)), EvmReason.OTHER_VALIDATORS)
    for rule in (IBFT2, QBFT):
        add("three of four", Chain(rule, committers=VALIDATORS[:3]), "proven")
        add("two of four", Chain(rule, committers=VALIDATORS[:2]), EvmReason.TOO_FEW_SEALS)
        add("nobody", Chain(rule, committers=()), EvmReason.TOO_FEW_SEALS)
        add("one of them thrice", Chain(rule, committers=(101, 101, 101)), EvmReason.TOO_FEW_SEALS)
        add("a foreign one among them", Chain(rule, committers=(101, 102, 103, FOREIGN)), EvmReason.FOREIGN_SEAL)
        add("a header that names others", Chain(rule, named=(101, 102, 103)), EvmReason.OTHER_VALIDATORS)
        add("nothing on top", Chain(rule), "proven", on_top=0)
    add("validators in a contract", Chain(QBFT, named=()), "proven")
    later = changed(rules(QBFT), consensus=listed((0, (1, 2, 3, 4)), (NUMBER, VALIDATORS), (NUMBER + 1, (5, 6, 7, 8))))
    add("sets that change, and one of them held", Chain(QBFT), "proven", later)
    before = changed(rules(QBFT), consensus=listed((0, VALIDATORS), (NUMBER, (5, 6, 7, 8))))
    add("a set that held before", Chain(QBFT, named=()), EvmReason.FOREIGN_SEAL, before)
    add(
        "no set yet",
        Chain(QBFT),
        EvmReason.NO_VALIDATORS,
        changed(rules(QBFT), consensus=listed((NUMBER + 1, VALIDATORS))),
    )
    wider = changed(rules(CLIQUE), consensus=listed((0, VALIDATORS), (NUMBER + 2, (*VALIDATORS, 105, 106))))
    add("signers who become more on the way", Chain(CLIQUE, (101, 102, 105, 106, 103)), "proven", wider, on_top=4)
    for rule in (IBFT2, QBFT):
        other = QBFT if rule is IBFT2 else IBFT2
        made.append(
            Case(f"{rule} judged as {other}", proof(Chain(rule), on_top=0), rules(other), EvmReason.FOREIGN_SEAL)
        )
    made.append(Case("qbft judged as clique", honest(QBFT), rules(CLIQUE), EvmReason.BROKEN_CHAIN))
    made.append(Case("clique judged as qbft", honest(CLIQUE), rules(QBFT), Reason.MALFORMED))
    return made


def _chains() -> list[Case]:
    made: list[Case] = []
    for rule in (*SEALED, ETHEREUM):
        good = honest(rule)
        under = rules(rule)
        broken: list[tuple[str, tuple[str, ...]]] = [
            ("a header left out", (good.headers[0], *good.headers[2:])),
            ("headers exchanged", (good.headers[1], good.headers[0], *good.headers[2:])),
            ("a header twice", (good.headers[0], *good.headers)),
            ("a parent's hash changed", (flipped(good.headers[0], 10), *good.headers[1:])),
        ]
        for name, headers in broken:
            made.append(Case(f"{name}, {rule}", changed(good, headers=headers), under, EvmReason.BROKEN_CHAIN))
        above = [bytes.fromhex(each) for each in (str(good.block), *good.headers)]
        for at, said in ((0, "itself"), (2, "one on top")):
            trust = rules(rule, trust=trusted(above[at], rule))
            made.append(Case(f"trust in {said}, {rule}", good, trust, "proven"))
        fields = rlp.decode_list(above[2])
        other = trusted(rlp.encode([*fields[:13], b"\x01" * 32, *fields[14:]]), rule)
        made.append(
            Case(
                f"trust in another chain, {rule}", good, rules(rule, trust=other), EvmReason.CONTRADICTS_TRUSTED_HEADER
            )
        )
        far = rules(rule, trust=TrustedHeaders(headers=()))
        made.append(Case(f"trust in none of them, {rule}", good, far, "attested"))
    shallow = honest(ETHEREUM, on_top=1)
    made.append(Case("too few blocks on top", shallow, rules(ETHEREUM), EvmReason.NOT_DEEP_ENOUGH))
    deep = changed(rules(CLIQUE), depth=4)
    made.append(Case("too few sealed blocks on top", honest(CLIQUE), deep, EvmReason.NOT_DEEP_ENOUGH))
    alone = honest(ETHEREUM, on_top=0)
    near = rules(ETHEREUM, trust=trusted(bytes.fromhex(str(alone.block)), ETHEREUM))
    made.append(Case("trust needs no depth", alone, near, "proven"))
    return made


def _stated() -> list[Case]:
    block = StatedBlock(hash="ab" * 32, number=NUMBER, timestamp=1_700_000_000)
    good = changed(honest(CLIQUE), block=block, headers=(), receipt_proof=(), transaction_proof=())
    under = changed(rules(CLIQUE, trust=NodeAttests()), header_hash=STATED)
    return [
        Case("a block that a node states", good, under, "attested"),
        Case("a stated block where a header is needed", good, rules(CLIQUE), EvmReason.NO_HEADER),
        Case("a header where blocks are stated", honest(CLIQUE), under, Reason.MALFORMED),
        Case("a stated block with proofs", changed(good, receipt_proof=("00",)), under, Reason.MALFORMED),
        Case("a stated block with headers", changed(good, headers=("00",)), under, Reason.MALFORMED),
        Case("a stated block, another commitment", good, under, Reason.OTHER_COMMITMENT, OTHER_COMMITMENT),
    ]
