"""Evidence of letters: good files pass, and whatever is wrong with one is found and named."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import rfc8785
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.asic import (
    COURT_RECORD,
    CourtPackage,
    EventFiles,
    Extras,
    OpenedRecord,
    court_manifest,
    event_manifest,
    event_names,
    read_container,
    write_container,
)
from appliance.asic.errors import EvidenceNotBuildable
from appliance.asic.letter import helper_entries
from appliance.asic.names import kind_name
from appliance.ceremonies import encode
from appliance.evidence import Indication, NamedBytes, Report, SubIndication, verify
from appliance.evidence.findings import Check, Journal
from appliance.evidence.letters import LetterFacts
from appliance.evidence.letters.layout import read_layout
from appliance.evidence.subjects import NamedDigest, NamedFile
from appliance.letters.bid_code import new_code
from appliance.letters.event import (
    Event,
    KindReference,
    NewLetter,
    Receipt,
    ValueChange,
)
from appliance.letters.hidden import digest_of, disclosure_of
from appliance.letters.seal_object import BESIDE, SealObject
from appliance.letters.veil import Context as VeilContext
from appliance.letters.veil import veil
from appliance.record import commitment
from firmware_tests.evidence.letters import (
    LETTER,
    OTHER_PART,
    PART,
    check,
    event,
    evidence,
    office,
    opened_value,
    plain_letter,
    split_letter,
    story,
    surroundings,
)
from firmware_tests.evidence.material import T0, certify, crl, microseconds, seal
from firmware_tests.evidence.test_logs import record_of
from firmware_tests.letters.kinds import BID_BOND, FIELDS, catalogue

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication
EVENT, MANIFEST = "event-0001.json", "META-INF/ASiCManifest-0001.xml"
Entries = dict[str, bytes]


@functools.cache
def good() -> bytes:
    return evidence(plain_letter())


def facts(report: Report) -> LetterFacts:
    found = report.files[0].letter
    assert isinstance(found, LetterFacts)
    return found


def checks(report: Report) -> list[Check]:
    return [one for part in report.files[0].parts for one in part.checks]


def reasons(report: Report) -> str:
    return "\n".join(one.text for one in checks(report) if one.sub_indication is not None)


def changed(change: Callable[[Entries], object], content: bytes | None = None) -> bytes:
    entries = read_container(good() if content is None else content)
    change(entries)
    return write_container(entries.items())


# --- good ------------------------------------------------------------------------------------------------------------


def test_a_letter_with_its_times_its_balance_and_its_documents() -> None:
    report = check(good(), ("letter.pdf", b"%PDF-1.7 the letter as people read it"))
    assert report.indication is PASSED, reasons(report)
    letter, file = facts(report), report.files[0]
    assert (letter.letter, letter.state, letter.balance) == (LETTER, "claimed", "380000.00 CNY")
    assert [one.event for one in letter.events] == ["issue", "extend", "claim"]
    assert [one.index for one in letter.events] == [5, 6, 7]
    assert letter.events[0].signers == ["Bank of Examples, Cinnabar rehearsal"]
    assert letter.events[0].files[0].name == "letter.pdf"
    assert file.covers == ["letter.pdf"]
    assert file.claimed[0].time_us == microseconds(T0 + timedelta(seconds=30))
    assert file.existed_no_later_than is not None
    assert file.existed_no_later_than.time_us == microseconds(T0 + timedelta(hours=1, seconds=1))
    assert letter.existed_no_later_than == "2026-03-01 13:00:01 UTC"
    assert dict((one.name, one.value) for one in letter.fields)["valid_until"] == "2100-01-02"


def test_parts_of_a_divided_letter_come_with_their_chain_of_title() -> None:
    for content, letter, state, events in (
        (evidence(split_letter(2)), PART, "pledged", 4),
        (evidence(split_letter(0), PART), PART, "held", 2),
        (evidence(split_letter(0), OTHER_PART), OTHER_PART, "held", 2),
        (evidence(split_letter(0)), LETTER, "divided", 2),
    ):
        report = check(content)
        assert report.indication is PASSED, reasons(report)
        found = facts(report)
        assert (found.letter, found.state, len(found.events)) == (letter, state, events)
    found = facts(check(evidence(split_letter(1))))
    assert [(one.letter, one.origin, one.amount) for one in found.title_chain] == [
        (LETTER, "", "500000.00 CNY"),
        (PART, LETTER, "300000.00 CNY"),
    ]
    assert found.title_chain[1].fields[0].value == "甲供应商"


def test_titles_come_from_the_kind_and_from_no_other_one() -> None:
    world, _ = surroundings()
    files = [NamedBytes("letter.asice", good())]
    now_us = microseconds(T0 + timedelta(days=1))
    for kinds, titled in (([BID_BOND], True), ([replace_kind("00" * 32)], False)):
        found = facts(verify(files, world.trust(), now_us=now_us, kinds=kinds))
        assert (found.kind_title is not None) is titled
        assert (found.events[0].title is not None) is titled


def replace_kind(digest: str) -> Any:
    return msgspec.structs.replace(BID_BOND, digest=digest)


def hiding() -> list[EventFiles]:
    """A letter with one hidden field."""
    text = disclosure_of("c2FsdHNhbHRzYWx0c2Fs", "bidder", {"id": "1", "name": "某公司"})
    desk = office()
    desk.seal(event(None, "issue", fields={}, hidden=[digest_of(text)]), disclosures={"bidder": text})
    return desk.chain()


def lying(chain: list[EventFiles]) -> bytes:
    """The same letter, and somebody else's value for its hidden field."""
    lie = disclosure_of("c2FsdHNhbHRzYWx0c2Fs", "bidder", "another")
    told = json.dumps({"bidder": lie}, separators=(",", ":")).encode()
    return changed(
        lambda entries: entries.update({event_names(1).disclosures: told}), evidence(chain, disclosed=["bidder"])
    )


