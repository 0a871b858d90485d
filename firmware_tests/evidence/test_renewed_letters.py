"""Evidence files of letters that were renewed: entries are added and none altered, and what is older is judged at the
time that a renewal shows."""

from __future__ import annotations

import functools
import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from rich.console import Console

from appliance.asic import (
    EvidenceNotBuildable,
    ManifestRefused,
    read_container,
    read_renewal_manifest,
    renewal_of,
    renewed_container,
    write_container,
)
from appliance.asic.manifest import DIGEST_METHODS, write_manifest
from appliance.asic.names import renewal_names
from appliance.asic.renewal import renewal_manifest
from appliance.evidence import Indication, Report, SubIndication
from appliance.evidence.bundle import AlgorithmEnd
from appliance.evidence.held_letters import held_letter
from appliance.evidence.language import Language
from appliance.evidence.page import report_page
from appliance.evidence.text import print_report
from appliance.evidence_records import (
    RenewalTree,
    first_record,
    hash_tree_renewal,
    parse_evidence_record,
    time_stamp_renewal,
)
from firmware_tests.evidence.letters import (
    Office,
    check,
    event,
    evidence,
    letter_of_a_file,
    opened_value,
    plain_letter,
    split_letter,
    surroundings,
)
from firmware_tests.evidence.material import DAY, T0, Holder, certify, microseconds, time_stamper
from firmware_tests.evidence.renewing import NOW, YEAR, Later, later_world, until
from firmware_tests.evidence.test_letters import Entries, court, facts, reasons
from firmware_tests.letters.kinds import FIELDS

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
NO_POE = SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
RECORD, MANIFEST = renewal_names(1)


@functools.cache
def later() -> Later:
    world, _ = surroundings()
    return later_world(world)


def renewed(content: bytes, when: datetime, name: str = "sha512", by: Holder | None = None) -> bytes:
    wanted = renewal_of(content, name)
    if by is None:
        return renewed_container(content, name, later().renew([wanted], when)[0])
    tree = RenewalTree.of([wanted])
    return renewed_container(content, name, tree.renewed(0, wanted, later().stamp(tree.root, when, name, by)))


def judge(content: bytes, ends: Sequence[AlgorithmEnd] = (), now: datetime = NOW) -> Report:
    return check(content, now=now, trust=later().world.trust(algorithms=list(ends)))


@functools.cache
def once() -> bytes:
    return renewed(evidence(plain_letter()), T0 + YEAR)


def altered(change: Callable[[Entries], object]) -> bytes:
    entries = read_container(once())
    change(entries)
    return write_container(entries.items())


def test_entries_are_added_and_none_is_altered() -> None:
    before = evidence(plain_letter())
    after = renewed(before, T0 + YEAR)
    old, new = read_container(before), read_container(after)
    assert list(new)[: len(old)] == list(old)
    assert {name: new[name] for name in old} == old
    assert list(new)[len(old) :] == [RECORD, MANIFEST]
    assert judge(after).indication is PASSED, reasons(judge(after))
    again = renewed(after, T0 + 2 * YEAR)
    assert list(read_container(again))[len(new) :] == list(renewal_names(2))
    assert judge(again).indication is PASSED


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_people_are_told_of_renewals(language: Language) -> None:
    report = judge(renewed(once(), T0 + 2 * YEAR))
    assert [(one.number, one.hash, one.time) for one in facts(report).renewals] == [
        (1, "sha512", "2027-03-01 12:00:00 UTC"),
        (2, "sha512", "2028-02-29 12:00:00 UTC"),
    ]
    page = report_page(report, language).decode()
    for said in {"en": ("Renewals", "Entries"), "zh-Hans": ("续期", "条目数")}[language]:
        assert said in page
    assert "2028-02-29 12:00:00 UTC" in page
    written = io.StringIO()
    print_report(report, Console(file=written, width=200), language=language)
    assert {"en": "Renewed at 2027-03-01", "zh-Hans": "于 2027-03-01"}[language] in written.getvalue()


def test_who_else_has_seen_it_and_when() -> None:
    """The renewal's authority is another party: all events existed by then, whatever the witnesses say later."""
    bare = evidence(plain_letter())
    assert facts(judge(once())).existed_no_later_than == facts(judge(bare)).existed_no_later_than, "seen before already"
    lone = evidence(letter_of_a_file())
    report = judge(renewed(lone, T0 + 2 * DAY))
    assert report.indication is PASSED
    titles = [part.title for part in report.files[0].parts]
    assert titles[1] == "renewal 1 of the file"


