"""Anchors in a letter's evidence: what they show, and each wrong thing with its own verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors import AnchorRefused
from appliance.asic import read_container
from appliance.asic.anchor import read_anchor, with_anchors
from appliance.asic.container import write_container
from appliance.asic.renewal import renewal_of, renewed_container
from appliance.evidence import FileReport, Indication, NamedBytes, SubIndication, verify
from appliance.evidence.bundle import TimeRules
from appliance.evidence.letters.facts import LetterFacts
from appliance.evidence.page import report_page
from firmware_tests.evidence.anchors import (  # fmt: skip
    CA,
    LEDGER,
    STAMPED,
    UNIT,
    anchor_of,
    anchored_world,
    box_log,
    entry,
    profile,
    receipt,
    trust,
)
from firmware_tests.evidence.letters import NOW, evidence, plain_letter, split_letter, surroundings
from firmware_tests.evidence.material import DAY, T0, certify, crl, microseconds, time_stamper
from firmware_tests.evidence.renewing import NOW as LATE
from firmware_tests.evidence.renewing import YEAR, later_world, until

NAME = f"META-INF/anchor-{LEDGER}-6.json"


def _judged(content: bytes, *, ledgers: Any = (), bundle: Any = None) -> FileReport:
    report = verify([NamedBytes("letter.asice", content)], bundle or trust(), now_us=microseconds(NOW), ledgers=ledgers)
    return report.files[0]


def _facts(file: FileReport) -> LetterFacts:
    assert isinstance(file.letter, LetterFacts)
    return file.letter


def _replaced(content: bytes, name: str, made: bytes) -> bytes:
    entries = {**read_container(content), name: made}
    return write_container((one, text) for one, text in entries.items() if one != "mimetype")


def test_a_ledger_shows_by_when_every_event_of_the_letter_existed() -> None:
    chain = plain_letter()
    file = _judged(evidence(chain, anchors=[anchor_of(chain)]))
    assert file.indication is Indication.PASSED, file.parts
    (ledger,) = _facts(file).ledgers
    assert (ledger.ledger, ledger.type, ledger.strength, ledger.by) == (LEDGER, "rfc3161", "proven", "time_stamp")
    shown = file.existed_no_later_than
    assert shown is not None
    assert shown.time_us == microseconds(STAMPED) + 1_000_000
    assert "ledger" in shown.by
    assert LEDGER in shown.by
    assert all(LEDGER in one.said_by for one in _facts(file).events)


def test_the_same_holds_for_a_letter_that_was_split_off() -> None:
    chain = split_letter()
    file = _judged(evidence(chain, anchors=[anchor_of(chain)]))
    assert file.indication is Indication.PASSED, file.parts
    assert len(_facts(file).ledgers) == 1


def test_a_ledger_that_nobody_trusts_counts_for_nothing_and_is_told() -> None:
    chain = plain_letter()
    content = evidence(chain, anchors=[anchor_of(chain)])
    bundle = trust(profile("another"))
    file = _judged(content, bundle=bundle)
    assert file.indication is Indication.PASSED
    assert [one.strength for one in _facts(file).ledgers] == ["unknown"]
    assert file.existed_no_later_than is None
    given = _judged(content, bundle=bundle, ledgers=[profile()])
    assert [one.strength for one in _facts(given).ledgers] == ["proven"]
    assert given.existed_no_later_than is not None


def test_the_tolerance_of_the_profile_is_added() -> None:
    chain = plain_letter()
    file = _judged(evidence(chain, anchors=[anchor_of(chain)]), ledgers=[profile(tolerance_s=60)])
    assert file.existed_no_later_than is not None
    assert file.existed_no_later_than.time_us == microseconds(STAMPED) + 61_000_000


def test_a_ledger_s_class_that_the_bundle_does_not_accept_tells_no_time() -> None:
    chain = plain_letter()
    world = replace(anchored_world(), time=TimeRules(accepted=["tsa"]))
    file = _judged(evidence(chain, anchors=[anchor_of(chain)]), bundle=world.trust(ledgers=[entry(profile())]))
    assert file.indication is Indication.PASSED
    assert file.existed_no_later_than is None
    assert [one.strength for one in _facts(file).ledgers] == ["proven"]


def test_a_ledger_that_contradicts_the_event_leaves_it_undecided() -> None:
    chain = plain_letter()
    early = STAMPED - timedelta(days=1)
    file = _judged(evidence(chain, anchors=[anchor_of(chain, when=early)]))
    assert file.indication is Indication.INDETERMINATE
    assert SubIndication.TIMESTAMP_ORDER_FAILURE in file.sub_indications


def test_a_unit_that_a_later_list_revokes_shows_nothing_any_more() -> None:
    """A receipt holds the lists of its own day; a verifier may have later ones."""
    chain = plain_letter()
    content = evidence(chain, anchors=[anchor_of(chain)])
    for reason, indication in (
        (x509.ReasonFlags.key_compromise, Indication.INDETERMINATE),
        (x509.ReasonFlags.superseded, Indication.PASSED),
    ):
        later = crl(CA, [(UNIT, STAMPED + DAY, reason)], issued=STAMPED + 2 * DAY)
        given = [NamedBytes("letter.asice", content), NamedBytes("later.crl", later)]
        report = verify(given, trust(), now_us=microseconds(STAMPED + 3 * DAY))
        assert report.files[0].indication is indication, report.files[0].parts
        assert (report.files[0].existed_no_later_than is None) is (indication is not Indication.PASSED)


@pytest.mark.parametrize(("algorithm", "below"), [("sha256", None), ("ecdsa", 300), ("ed25519", None)])
def test_an_anchor_relies_on_what_had_not_ended_when_it_was_there(algorithm: str, below: int | None) -> None:
    """Whoever breaks an ended algorithm makes anchors of any time: one counts that a record over the file shows to have
    been there before, and no other."""
    chain = plain_letter()
    bare = evidence(chain)
    name, anchor = NAME, anchor_of(chain)[2]
    later = later_world(anchored_world())
    bundle = later.world.trust(algorithms=[until(T0 + 2 * YEAR, algorithm, below)], ledgers=[entry(profile())])

    def renewed(content: bytes, when: Any) -> bytes:
        made = later.renew([renewal_of(content, "sha512")], when)[0]
        return renewed_container(content, "sha512", made)

    def judged(content: bytes) -> FileReport:
        given = [NamedBytes("letter.asice", content)]
        return verify(given, bundle, now_us=microseconds(LATE)).files[0]

    before = judged(renewed(with_anchors(bare, {name: anchor})[0], T0 + YEAR))
    assert before.indication is Indication.PASSED, before.parts
    assert before.existed_no_later_than is not None
    assert "ledger" in before.existed_no_later_than.by
    after = judged(with_anchors(renewed(bare, T0 + YEAR), {name: anchor})[0])
    assert after.indication is Indication.INDETERMINATE
    (ledger,) = _facts(after).ledgers
    assert (ledger.strength, ledger.existed_no_later_than, ledger.reason.split(":")[0]) == (
        "refused",
        "",
        "ended_algorithm",
    )
    assert SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE in after.sub_indications
    assert judged(renewed(bare, T0 + YEAR)).indication is Indication.PASSED


def _foreign(chain: Any) -> tuple[str, int, bytes]:
    other = certify("Other CA", ca=True)
    return anchor_of(chain, unit=time_stamper("Other unit", other), ca=other)


def _of_another_head(chain: Any) -> tuple[str, int, bytes]:
    note = box_log().checkpoint([*box_log().entries, b"another leaf"], [])
    return anchor_of(chain, of=receipt(note))


def _of_another_history(chain: Any, *more: bytes) -> tuple[str, int, bytes]:
    """The box's log commits to another log of the tenant than the one in which the letter's proofs are."""
    _, tenant = surroundings()
    return anchor_of(chain, entries_before=[b"another", *tenant.entries[1:], *more])


def _of_another_letter(chain: Any) -> tuple[str, int, bytes]:
    return anchor_of(plain_letter(4)[:3])


@pytest.mark.parametrize(
    ("make", "indication", "sub_indication", "words"),
    [
        (_foreign, Indication.INDETERMINATE, SubIndication.NO_POE, "stamp_foreign_authority"),
        (_of_another_head, Indication.FAILED, SubIndication.HASH_FAILURE, "other_checkpoint"),
        (lambda chain: anchor_of(chain, tails=["0001"]), Indication.FAILED, SubIndication.HASH_FAILURE, "other events"),
        (
            lambda chain: anchor_of(chain, tails=["0001", "0002", "0003"]),
            Indication.FAILED, SubIndication.HASH_FAILURE, "does not lead",
        ),
        (
            lambda chain: _of_another_history(chain, b"one more"),
            Indication.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE, "in another place",
        ),
        (_of_another_history, Indication.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE, "of the same size"),
        (
            lambda chain: anchor_of(chain, origin="log.rehearsal.example/other"),
            Indication.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE, "in another place",
        ),
        (lambda chain: (LEDGER, 7, anchor_of(chain)[2]), Indication.FAILED, SubIndication.FORMAT_FAILURE, "name"),
        (lambda chain: ("other", 6, anchor_of(chain)[2]), Indication.FAILED, SubIndication.FORMAT_FAILURE, "name"),
        (
            lambda chain: (LEDGER, 6, anchor_of(chain)[2][:-1]),
            Indication.FAILED, SubIndication.FORMAT_FAILURE, "Malformed",
        ),
    ],
)  # fmt: skip
def test_each_wrong_anchor_is_refused_for_its_own_reason(
    make: Any, indication: Indication, sub_indication: SubIndication, words: str
) -> None:
    chain = plain_letter()
    ledger, size, encoded = make(chain)
    content = _replaced(evidence(chain), f"META-INF/anchor-{ledger}-{size}.json", encoded)
    file = _judged(content)
    assert file.indication is indication, file.parts
    assert sub_indication in file.sub_indications
    assert words in str([check.text for part in file.parts for check in part.checks])
    assert file.existed_no_later_than is None


def test_an_anchor_of_a_log_that_is_not_trusted_shows_nothing() -> None:
    chain = plain_letter()
    world, _ = surroundings()
    file = _judged(evidence(chain, anchors=[anchor_of(chain)]), bundle=world.trust(), ledgers=[profile()])
    assert file.indication is Indication.INDETERMINATE
    assert SubIndication.NO_CERTIFICATE_CHAIN_FOUND in file.sub_indications
    assert _facts(file).ledgers == []


def test_more_anchors_than_a_box_gives_refute_the_file() -> None:
    chain = plain_letter()
    content = evidence(chain, anchors=[(LEDGER, size, b"{}") for size in range(1, 34)])
    assert _judged(content).indication is Indication.FAILED


def test_the_report_names_the_ledger_for_people_in_both_languages() -> None:
    chain = plain_letter()
    report = verify(
        [NamedBytes("letter.asice", evidence(chain, anchors=[anchor_of(chain)]))], trust(), now_us=microseconds(NOW)
    )
    english, chinese = (report_page(report, language).decode() for language in ("en", "zh-Hans"))
    assert "Ledgers" in english
    assert "proven" in english
    assert "账本" in chinese
    assert "已证明" in chinese
    assert "of “Ledger unit, Cinnabar rehearsal”" in english
    assert "“Ledger unit, Cinnabar rehearsal”的时间戳" in chinese
    assert "⟨U+" not in english + chinese


def test_a_refusal_names_whom_it_is_about_once_quoted() -> None:
    chain = plain_letter()
    report = verify(
        [NamedBytes("letter.asice", evidence(chain, anchors=[_foreign(chain)]))], trust(), now_us=microseconds(NOW)
    )
    english = report_page(report, "en").decode()
    assert "stamp_foreign_authority: No path leads from “Other unit, Cinnabar rehearsal”" in english
    assert "⟨U+" not in english


CHAIN = plain_letter(1)
HONEST = anchor_of(CHAIN)


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_of_an_anchor_refutes_it_or_shows_the_same(data: st.DataObject) -> None:
    """Whoever adds an anchor, or changes one, cannot make it show an earlier time."""
    ledger, size, encoded = HONEST
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes([encoded[at] ^ data.draw(st.integers(1, 255))]) + encoded[at + 1 :]
    file = _judged(_replaced(evidence(CHAIN), f"META-INF/anchor-{ledger}-{size}.json", changed))
    if file.indication is Indication.PASSED and file.existed_no_later_than is not None:
        assert file.existed_no_later_than.time_us == microseconds(STAMPED) + 1_000_000


def test_an_anchor_s_texts_are_no_longer_than_they_can_be() -> None:
    """Each event is led to the head anew, so what is beside the proof would be read thousands of times."""
    encoded = HONEST[2]
    padded = encoded.replace(b"@v1\\nindex", b"@v1\\nextra " + b"A" * 200_000 + b"\\nindex")
    assert len(padded) > len(encoded)
    with pytest.raises(AnchorRefused):
        read_anchor(padded)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_anchor(content: bytes) -> None:
    with pytest.raises(AnchorRefused):
        read_anchor(content)


def test_further_anchors_alter_nothing_that_stands_there() -> None:
    content = evidence(CHAIN)
    made, added = with_anchors(content, {NAME: HONEST[2]})
    assert added == [NAME]
    before, after = read_container(content), read_container(made)
    assert {name: after[name] for name in before} == before
    assert list(after)[: len(before)] == list(before)
    assert with_anchors(made, {NAME: b"another"}) == (made, [])
    assert _judged(made).indication is Indication.PASSED