def test_a_hidden_field_is_shown_to_whom_it_is_disclosed() -> None:
    chain = hiding()
    shut, opened = facts(check(evidence(chain))), facts(check(evidence(chain, disclosed=["bidder"])))
    assert (shut.hidden, shut.fields) == (1, [])
    assert (opened.hidden, opened.fields[0].value) == (0, "某公司 (1)")
    assert check(lying(chain)).indication is FAILED


def test_helpers_in_the_file_serve_and_are_no_anchors() -> None:
    world, _ = surroundings()
    lists = [crl(world.tsa_ca), crl(world.seal_ca)]
    chain = plain_letter(1)
    bare = world.trust(revocation_lists={})
    assert check(evidence(chain), trust=bare).indication is UNDECIDED
    assert check(evidence(chain, lists=lists), trust=bare).indication is PASSED
    strangers = replace(world, seal_ca=certify("Another CA", ca=True)).trust(revocation_lists={})
    held = evidence(chain, lists=lists, certificates=[world.seal_ca.der])
    assert check(held, trust=strangers).indication is UNDECIDED


def test_a_file_that_is_read_as_a_stream_is_judged_as_one_in_memory() -> None:
    world, _ = surroundings()
    content = good()
    file = NamedFile("letter.asice", lambda: io.BytesIO(content), len(content), content[:4096])
    report = verify([file], world.trust(), now_us=microseconds(T0 + timedelta(days=1)))
    assert report.indication is PASSED
    assert facts(report) == facts(check(content))


def test_a_seal_object_is_taken_for_registered_where_its_digest_is_known_from_elsewhere() -> None:
    world, _ = surroundings()
    sealer, issuer = world.sealer, world.seal_ca

    def checked(*certificates: bytes, known: bool = False) -> Report:
        text = encode(
            SealObject(
                tenant=event(None, "issue").actor.tenant,
                seal="bids",
                title="Bids",
                type="guarantee",
                version=1,
                image="",
                previous=None,
                proposal=None,
                step=0,
                side_mm=40,
                not_before="2020-01-01T00:00:00Z",
                not_after="2040-01-01T00:00:00Z",
                certificates=sorted(hashlib.sha256(one).hexdigest() for one in certificates),
            )
        )
        desk = office()
        desk.seal(
            event(None, "issue", fields=FIELDS, value=opened_value()),
            beside={BESIDE: text},
            certificates=[sealer.der, issuer.der],
        )
        digests = [NamedDigest("sha256", hashlib.sha256(text).digest())] if known else []
        file = NamedBytes("letter.asice", evidence(desk.chain()))
        return verify([file], world.trust(), now_us=microseconds(T0 + timedelta(days=1)), digests=digests)

    assert checked(issuer.der).indication is UNDECIDED, (
        "a certificate that lies in the seal is not by which it was made"
    )
    for known, outcome in ((False, "note"), (True, "passed")):
        report = checked(sealer.der, known=known)
        assert report.indication is PASSED, reasons(report)
        assert {one.outcome for one in checks(report) if "permits the certificate" in one.text} == {outcome}