@pytest.mark.parametrize("own", [True, False])
def test_a_renewal_that_is_older_than_what_it_renews_contradicts_it(own: bool) -> None:
    """Else a token with a false time would show old signatures before the end of what they rely on."""
    by = later().world.tsa if own else later().world.foreign_tsa
    for when, indication in ((T0 - DAY, UNDECIDED), (T0 + DAY, PASSED)):
        report = judge(renewed(evidence(plain_letter()), when, "sha256", by))
        assert report.indication is indication, reasons(report)
        assert (SubIndication.TIMESTAMP_ORDER_FAILURE in report.sub_indications) is (indication is UNDECIDED)


def test_a_record_or_a_stamp_over_the_whole_file_beside_it_does_the_same() -> None:
    """Whoever keeps files as they came, with records of their own beside them."""
    content = evidence(plain_letter())
    ends = [until(T0 + 2 * YEAR)]
    wanted = [first_record("sha512", [hashlib.sha512(content).digest()])]
    record = later().renew(wanted, T0 + YEAR)[0]
    stamp = later().stamp(hashlib.sha512(content).digest(), T0 + YEAR)
    trust = later().world.trust(algorithms=ends)
    for name, beside in (("letter.asice.ers", record), ("letter.asice.tst", stamp)):
        report = check(content, (name, beside), now=NOW, trust=trust)
        assert report.indication is PASSED, reasons(report)
        assert report.files[1].covers == ["letter.asice"]
    late = later().renew(wanted, T0 + 2 * YEAR + DAY)[0]
    assert check(content, ("letter.asice.ers", late), now=NOW, trust=trust).indication is UNDECIDED
    other = later().renew([first_record("sha512", [bytes(64)])], T0 + YEAR)[0]
    assert check(content, ("letter.asice.ers", other), now=NOW, trust=trust).indication is not PASSED


@pytest.mark.parametrize("chain", [plain_letter, letter_of_a_file, split_letter])
def test_an_ended_hash_needs_a_renewal_before_its_end(chain: Callable[[], list[object]]) -> None:
    content = evidence(chain())  # type: ignore[arg-type]
    ends = [until(T0 + 2 * YEAR)]
    bare = judge(content, ends)
    assert (bare.indication, NO_POE in bare.sub_indications) == (UNDECIDED, True)
    report = judge(renewed(content, T0 + YEAR), ends)
    assert report.indication is PASSED, reasons(report)
    late = judge(renewed(content, T0 + 2 * YEAR + DAY), ends)
    assert (late.indication, NO_POE in late.sub_indications) == (UNDECIDED, True)


def test_a_chain_of_renewals_under_ever_stronger_hashes() -> None:
    content = renewed(evidence(plain_letter()), T0 + YEAR, "sha384")
    content = renewed(content, T0 + 2 * YEAR, "sm3")
    content = renewed(content, T0 + 2 * YEAR + DAY, "sha3-512")
    ends = [until(T0 + 2 * YEAR), until(T0 + 2 * YEAR + DAY, "sha384"), until(T0 + 2 * YEAR + 2 * DAY, "sm3")]
    assert judge(content, ends).indication is PASSED, reasons(judge(content, ends))
    missed = [*ends, until(T0 + 2 * YEAR - DAY, "sha384")]
    assert judge(content, missed).indication is UNDECIDED


def test_a_certificate_that_ended_is_judged_when_it_was_renewed() -> None:
    """The time-stamps of its seals are of a unit that nobody trusts any more, so that only the renewal says that they
    were there while their certificate held."""
    world, log = surroundings()
    short = certify("Bank of Examples", world.seal_ca, not_after=T0 + 2 * YEAR)
    desk = Office(replace(world, sealer=short), log)
    desk.seal(event(None, "issue", fields=FIELDS, value=opened_value()), stamped_by=None)
    content = evidence(desk.chain())
    ended = judge(content)
    assert SubIndication.OUT_OF_BOUNDS_NO_POE in ended.sub_indications
    saved = judge(renewed(content, T0 + YEAR))
    assert SubIndication.OUT_OF_BOUNDS_NO_POE not in saved.sub_indications
    assert "no time-stamp that holds" in reasons(saved), "the event's own time is not shown all the same"


def test_the_court_package_is_renewed_with_the_rest() -> None:
    chain = plain_letter()
    content = evidence(chain, court=court(chain))
    report = judge(renewed(content, T0 + YEAR), [until(T0 + 2 * YEAR)])
    assert report.indication is PASSED, reasons(report)
    assert judge(content, [until(T0 + 2 * YEAR)]).indication is UNDECIDED


