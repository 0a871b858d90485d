"""Evidence of letters whose seals share a time-stamp (RFC 4998): good files pass, foreign records do not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.asic import EvidenceNotBuildable, read_container, write_container
from appliance.asic.manifest import write_manifest
from appliance.evidence import Indication, SubIndication
from firmware_tests.evidence.letters import (
    check,
    evidence,
    letter_of_a_file,
    plain_letter,
    stamped_together,
)
from firmware_tests.evidence.material import T0, certify
from firmware_tests.evidence.test_letters import Entries, checks, facts, reasons

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
FIRST, THIRD = (f"META-INF/evidencerecord-000{number}.ers" for number in (1, 3))
MANIFEST = "META-INF/ASiCEvidenceRecordManifest-0001.xml"
STAMPED = "2026-03-01 12:00:33 UTC"


@functools.cache
def together() -> bytes:
    return evidence(letter_of_a_file())


def altered(change: Callable[[Entries], object]) -> bytes:
    entries = read_container(together())
    change(entries)
    return write_container(entries.items())


def _swapped(entries: Entries) -> None:
    entries[FIRST], entries[THIRD] = entries[THIRD], entries[FIRST]


def _without(entries: Entries) -> None:
    del entries[FIRST], entries[MANIFEST]


def _of_another_batch() -> bytes:
    return read_container(evidence(letter_of_a_file(1)))[FIRST]


REFUTED: dict[str, Callable[[Entries], object]] = {
    "another event's record": _swapped,
    "a record of another letter": lambda entries: entries.update({FIRST: _of_another_batch()}),
    "no record": lambda entries: entries.pop(FIRST),
    "no manifest": lambda entries: entries.pop(MANIFEST),
    "a manifest of another": lambda entries: entries.update({MANIFEST: entries[MANIFEST.replace("0001", "0002")]}),
    "a manifest over more": lambda entries: entries.update({MANIFEST: write_manifest(FIRST, "", [])}),
    "a record of no event": lambda entries: entries.update(
        {name.replace("0001", "0009"): entries[name] for name in (FIRST, MANIFEST)}
    ),
    "a record of the court's": lambda entries: entries.update({FIRST.replace("0001", "court"): entries[FIRST]}),
    "no record at all": lambda entries: entries.update({FIRST: b""}),
}


def test_events_are_stamped_at_the_time_that_they_share() -> None:
    for leaves in (0, 1, 253):
        report = check(evidence(letter_of_a_file(leaves=leaves)))
        assert report.indication is PASSED, reasons(report)
        assert [one.stamped for one in facts(report).events] == [STAMPED] * 3
    alone = check(evidence(letter_of_a_file(1, 0)))
    assert (alone.indication, facts(alone).events[0].stamped) == (PASSED, "2026-03-01 12:00:13 UTC")
    assert evidence(letter_of_a_file()) != together(), "signatures are new"
    chain = letter_of_a_file()
    assert evidence(chain) == evidence(list(chain))


def test_letters_of_both_forms_go_on_in_one_chain() -> None:
    """A letter that came by file, and then had an event by itself."""
    whole, bare = plain_letter(3), plain_letter(3, stamped_by=None)
    assert check(evidence(whole)).indication is PASSED
    found = check(evidence(stamped_together(whole)))
    assert found.indication is PASSED, "a record beside a seal that has its own time-stamp is one more proof"
    assert facts(found).events[0].stamped == "2026-03-01 12:00:13 UTC", "the earlier one counts"
    without = check(evidence(bare))
    assert without.indication is UNDECIDED
    assert "neither inside it nor by an evidence record" in reasons(without)


@pytest.mark.parametrize("change", REFUTED.values(), ids=list(REFUTED))
def test_what_is_swapped_foreign_or_incomplete_refutes(change: Callable[[Entries], object]) -> None:
    report = check(altered(change))
    assert report.indication is FAILED
    assert reasons(report)


def test_a_seal_without_any_stamp_is_not_decided() -> None:
    report = check(altered(_without))
    assert (report.indication, facts(report).events[0].stamped) == (UNDECIDED, "")
    assert SubIndication.NO_POE in [one.sub_indication for one in checks(report)]


def test_whose_time_counts_says_the_bundle_alone() -> None:
    stranger = certify("Another TSA", certify("Another CA", ca=True), eku=[ExtendedKeyUsageOID.TIME_STAMPING])
    report = check(evidence(letter_of_a_file(by=stranger)))
    assert report.indication is UNDECIDED
    assert [one.stamped for one in facts(report).events] == [""] * 3


def test_an_event_is_not_stamped_before_it_happened() -> None:
    report = check(evidence(letter_of_a_file(when=T0 + timedelta(seconds=22))))
    assert report.indication is not PASSED
    assert "Contradiction: the event says" in reasons(report)


def test_what_does_not_lead_to_the_token_is_not_built() -> None:
    ours, others = letter_of_a_file(2), letter_of_a_file(2)
    mixed = msgspec.structs.replace(
        ours[0], artifact=msgspec.structs.replace(ours[0].artifact, stamp=others[0].artifact.stamp)
    )
    with pytest.raises(EvidenceNotBuildable, match="does not lead"):
        evidence([mixed, ours[1]])


@given(st.data())
@settings(max_examples=80)
def test_a_record_with_a_flipped_byte_says_the_same_or_does_not_pass(data: st.DataObject) -> None:
    entries = read_container(together())
    name = data.draw(st.sampled_from([FIRST, MANIFEST]))
    content = bytearray(entries[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    report = check(write_container((entries | {name: bytes(content)}).items()))
    # What CMS says twice, such as the token's digest algorithms, its signature does not cover.
    assert report.indication is not PASSED or facts(report) == facts(check(together()))
