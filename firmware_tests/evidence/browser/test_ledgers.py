"""The page's judges of ledgers in node, held to the program's: the same strength, rule, time, place and reason."""

from __future__ import annotations

import base64
import functools
import json
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from appliance.anchors import AnchorRefused, canonical
from appliance.anchors.bitcoin.header import Header
from appliance.anchors.bitcoin.judge import MOST_DEPTH
from appliance.anchors.evm.proof import write_proof
from appliance.anchors.fabric.judge import FabricProof
from appliance.anchors.judging import judge_of
from appliance.anchors.rfc3161 import write_proof as write_stamp_proof
from firmware_tests.anchorer.made import head
from firmware_tests.anchors import test_rfc3161 as stamps
from firmware_tests.anchors.bitcoin import test_judge as bitcoin
from firmware_tests.anchors.bitcoin.material import block, encoded, rules
from firmware_tests.anchors.evm.cases import CLIQUE, QBFT, Case, cases
from firmware_tests.anchors.evm.test_judge import BAD_RULES, FORMS, HOSTILE
from firmware_tests.anchors.evm.test_judge import rules as evm_rules
from firmware_tests.anchors.fabric.made import anchored
from firmware_tests.anchors.fabric.network import Network, Organisations
from firmware_tests.anchors.fabric.organisations import Organisation
from firmware_tests.evidence.ocsp import answer, responder

Ask = Callable[..., Any]
SECONDS_FOR_A_HOSTILE_ONE = 20.0
"""Of a machine that others use: what is bounded is that it ends; the page goes on answering meanwhile."""


@dataclass(frozen=True)
class Proof:
    """A proof under a profile's rules, as both verifiers are given it."""

    type: str
    proof: bytes
    commitment: bytes
    rules: Any
    """A Struct, or the canonical bytes of rules that may be none."""


def program(one: Proof) -> dict[str, Any]:
    """What the program's judge says of it."""
    module = judge_of(one.type)
    try:
        if isinstance(one.rules, bytes):
            found = module.judge(one.proof, one.commitment, canonical.decode(one.rules, module.Rules, len(one.rules)))
        else:
            found = module.judge(one.proof, one.commitment, one.rules)
    except AnchorRefused as refused:
        return {"reason": str(refused.reason)}
    except canonical.NotCanonical:
        return {"reason": "rules_unreadable"}
    return {
        "strength": str(found.strength), "by": str(found.by), "time": found.time_us / 1000,
        "latest": found.no_later_us / 1000, "place": found.place, "notes": list(found.notes),
        "relies": sorted({str(one) for one in map(tuple, found.relies_on)}),
    }  # fmt: skip


def page(ask: Ask, one: Proof) -> dict[str, Any]:
    """What the page's judge says of it."""
    given = one.rules if isinstance(one.rules, bytes) else canonical.encode(one.rules)
    text = one.proof.decode(errors="replace")
    found = ask("ledger", type=one.type, proof=text, commitment=one.commitment.hex(), rules=json.loads(given))
    if "reason" in found:
        assert not found.get("chinese", "").isascii() or found["reason"] == "unable"
        return {"reason": found["reason"]}
    found.pop("spent")
    found.pop("reliesOn")
    return {**found, "relies": sorted({str(tuple(one)) for one in found["relies"]})}


def same(ask: Ask, one: Proof) -> dict[str, Any]:
    ours, theirs = program(one), page(ask, one)
    assert ours == theirs
    return ours


# --- EVM chains -------------------------------------------------------------------------------------------------------

CASES = cases()


def _evm(case: Case) -> Proof:
    return Proof("evm", write_proof(case.proof), case.commitment, case.rules)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_table_of_evm_receipts(ask: Ask, case: Case) -> None:
    found = same(ask, _evm(case))
    assert found.get("reason", found.get("strength")) == case.verdict


@pytest.mark.parametrize("spoil", FORMS.values(), ids=FORMS)
def test_proofs_have_one_form(ask: Ask, spoil: Callable[[bytes], bytes]) -> None:
    honest = CASES[0]
    assert same(ask, Proof("evm", spoil(write_proof(honest.proof)), honest.commitment, honest.rules)) == {
        "reason": "malformed"
    }


