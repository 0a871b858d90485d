"""Policies on witnesses in the trust bundle: which can be, and what proofs, receipts and openings come to by them."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.evidence import CosigningEntry, LogEntry, TrustRefused, WitnessEntry, read_bundle
from appliance.evidence.bundle import AlgorithmEnd, LedgerEntry
from appliance.evidence.cosigning import judge_cosignatures
from appliance.log import Checkpoint, VerifierKey, parse_note
from appliance.log.note import COSIGNATURE_V1
from firmware_tests.evidence.logs import (
    ORIGIN,
    PASSED,
    UNDECIDED,
    Log,
    Sub,
    entry_of,
    judge,
    opening,
    record_of,
    refused,
)
from firmware_tests.evidence.material import DAY, POLICY, T0, World, microseconds, token
from firmware_tests.evidence.test_trust import resigned

HOUR = timedelta(hours=1)
NAMES = ["witness0.example", "witness1.example", "witness2.example"]


def rule(quorum: int, names: list[str] | None = None, last: int | None = None, origin: str = ORIGIN) -> CosigningEntry:
    return CosigningEntry(origin=origin, witnesses=NAMES if names is None else names, quorum=quorum, last_size=last)


CANNOT_BE: dict[str, list[dict[str, Any]]] = {
    "an unknown log": [{"origin": "other.example"}],
    "an unknown witness": [{"witnesses": ["nobody.example"]}],
    "a witness twice": [{"witnesses": [NAMES[0], NAMES[0]]}],
    "more than there are": [{"quorum": 4}],
    "nobody of some": [{"quorum": 0}],
    "somebody of none": [{"witnesses": []}],
    "less than nobody": [{"quorum": -1}],
    "no policy in force": [{"last_size": 7}],
    "two in force": [{}, {}],
    "falling sizes": [{"last_size": 7}, {"last_size": 6}, {}],
    "equal sizes": [{"last_size": 7}, {"last_size": 7}, {}],
    "a further member": [{"more": 1}],
}


@pytest.mark.parametrize("what", CANNOT_BE)
def test_policies_that_cannot_be(logged: World, what: str) -> None:
    entry = {"origin": ORIGIN, "witnesses": NAMES, "quorum": 1, "last_size": None}
    cosigning = [entry | changes for changes in CANNOT_BE[what]]
    with pytest.raises(TrustRefused):
        read_bundle(resigned(logged, lambda document: document.update(cosigning=cosigning)), None)
    assert logged.trust(cosigning=[rule(1, last=7), rule(2)]).cosigning is not None


def test_a_key_counts_once_whatever_it_is_called(logged: World, log: Log) -> None:
    first = log.names()[0]
    twin = WitnessEntry(key=str(VerifierKey("twin.example", first.public, COSIGNATURE_V1)))
    with pytest.raises(TrustRefused, match="stands twice"):
        logged.trust(witnesses=[*logged.witnesses, twin])


def test_the_box_is_no_witness_of_itself(logged: World, log: Log) -> None:
    twin = WitnessEntry(key=str(VerifierKey("witness.example", log.verifier.public, COSIGNATURE_V1)))
    with pytest.raises(TrustRefused, match="the key of a log"):
        logged.trust(witnesses=[*logged.witnesses, twin])


@pytest.mark.parametrize("own", ["tsa_ca", "foreign_ca"])
def test_the_box_s_own_stamps_are_no_ledger(logged: World, own: str) -> None:
    """Else its own word would count as that of an outside ledger."""
    listed = base64.b64encode(getattr(logged, own).der).decode()
    rules = {"authorities": [{"certificate": listed, "policies": [POLICY]}]}
    entry = LedgerEntry(name="outside", rules=rules, tolerance_s=0, type="rfc3161")
    if own == "foreign_ca":
        assert set(logged.trust(ledgers=[entry]).ledgers) == {"outside"}
    else:
        with pytest.raises(TrustRefused, match="authority of the box's own"):
            logged.trust(ledgers=[entry])
    strange = LedgerEntry(
        name="outside", rules={"authorities": [{"certificate": "??"}, 7]}, tolerance_s=0, type="rfc3161"
    )
    assert set(logged.trust(ledgers=[strange]).ledgers) == {"outside"}


def test_cosignatures_of_a_time_to_come_count_and_show_none(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, b'{"amount":"1.00"}')
    record = record_of(encoded)
    for seen, shown in (([T0 + 90 * DAY], False), ([T0 + 90 * DAY, T0 + HOUR], False), ([T0 + HOUR] * 2, True)):
        opened = opening(record, log.proof(entry_of(record), seen), encoded)
        report = logged.verify(
            ("bond.json", b'{"amount":"1.00"}'),
            ("record.json", opened),
            trust=logged.trust(cosigning=[rule(len(seen))]),
        )
        assert report.indication is PASSED
        assert (report.files[0].existed_no_later_than is not None) is shown


@pytest.mark.parametrize("algorithm", ["sha256", "ed25519"])
def test_heads_and_cosignatures_rely_on_what_has_not_ended(logged: World, log: Log, algorithm: Any) -> None:
    """Whoever can forge a head can forge its cosignatures, and so a time long past."""
    encoded = token(logged.tsa, b'{"amount":"1.00"}')
    record = record_of(encoded)
    opened = opening(record, log.proof(entry_of(record), [T0 + HOUR]), encoded)
    for until, indication in ((T0 + 9 * DAY, PASSED), (T0 + HOUR, UNDECIDED)):
        end = AlgorithmEnd(algorithm=algorithm, until=f"{until:%Y-%m-%dT%H:%M:%SZ}")
        trust = logged.trust(cosigning=[rule(1)], algorithms=[end])
        report = logged.verify(("bond.json", b'{"amount":"1.00"}'), ("record.json", opened), trust=trust)
        assert report.files[1].indication is indication
        assert (report.files[1].existed_no_later_than is not None) is (indication is PASSED)


def test_a_bundle_without_policies_is_what_it_was(logged: World) -> None:
    """Older verifiers read it; one with a policy they refuse as a whole, rather than believe too much."""
    assert b"cosigning" not in logged.bundle_files()["bundle.json"]
    assert b'"revoked":' not in logged.bundle_files()["bundle.json"]


@pytest.mark.parametrize("quorum", [1, 2, 3])
@pytest.mark.parametrize("cosigners", [0, 1, 2, 3])
def test_an_opening_passes_with_the_quorum_only(logged: World, log: Log, quorum: int, cosigners: int) -> None:
    encoded = token(logged.tsa, b'{"amount":"1.00"}')
    record = record_of(encoded)
    seen = [T0 + hours * HOUR for hours in (3, 1, 2)][:cosigners]
    opened = opening(record, log.proof(entry_of(record), seen), encoded)
    report = logged.verify(
        ("bond.json", b'{"amount":"1.00"}'), ("record.json", opened), trust=logged.trust(cosigning=[rule(quorum)])
    )
    if cosigners < quorum:
        refused(report, Sub.NO_POE)
        assert report.files[0].existed_no_later_than is None
    else:
        assert report.indication is PASSED
        shown = report.files[0].existed_no_later_than
        assert shown is not None
        assert shown.time_us == microseconds(sorted(seen)[quorum - 1]) + 1_000_000


def test_a_proof_of_its_own_and_a_receipt(logged: World, log: Log) -> None:
    """A receipt is of a root alone: no witness signs one, so it fulfils no policy."""
    entry = b"an entry"
    trust = logged.trust(cosigning=[rule(2)])
    enough = logged.verify(("e", entry), ("p", log.proof(entry, [T0, T0])), trust=trust)
    assert enough.indication is PASSED
    for proof in (log.proof(entry, [T0]), log.receipt(entry)):
        report = logged.verify(("e", entry), ("p", proof), trust=trust)
        refused(report, Sub.NO_POE, "p")
    before = logged.trust(cosigning=[rule(0, [], last=6), rule(2)])
    assert logged.verify(("e", entry), ("p", log.receipt(entry)), trust=before).indication is PASSED


def test_witnesses_of_one_log_show_no_time_of_another(logged: World, log: Log) -> None:
    """In a bundle with policies a witness that one tenant chose says nothing of another's log."""
    entry, other = b"an entry", "other.rehearsal.example/log"
    key = VerifierKey(other, Log().verifier.public)
    logs = [*logged.logs, LogEntry(origin=other, key=str(key))]
    trust = logged.trust(logs=logs, cosigning=[rule(1, origin=other)])
    report = logged.verify(("e", entry), ("p", log.proof(entry, [T0] * 3)), trust=trust)
    assert report.indication is PASSED
    assert report.files[0].existed_no_later_than is None
    told = [check.text for part in report.files[1].parts for check in part.checks if check.name == "witnesses"]
    assert len(told) == 3
    assert all("no witness of this log" in text for text in told)


