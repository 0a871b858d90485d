"""Anchors in the evidence of letters whose tenant's log was renewed: each record leads to the head by its own way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors import AnchorRefused
from appliance.asic import EventFiles
from appliance.asic.anchor import AnchoredRecord, read_anchor, write_anchor
from appliance.asic.chain import follow_line
from appliance.asic.errors import EvidenceNotBuildable
from appliance.evidence import FileReport, Indication, LogEntry, NamedBytes, SubIndication, TrustBundle, logs, verify
from appliance.evidence.bundle import AlgorithmEnd, TimeRules
from appliance.evidence.language import translated
from appliance.letters.event import read_event
from appliance.log.box_leaf import TenantStatement, make_box_leaf
from appliance.tree_hash import SHA512
from firmware_tests.evidence.anchors import LEDGER, entry, profile, receipt
from firmware_tests.evidence.letters import LETTER, NOW, evidence, office, story, surroundings
from firmware_tests.evidence.material import T0, microseconds
from firmware_tests.evidence.renewing import until
from firmware_tests.log.renewed import NEWEST, OLD, Log, continued, line

BOX = "box.rehearsal.example/log/sha512"
ANCHOR = f"META-INF/anchor-{LEDGER}-6.json"


@functools.cache
def sealed_events() -> list[EventFiles]:
    desk = office()
    for one in story():
        desk.seal(one)
    return desk.chain()


class Letter:
    """A letter of three events: two in the first log of its tenant, one in the last of them, under one box leaf.
    `late`: which of them stands in the last log, from 0 on."""

    def __init__(self, *sizes: int, late: int = 2) -> None:
        sealed = sealed_events()
        first = {5 + place: one.opened.commitment for place, one in enumerate(sealed) if place != late}
        self.logs = line(sizes or (9, 6), first)
        newest = self.logs[-1]
        opened = [
            msgspec.structs.replace(one.opened, log=newest.origin, index=2)
            if at == late
            else msgspec.structs.replace(one.opened, log=OLD, index=5 + at)
            for at, one in enumerate(sealed)
        ]
        newest.entries[2] = opened[late].commitment
        self.chain = [
            EventFiles(
                artifact=one.artifact,
                opened=msgspec.structs.replace(found, proof=self._log(found.log).proof(found.index or 0).encode()),
            )
            for one, found in zip(sealed, opened, strict=True)
        ]
        self.box = Log(BOX, [SHA512.digest(b"%d" % number) for number in range(6)], ended=False)
        self.tails = [
            one.tail for one in follow_line([read_event(one.artifact.event) for one in self.chain], LETTER).steps
        ]

    def _log(self, origin: str) -> Log:
        return next(one for one in self.logs if one.origin == origin)

    def records(self) -> dict[str, AnchoredRecord]:
        newest = self.logs[-1]
        size = len(newest.entries)
        found = []
        for one in self.chain:
            index = one.opened.index or 0
            ended = one.opened.log == OLD
            path = newest.path(0 if ended else index, size, newest.hashing)
            steps = continued(self.logs, index).steps if ended else msgspec.UNSET
            found.append(
                AnchoredRecord(continued=steps, hashes=[hash.hex() for hash in path], index=0 if ended else index)
            )
        return dict(zip(self.tails, found, strict=True))

    def anchor(
        self, records: dict[str, AnchoredRecord] | None = None, origin: str | None = None
    ) -> tuple[str, int, bytes]:
        newest = self.logs[-1]
        size = len(newest.entries)
        statement = TenantStatement(
            origin=origin or newest.origin, previous="00" * 64, root=newest.root(size, newest.hashing).hex(), size=size
        )
        leaf = make_box_leaf({"bank": statement}, microseconds(T0 + timedelta(hours=1)), SHA512)
        self.box.entries[5] = leaf.leaf.entry(SHA512)
        proof = self.box.proof(5).encode()
        made = write_anchor(leaf.openings["bank"].encode(), proof, records or self.records(), receipt(self.box.head()))
        return LEDGER, 6, made

    def entries(self) -> list[LogEntry]:
        found = [LogEntry(origin=BOX, key=str(self.box.keys[0].verifier))]
        before = None
        for one in self.logs:
            key = one.keys[0]
            named = LogEntry(origin=one.origin, key=str(key.verifier), last_size=key.until_size)
            found.append(named if before is None else msgspec.structs.replace(named, succeeds=before))
            before = one.origin
        return found

    def trust(self, entries: list[LogEntry] | None = None, **more: Any) -> TrustBundle:
        world = replace(surroundings()[0], time=TimeRules(accepted=["tsa", "ledger"]))
        logs = self.entries() if entries is None else entries
        return world.trust(logs=logs, ledgers=[entry(profile())], **more)

    def judged(self, anchor: tuple[str, int, bytes], trust: TrustBundle | None = None, **more: Any) -> FileReport:
        given = [NamedBytes("letter.asice", evidence(self.chain, anchors=[anchor]))]
        return verify(given, trust or self.trust(), now_us=microseconds(NOW), **more).files[0]


@pytest.fixture(scope="module")
def letter() -> Letter:
    return Letter()


@pytest.mark.parametrize("sizes", [(9, 6), (9, 4, 6)])
def test_every_event_is_under_the_anchored_head(sizes: tuple[int, ...]) -> None:
    letter = Letter(*sizes)
    file = letter.judged(letter.anchor())
    assert file.indication is Indication.PASSED, file.parts
    assert file.letter is not None
    assert [one.strength for one in file.letter.ledgers] == ["proven"]
    assert all(LEDGER in one.said_by for one in file.letter.events)
    told = [
        one.text
        for part in file.parts
        if part.title.startswith("anchor")
        for one in part.checks
        if one.name == "records"
    ]
    assert sum("which ended at 9 entries" in one for one in told) == 2
    assert not [one for one in told if translated(one, "zh-Hans").isascii()]


@pytest.mark.parametrize("sizes", [(9, 6), (9, 4, 6)])
@pytest.mark.parametrize("late", [0, 1])
def test_an_ended_log_holds_no_later_event(sizes: tuple[int, ...], late: int) -> None:
    """What stands in a log that had ended came before all that stands in the one that goes on from it."""
    letter = Letter(*sizes, late=late)
    file = letter.judged(letter.anchor())
    assert file.indication is Indication.INDETERMINATE, file.parts
    assert file.sub_indications == [SubIndication.TIMESTAMP_ORDER_FAILURE]
    refused = [one.text for part in file.parts for one in part.checks if one.name == "log order"]
    assert len(refused) == 2 - late
    assert not any(translated(one, "zh-Hans").isascii() for one in refused)


def test_however_many_records_lead_to_a_leaf_its_head_is_judged_once(
    letter: Letter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note may have many lines that count for nothing, and a file thousands of events under each of 32 anchors."""
    judged = []

    def counted(encoded: bytes, *more: Any) -> logs.Included | None:
        judged.append(encoded)
        return check_proof(encoded, *more)

    check_proof = logs.check_proof
    monkeypatch.setattr(logs, "check_proof", counted)
    anchor = letter.anchor()
    assert letter.judged(anchor).indication is Indication.PASSED
    assert judged.count(read_anchor(anchor[2])[0].tlog_proof.encode()) == 1