@pytest.mark.parametrize(("was", "becomes"), BAD_RULES.values(), ids=BAD_RULES)
def test_rules_that_say_nothing_sound_are_no_rules(ask: Ask, was: bytes, becomes: bytes) -> None:
    honest = CASES[0]
    spoilt = canonical.encode(honest.rules).replace(was, becomes)
    assert json.loads(spoilt) != json.loads(canonical.encode(honest.rules))
    one = Proof(
        "evm", write_proof(honest.proof), honest.commitment, msgspec.json.encode(json.loads(spoilt), order="sorted")
    )
    assert same(ask, one) == {"reason": "rules_unreadable"}


# --- the Bitcoin family -----------------------------------------------------------------------------------------------


def _of_bitcoin(proof: bytes, under: Any, commitment: bytes = bitcoin.COMMITMENT) -> Proof:
    return Proof("bitcoin", proof, commitment, under)


def test_a_lucky_header(ask: Ask) -> None:
    under = rules(least_work=f"{bitcoin.LEAST_WORK - 1:x}")
    for headers, strength in ((0, "attested"), (1, "attested"), (2, "proven")):
        assert same(ask, _of_bitcoin(encoded(bitcoin.lucky(headers)), under))["strength"] == strength


@pytest.mark.parametrize("damage", [row[1] for row in bitcoin.DAMAGED], ids=[row[0] for row in bitcoin.DAMAGED])
def test_damaged_bitcoin_receipts(ask: Ask, damage: Callable[[Any], Any]) -> None:
    assert "reason" in same(ask, _of_bitcoin(encoded(damage(bitcoin.HONEST)), rules()))


@pytest.mark.parametrize("work", ["sha256d", "scrypt"])
def test_work_proves_or_is_attested_or_is_none(ask: Ask, work: Any) -> None:
    made = block(work=work, on_top=12)
    proof = encoded(made.proof())
    shown = bitcoin.shown(made.chain[1].hash)
    other_work: Any = "scrypt" if work == "sha256d" else "sha256d"
    table = {
        "proven": rules(work), "attested": rules(work, least_work=None), "no_work": rules(other_work),
        "wrong_target": rules(work, easiest_bits="1d00ffff"), "rules_unreadable": rules(work, easiest_bits="00000000"),
        "too_few_headers": rules(work, depth=100), "wrong_genesis": rules(work, genesis="22" * 32),
    }  # fmt: skip
    for expected, under in table.items():
        found = same(ask, _of_bitcoin(proof, under))
        assert found.get("reason", found.get("strength")) == expected
    assert same(ask, _of_bitcoin(proof, rules(work, least_work="ff")))["strength"] == "attested"
    trusted = same(ask, _of_bitcoin(proof, rules(work, depth=100, trusted_headers=("00" * 32, shown))))
    assert trusted["by"] == "trusted_header"


def test_targets_that_none_can_have(ask: Ask) -> None:
    for bits in (0, 0x01003456, 0x04923456, 0xFF123456):
        forged = Header.parse(bitcoin.HONEST.chain[0].encoded[:72] + bits.to_bytes(4, "little") + bytes(4))
        chain = bitcoin.chained(forged, 3)
        found = same(ask, _of_bitcoin(encoded(bitcoin.HONEST.with_chain(chain).proof()), rules()))
        assert found == {"reason": "wrong_target"}


@pytest.mark.parametrize(
    "script", ["51", "60", "0111", "028000", "03a08601", "", "0180", "020100", "0500000000ff", "03a086", "00", "0100"]
)
def test_a_height_is_read_alike(ask: Ask, script: str) -> None:
    spends = bitcoin.OutPoint(bytes(32), 0xFFFFFFFF)
    inputs = (bitcoin.Input(spends, bytes.fromhex(script)),)
    outputs = (bitcoin.Output(0, bytes(20)), bitcoin.Output(0, bitcoin.commitment_script(bitcoin.COMMITMENT)))
    first = bitcoin.Transaction(inputs, outputs)
    chain = bitcoin.chained(bitcoin.mined(first.txid, bytes(32)), 3)
    assert same(ask, _of_bitcoin(encoded(bitcoin.Made((first,), 0, tuple(chain)).proof()), rules()))["by"]


# --- Fabric -----------------------------------------------------------------------------------------------------------


@functools.cache
def _network(orderers: int = 1) -> Network:
    ordering = [Organisation(f"Orderer{at}MSP") for at in range(orderers)]
    return Network(Organisations(ordering=ordering), bft=True) if orderers > 1 else Network()


COMMITMENT = head(7).commitment


def _of_fabric(proof: bytes, under: Any, commitment: bytes = COMMITMENT) -> Proof:
    return Proof("fabric", proof, commitment, under)