def test_what_does_not_count_is_told(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, b'{"amount":"1.00"}')
    record = record_of(encoded)
    first, second, _ = logged.witnesses
    revoked = msgspec.structs.replace(first, revoked="2026-03-02T00:00:00Z")
    trust = logged.trust(witnesses=[revoked, second], cosigning=[rule(1, NAMES[:2])])
    opened = opening(record, log.proof(entry_of(record), [T0, T0 + HOUR, T0]), encoded)
    report = judge(replace(logged), encoded, opened)
    assert report.indication is PASSED
    report = logged.verify(("bond.json", b'{"amount":"1.00"}'), ("record.json", opened), trust=trust)
    assert report.indication is PASSED
    checks = [check for part in report.files[1].parts for check in part.checks if check.name == "witnesses"]
    assert [check.outcome for check in checks] == ["note", "note", "passed"]
    assert "revoked since 2026-03-02 00:00:00 UTC" in checks[0].text
    assert "does not name its key" in checks[1].text
    assert NAMES[1] in checks[2].text


def test_many_strange_lines_are_told_shortly(logged: World, log: Log) -> None:
    note = log.checkpoint([b"x"], [T0])
    strange = b"".join(f"— stranger{number} AAAAAAAA\n".encode() for number in range(40))
    found = judge_cosignatures(parse_note(note + strange), ORIGIN, 1, logged.trust(cosigning=[rule(1)]))
    assert found.enough
    assert len(found.uncounted) == 40
    entry = b"an entry"
    proof = log.proof(entry, [T0]) + strange
    report = logged.verify(("e", entry), ("p", proof), trust=logged.trust(cosigning=[rule(1)]))
    assert report.indication is PASSED
    told = [check for part in report.files[1].parts for check in part.checks if check.outcome == "note"]
    assert len(told) == 9
    assert "32 further" in told[-1].text