# --- what boxes would not seal, sealed all the same ------------------------------------------------------------------


def sealed(*events: Event, tails: list[str | None] | None = None, **sealing: Any) -> list[EventFiles]:
    desk = office()
    for place, one in enumerate(events):
        desk.seal(one, split_off=tails[place] if tails else None, **sealing)
    return desk.chain()


def raw(chain: list[EventFiles], letter: str = LETTER, tails: list[str | None] | None = None) -> bytes:
    """As the builder packs it, which would refuse it."""
    entries: Entries = {
        "META-INF/letter.json": b'{"format":"cinnabar-letter-evidence/1","letter":"%b"}' % letter.encode()
    }
    for place, one in enumerate(chain):
        number = msgspec.json.decode(one.artifact.event)["number"]
        names = event_names(number, tails[place] if tails else None)
        record, salt = one.opened.record, one.opened.salt
        entries[names.event] = one.artifact.event
        entries |= {names.beside + name: content for name, content in one.artifact.beside.items()}
        entries[names.manifest], entries[names.seal] = one.artifact.manifest, one.artifact.seal
        entries[names.opening] = json.dumps(
            {"commitment": commitment(salt, record).hex(), "content": record.decode(), "index": one.opened.index,
             "salt": salt.hex()}, separators=(",", ":"),
        ).encode()  # fmt: skip
        entries[names.proof] = one.opened.proof or b""
    return write_container(entries.items())


def test_the_packing_of_these_tests_is_the_builders_own() -> None:
    assert check(raw(plain_letter())).indication is PASSED


def _value(move: Any, amount: str, currency: str = "CNY") -> ValueChange:
    return ValueChange(amount=amount, currency=currency, move=move)


FIRST = story(1)[0]


@pytest.mark.parametrize(
    "second",
    [
        event(FIRST, "claim", value=_value("lower", "500000.01")),
        event(FIRST, "claim", value=_value("lower", "-1.00")),
        event(FIRST, "claim", value=_value("lower", "1.00", "EUR")),
        event(FIRST, "claim", value=_value("lower", "1.00", "XYZ")),
        event(FIRST, "release", value=_value("close", "400000.00")),
        event(FIRST, "split", value=_value("split", "9.00"), parts=[
            NewLetter(amount="8.00", fields={}, letter=PART, state="held"),
        ]),
        event(FIRST, "split", parts=[NewLetter(amount="8.00", fields={}, letter=PART, state="held")]),
        event(FIRST, "claim", previous="00" * 32),
        event(FIRST, "claim", number=3),
        event(FIRST, "claim", letter=PART),
        event(FIRST, "claim", at=FIRST.at.replace("2026", "2025")),
        event(FIRST, "claim", at=""),
        event(FIRST, "claim", at="x"),
        event(FIRST, "claim", at="2026-13-01T12:00:00.000000Z"),
        event(FIRST, "split", value=_value("split", "2.00"), parts=[
            NewLetter(amount="1.00", fields={}, letter=PART, state="held"),
            NewLetter(amount="1.00", fields={}, letter=PART, state="held"),
        ]),
        event(FIRST, "split", value=_value("split", "2.00"), parts=[
            NewLetter(amount="2.00", fields={}, letter=LETTER, state="held"),
        ]),
    ],
)  # fmt: skip
def test_sealed_events_that_do_not_follow_refute(second: Event) -> None:
    report = check(raw(sealed(FIRST, second)))
    assert report.indication is FAILED
    assert "The event" in reasons(report)


