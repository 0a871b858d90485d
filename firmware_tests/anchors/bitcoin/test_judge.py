"""The judge: what an honest receipt shows, and each wrong thing with its own reason."""

from __future__ import annotations

import contextlib
import enum
import hashlib
import time
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors import AnchorRefused, Reason, Rule, Strength
from appliance.anchors.bitcoin.encoding import sha256d, shown
from appliance.anchors.bitcoin.header import Header, WorkRule
from appliance.anchors.bitcoin.judge import MOST_DEPTH, BitcoinReason, Rules, judge
from appliance.anchors.bitcoin.merkle import branch_of, root_of
from appliance.anchors.bitcoin.proof import BitcoinProof, height_in
from appliance.anchors.bitcoin.scripts import commitment_script
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction
from firmware_tests.anchors.bitcoin.material import (
    COMMITMENT,
    GENESIS,
    TIME,
    Made,
    anchor,
    block,
    coinbase,
    encoded,
    mined,
    other,
    rules,
)

HONEST = block()
WORK_OF_ONE = 2
"""Hashes that a header with the target 207fffff takes on average."""


def refusal(proof: BitcoinProof | bytes, under: Rules | None = None, commitment: bytes = COMMITMENT) -> enum.StrEnum:
    with pytest.raises(AnchorRefused) as refused:
        judge(proof if isinstance(proof, bytes) else encoded(proof), commitment, under or rules())
    return refused.value.reason


@pytest.mark.parametrize("work", ["sha256d", "scrypt"])
def test_work_proves_where_there_is_as_much_as_the_profile_asks_for(work: WorkRule) -> None:
    made = block(work=work)
    found = judge(encoded(made.proof()), COMMITMENT, rules(work, least_work=f"{3 * WORK_OF_ONE:x}"))
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.PROOF_OF_WORK)
    assert found.time_us == TIME * 1_000_000
    assert found.place == f"block 123 ({shown(made.chain[0].hash)})"


HARD = 0x2000FFFF
LEAST_WORK = 257
"""Hashes that a header with this target takes on average."""


def lucky(headers: int) -> BitcoinProof:
    """Three headers, so many of them with all of the least work."""
    chain = list(HONEST.chain[:1])
    for place in range(2):
        chain.append(mined(bytes(32), chain[-1].hash, bits=HARD if place < headers else 0x207FFFFF))
    return HONEST.with_chain(chain).proof()


def test_one_lucky_header_proves_nothing() -> None:
    """Whoever has a hundredth of the least work finds one header of all of it in one of a hundred tries."""
    assert bytes.fromhex(lucky(1).headers)[80 + 72 : 80 + 76] == HARD.to_bytes(4, "little")
    under = rules(least_work=f"{LEAST_WORK - 1:x}")
    found = judge(encoded(lucky(1)), COMMITMENT, under)
    assert found.strength is Strength.ATTESTED
    assert "luck" in found.notes[0]
    assert judge(encoded(lucky(2)), COMMITMENT, under).strength is Strength.PROVEN


@pytest.mark.parametrize("least", [None, f"{3 * WORK_OF_ONE + 1:x}"])
def test_less_work_is_attested_and_says_why(least: str | None) -> None:
    found = judge(encoded(HONEST.proof()), COMMITMENT, rules(least_work=least))
    assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
    assert "anybody" in found.notes[0] if least is None else "fewer" in found.notes[0]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_trusted_header_proves_what_it_descends_from(at: int) -> None:
    trusted = rules(least_work=None, depth=100, trusted_headers=("00" * 32, shown(HONEST.chain[at].hash)))
    found = judge(encoded(HONEST.proof()), COMMITMENT, trusted)
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.TRUSTED_HEADER)


def test_a_trusted_header_that_is_not_on_top_proves_nothing() -> None:
    aside = mined(hashlib.sha256(b"aside").digest(), HONEST.chain[0].parent)
    trusted = rules(least_work=None, trusted_headers=(shown(aside.hash), shown(HONEST.chain[0].parent)))
    assert judge(encoded(HONEST.proof()), COMMITMENT, trusted).strength is Strength.ATTESTED
    following = (*HONEST.chain, aside)
    assert refusal(HONEST.with_chain(following).proof(), trusted) is BitcoinReason.BROKEN_CHAIN


