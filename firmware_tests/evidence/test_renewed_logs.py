"""Proofs under a log that was renewed under another hash: they hold, and what is asked once the old hash has ended."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from appliance.evidence import LogEntry, SubIndication, TrustBundle
from appliance.evidence.bundle import CosigningEntry, TrustRefused
from appliance.evidence_records import first_record
from appliance.log.successor import Continuation
from firmware_tests.evidence.logs import DOCUMENT, PASSED, UNDECIDED, entry_of, opening, record_of, refused
from firmware_tests.evidence.material import T0, World, token
from firmware_tests.evidence.renewing import NOW, YEAR, Later, later_world, until
from firmware_tests.log.renewed import NEW, NEWEST, OLD, Log, continued, line

ENDED = until(T0 + 2 * YEAR)


def digest(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


class Renewed:
    """A record of a strong time-stamp in an old log, which two others may succeed."""

    def __init__(self, world: World, sizes: tuple[int, ...] = (9, 4)) -> None:
        self.later: Later = later_world(world)
        self.stamp = self.later.stamp(digest(DOCUMENT), T0)
        self.record = record_of(self.stamp, content_hash="sha512", content_digest=digest(DOCUMENT).hex())
        self.logs = line(sizes, {5: entry_of(self.record)})

    def entries(self) -> list[LogEntry]:
        found = []
        for before, one in zip([None, *self.logs], self.logs, strict=False):
            key = one.keys[0]
            entry = LogEntry(origin=one.origin, key=str(key.verifier), last_size=key.until_size)
            found.append(entry if before is None else _succeeding(entry, before.origin))
        return found

    def trust(self, *, ended: bool = False, entries: list[LogEntry] | None = None, **changes: object) -> TrustBundle:
        logs = self.entries() if entries is None else entries
        return self.later.world.trust(logs=logs, algorithms=[ENDED] if ended else [], **changes)

    def files(self, opened: bytes, *more: tuple[str, bytes], kept: bool = True) -> list[tuple[str, bytes]]:
        """With records under SHA-512 over what is kept, from before the end of SHA-256."""
        files = [("bond.json", DOCUMENT), ("bond.tst", self.stamp), ("record.json", opened), *more]
        if kept:
            records = [first_record("sha512", [digest(content)]) for content in (opened, self.stamp)]
            made = self.later.renew(records, T0 + YEAR)
            files += [("record.json.ers", made[0]), ("bond.tst.ers", made[1])]
        return files

    def proof(self) -> bytes:
        return self.logs[0].proof(5).encode()

    def continuation(self) -> bytes:
        return continued(self.logs, 5).encode()


def _succeeding(entry: LogEntry, origin: str) -> LogEntry:
    return LogEntry(origin=entry.origin, key=entry.key, last_size=entry.last_size, succeeds=origin)


@pytest.fixture(scope="module")
def renewed(world: World) -> Renewed:
    return Renewed(world)


def test_a_proof_under_the_old_log_goes_on_to_hold(renewed: Renewed) -> None:
    opened = opening(renewed.record, renewed.proof())
    report = renewed.later.world.verify(*renewed.files(opened, kept=False), trust=renewed.trust())
    assert report.indication is PASSED, report


@pytest.mark.parametrize("sizes", [(9, 4), (9, 1, 6)])
def test_a_continuation_is_a_proof(world: World, sizes: tuple[int, ...]) -> None:
    renewed = Renewed(world, sizes)
    trust = renewed.trust()
    report = renewed.later.world.verify(
        *renewed.files(opening(renewed.record, None), ("c.json", renewed.continuation()), kept=False), trust=trust
    )
    assert report.indication is PASSED, report
    assert report.files[3].kind == "log continuation"
    opened = opening(renewed.record, None, change=lambda value: value.update(continuation=_text(renewed)))
    assert renewed.later.world.verify(*renewed.files(opened, kept=False), trust=trust).indication is PASSED


def _text(renewed: Renewed) -> str:
    return renewed.continuation().decode()


def test_after_the_end_of_the_hash_a_proof_counts_by_way_of_the_successor(renewed: Renewed) -> None:
    trust, opened = renewed.trust(ended=True), opening(renewed.record, None)
    old = renewed.later.world.verify(*renewed.files(opened, ("p.tlog-proof", renewed.proof())), now=NOW, trust=trust)
    assert old.indication is UNDECIDED
    assert old.files[3].sub_indications == [SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE]
    new = renewed.later.world.verify(*renewed.files(opened, ("c.json", renewed.continuation())), now=NOW, trust=trust)
    assert new.indication is PASSED, new


def test_after_the_end_of_the_hash_the_record_itself_must_have_been_shown(renewed: Renewed) -> None:
    """The commitment is of the old hash: whoever can find another record of the same commitment has the same way."""
    files = renewed.files(opening(renewed.record, None), ("c.json", renewed.continuation()), kept=False)
    report = renewed.later.world.verify(*files, now=NOW, trust=renewed.trust(ended=True))
    assert report.indication is UNDECIDED
    assert SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE in report.files[2].sub_indications


def test_a_proof_that_was_shown_before_the_end_needs_no_successor(renewed: Renewed) -> None:
    opened = opening(renewed.record, renewed.proof())
    report = renewed.later.world.verify(*renewed.files(opened), now=NOW, trust=renewed.trust(ended=True))
    assert report.indication is PASSED, report


def test_a_continuation_of_another_entry_or_with_another_way(renewed: Renewed) -> None:
    opened = opening(renewed.record, None)
    other = continued(renewed.logs, 4).encode()
    report = renewed.later.world.verify(*renewed.files(opened, ("c.json", other), kept=False), trust=renewed.trust())
    assert report.indication is not PASSED
    inside = opening(renewed.record, None, change=lambda value: value.update(continuation=other.decode()))
    refused(
        renewed.later.world.verify(*renewed.files(inside, kept=False), trust=renewed.trust()),
        SubIndication.HASH_FAILURE,
    )


def test_a_log_that_the_bundle_does_not_name_as_successor(renewed: Renewed) -> None:
    """Anybody can open a log whose first leaf commits to another's."""
    stranger = Log(NEW, list(renewed.logs[1].entries), ended=False)
    forged = continued([renewed.logs[0], stranger], 5).encode()
    opened = opening(renewed.record, None)
    report = renewed.later.world.verify(*renewed.files(opened, ("c.json", forged), kept=False), trust=renewed.trust())
    assert report.files[3].indication is not PASSED
    plain = [LogEntry(origin=one.origin, key=one.key, last_size=one.last_size) for one in renewed.entries()]
    unnamed = renewed.later.world.verify(
        *renewed.files(opened, ("c.json", renewed.continuation()), kept=False), trust=renewed.trust(entries=plain)
    )
    assert unnamed.files[3].sub_indications == [SubIndication.NO_CERTIFICATE_CHAIN_FOUND]


