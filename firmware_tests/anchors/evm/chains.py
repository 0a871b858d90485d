"""Blocks with an anchor in them, sealed by keys that the tests have: for each rule of headers, honest and otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from coincurve import PrivateKey

from appliance.anchors.evm import rlp
from appliance.anchors.evm.headers import HeaderHash, read_header
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.proof import Proof
from appliance.anchors.evm.receipts import Log, TransactionReceipt, bloom_of
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
from appliance.anchors.evm.secp256k1 import address_of
from appliance.anchors.evm.transactions import FeeMarketTransaction
from appliance.anchors.evm.trie import EMPTY_ROOT, Trie, index_key

COMMITMENT = hashlib.sha256(b"the text of a checkpoint").digest()
OTHER_COMMITMENT = hashlib.sha256(b"the text of another log's checkpoint").digest()
CHAIN_ID = 61_337
GENESIS = hashlib.sha256(b"genesis").digest()
CONTRACT = bytes(range(20))
START = 1_700_000_000
NUMBER = 1000
"""Of the anchor's block."""


def key(number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(32, "big"))


def address(number: int) -> bytes:
    return address_of(key(number).public_key.format())


ACCOUNT = 7
VALIDATORS = (101, 102, 103, 104)
"""Numbers of keys."""


def seal(digest: bytes, number: int) -> bytes:
    """65 bytes: r, s, parity."""
    return key(number).sign_recoverable(digest, hasher=None)


def raw_transaction(number: int, to: bytes, data: bytes, chain_id: int = CHAIN_ID, nonce: int = 0) -> bytes:
    transaction = FeeMarketTransaction(
        chain_id=chain_id, nonce=nonce, max_priority_fee_per_gas=1, max_fee_per_gas=10**9, gas=10**5, to=to, data=data
    )
    signature = seal(transaction.signing_hash(), number)
    numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return transaction.signed(*numbers, signature[64])


@dataclass
class Chain:
    """Blocks from the anchor's on."""

    rule: HeaderHash
    validators: Sequence[int] = VALIDATORS
    """Who seals: in turn under Clique; those of `committers` under IBFT 2.0 and QBFT."""
    committers: Sequence[int] | None = None
    named: Sequence[int] | None = None
    """Whom headers name; None: the validators (IBFT 2.0, QBFT), nobody (Clique)."""
    start: int = START
    """When the first block was made, in seconds since the epoch."""
    interval: int = 2
    """Seconds between blocks."""
    headers: list[bytes] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)

    def block(self, raws: Sequence[bytes] = (), receipts: Sequence[bytes] = (), sealer: int | None = None) -> Chain:
        """One more block."""
        at = len(self.headers)
        parent = read_header(self.headers[-1]).hash(self.rule) if at else hashlib.sha256(b"parent").digest()
        roots = [Trie.of_list(each).root if each else EMPTY_ROOT for each in (raws, receipts)]
        numbers = map(rlp.integer, (1, NUMBER + at, 30_000_000, 21_000 * len(raws), self.start + self.interval * at))
        unsealed = [parent, bytes(32), bytes(20), bytes(32), *roots, bloom_of(()), *numbers]
        rest = [bytes(32), bytes(8), rlp.integer(7)]
        self.headers.append(
            self._sealed(unsealed, rest, self.validators[at % len(self.validators)] if sealer is None else sealer)
        )
        return self

    def _sealed(self, before: list[bytes], after: list[bytes], sealer: int) -> bytes:
        named = [address(each) for each in (self.named if self.named is not None else self.validators)]
        match self.rule:
            case HeaderHash.ETHEREUM:
                return rlp.encode([*before, b"extra", *after])
            case HeaderHash.CLIQUE:
                vanity = bytes(32) + (b"".join(named) if self.named is not None else b"")
                return rlp.encode(
                    [*before, vanity + seal(keccak256(rlp.encode([*before, vanity, *after])), sealer), *after]
                )
            case _:
                round_number = (1).to_bytes(4, "big") if self.rule is HeaderHash.IBFT2 else b"\x01"
                extra: list[rlp.Encodable] = [
                    bytes(32),
                    named,
                    [] if self.rule is HeaderHash.QBFT else b"",
                    round_number,
                ]
                signed = [*extra, []] if self.rule is HeaderHash.QBFT else extra
                digest = keccak256(rlp.encode([*before, rlp.encode(signed), *after]))
                committers = self.validators if self.committers is None else self.committers
                seals = [seal(digest, each) for each in committers]
                return rlp.encode([*before, rlp.encode([*extra, seals]), *after])

    def on_top(self, count: int) -> Chain:
        for _ in range(count):
            self.block()
        return self