def test_a_block_that_says_no_height_is_told_by_its_hash() -> None:
    made = block(height=None)
    assert judge(encoded(made.proof()), COMMITMENT, rules()).place == f"block {shown(made.chain[0].hash)}"


@pytest.mark.parametrize(
    ("script", "height"),
    [
        *[("51", 1), ("60", 16), ("0111", 17), ("028000", 128), ("03a08601", 100_000), ("", None), ("0180", None)],
        *[("020100", None), ("0500000000ff", None), ("03a086", None), ("00", None)],
    ],
)
def test_a_height_is_read_as_bip_34_has_it(script: str, height: int | None) -> None:
    spends = OutPoint(bytes(32), 0xFFFFFFFF)
    assert height_in(Transaction((Input(spends, bytes.fromhex(script)),), (Output(0, b""),))) == height


def without_work(header: Header) -> Header:
    """The same header with a nonce that does not do."""
    for nonce in range(1_000):
        tried = Header.parse(header.encoded[:76] + nonce.to_bytes(4, "little"))
        if not tried.has_work("sha256d"):
            return tried
    raise AssertionError


def chained(first: Header, count: int) -> list[Header]:
    chain = [first]
    while len(chain) < count:
        chain.append(mined(bytes(32), chain[-1].hash))
    return chain


def of_other_block(_: Made) -> BitcoinProof:
    """The transaction and branch of one block with the headers of another."""
    return HONEST.proof(headers=b"".join(one.encoded for one in block(count=6).chain).hex())


def with_last(made: Made, header: Header) -> BitcoinProof:
    return made.with_chain((*made.chain[:-1], header)).proof()


def as_node(made: Made) -> BitcoinProof:
    """64 bytes that are two hashes of the tree, passed off as a transaction (CVE-2017-12842)."""
    pair = made.txids[0] + made.txids[1]
    return made.proof(
        transaction=pair.hex(), branch=[one.hex() for one in branch_of(made.txids, 0)[1:]], index=0, count=3
    )


def small_transaction(made: Made) -> BitcoinProof:
    """An anchor of 64 bytes, in a block that has it."""
    small = Transaction((Input(OutPoint(bytes(32), 0)),), (Output(0, bytes(4)),))
    assert len(small.stripped()) == 64
    carrying = anchor()
    stuffed = Transaction(carrying.inputs[:1], (Output(0, commitment_script(COMMITMENT)),))
    assert len(stuffed.stripped()) == 94
    transactions = (small, stuffed)
    chain = chained(mined(root_of([one.txid for one in transactions]), made.chain[0].parent), 3)
    return Made(transactions, 1, tuple(chain)).proof()


def doubled(_: Made) -> BitcoinProof:
    """A block of five transactions shown as one of six, the last one twice (CVE-2012-2459)."""
    made = block(index=4)
    last = Made((*made.transactions, made.transactions[-1]), 5, made.chain)
    assert root_of(last.txids) == made.chain[0].root
    return last.proof()


def not_created(made: Made) -> BitcoinProof:
    return made.proof(coinbase=made.transactions[1].stripped().hex())


def at_other_depth(made: Made) -> BitcoinProof:
    """A branch that ends one level early, as one to a node of the tree would."""
    return made.proof(branch=made.proof().branch[:-1])


def honest_with(**changes: object) -> Callable[[Made], BitcoinProof]:
    return lambda made: made.proof(**changes)