def _changed(letter: Letter, change: Callable[[AnchoredRecord], AnchoredRecord]) -> tuple[str, int, bytes]:
    records = letter.records()
    first = letter.tails[0]
    return letter.anchor({**records, first: change(records[first])})


def _step(record: AnchoredRecord, **changes: Any) -> AnchoredRecord:
    assert record.continued
    step, *more = record.continued
    return msgspec.structs.replace(record, continued=[msgspec.structs.replace(step, **changes), *more])


@pytest.mark.parametrize(
    ("change", "sub_indication"),
    [
        (lambda one: msgspec.structs.replace(one, continued=msgspec.UNSET), SubIndication.HASH_FAILURE),
        (lambda one: _step(one, index=6), SubIndication.HASH_FAILURE),
        (lambda one: _step(one, hashes=[]), SubIndication.HASH_FAILURE),
        (lambda one: _step(one, origin=NEWEST), SubIndication.NO_CERTIFICATE_CHAIN_FOUND),
        (lambda one: _step(one, successor="{}"), SubIndication.FORMAT_FAILURE),
        (lambda one: msgspec.structs.replace(one, hashes=one.hashes[1:]), SubIndication.HASH_FAILURE),
    ],
)
def test_another_way_than_its_own_is_refused(letter: Letter, change: Any, sub_indication: SubIndication) -> None:
    file = letter.judged(_changed(letter, change))
    assert file.indication is not Indication.PASSED
    assert sub_indication in file.sub_indications