@pytest.mark.parametrize("orderers", [1, 4])
def test_blocks_of_fabric(ask: Ask, orderers: int) -> None:
    network = _network(orderers)
    proof = anchored(network, COMMITMENT).proof
    assert same(ask, _of_fabric(proof, network.rules()))["strength"] == "proven"
    assert same(ask, _of_fabric(proof, network.rules(window_s=None)))["strength"] == "proven"
    assert same(ask, _of_fabric(proof, network.rules(seals=None)))["strength"] == "attested"
    for member, value, reason in (
        ("channel", "other", "other_channel"), ("chaincode", "assets", "other_chaincode"),
        ("function", "transfer", "other_function"), ("argument", 1, "other_commitment"),
        ("argument", 9, "other_commitment"), ("msps", network.rules().msps[1:], "foreign_creator"),
    ):  # fmt: skip
        under = msgspec.structs.replace(network.rules(), **{member: value})
        assert same(ask, _of_fabric(proof, under)) == {"reason": reason}
    assert same(ask, _of_fabric(proof, network.rules(), bytes(32))) == {"reason": "other_commitment"}
    for spoilt in (proof.replace(b'"place":1', b'"place":99'), proof[:-1], b"{}", b"[1]", proof + b" "):
        assert "reason" in same(ask, _of_fabric(spoilt, network.rules()))
    if orderers == 1:
        good = json.loads(canonical.encode(network.rules()))
        several = json.dumps(
            good | {"orderers": good["orderers"] | {"count": 2}}, sort_keys=True, separators=(",", ":")
        )
        first, second, *others = good["msps"]
        shared = good | {"msps": [first, second | {"roots": first["roots"]}, *others]}
        for under in (several, json.dumps(shared, sort_keys=True, separators=(",", ":"))):
            assert same(ask, _of_fabric(proof, under.encode())) == {"reason": "rules_unreadable"}
    elsewhere = _of_fabric(anchored(Network(), COMMITMENT).proof, network.rules())
    assert same(ask, elsewhere) == {"reason": "foreign_creator"}


# --- time-stamps of other authorities ---------------------------------------------------------------------------------


def _stamp(proof: bytes, under: Any = None) -> Proof:
    return Proof("rfc3161", proof, stamps.HEAD.commitment, stamps.rules() if under is None else under)


def _wrong_stamps() -> list[Any]:
    (mark,) = (one for one in stamps.test_each_wrong_thing_has_its_own_reason.pytestmark if one.name == "parametrize")
    return list(mark.args[1])


@pytest.mark.parametrize(("made", "reason"), _wrong_stamps())
def test_each_wrong_stamp_has_the_same_reason(ask: Ask, made: Callable[[], bytes], reason: Any) -> None:
    assert same(ask, _stamp(made())) == {"reason": str(reason)}


def test_stamps_that_hold(ask: Ask) -> None:
    found = same(ask, _stamp(stamps.proof()))
    assert (found["strength"], found["by"], found["latest"] - found["time"]) == ("proven", "time_stamp", 1000.0)
    assert same(ask, _stamp(stamps.proof(lists=(stamps.LIST, stamps.LEFT_LATER))))["strength"] == "proven"
    bare = stamps.proof(stamps.token(stamps.TSA, stamps.TEXT, info={"accuracy": None}))
    assert same(ask, _stamp(bare))["notes"] == ["The time-stamp states no accuracy."]
    lists = (stamps.crl(stamps.INTERMEDIATE_ROOT), stamps.crl(stamps.INTERMEDIATE))
    below = stamps.proof(stamps.token(stamps.BELOW, stamps.TEXT), lists, (stamps.INTERMEDIATE.der,))
    assert same(ask, _stamp(below, stamps.rules(stamps.INTERMEDIATE_ROOT)))["strength"] == "proven"
    assert same(ask, _stamp(below, stamps.rules(stamps.TSA))) == {"reason": "rules_unreadable"}


def test_answers_instead_of_lists(ask: Ask) -> None:
    stamp = stamps.token(stamps.TSA, stamps.TEXT)

    def with_answers(*answers: bytes) -> Proof:
        return _stamp(bytes(write_stamp_proof(stamp, [], [], answers)))

    told = answer(stamps.TSA, stamps.CA, responder(stamps.CA))
    assert same(ask, with_answers(told))["strength"] == "proven"
    assert same(ask, with_answers(b"no answer")) == {"reason": "malformed"}
    assert same(ask, with_answers()) == {"reason": "stamp_revocation_unknown"}
    members = json.loads(with_answers().proof)
    empty = msgspec.json.encode(members | {"ocsp_answers": []}, order="sorted")
    assert same(ask, _stamp(empty)) == {"reason": "malformed"}