LAST = HONEST.chain[-1]
DAMAGED: list[tuple[str, Callable[[Made], BitcoinProof], enum.StrEnum]] = [
    ("another first block", honest_with(genesis="11" * 32), BitcoinReason.WRONG_GENESIS),
    ("no commitment", honest_with(transaction=other(2).encode().hex()), BitcoinReason.NO_COMMITMENT),
    (
        "another commitment",
        honest_with(transaction=anchor(bytes(32)).encode().hex()),
        Reason.OTHER_COMMITMENT,
    ),
    (
        "another transaction with the commitment",
        honest_with(transaction=anchor(coins=2).encode().hex()),
        BitcoinReason.NOT_IN_BLOCK,
    ),
    ("another place", honest_with(index=3), BitcoinReason.NOT_IN_BLOCK),
    ("a place outside of the block", honest_with(index=5), BitcoinReason.AMBIGUOUS_TREE),
    ("another first transaction", honest_with(coinbase=coinbase(124).stripped().hex()), BitcoinReason.NOT_IN_BLOCK),
    ("a first transaction that creates nothing", not_created, BitcoinReason.AMBIGUOUS_TREE),
    ("the branch of another block", of_other_block, BitcoinReason.NOT_IN_BLOCK),
    ("a branch cut short", at_other_depth, BitcoinReason.AMBIGUOUS_TREE),
    (
        "a branch too long",
        lambda made: made.proof(branch=[*made.proof().branch, "00" * 32]),
        BitcoinReason.AMBIGUOUS_TREE,
    ),
    ("a branch too long for any block", lambda made: made.proof(branch=["00" * 32] * 18), Reason.MALFORMED),
    ("a block of another size", honest_with(count=9), BitcoinReason.AMBIGUOUS_TREE),
    ("the last transaction twice", doubled, BitcoinReason.AMBIGUOUS_TREE),
    ("a node as a transaction", as_node, Reason.MALFORMED),
    ("a transaction of 64 bytes", small_transaction, BitcoinReason.AMBIGUOUS_TREE),
    ("headers in another order", lambda made: made.with_chain(made.chain[::-1]).proof(), BitcoinReason.NOT_IN_BLOCK),
    ("a header left out", lambda made: made.with_chain(made.chain[::2]).proof(), BitcoinReason.BROKEN_CHAIN),
    ("a header twice", lambda made: made.with_chain((*made.chain, LAST)).proof(), BitcoinReason.BROKEN_CHAIN),
    ("too few headers", lambda made: made.with_chain(made.chain[:2]).proof(), BitcoinReason.TOO_FEW_HEADERS),
    ("a header without work", lambda made: with_last(made, without_work(LAST)), BitcoinReason.NO_WORK),
    (
        "a header that names an easier target",
        lambda made: with_last(made, mined(bytes(32), made.chain[-2].hash, bits=0x21008000)),
        BitcoinReason.WRONG_TARGET,
    ),
    ("no header", honest_with(headers=""), Reason.MALFORMED),
    ("headers cut short", lambda made: made.proof(headers=made.proof().headers[:-2]), Reason.MALFORMED),
    ("a transaction cut short", lambda made: made.proof(transaction=made.proof().transaction[:-2]), Reason.MALFORMED),
    ("something after it", lambda made: made.proof(transaction=made.proof().transaction + "00"), Reason.MALFORMED),
    ("capital letters", lambda made: made.proof(transaction=made.proof().transaction.upper()), Reason.MALFORMED),
]