def test_a_stranger_shows_nothing() -> None:
    stranger = time_stamper("Stranger", certify("Another CA", ca=True))
    report = judge(renewed(evidence(plain_letter()), T0 + YEAR, by=stranger))
    assert report.indication is UNDECIDED
    assert "No path leads from" in reasons(report)


def test_what_came_later_is_not_under_it() -> None:
    """Entries may be added after a renewal; it does not speak of them."""
    entries = read_container(once())
    world, _ = surroundings()
    extra = certify("Helper", world.seal_ca).der
    entries[f"META-INF/certificate-{hashlib.sha256(extra).hexdigest()}.cer"] = extra
    assert judge(write_container(entries.items())).indication is PASSED


def _flipped(name: str) -> Callable[[Entries], object]:
    return lambda entries: entries.update({name: entries[name][:-1] + bytes([entries[name][-1] ^ 1])})


def _manifest_over(entries: Entries, names: Sequence[str]) -> bytes:
    return renewal_manifest(RECORD, "sha512", {name: entries[name] for name in names})


def _unnamed(entries: Entries) -> None:
    """A manifest over fewer entries, beside the record of all: it shows those alone, which is less than the events."""
    names = [name for name in entries if "renewal" not in name and "0001" not in name]
    entries[MANIFEST] = _manifest_over(entries, names)


REFUTED: dict[str, Callable[[Entries], object]] = {
    "an entry was changed": _flipped("META-INF/for-people.html"),
    "the record was changed": _flipped(RECORD),
    "no manifest": lambda entries: entries.pop(MANIFEST),
    "no record": lambda entries: entries.pop(RECORD),
    "counted from 2": lambda entries: entries.update(
        {name.replace("0001", "0002"): entries.pop(name) for name in (RECORD, MANIFEST)}
    ),
    "no record at all": lambda entries: entries.update({RECORD: b""}),
    "an event's manifest": lambda entries: entries.update({MANIFEST: entries["META-INF/ASiCManifest-0001.xml"]}),
    "of itself": lambda entries: entries.update({MANIFEST: _manifest_over(entries, [*entries][:-1])}),
    "of another record": lambda entries: entries.update(
        {MANIFEST: entries[MANIFEST].replace(b"record-renewal-0001", b"record-renewal-0002")}
    ),
    "in another order": lambda entries: entries.update(
        {MANIFEST: _manifest_over(entries, [name for name in reversed(entries) if "renewal" not in name])}
    ),
    "what is not there": lambda entries: entries.pop("META-INF/for-people.html"),
    "another hash in the manifest": lambda entries: entries.update(
        {MANIFEST: entries[MANIFEST].replace(DIGEST_METHODS["sha512"].encode(), DIGEST_METHODS["sha384"].encode())}
    ),
    "an unknown hash": lambda entries: entries.update({MANIFEST: entries[MANIFEST].replace(b"#sha512", b"#md5")}),
    "a comment": lambda entries: entries.update({MANIFEST: entries[MANIFEST] + b"<!-- -->"}),
    "of another file": lambda entries: entries.update(
        {RECORD: read_container(renewed(evidence(plain_letter(1)), T0 + YEAR))[RECORD]}
    ),
}


@pytest.mark.parametrize("change", REFUTED.values(), ids=list(REFUTED))
def test_what_was_changed_or_does_not_fit_refutes(change: Callable[[Entries], object]) -> None:
    report = judge(altered(change))
    assert report.indication is FAILED, reasons(report)


def test_a_renewal_shows_the_events_whose_entries_it_names_and_no_other() -> None:
    content = altered(_unnamed)
    assert judge(content).indication is PASSED
    report = judge(content, [until(T0 + 2 * YEAR)])
    assert (report.indication, NO_POE in report.sub_indications) == (UNDECIDED, True)


def test_manifests_have_one_spelling() -> None:
    entries = read_container(once())
    read = read_renewal_manifest(entries[MANIFEST])
    assert [one.name for one in read.references] == [name for name in entries if name not in (RECORD, MANIFEST)]
    tree = etree.fromstring(entries[MANIFEST])
    space = {"asic": "http://uri.etsi.org/02918/v1.2.1#", "ds": "http://www.w3.org/2000/09/xmldsig#"}
    assert len(tree.findall("asic:DataObjectReference", space)) == len(read.references)
    for wrong in (
        b"",
        entries[MANIFEST] + b"\n",
        entries[MANIFEST].replace(b'"/>', b'" />', 1),
        write_manifest(RECORD, "", [], "sha512"),
        entries["META-INF/ASiCManifest-0001.xml"],
        "é".encode(),
    ):
        with pytest.raises(ManifestRefused):
            read_renewal_manifest(wrong)