def test_values_nested_without_end_refute_and_break_nothing() -> None:
    plain = story(1)[0].canonical()
    for depth in (40, 300, 900, 990, 1010, 100_000):
        nested = plain.replace(b'"fields":{', b'"fields":{"a":' + b"[" * depth + b"]" * depth + b",")
        assert nested != plain
        names = event_names(1)
        manifest = event_manifest(1, [(names.event, "application/json", hashlib.sha256(nested).digest())])
        entries = read_container(evidence(plain_letter(1)))
        del entries["event-0001/letter.pdf"]
        spoiled = entries | {names.event: nested, names.manifest: manifest}
        assert check(write_container(spoiled.items())).indication is FAILED


def test_a_letter_that_no_split_made_refutes() -> None:
    stray = event(FIRST, "pledge", letter=PART)
    report = check(raw(sealed(FIRST, stray, tails=[None, PART]), PART, [None, PART]))
    assert report.indication is FAILED
    assert check(raw(sealed(FIRST), PART)).indication is FAILED
    # An event under the name of another letter's.
    assert check(raw(sealed(*story(2), tails=[None, PART]), LETTER, [None, PART])).indication is FAILED


def test_what_travels_beside_must_be_there() -> None:
    receipt = Receipt(digest=hashlib.sha256(b"receipt").hexdigest(), number="ZD-1", registry="zhongdeng")
    desk = office()
    desk.seal(event(None, "issue", receipts=[receipt], sealed={"bidder": "ab" * 32}))
    report = check(evidence(desk.chain()))
    assert report.indication is UNDECIDED
    assert "ZD-1" in reasons(report)
    assert any("bidder" in one.text and one.outcome == "note" for one in checks(report))
    desk = office()
    desk.seal(event(None, "issue", receipts=[receipt]), beside={"zhongdeng-0.receipt": b"receipt"})
    assert check(evidence(desk.chain())).indication is PASSED


def veiled(value: object, opened: object | None = None, *, envelope: bool = True) -> bytes:
    """A letter whose veiled field is opened: what was committed to, and what the event says that it was."""
    key = ec.generate_private_key(ec.SECP256R1())
    context = VeilContext(tenant="bank", kind="ab" * 32, field="offer")
    made = veil(rfc8785.dumps(value), context, key.public_key(), code=new_code())  # type: ignore[arg-type]
    raw_envelope = made.envelope.encoded()
    desk = office()
    first = event(None, "issue", sealed={"offer": hashlib.sha256(raw_envelope).hexdigest()})
    desk.seal(first, beside={"offer.envelope": raw_envelope} if envelope else {})
    shown = {"offer": value if opened is None else opened}
    desk.seal(event(first, "open", opened={"offer": made.salt.hex()}, fields=shown, state="opened"))
    return evidence(desk.chain())


VEILED: list[tuple[bytes, Indication]] = [
    (veiled({"amount": "1.00", "名": "甲"}), PASSED),
    (veiled({"amount": "1.00"}, {"amount": "2.00"}), FAILED),
    (veiled("text", envelope=False), UNDECIDED),
]


@pytest.mark.parametrize(("content", "expected"), VEILED)
def test_what_opened_is_what_was_committed_to(content: bytes, expected: Indication) -> None:
    assert check(content).indication is expected
    if expected is PASSED:
        assert [one.form for one in facts(check(content)).fields] == ["clear"]


def test_contradictions_of_records_times_and_logs() -> None:
    desk = office()
    desk.seal(FIRST, change=lambda record: record.update(application="another"))
    assert check(evidence(desk.chain())).sub_indications == [Sub.SIG_CONSTRAINTS_FAILURE]
    for kind in ("stamp", "seal"):
        desk = office()
        desk.seal(FIRST, change=lambda record, kind=kind: record.update(kind=kind))  # type: ignore[misc]
        assert check(evidence(desk.chain())).indication is UNDECIDED
    late = sealed(FIRST, when=T0, stamped_at=T0 + timedelta(seconds=2))
    assert Sub.TIMESTAMP_ORDER_FAILURE in check(evidence(late)).sub_indications
    assert Sub.NO_POE in check(evidence(sealed(FIRST, stamped_by=None))).sub_indications
    desk = office()
    for one in story(2):
        desk.seal(one)
    desk.waiting.reverse()
    desk.entries.reverse()
    chain = desk.chain()[::-1]
    assert check(evidence(chain)).sub_indications == [Sub.TIMESTAMP_ORDER_FAILURE]