def test_the_way_of_another_record_does_not_serve(letter: Letter) -> None:
    records = letter.records()
    first, second, _ = letter.tails
    file = letter.judged(letter.anchor({**records, first: records[second], second: records[first]}))
    assert file.indication is Indication.FAILED
    assert SubIndication.HASH_FAILURE in file.sub_indications


def test_a_record_of_the_log_that_goes_on_takes_no_steps(letter: Letter) -> None:
    records = letter.records()
    first, _, last = letter.tails
    steps = records[first].continued
    moved = msgspec.structs.replace(records[last], continued=steps, index=0)
    file = letter.judged(letter.anchor({**records, last: moved}))
    assert file.indication is Indication.FAILED


def test_the_head_must_be_of_the_log_that_the_steps_lead_to() -> None:
    letter = Letter()
    file = letter.judged(letter.anchor(origin="bank.rehearsal.example/other/sha512"))
    assert file.indication is not Indication.PASSED
    assert SubIndication.SIG_CONSTRAINTS_FAILURE in file.sub_indications


def test_a_log_of_which_the_bundle_does_not_say_what_it_succeeds(letter: Letter) -> None:
    """Anybody can open a log whose first leaf commits to another's."""
    plain = [LogEntry(origin=one.origin, key=one.key, last_size=one.last_size) for one in letter.entries()]
    file = letter.judged(letter.anchor(), letter.trust(plain))
    assert file.indication is Indication.INDETERMINATE
    assert SubIndication.NO_CERTIFICATE_CHAIN_FOUND in file.sub_indications


def test_another_history_of_the_ended_log(letter: Letter) -> None:
    """Its keys signed two last heads: one that the letter's proofs are under, one that the successor commits to."""
    forked = Letter()
    before, after = forked.logs
    before.key = letter.logs[0].key
    before.entries[8] = bytes(32)
    after.entries[0] = before.successor(after.hashing).entry(after.hashing)
    newest = forked.chain[2]
    proof = after.proof(2).encode()
    moved = EventFiles(artifact=newest.artifact, opened=msgspec.structs.replace(newest.opened, proof=proof))
    forked.chain = [*letter.chain[:2], moved]
    file = forked.judged(forked.anchor())
    assert file.indication is Indication.INDETERMINATE
    assert file.sub_indications == [SubIndication.SIG_CONSTRAINTS_FAILURE]


def test_the_hash_of_the_newest_log_counts_too(letter: Letter) -> None:
    """An anchor under a hash that has ended shows nothing."""
    ends: list[AlgorithmEnd] = [msgspec.structs.replace(until(T0), algorithm="sha512")]
    file = letter.judged(letter.anchor(), letter.trust(algorithms=ends))
    assert SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE in file.sub_indications


def test_steps_lead_to_a_first_entry_only(letter: Letter) -> None:
    with pytest.raises(EvidenceNotBuildable, match="first entry"):
        _changed(letter, lambda one: msgspec.structs.replace(one, index=1))


@functools.cache
def one_anchor() -> tuple[Letter, tuple[str, int, bytes]]:
    letter = Letter()
    return letter, letter.anchor()


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_of_it_refutes_it_or_shows_the_same(data: st.DataObject) -> None:
    letter, (ledger, size, encoded) = one_anchor()
    place = data.draw(st.integers(0, len(encoded) - 1))
    changed = bytearray(encoded)
    changed[place] ^= 1 << data.draw(st.integers(0, 6))
    sound = letter.judged((ledger, size, encoded))
    try:
        read_anchor(bytes(changed))
    except AnchorRefused:
        return
    file = letter.judged((ledger, size, bytes(changed)))
    assert file.indication is not Indication.PASSED or file.letter == sound.letter