def test_as_often_as_one_may_be() -> None:
    content = once()
    entries = read_container(content)
    for number in range(2, 65):
        names = renewal_names(number)
        entries[names.record] = entries[RECORD]
        entries[names.manifest] = entries[MANIFEST].replace(b"renewal-0001", b"renewal-%04d" % number)
    full = write_container(entries.items())
    with pytest.raises(EvidenceNotBuildable, match="as often as one may be"):
        renewal_of(full, "sha512")
    report = judge(full)
    assert report.indication is PASSED, reasons(report)
    names = renewal_names(65)
    entries[names.record], entries[names.manifest] = entries[RECORD], entries[MANIFEST]
    assert judge(write_container(entries.items())).indication is FAILED


def test_a_file_looked_up_by_anybody_has_few_renewals() -> None:
    trust = later().world.trust()
    assert held_letter(once(), trust, microseconds(NOW)) is not None
    entries = read_container(once())
    for number in range(2, 10):
        names = renewal_names(number)
        entries[names.record] = entries[RECORD]
        entries[names.manifest] = entries[MANIFEST].replace(b"renewal-0001", b"renewal-%04d" % number)
    assert held_letter(write_container(entries.items()), trust, microseconds(NOW)) is None


def test_the_record_of_a_file_can_be_renewed_in_its_own_chain_too() -> None:
    """By whoever keeps records and not files: BouncyCastle's and DSS's way. The group's digests are the manifest's."""
    entries = read_container(once())
    world, _ = surroundings()
    longer = later().renew([time_stamp_renewal(entries[RECORD])], T0 + 2 * YEAR)[0]
    assert judge(altered(lambda one: one.update({RECORD: longer}))).indication is PASSED
    named = [one.name for one in read_renewal_manifest(entries[MANIFEST]).references]
    digests = [hashlib.sha3_512(entries[name]).digest() for name in named]
    longer = later().renew([hash_tree_renewal(longer, "sha3-512", digests)], T0 + 2 * YEAR + DAY)[0]
    ends = [until(T0 + 2 * YEAR), until(T0 + 2 * YEAR + 2 * DAY, "sha512")]
    strong = [end for end in ends if end.algorithm == "sha256"]
    assert judge(altered(lambda one: one.update({RECORD: longer})), strong).indication is PASSED
    assert [len(chain) for chain in parse_evidence_record(longer).chains] == [2, 1]
    assert world


def test_bouncycastle_finds_every_entry_under_the_record(openssl_tsa, bouncycastle, tmp_path: Path) -> None:
    """With a token by OpenSSL: a group of data objects as BouncyCastle knows them, and no other content."""
    content = evidence(plain_letter())
    wanted = renewal_of(content, "sha512")
    tree = RenewalTree.of([wanted, renewal_of(evidence(letter_of_a_file()), "sha512")])
    token = openssl_tsa.token(tree.root, "sha512")
    entries = read_container(renewed_container(content, "sha512", tree.renewed(0, wanted, token)))
    arguments: list[str | Path] = [str(int(time.time()) + 3600)]
    for number, (name, one) in enumerate(entries.items()):
        (tmp_path / f"{number}").write_bytes(one)
        (tmp_path / f"{number}.name").write_text(name)
        arguments += [tmp_path / "record", tmp_path / f"{number}"]
    (tmp_path / "record").write_bytes(entries[RECORD])
    verdicts = bouncycastle.run("EvidenceRecordVerify", *arguments)
    # The record is over all but itself and its manifest.
    assert [one == "ok" for one in verdicts] == [True] * (len(entries) - 2) + [False, False]


def test_an_unzipped_file_has_what_the_manifest_names() -> None:
    with zipfile.ZipFile(io.BytesIO(once())) as archive:
        read = read_renewal_manifest(archive.read(MANIFEST))
        for reference in read.references:
            assert hashlib.sha512(archive.read(reference.name)).digest() == reference.digest


@given(st.data())
@settings(max_examples=120)
def test_any_flipped_byte_refutes_or_leaves_what_is_said_as_it_was(data: st.DataObject) -> None:
    entries = read_container(once())
    name = data.draw(st.sampled_from([RECORD, MANIFEST, "event-0001.json", "META-INF/for-people.html"]))
    content = bytearray(entries[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    report = judge(write_container((entries | {name: bytes(content)}).items()))
    # What CMS says twice, such as the token's digest algorithms, its signature does not cover.
    assert report.indication is not PASSED or (name == RECORD and facts(report) == facts(judge(once())))