# --- what was damaged at random ---------------------------------------------------------------------------------------


def _honest() -> Iterator[Proof]:
    yield from (_evm(case) for case in CASES if case.verdict in ("proven", "attested"))
    for work in ("sha256d", "scrypt"):
        yield _of_bitcoin(encoded(block(work=work).proof()), rules(work))
    for orderers in (1, 4):
        network = _network(orderers)
        yield _of_fabric(anchored(network, COMMITMENT).proof, network.rules())
    yield _stamp(stamps.proof())


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes with one changed, left out, or added, or all from some place on gone."""
    at = chance.randrange(len(data))
    match chance.randrange(5):
        case 0 | 1:
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[at + 1 :]
        case 3:
            return data[:at] + bytes([chance.randrange(256)]) + data[at:]
        case _:
            return data[:at]


def _inside(value: Any, chance: random.Random) -> Any:
    """A member of a proof with something in it damaged, in a text as bytes where it holds any."""
    if isinstance(value, str):
        if value and len(value) % 2 == 0 and set(value) <= set("0123456789abcdef"):
            return _damaged(bytes.fromhex(value), chance).hex()
        try:
            decoded = base64.b64decode(value, validate=True)
        except ValueError:
            decoded = b""
        return base64.b64encode(_damaged(decoded, chance)).decode() if decoded else value + "x"
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        return [*value[:at], _inside(value[at], chance), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool):
        return value + chance.choice((-1, 1))
    return value


@pytest.mark.parametrize("kind", ["evm", "bitcoin", "fabric", "rfc3161"])
def test_both_say_the_same_of_what_is_damaged_at_random(ask: Ask, kind: str) -> None:
    chance = random.Random(kind)
    honest = [one for one in _honest() if one.type == kind]
    refused = set()
    for number in range(400):
        one = chance.choice(honest)
        if number % 4 == 0:
            spoilt = _damaged(one.proof, chance)
        else:
            members = json.loads(one.proof)
            name = chance.choice(sorted(members))
            members[name] = _inside(members[name], chance)
            spoilt = msgspec.json.encode(members, order="sorted")
        damaged = Proof(one.type, spoilt, one.commitment, one.rules)
        ours, theirs = program(damaged), page(ask, damaged)
        if theirs == {"reason": "unable"}:
            assert "reason" in ours
        else:
            assert ours == theirs, spoilt
        refused.add(ours.get("reason"))
    assert len(refused - {None}) >= 3


# --- what a hostile receipt costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_evm_receipt_ends(ask: Ask, make: Callable[[], Any]) -> None:
    under = evm_rules(QBFT if make.__name__ in ("many_items_in_extra_data", "many_seals") else CLIQUE)
    one = Proof("evm", write_proof(make()), CASES[0].commitment, under)
    assert _spent(ask, one) < SECONDS_FOR_A_HOSTILE_ONE


def test_a_hostile_bitcoin_receipt_ends(ask: Ask) -> None:
    longest = block(work="scrypt", on_top=MOST_DEPTH - 1)
    chain = list(longest.chain)
    while len(chain) < 10_000:
        chain.append(Header.parse(chain[0].encoded[:4] + chain[-1].hash + chain[0].encoded[36:]))
    for made in (longest, longest.with_chain(chain)):
        assert _spent(ask, _of_bitcoin(encoded(made.proof()), rules("scrypt"))) < SECONDS_FOR_A_HOSTILE_ONE


def test_a_hostile_fabric_receipt_ends(ask: Ask) -> None:
    network = _network()
    parts = canonical.encode(FabricProof(block=b"\x12\x80\x80\x80\x01" + secrets.token_bytes(2_097_152), place=0))
    assert _spent(ask, _of_fabric(parts, network.rules())) < SECONDS_FOR_A_HOSTILE_ONE


def _spent(ask: Ask, one: Proof) -> float:
    given = json.loads(canonical.encode(one.rules))
    found = ask("ledger", type=one.type, proof=one.proof.decode(), commitment=one.commitment.hex(), rules=given)
    ours = program(one)
    assert found.get("reason") == ours.get("reason")
    assert found.get("strength") == ours.get("strength")
    return float(found["spent"]) / 1000