CONTRACT_RULES = ContractRules(address=CONTRACT.hex(), shape="event")
DEPTHS = {HeaderHash.CLIQUE: 2, HeaderHash.IBFT2: 0, HeaderHash.QBFT: 0, HeaderHash.ETHEREUM: 2}


def listed(*sets: tuple[int, Sequence[int]]) -> Validators:
    """Sets of validators, each with the block from which it holds."""
    return Validators(
        sets=tuple(
            ValidatorSet(addresses=tuple(address(each).hex() for each in numbers), from_block=start)
            for start, numbers in sets
        )
    )


def consensus(rule: HeaderHash) -> Consensus:
    return NodeAttests() if rule is HeaderHash.ETHEREUM else listed((0, VALIDATORS))


def trusted(header: bytes, rule: HeaderHash) -> TrustedHeaders:
    """Trust in this header."""
    read = read_header(header)
    return TrustedHeaders(headers=(TrustedHeader(hash=read.hash(rule).hex(), number=read.number),))


def rules(rule: HeaderHash, contract: ContractRules = CONTRACT_RULES, trust: Consensus | None = None) -> Rules:
    return Rules(
        accounts=(address(ACCOUNT).hex(),),
        chain_id=CHAIN_ID,
        consensus=consensus(rule) if trust is None else trust,
        contract=contract,
        depth=DEPTHS[rule],
        genesis=GENESIS.hex(),
        header_hash=rule,
    )


@dataclass(frozen=True)
class Anchor:
    """What is anchored, and what comes of it; the fields are honest unless told otherwise."""

    contract: ContractRules = CONTRACT_RULES
    commitment: bytes = COMMITMENT
    sender: int = ACCOUNT
    chain_id: int = CHAIN_ID
    status: int = 1
    logs: tuple[Log, ...] | None = None
    """None: the one log that the contract emits."""
    step: int = -1
    """Which of the calls it is; the last one."""

    @property
    def raw(self) -> bytes:
        shape = self.contract.described
        to = address(self.sender) if self.contract.address is None else bytes.fromhex(self.contract.address)
        return raw_transaction(self.sender, to, shape.call_data(self.step, self.commitment), self.chain_id)

    @property
    def receipt(self) -> bytes:
        logs = (event_log(self.commitment, self.sender),) if self.logs is None else self.logs
        return TransactionReceipt(2, self.status, 100_000, logs if self.contract.described.event else ()).encode()


def event_log(commitment: bytes = COMMITMENT, sender: int = ACCOUNT, contract: bytes = CONTRACT) -> Log:
    event = CONTRACT_RULES.described.event
    assert event is not None
    return Log(contract, (event.topic, commitment, bytes(12) + address(sender)), b"")


def proof(chain: Chain, anchor: Anchor | None = None, *, on_top: int = 3, index: int = 17) -> Proof:
    """An anchor among other transactions in a block, and blocks on top."""
    anchor = Anchor() if anchor is None else anchor
    others = [raw_transaction(900 + at, bytes(20), b"", nonce=at) for at in range(20)]
    results = [TransactionReceipt(2, 1, 21_000 * (at + 1), ()).encode() for at in range(20)]
    raws, receipts = (
        [*others[:index], anchor.raw, *others[index:]],
        [*results[:index], anchor.receipt, *results[index:]],
    )
    chain.block(raws, receipts).on_top(on_top)
    tries = Trie.of_list(raws), Trie.of_list(receipts)
    assert all(trie.root for trie in tries)
    return Proof(
        block=chain.headers[0].hex(),
        contract=anchor.contract,
        genesis=GENESIS.hex(),
        headers=tuple(each.hex() for each in chain.headers[1:]),
        index=index,
        receipt=anchor.receipt.hex(),
        receipt_proof=tuple(each.hex() for each in tries[1].proof(index_key(index))),
        transaction=anchor.raw.hex(),
        transaction_proof=tuple(each.hex() for each in tries[0].proof(index_key(index))),
    )