def test_what_is_not_in_the_log_or_not_known_is_undecided() -> None:
    chain = plain_letter(1)
    bare = msgspec.structs.replace(chain[0], opened=msgspec.structs.replace(chain[0].opened, proof=None, index=None))
    assert check(evidence([bare])).sub_indications == [Sub.NO_POE]
    without = changed(lambda entries: entries.pop("META-INF/opening-0001.json"))
    assert check(without).indication is UNDECIDED
    world, _ = surroundings()
    assert check(evidence(chain), trust=replace(world, logs=()).trust()).indication is UNDECIDED
    revoked = replace(world, crls={**world.crls, "seal-ca.crl": crl(world.seal_ca, [(world.sealer, T0, None)])})
    assert check(evidence(chain), trust=revoked.trust()).indication is not PASSED


# --- the court package -----------------------------------------------------------------------------------------------


def court(
    chain: list[EventFiles], newest: str = "event-0003.json", kind: str = COURT_RECORD, **helpers: Any
) -> CourtPackage:
    """`helpers`: as of Extras; its manifest names them."""
    world, log = surroundings()
    parts = {"steps.json": b'[{"who":"chen"}]', "certificate.html": b"<p>certified</p>"}
    event_digest = hashlib.sha256(chain[-1].artifact.event).digest()
    files = [(f"court/{name}", "text/plain", hashlib.sha256(one).digest()) for name, one in parts.items()]
    named = [(name, "x/y", hashlib.sha256(one).digest()) for name, one in helper_entries(Extras(**helpers))]
    manifest = court_manifest([*files, (newest, "application/json", event_digest), *named])
    made = seal(world.sealer, manifest, stamped_by=world.tsa)
    facts = {"content_digest": hashlib.sha256(manifest).hexdigest(), "kind": kind}
    record = record_of(made, **facts).canonical()
    return CourtPackage(
        parts=parts, manifest=manifest, seal=made,
        opened=OpenedRecord(record=record, salt=bytes(32), proof=log.proof(commitment(bytes(32), record)), index=5),
    )  # fmt: skip


def test_a_court_package_is_sealed_over_its_parts_and_the_newest_event() -> None:
    chain = plain_letter()
    content = evidence(chain, court=court(chain))
    report = check(content)
    assert report.indication is PASSED, reasons(report)
    found = facts(report).court
    assert found is not None
    assert [one.name for one in found.parts] == ["certificate.html", "steps.json"]
    assert check(changed(lambda entries: entries.update({"court/steps.json": b"[]"}), content)).indication is FAILED
    assert check(changed(lambda entries: entries.update({"court/clock.json": b"{}"}), content)).indication is FAILED
    forged = check(evidence(chain, court=court(chain, kind="seal")))
    assert forged.sub_indications == [Sub.SIG_CONSTRAINTS_FAILURE]
    shorter = evidence(chain[:2])
    moved = read_container(content)
    assert check(
        changed(lambda entries: entries.update({k: v for k, v in moved.items() if "court" in k}), shorter)
    ).indication is FAILED  # fmt: skip


# --- hostile containers ----------------------------------------------------------------------------------------------


def _doubled(entries: Entries) -> None:
    entries[EVENT] = entries[EVENT].replace(b',"state":', b',"state":"void","state":')


def _reopened(entries: Entries) -> None:
    opening = "META-INF/opening-0001.json"
    entries[opening] = entries[opening][:-1] + b',"said":"by nobody"}'


def _cosigned(entries: Entries, *, first: bool) -> None:
    """Another tenant of the box has it seal the same manifest, and puts that signature beside the letter's own."""
    world, _ = surroundings()
    name = "META-INF/signature-0001.p7s"
    stranger = certify("Another tenant", world.seal_ca)
    made = seal(stranger, entries[MANIFEST], when=T0 + timedelta(seconds=12), stamped_by=world.tsa)
    own, other = (cms.ContentInfo.load(one)["content"] for one in (entries[name], made))
    signers = [*own["signer_infos"], *other["signer_infos"]]
    own["signer_infos"] = cms.SignerInfos(signers[::-1] if first else signers)
    own["certificates"] = cms.CertificateSet([*own["certificates"], *other["certificates"]])
    entries[name] = cms.ContentInfo({"content_type": "signed_data", "content": own}).dump()


