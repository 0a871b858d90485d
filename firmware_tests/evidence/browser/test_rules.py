"""The page's rules in another JavaScript engine (node), held to the verifier's own verdicts."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.asic import EventFiles, read_container, write_container
from appliance.ceremonies.proposal import digest_words
from appliance.letters.event import Event
from appliance.letters.money import DIGITS, parse_amount
from firmware_tests.evidence.letters import (
    LETTER,
    NOW,
    OTHER_PART,
    PART,
    Office,
    check,
    evidence,
    letter_of_a_file,
    plain_letter,
    split_letter,
    stamped_together,
    story,
    surroundings,
)
from firmware_tests.evidence.material import T0, certify, crl, microseconds
from firmware_tests.evidence.test_letters import HOSTILE, VEILED, changed, court, good, hiding, lying
from firmware_tests.evidence.test_letters_stamped_together import FIRST, REFUTED, altered, together

Ask = Callable[..., Any]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@functools.cache
def bundle() -> dict[str, str]:
    return {name: b64(content) for name, content in surroundings()[0].bundle_files().items()}


def verify(ask: Ask, content: bytes, trust: dict[str, str] | None = None, now: int | None = None) -> Any:
    when = microseconds(NOW) // 1000 if now is None else now
    return ask("verify", trust=bundle() if trust is None else trust or None, file=b64(content), now=when)


def test_good_files_pass_with_the_facts_of_the_report(ask: Ask) -> None:
    for content in (
        good(), evidence(split_letter(2)), evidence(split_letter(0), PART), evidence(split_letter(0), OTHER_PART),
        evidence(split_letter(0)), evidence(plain_letter(3), court=court(plain_letter(3))),
    ):  # fmt: skip
        found, report = verify(ask, content), check(content).files[0]
        assert found["indication"] == report.indication.value == "TOTAL-PASSED", found["told"]
        letter = report.letter
        assert not isinstance(letter, msgspec.UnsetType)
        facts = found["facts"]
        assert (facts["letter"], facts["state"], facts["balance"]) == (letter.letter, letter.state, letter.balance)
        assert facts["signers"] == [one.signers[0] for one in letter.events]
        existed = report.existed_no_later_than
        assert facts["existed"] == (None if existed is None else existed.time_us // 1000)


@pytest.mark.parametrize("leaves", [0, 1, 253])
def test_seals_that_share_a_time_stamp(ask: Ask, leaves: int) -> None:
    for chain in (letter_of_a_file(leaves=leaves), letter_of_a_file(1, leaves), stamped_together(plain_letter())):
        found = verify(ask, evidence(chain))
        assert found["indication"] == check(evidence(chain)).indication.value == "TOTAL-PASSED", found["told"]


@pytest.mark.parametrize("change", REFUTED.values(), ids=list(REFUTED))
def test_evidence_records_that_are_swapped_foreign_or_incomplete_refute(
    ask: Ask, change: Callable[[dict[str, bytes]], object]
) -> None:
    assert verify(ask, altered(change))["indication"] == "TOTAL-FAILED"


def test_altered_evidence_records_never_pass(ask: Ask) -> None:
    entries = read_container(together())
    for place in range(0, len(entries[FIRST]), 7):
        content = bytearray(entries[FIRST])
        content[place] ^= 1
        found = verify(ask, write_container((entries | {FIRST: bytes(content)}).items()))
        if found["indication"] == "TOTAL-PASSED":  # what CMS says twice, its signature does not cover
            assert found["facts"] == verify(ask, together())["facts"]
    bare = verify(ask, evidence(plain_letter(stamped_by=None)))
    assert bare["indication"] == "INDETERMINATE"
    assert "neither inside it nor by an evidence record" in str(bare["told"])


def test_without_a_bundle_nothing_is_decided_but_what_is_wrong(ask: Ask) -> None:
    assert verify(ask, good(), {})["indication"] == "INDETERMINATE"
    assert verify(ask, changed(HOSTILE["a changed event"]), {})["indication"] == "TOTAL-FAILED"
    seals = changed(HOSTILE["another event's seal"])
    assert verify(ask, seals, {})["indication"] == "TOTAL-FAILED"


@pytest.mark.parametrize("key", ["p384", "rsa", "ed25519"])
def test_seals_by_every_kind_of_key(ask: Ask, key: str) -> None:
    world, log = surroundings()
    made: Any = {
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[key]()
    desk = Office(replace(world, sealer=certify("Another seal", world.seal_ca, key=made)), log)
    for one in story(2):
        desk.seal(one)
    content = evidence(desk.chain())
    assert check(content).indication.value == "TOTAL-PASSED"
    assert verify(ask, content)["indication"] == "TOTAL-PASSED"


@pytest.mark.parametrize(("content", "expected"), VEILED)
def test_what_opened_is_what_was_committed_to(ask: Ask, content: bytes, expected: str) -> None:
    assert verify(ask, content)["indication"] == expected


def test_disclosed_values_are_the_events_own(ask: Ask) -> None:
    chain = hiding()
    assert not verify(ask, evidence(chain))["facts"]["disclosed"]
    assert verify(ask, evidence(chain, disclosed=["bidder"]))["facts"]["disclosed"] == {
        "bidder": {"id": "1", "name": "某公司"}
    }
    assert verify(ask, lying(chain))["indication"] == "TOTAL-FAILED"


def test_trust_decides(ask: Ask) -> None:
    world, _ = surroundings()

    def under(other: Any, **changes: Any) -> str:
        files = {name: b64(content) for name, content in other.bundle_files(**changes).items()}
        return str(verify(ask, good(), files)["indication"])

    assert under(world) == "TOTAL-PASSED"
    assert under(replace(world, seal_ca=certify("Another CA", ca=True))) == "INDETERMINATE"
    assert under(replace(world, logs=())) == "INDETERMINATE"
    assert under(world, revocation_lists={}) == "INDETERMINATE"
    assert under(world, expires=T0) == "INDETERMINATE"
    revoked = {**world.crls, "seal-ca.crl": crl(world.seal_ca, [(world.sealer, T0, None)])}
    assert under(replace(world, crls=revoked)) == "INDETERMINATE"
    later = {**world.crls, "seal-ca.crl": crl(world.seal_ca, [(world.sealer, T0 + timedelta(hours=5), None)])}
    assert under(replace(world, crls=later)) == "TOTAL-PASSED"


def test_a_bundle_is_read_strictly(ask: Ask) -> None:
    good_files = bundle()
    assert ask("trust", trust=good_files)["version"] == 1
    document = base64.b64decode(good_files["bundle.json"])
    for spoiled in (
        {name: value for name, value in good_files.items() if name != "bundle.json.sig"},
        {name: value for name, value in good_files.items() if name != "seal-ca.crl"},
        good_files | {"bundle.json": b64(document.replace(b'"rehearsal":true', b'"rehearsal":false'))},
        good_files | {"bundle.json": b64(document + b"\n")},
        good_files | {"bundle.json": b64(b"{}")},
        good_files | {"seal-ca.crl": good_files["tsa-ca.crl"]},
    ):
        assert isinstance(ask("trust", trust=spoiled), str)


def test_words_members_amounts_and_canonical_json_are_the_boxs(ask: Ask) -> None:
    from mnemonic import Mnemonic

    for language in ("english", "chinese_simplified"):
        words = Mnemonic(language).wordlist
        said = ask("words", fingerprint="07" * 32, words=words)
        assert said == digest_words("07" * 32, language)  # type: ignore[arg-type]
    assert ask("members") == sorted(one.encode_name for one in msgspec.structs.fields(Event))
    for said, currency in (("1.00", "CNY"), ("99999999999999.99", "EUR"), ("5", "JPY"), ("0.001", "KWD")):
        assert ask("amount", said=said, currency=currency) == str(parse_amount(said, currency))
    for said, currency in (
        ("1.0", "CNY"),
        ("01.00", "CNY"),
        ("-1.00", "CNY"),
        ("1", "cny"),
        ("1.000", "JPY"),
        ("", "EUR"),
        ("1.00", "XYZ"),
        ("999999999999999.99", "EUR"),
    ):
        assert "amount" in ask("amount", said=said, currency=currency)
    assert dict(ask("digits")) == DIGITS
    for one in story(3):
        assert ask("canonical", said=b64(one.canonical())) is True
    for spoiled in (b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}', b'{"a":1.0}', b"\xff", b'"\\ud800"', b"["):
        assert "canonical" in ask("canonical", said=b64(spoiled)) or "UTF-8" in ask("canonical", said=b64(spoiled))
    assert ask("shown", said="pay \u202e000,1") == "pay ⟨U+202E⟩000,1"


@given(st.data())
@settings(max_examples=40)
def test_no_flipped_byte_passes(ask: Ask, data: st.DataObject) -> None:
    entries = read_container(good())
    name = data.draw(st.sampled_from([one for one in entries if "for-people" not in one]))
    content = bytearray(entries[name])
    witness = content.rfind("\n— witness".encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    entries[name] = bytes(content)
    spoiled = write_container(entries.items())
    if verify(ask, spoiled)["indication"] == "TOTAL-PASSED":
        # What the verifier passes too: a byte of a seal that no signature covers, or of a witness's line, which then
        # counts as none.
        assert check(spoiled).indication.value == "TOTAL-PASSED"
        assert "signature" in name or 0 < witness < place


def test_the_longest_letters_are_no_trouble(ask: Ask) -> None:
    chain: list[EventFiles] = plain_letter(60)
    found = verify(ask, evidence(chain))
    assert found["indication"] == "TOTAL-PASSED"
    assert found["facts"]["letter"] == LETTER