@pytest.mark.parametrize(("damage", "reason"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_each_wrong_thing_has_its_own_reason(damage: Callable[[Made], BitcoinProof], reason: enum.StrEnum) -> None:
    assert refusal(damage(HONEST)) is reason


def test_every_reason_of_the_type_is_shown_above() -> None:
    assert {reason for _, _, reason in DAMAGED} >= set(BitcoinReason)
    assert {one.value for one in BitcoinReason}.isdisjoint(one.value for one in Reason)


def test_a_target_that_none_can_have_is_refused() -> None:
    for bits in (0, 0x01003456, 0x04923456, 0xFF123456):
        forged = Header.parse(HONEST.chain[0].encoded[:72] + bits.to_bytes(4, "little") + bytes(4))
        chain = [forged]
        for _ in range(2):
            chain.append(mined(bytes(32), chain[-1].hash))
        assert refusal(HONEST.with_chain(chain).proof()) is BitcoinReason.WRONG_TARGET


def test_the_work_of_one_rule_is_none_by_the_other() -> None:
    """A chain by scrypt under a profile that asks for double SHA-256, and the other way round."""
    assert refusal(block(work="scrypt", on_top=20).proof(), rules("sha256d")) is BitcoinReason.NO_WORK
    assert refusal(block(work="sha256d", on_top=20).proof(), rules("scrypt")) is BitcoinReason.NO_WORK


def test_regtest_blocks_are_none_of_a_real_chain() -> None:
    """Targets of regtest under Bitcoin's and Litecoin's own limits."""
    for easiest in ("1d00ffff", "1e0fffff"):
        assert refusal(HONEST.proof(), rules(easiest_bits=easiest)) is BitcoinReason.WRONG_TARGET


def test_a_profile_whose_target_is_none_is_told() -> None:
    assert refusal(HONEST.proof(), rules(easiest_bits="00000000")) is Reason.RULES_UNREADABLE


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_proof_is_taken(at: int, bit: int) -> None:
    proof = encoded(HONEST.proof())
    changed = bytearray(proof)
    changed[at % len(proof)] ^= 1 << bit
    try:
        found = judge(bytes(changed), COMMITMENT, rules())
    except AnchorRefused:
        return
    # What may differ: a witness, which is not under the transaction's id; the block's size, where the branch is that of
    # several; and the last header, which is another block with its own work then.
    first, second = (msgspec.json.decode(one, type=BitcoinProof) for one in (proof, bytes(changed)))
    assert first.anchor().txid == second.anchor().txid
    assert second.headers[:-160] == first.headers[:-160]
    same = msgspec.structs.replace(second, transaction=first.transaction, count=first.count, headers=first.headers)
    assert same == first
    assert found.place == f"block 123 ({shown(HONEST.chain[0].hash)})"


@given(st.binary(max_size=400))
def test_whatever_is_no_proof_is_refused_as_malformed(data: bytes) -> None:
    assert refusal(data) is Reason.MALFORMED


@given(st.builds(dict, **{
    "branch": st.lists(st.just("00" * 32), max_size=3), "coinbase": st.text("0123456789abcdef", max_size=200),
    "count": st.integers(-1, 1 << 70), "headers": st.text("0123456789abcdef", max_size=400),
    "index": st.integers(-1, 1 << 70), "transaction": st.text("0123456789abcdef", max_size=300),
}))  # fmt: skip
def test_members_of_any_content_are_refused_and_nothing_else_happens(members: dict[str, object]) -> None:
    made = {**msgspec.to_builtins(HONEST.proof()), **members}
    with pytest.raises(AnchorRefused):
        judge(msgspec.json.encode(made, order="sorted"), COMMITMENT, rules())


@pytest.mark.parametrize("work", ["sha256d", "scrypt"])
def test_a_hostile_receipt_costs_little(work: WorkRule) -> None:
    """As many headers as are taken, the last that is counted without work; a transaction as large as is taken."""
    chain = list(block(on_top=0).chain)
    unworked = Header.parse(chain[0].encoded)
    while len(chain) < 10_000:
        parent = chain[-1].hash
        chain.append(Header.parse(unworked.encoded[:4] + parent + unworked.encoded[36:]))
    large = Transaction(anchor().inputs, (Output(0, commitment_script(COMMITMENT)), Output(0, bytes(99_000))))
    proofs = [
        encoded(block(work=work).with_chain([*block(work=work).chain, *chain[1:]][:10_000]).proof()),
        encoded(HONEST.proof(transaction=large.encode().hex())),
    ]
    longest = block(work=work, on_top=MOST_DEPTH - 1)
    for proof in [*proofs, encoded(longest.proof())]:
        tracemalloc.start()
        started = time.process_time()
        with contextlib.suppress(AnchorRefused):
            judge(proof, COMMITMENT, rules(work))
        spent, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert spent < 2.0
        assert peak < 32 * 1024 * 1024


def test_the_genesis_of_the_profile_is_a_claim_that_is_compared() -> None:
    assert refusal(HONEST.proof(), rules(genesis="22" * 32)) is BitcoinReason.WRONG_GENESIS
    assert rules().genesis == GENESIS


def test_a_block_of_one_transaction_has_an_empty_branch() -> None:
    first = Transaction(coinbase().inputs, (*coinbase().outputs, Output(0, commitment_script(COMMITMENT))))
    chain = chained(mined(first.txid, bytes(32)), 3)
    made = Made((first,), 0, tuple(chain))
    assert made.proof().branch == []
    assert judge(encoded(made.proof()), COMMITMENT, rules()).strength is Strength.PROVEN
    assert sha256d(first.stripped()) == chain[0].root