HOSTILE: dict[str, Callable[[Entries], object]] = {
    "another's signature behind the letter's own": functools.partial(_cosigned, first=False),
    "another's signature before the letter's own": functools.partial(_cosigned, first=True),
    "a changed event": lambda entries: entries.update({EVENT: entries[EVENT].replace(b"issued", b"voided")}),
    "a member twice": _doubled,
    "a changed document": lambda entries: entries.update({"event-0001/letter.pdf": b"%PDF another"}),
    "a document more": lambda entries: entries.update({"event-0001/more.pdf": b"%PDF"}),
    "a file outside": lambda entries: entries.update({"readme.txt": b"pay me"}),
    "a path": lambda entries: entries.update({"event-0001/../../x": b""}),
    "an absolute path": lambda entries: entries.update({"/etc/passwd": b""}),
    "a page at the root": lambda entries: entries.update({"index.html": b"<script>"}),
    "unknown in META-INF": lambda entries: entries.update({"META-INF/manifest.xml": b"<x/>"}),
    "a second manifest": lambda entries: entries.update({"META-INF/ASiCManifest-1.xml": entries[MANIFEST]}),
    "an event too many": lambda entries: entries.update({"event-0009.json": entries[EVENT]}),
    "a lone seal": lambda entries: entries.update({"META-INF/signature-0009.p7s": b"0"}),
    "a lone proof": lambda entries: entries.update({"META-INF/proof-0009.tlog-proof": b""}),
    "no seal": lambda entries: entries.pop("META-INF/signature-0002.p7s"),
    "no manifest": lambda entries: entries.pop(MANIFEST),
    "no event": lambda entries: entries.pop(EVENT),
    "no document": lambda entries: entries.pop("event-0001/letter.pdf"),
    "no letter": lambda entries: entries.pop("META-INF/letter.json"),
    "another letter": lambda entries: entries.update(
        {"META-INF/letter.json": entries["META-INF/letter.json"].replace(b"1a", b"1b")}
    ),
    "no event in the middle": lambda entries: [entries.pop(name) for name in list(entries) if "0002" in name],
    "another event's seal": lambda entries: entries.update(
        {"META-INF/signature-0001.p7s": entries["META-INF/signature-0002.p7s"]}
    ),
    "another event's manifest": lambda entries: entries.update({MANIFEST: entries["META-INF/ASiCManifest-0002.xml"]}),
    "another event's record": lambda entries: entries.update(
        {"META-INF/opening-0001.json": entries["META-INF/opening-0002.json"]}
    ),
    "another event's proof": lambda entries: entries.update(
        {"META-INF/proof-0001.tlog-proof": entries["META-INF/proof-0002.tlog-proof"]}
    ),
    "a member more in a record": _reopened,
    "an entity": lambda entries: entries.update(
        {
            MANIFEST: entries[MANIFEST].replace(
                b"<asic:ASiC", b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///">]><asic:ASiC', 1
            )
        }
    ),
    "a list that is none": lambda entries: entries.update({f"META-INF/list-{'0' * 64}.crl": b"0"}),
    "a seal that is none": lambda entries: entries.update({"META-INF/signature-0001.p7s": b"no DER"}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_files_are_refuted(change: Callable[[Entries], object]) -> None:
    report = check(changed(change))
    if change is HOSTILE["another event's record"]:
        assert report.indication is not PASSED
    else:
        assert report.indication is FAILED, report.sub_indications
        assert reasons(report)


def test_what_follows_the_end_or_stands_between_refutes() -> None:
    content = good()
    middle = content.index(b"PK\x03\x04", 4)
    for spoiled in (
        content + b"\n",
        content + content,
        b"#!/bin/sh\n" + content,
        content[:middle] + b"hidden" + content[middle:],
        content[:-22] + b"hidden" + content[-22:],
        content[:-3],
    ):
        report = check(spoiled)
        assert report.indication is not PASSED
    assert check(content + b"\n").indication is FAILED


def test_a_page_for_people_is_never_read() -> None:
    lies = changed(lambda entries: entries.update({"META-INF/for-people.html": b"<h1>Paid: 1,000,000</h1>"}))
    assert check(lies).indication is PASSED
    assert msgspec.json.encode(check(lies).files[0].letter) == msgspec.json.encode(check(good()).files[0].letter)


@given(st.data())
@settings(max_examples=60)
def test_no_flipped_byte_of_what_is_sealed_passes(data: st.DataObject) -> None:
    entries = read_container(good())
    covered = [name for name in entries if name.startswith("event-") or "Manifest" in name or "letter.json" in name]
    name = data.draw(st.sampled_from(covered))
    place = data.draw(st.integers(0, len(entries[name]) - 1))
    content = bytearray(entries[name])
    content[place] ^= data.draw(st.integers(1, 255))
    entries[name] = bytes(content)
    assert check(write_container(entries.items())).indication is FAILED


@given(st.data())
@settings(max_examples=60)
def test_any_flipped_byte_of_the_file_gives_a_verdict(data: st.DataObject) -> None:
    content = bytearray(good())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    report = check(bytes(content))
    # The container's checksums are over every entry, also over the page for people.
    assert report.indication is not PASSED


def test_a_hidden_value_that_was_replaced_is_not_told_as_the_letters_own() -> None:
    """Whoever holds the file takes the newer disclosure out: what is left must not be told as how the letter stands."""
    old, new = (disclosure_of(f"c2FsdHNhbHRzYWx0c2F{n}", "account", f"account {n}") for n in (1, 2))
    desk = office()
    first = event(None, "issue", fields={}, hidden=[digest_of(old)])
    desk.seal(first, disclosures={"account": old})
    desk.seal(event(first, "amend", fields={}, hidden=[digest_of(new)]), disclosures={"account": new})
    entries = dict(read_container(evidence(desk.chain(), disclosed=["account"])))
    del entries[event_names(2).disclosures]
    entries.pop("mimetype", None)
    assert [one.value for one in facts(check(write_container(entries.items()))).fields] != ["account 1"]


def test_titles_are_from_the_kinds_file_within() -> None:
    assert facts(check(good())).kind_title is None
    found = facts(check(evidence(plain_letter(), kinds=[BID_BOND])))
    assert found.kind_title is not None
    assert found.kind_title.zh == BID_BOND.kind.title.zh
    assert all(one.title is not None for one in (*found.fields, found.events[0]))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (b"no kind", "cannot be read as a kind"),
        (b"a = " + b"1" * 5_000, "cannot be read as a kind"),
        (b"a = " + b"[" * 5_000, "cannot be read as a kind"),
        (b"a." * 100_000 + b"a = 1", "a key has too many parts"),
        (b'["\\"". ' + b"'.' . " * 20_000 + b"a]", "a key has too many parts"),
        (BID_BOND.source + b"#", "is of another kind or version"),
    ],
)
def test_a_kinds_file_that_gives_no_titles_is_told_and_refutes_nothing(kind: bytes, why: str) -> None:
    digest = hashlib.sha256(kind).hexdigest()
    chain = sealed(event(None, "issue", kind=KindReference(digest=digest, id="another", version=1)))
    report = check(changed(lambda entries: entries.update({kind_name(digest): kind}), evidence(chain)))
    assert report.indication is PASSED, reasons(report)
    assert [one.outcome for one in report.files[0].parts[0].checks if why in one.text] == ["note"]
    assert facts(report).kind_title is None


def test_a_file_is_not_built_with_a_kind_of_no_event() -> None:
    with pytest.raises(EvidenceNotBuildable):
        evidence(plain_letter(), kinds=[catalogue("loan")])


def test_thousands_of_events_are_taken_apart_once_each() -> None:
    """Each event had looked for its own files among those of all others: a file of 30 MB took a minute."""
    text = plain_letter(1)[0].artifact.event
    entries = [("META-INF/letter.json", b'{"format":"cinnabar-letter-evidence/1","letter":"' + b"0" * 32 + b'"}')]
    for number in range(1, 6_001):
        names = event_names(number)
        manifest = event_manifest(number, [(names.event, "application/json", hashlib.sha256(text).digest())])
        entries += [(names.event, text), (names.manifest, manifest), (names.seal, b"no seal")]
    content = write_container(entries)
    begun = time.process_time()
    layout = read_layout(content, Journal())
    assert layout is not None
    assert len(layout.events) == 6_000
    assert all(len(one.entries) == 3 and not one.files for _, one in layout.events)
    assert time.process_time() - begun < 4