@settings(max_examples=60)
@given(
    rules=st.lists(st.tuples(st.integers(1, 3), st.sets(st.integers(0, 2), min_size=1)), min_size=1, max_size=3),
    seen=st.lists(st.none() | st.integers(0, 5), min_size=3, max_size=3),
    size=st.integers(1, 30),
)
def test_the_plain_rule(
    logged: World, log: Log, rules: list[tuple[int, set[int]]], seen: list[int | None], size: int
) -> None:
    """Against the rule in other words: the least, over policies that hold at the size and are fulfilled, of the k-th
    earliest time of their own witnesses."""
    entries = []
    for place, (quorum, numbers) in enumerate(rules):
        last = None if place == len(rules) - 1 else 10 * (place + 1)
        entries.append(rule(min(quorum, len(numbers)), [NAMES[number] for number in sorted(numbers)], last))
    text = Checkpoint(ORIGIN, size, bytes(32)).text()
    note = text + b"\n" + b"".join(line.line() for line in parse_note(_cosigned(log, text, seen)).signatures)
    found = judge_cosignatures(parse_note(note), ORIGIN, size, logged.trust(cosigning=entries))
    times = {NAMES[number]: at for number, at in enumerate(seen) if at is not None}
    expected = []
    for entry in entries:
        own = sorted(times[name] for name in entry.witnesses if name in times)
        if (entry.last_size is None or size <= entry.last_size) and len(own) >= entry.quorum:
            expected.append(own[entry.quorum - 1])
    assert found.enough is bool(expected)
    shown = None if found.shown is None else found.shown[0] // 1_000_000 - 1
    assert shown == (microseconds(T0) // 1_000_000 + 3600 * min(expected) if expected else None)


def _cosigned(log: Log, text: bytes, seen: list[int | None]) -> bytes:
    from appliance.log import NoteSignature
    from appliance.log.note import cosigned_message

    lines = [NoteSignature(ORIGIN, log.verifier.key_id, log.key.sign(text)).line()]
    for key, name, hours in zip(log.witnesses, log.names(), seen, strict=True):
        if hours is not None:
            at = microseconds(T0 + hours * HOUR) // 1_000_000
            signature = at.to_bytes(8, "big") + key.sign(cosigned_message(at, text))
            lines.append(NoteSignature(name.name, name.key_id, signature).line())
    return text + b"\n" + b"".join(lines)


def test_undecided_is_not_refuted(logged: World, log: Log) -> None:
    entry = b"an entry"
    report = logged.verify(("e", entry), ("p", log.proof(entry)), trust=logged.trust(cosigning=[rule(3)]))
    assert report.indication is UNDECIDED
