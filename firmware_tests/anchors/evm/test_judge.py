"""What receipts prove, and why others are refused; what a hostile one costs."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors import AnchorRefused, LedgerProfile, Reason, Rule, Strength, canonical
from appliance.anchors.evm import rlp
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.judge import judge
from appliance.anchors.evm.proof import MAXIMUM_HEADERS, PROOF_BYTES, Proof, read_proof, write_proof
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.receipts import MAXIMUM_RECEIPT_BYTES, Log, TransactionReceipt
from appliance.anchors.evm.rules import Rules
from appliance.anchors.evm.transactions import MAXIMUM_TRANSACTION_BYTES
from appliance.anchors.judging import rules_of
from firmware_tests.anchors.evm.cases import CLIQUE, QBFT, Case, cases, changed, flipped, honest
from firmware_tests.anchors.evm.chains import COMMITMENT, NUMBER, START, Anchor, Chain, address, proof, rules
from firmware_tests.anchors.evm.vectors import SHOWN, vectors

CASES = cases()


def verdict(encoded: bytes, commitment: bytes, under: Rules) -> str:
    try:
        return str(judge(encoded, commitment, under).strength)
    except AnchorRefused as refused:
        return str(refused.reason)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_table(case: Case) -> None:
    assert verdict(write_proof(case.proof), case.commitment, case.rules) == case.verdict


def test_every_reason_stands_in_the_table() -> None:
    assert {str(reason) for reason in EvmReason} <= {case.verdict for case in CASES}


def test_names_in_the_table_are_distinct() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_what_a_judgement_says() -> None:
    found = judge(write_proof(honest(CLIQUE)), COMMITMENT, rules(CLIQUE))
    assert (found.strength, found.by, found.time_us) == (Strength.PROVEN, Rule.VALIDATOR_SEALS, START * 1_000_000)
    assert found.place.startswith(f"block {NUMBER} (0x")
    assert found.notes == ("4 signers stand behind the block.",)
    found = judge(write_proof(honest(QBFT)), COMMITMENT, rules(QBFT))
    assert found.notes == ("4 validators committed to the block.",)


def test_a_refusal_tells_what_and_where() -> None:
    with pytest.raises(AnchorRefused, match=address(555).hex()):
        judge(write_proof(proof(Chain(CLIQUE), Anchor(sender=555))), COMMITMENT, rules(CLIQUE))


@settings(max_examples=400)
@given(st.sampled_from([CLIQUE, HeaderHash.IBFT2, QBFT]), st.data())
def test_one_changed_byte_anywhere_is_refused(rule: HeaderHash, data: st.DataObject) -> None:
    """Save in what has no part in the proof: of IBFT 2.0 and QBFT the blocks on top, which no depth asks for."""
    good = honest(rule, on_top=2 if rule is CLIQUE else 0)
    member = data.draw(
        st.sampled_from(["block", "headers", "receipt", "receipt_proof", "transaction", "transaction_proof"])
    )
    value = getattr(good, member)
    if member == "headers" and not value:
        return
    if isinstance(value, str):
        place = data.draw(st.integers(0, len(value) // 2 - 1))
        bad = changed(good, **{member: flipped(value, place)})
    else:
        which = data.draw(st.integers(0, len(value) - 1))
        place = data.draw(st.integers(0, len(value[which]) // 2 - 1))
        bad = changed(good, **{member: (*value[:which], flipped(value[which], place), *value[which + 1 :])})
    assert verdict(write_proof(bad), COMMITMENT, rules(rule)) not in ("proven", "attested")


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "no JSON": lambda _: b"\xff{",
    "a list": lambda _: b"[]",
    "no members": lambda _: b"{}",
    "a member twice": lambda good: good[:-1] + b',"transaction":""}',
    "an unknown member": lambda good: good[:-1] + b',"zzz":1}',
    "a space": lambda good: good.replace(b":", b": ", 1),
    "members in another order": lambda good: msgspec.json.encode(dict(reversed(json.loads(good).items()))),
    "capitals": lambda good: good.replace(b'"f', b'"F', 1),
    "half a byte": lambda good: good.replace(b'"receipt":"', b'"receipt":"0'),
    "a prefix": lambda good: good.replace(b'"receipt":"', b'"receipt":"0x'),
    "a negative index": lambda good: good.replace(b'"index":17', b'"index":-17'),
    "an index that is a fraction": lambda good: good.replace(b'"index":17', b'"index":17.0'),
    "null for a header": lambda good: good.replace(b'"block":"', b'"block":null,"blocks":"'),
    "cut short": lambda good: good[:-2],
    "very many headers": lambda good: good.replace(b'"headers":[', b'"headers":[' + b'"",' * (MAXIMUM_HEADERS + 1)),
    "very many nodes": lambda good: good.replace(b'"receipt_proof":[', b'"receipt_proof":[' + b'"",' * 17),
    "beyond the bound": lambda _: b"{" + b" " * PROOF_BYTES + b"}",
    "a deep nest": lambda _: b'{"block":' + b"[" * 100_000,
}


@pytest.mark.parametrize("spoil", FORMS.values(), ids=FORMS)
def test_the_reader_takes_one_form(spoil: Callable[[bytes], bytes]) -> None:
    good = write_proof(honest(CLIQUE))
    assert read_proof(good) == honest(CLIQUE)
    assert verdict(spoil(good), COMMITMENT, rules(CLIQUE)) == Reason.MALFORMED


BAD_RULES: dict[str, tuple[bytes, bytes]] = {
    "seals where headers have none": (b'"header_hash":"clique"', b'"header_hash":"ethereum"'),
    "seals where nodes state": (b'"header_hash":"clique"', b'"header_hash":"stated"'),
    "another hash": (b'"header_hash":"clique"', b'"header_hash":"aura"'),
    "no account": (b'"accounts":["', b'"accounts":[],"zccounts":["'),
    "a shape that is none": (b'"shape":"event"', b'"shape":"toy"'),
    "a contract without an address": (b'"address":"0', b'"address":null,"bddress":"0'),
    "an address with a prefix": (b'"address":"00', b'"address":"0x'),
    "a validator twice": (b'"addresses":["', b'"addresses":["%s","%s","' % ((address(101).hex().encode(),) * 2)),
    "a depth below zero": (b'"depth":2', b'"depth":-2'),
    "a chain without an id": (b'"chain_id":61337', b'"chain_id":0'),
    "another rule": (b'"rule":"validators"', b'"rule":"hope"'),
    "a depth where seals are final": (b'"header_hash":"clique"', b'"header_hash":"qbft"'),
}


@pytest.mark.parametrize(("was", "becomes"), BAD_RULES.values(), ids=BAD_RULES)
def test_rules_that_say_nothing_sound_are_no_rules(was: bytes, becomes: bytes) -> None:
    good = canonical.encode(rules(CLIQUE))
    assert was in good

    def profile(encoded: bytes) -> LedgerProfile:
        return LedgerProfile(name="chain", rules=msgspec.Raw(encoded), tolerance_s=15, type="evm")

    assert rules_of(profile(good)) == rules(CLIQUE)
    with pytest.raises(AnchorRefused) as refused:
        rules_of(profile(good.replace(was, becomes)))
    assert refused.value.reason is Reason.RULES_UNREADABLE


def test_sets_of_validators_and_trusted_headers_contradict_nothing() -> None:
    one = {"addresses": [bytes(20).hex()], "from_block": 5}
    for consensus in (
        {"rule": "validators", "sets": []},
        {"rule": "validators", "sets": [one, one]},
        {"headers": [{"hash": bytes(32).hex(), "number": 5}] * 2, "rule": "trusted_headers"},
    ):
        encoded = canonical.encode(rules(CLIQUE))
        start = encoded.index(b'"consensus":') + len(b'"consensus":')
        other = (
            encoded[:start] + msgspec.json.encode(consensus, order="sorted") + encoded[encoded.index(b',"contract"') :]
        )
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(other, Rules, len(other))


# --- what a hostile receipt costs ---------------------------------------------------------------------------------


def many_headers() -> Proof:
    return honest(CLIQUE, on_top=MAXIMUM_HEADERS)


def large_headers() -> Proof:
    good = honest(CLIQUE)
    fields = rlp.decode_list(bytes.fromhex(str(good.block)))
    large = rlp.encode([*fields[:12], bytes(60_000), *fields[13:]]).hex()
    return changed(good, headers=(large,) * 30)


def many_logs() -> Proof:
    logs = tuple(Log(bytes(20), (), b"") for _ in range(2000))
    return proof(Chain(CLIQUE), Anchor(logs=logs))


def many_items() -> Proof:
    return changed(honest(CLIQUE), receipt=(b"\x02" + rlp.encode([b"\x01"] * 260_000)).hex())


def many_items_in_a_transaction() -> Proof:
    return changed(honest(CLIQUE), transaction=rlp.encode([b"\x01"] * (MAXIMUM_TRANSACTION_BYTES - 10)).hex())


def many_items_in_a_header() -> Proof:
    return changed(honest(CLIQUE), block=rlp.encode([b"\x01"] * 65_000).hex())


def many_items_in_extra_data() -> Proof:
    good = honest(QBFT)
    fields = rlp.decode_list(bytes.fromhex(str(good.block)))
    spoilt = rlp.encode([*fields[:12], rlp.encode([b"\x01"] * 60_000), *fields[13:]])
    return changed(good, headers=(spoilt.hex(),) * 30)


def many_seals() -> Proof:
    return proof(Chain(QBFT, committers=tuple(range(1, 256))), on_top=0)


def large_nodes() -> Proof:
    node = rlp.encode([b"\x20", bytes(120_000)]).hex()
    return changed(honest(CLIQUE), receipt_proof=(node,) * 7, transaction_proof=(node,) * 7)


def a_large_receipt() -> Proof:
    receipt = TransactionReceipt(2, 1, 1, (Log(bytes(20), (), bytes(MAXIMUM_RECEIPT_BYTES - 400)),)).encode()
    return changed(honest(CLIQUE), receipt=receipt.hex())


def empty_headers() -> Proof:
    return changed(honest(CLIQUE), headers=("c0",) * MAXIMUM_HEADERS)


HOSTILE: list[Callable[[], Proof]] = [
    many_headers,
    large_headers,
    many_logs,
    many_items,
    many_items_in_a_transaction,
    many_items_in_a_header,
    many_items_in_extra_data,
    many_seals,
    large_nodes,
    a_large_receipt,
    empty_headers,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_receipt_costs_little(make: Callable[[], Proof]) -> None:
    encoded = write_proof(make())
    under = rules(QBFT if make in (many_items_in_extra_data, many_seals) else CLIQUE)
    best = 10.0
    for _ in range(5):
        start = time.process_time()
        verdict(encoded, COMMITMENT, under)
        best = min(best, time.process_time() - start)
    assert best < 0.1
    tracemalloc.start()
    try:
        verdict(encoded, COMMITMENT, under)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_the_published_vectors_are_of_the_table() -> None:
    published = json.loads((Path(__file__).parents[3] / "docs/vectors/anchors-evm.json").read_text())
    assert published == vectors()
    assert {each["name"] for each in published} == set(SHOWN)