def test_the_witnesses_of_the_new_log_are_asked_for(renewed: Renewed, world: World) -> None:
    from firmware_tests.evidence.logs import Log as Witnessed

    names = Witnessed().names()
    witnessed = replace(renewed.later.world, witnesses=tuple(_witness(name) for name in names))
    rules = [
        CosigningEntry(origin=OLD, witnesses=[], quorum=0),
        CosigningEntry(origin=NEW, witnesses=[names[0].name], quorum=1),
    ]
    trust = witnessed.trust(logs=renewed.entries(), cosigning=rules)
    report = witnessed.verify(
        *renewed.files(opening(renewed.record, None), ("c.json", renewed.continuation()), kept=False), trust=trust
    )
    assert report.files[3].sub_indications == [SubIndication.NO_POE]


def _witness(name: object) -> object:
    from appliance.evidence.bundle import WitnessEntry

    return WitnessEntry(key=str(name))


def impossible_successions(renewed: Renewed) -> list[tuple[list[LogEntry], str]]:
    """Logs of trust bundles that nobody believes, and why. `renewed`: of three logs."""
    old, new, newest = renewed.entries()
    unended = LogEntry(origin=OLD, key=old.key)
    plain = LogEntry(origin=NEWEST, key=newest.key)
    return [
        ([unended, new, newest], "not name as ended"),
        ([new, newest], "not name as ended"),
        ([old, new, _succeeding(plain, OLD)], "succeed the same"),
        ([old, new, _succeeding(new, NEWEST), newest], "two others"),
        ([_succeeding(old, NEWEST), new, LogEntry(origin=NEWEST, key=newest.key, last_size=3, succeeds=NEW)], "itself"),
        ([old, LogEntry(origin=f"{OLD}/other", key=new.key, succeeds=OLD)], "same hash"),
    ]


def test_bundles_that_cannot_be(world: World) -> None:
    renewed = Renewed(world, (9, 4, 3))
    assert renewed.trust().succeeds == {NEW: OLD, NEWEST: NEW}
    for entries, why in impossible_successions(renewed):
        with pytest.raises(TrustRefused, match=why):
            renewed.trust(entries=entries)


def test_the_proof_of_a_record_in_the_new_log(world: World) -> None:
    """Evidence that is made under the new log verifies by itself."""
    from appliance.record import commitment
    from appliance.tree_hash import SHA512
    from firmware_tests.evidence.logs import SALT

    renewed = Renewed(world)
    made = token(world.tsa, DOCUMENT)
    record = record_of(made)
    renewed.logs[1].entries[2] = commitment(SALT, record.canonical(), SHA512)
    proof = renewed.logs[1].proof(2).encode()

    def under(value: dict[str, object]) -> None:
        value["commitment"] = renewed.logs[1].entries[2].hex()

    opened = opening(record, proof, change=under)
    report = world.verify(("bond.json", DOCUMENT), ("bond.tst", made), ("record.json", opened), trust=renewed.trust())
    assert report.indication is PASSED, report
    assert Continuation.parse(renewed.continuation())  # the old log goes on to the same new one
