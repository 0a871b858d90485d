"""Algorithms that have ended by the trust bundle: what counts is what is shown, by others, to have existed before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.evidence import Indication, Report, SubIndication, TrustRefused
from appliance.evidence.findings import Journal
from appliance.evidence.items import Item, Shown, earliest
from appliance.evidence.recognise import Kind
from appliance.evidence_records import (
    expand,
    first_record,
    hash_tree_renewal,
    parse_evidence_record,
    time_stamp_renewal,
)
from firmware_tests.evidence.material import (
    DAY,
    T0,
    World,
    crl,
    seal,
    time_stamper,
    token,
)
from firmware_tests.evidence.renewing import NOW, YEAR, Later, later_world, until

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
NO_POE = SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
LETTER = b"a guarantee for thirty years"


@pytest.fixture(scope="module")
def later(world: World) -> Later:
    return later_world(world)


def digest(data: bytes, name: str = "sha512") -> bytes:
    return hashlib.new(name, data).digest()


def old_record(later: Later) -> bytes:
    return expand(digest(LETTER, "sha256"), b"", later.stamp(digest(LETTER, "sha256"), T0, "sha256"))


def subs(report: Report) -> set[SubIndication]:
    return set(report.sub_indications)


def test_nothing_has_an_end_by_itself(later: Later) -> None:
    assert later.verify(("letter", LETTER), ("letter.ers", old_record(later))).indication is PASSED


def test_a_record_whose_hash_has_ended_is_undecided_and_one_renewed_before_passes(later: Later) -> None:
    ends = [until(T0 + 2 * YEAR)]
    record = old_record(later)
    report = later.verify(("letter", LETTER), ("letter.ers", record), ends=ends)
    assert (report.indication, NO_POE in subs(report)) == (UNDECIDED, True)
    before = later.verify(("letter", LETTER), ("letter.ers", record), ends=ends, now=T0 + 2 * YEAR)
    assert before.indication is PASSED, "on its last good day"
    renewed = later.renew([hash_tree_renewal(record, "sha512", [digest(LETTER)])], T0 + YEAR)[0]
    report = later.verify(("letter", LETTER), ("letter.ers", renewed), ends=ends)
    assert report.indication is PASSED, report
    assert report.files[0].claimed[0].time == "2026-03-01 12:00:00 UTC", "the first token's time stays"
    texts = [check.text for part in report.files[1].parts for check in part.checks if check.name == "algorithms"]
    assert any("this is shown to have existed at 2027-03-01" in text for text in texts)


def test_a_renewal_after_the_end_came_too_late(later: Later) -> None:
    late = later.renew([hash_tree_renewal(old_record(later), "sha512", [digest(LETTER)])], T0 + 2 * YEAR + DAY)[0]
    report = later.verify(("letter", LETTER), ("letter.ers", late), ends=[until(T0 + 2 * YEAR)])
    assert (report.indication, NO_POE in subs(report)) == (UNDECIDED, True)


def test_a_time_stamp_renewal_does_not_save_a_hash(later: Later) -> None:
    """It stays under the hash of its chain, which must hold until the next chain."""
    record = later.renew([time_stamp_renewal(old_record(later))], T0 + YEAR)[0]
    report = later.verify(("letter", LETTER), ("letter.ers", record), ends=[until(T0 + 2 * YEAR)])
    assert (report.indication, NO_POE in subs(report)) == (UNDECIDED, True)
    again = later.renew([hash_tree_renewal(record, "sha512", [digest(LETTER)])], T0 + 2 * YEAR - DAY)[0]
    assert later.verify(("letter", LETTER), ("letter.ers", again), ends=[until(T0 + 2 * YEAR)]).indication is PASSED


def test_a_time_stamp_renewal_saves_a_key(later: Later) -> None:
    small = time_stamper(
        "Small TSU", later.world.tsa_ca, key=rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    made = later.stamp(digest(LETTER, "sha256"), T0, "sha256", small)
    record = expand(digest(LETTER, "sha256"), b"", made)
    ends = [until(T0 + 2 * YEAR, "rsa", 3000)]
    assert NO_POE in subs(later.verify(("letter", LETTER), ("letter.ers", record), ends=ends))
    assert later.verify(("letter", LETTER), ("letter.ers", record), ends=[until(T0, "rsa", 2048)]).indication is PASSED
    renewed = later.renew([time_stamp_renewal(record)], T0 + YEAR)[0]
    assert later.verify(("letter", LETTER), ("letter.ers", renewed), ends=ends).indication is PASSED


def test_a_bare_stamp_is_saved_by_a_record_over_it_and_its_document(later: Later) -> None:
    """Two files: the token under a record, and the document under another. Without the document's own record whoever
    breaks the hash finds another document for the old token."""
    ends = [until(T0 + 2 * YEAR)]
    stamp = later.stamp(digest(LETTER, "sha256"), T0, "sha256")
    files = [("letter", LETTER), ("letter.tst", stamp)]
    assert NO_POE in subs(later.verify(*files, ends=ends))
    wanted = [first_record("sha512", [digest(stamp)]), first_record("sha512", [digest(LETTER)])]
    over_stamp, over_letter = later.renew(wanted, T0 + YEAR)
    half = later.verify(*files, ("letter.tst.ers", over_stamp), ends=ends)
    assert (half.indication, half.files[1].indication) == (UNDECIDED, UNDECIDED)
    whole = later.verify(*files, ("letter.tst.ers", over_stamp), ("letter.ers", over_letter), ends=ends)
    assert whole.indication is PASSED, whole


def test_a_seal_is_saved_likewise(later: Later) -> None:
    ends = [until(T0 + 2 * YEAR)]
    made = seal(later.world.sealer, LETTER, stamped_by=later.world.tsa)
    files = [("letter", LETTER), ("letter.p7s", made)]
    assert later.verify(*files).indication is PASSED
    assert NO_POE in subs(later.verify(*files, ends=ends))
    group = later.renew([first_record("sha512", [digest(made), digest(LETTER)])], T0 + YEAR)[0]
    assert later.verify(*files, ("group.ers", group), ends=ends).indication is PASSED
    inside = seal(later.world.sealer, LETTER, stamped_by=later.world.tsa, enveloping=True)
    alone = later.renew([first_record("sha512", [digest(inside)])], T0 + YEAR)[0]
    assert NO_POE in subs(later.verify(("letter.p7m", inside), ends=ends))
    assert later.verify(("letter.p7m", inside), ("letter.p7m.ers", alone), ends=ends).indication is PASSED


def test_a_time_stamp_put_into_a_seal_later_is_not_as_old_as_the_seals_signature(later: Later) -> None:
    """What shows a signature shows nothing of what hangs on it unsigned: here another party's stamp over the signature
    value alone, as a log's record is, against one over the whole seal."""
    tainted = later.world.with_crl(
        "tsa-ca.crl",
        crl(
            later.world.tsa_ca, [(later.world.tsa, T0 + YEAR, x509.ReasonFlags.key_compromise)],
            issued=T0 + YEAR + DAY, until=T0 + 5 * YEAR,
        ),
    )  # fmt: skip
    made = seal(later.world.sealer, LETTER, stamped_by=later.world.tsa)
    over_all = later.renew([first_record("sha512", [digest(made)])], T0 + DAY)[0]
    files = [("letter", LETTER), ("letter.p7s", made)]
    saved = tainted.verify(*files, ("letter.p7s.ers", over_all), now=NOW)
    assert saved.indication is PASSED, saved
    assert tainted.verify(*files, now=NOW).indication is UNDECIDED
    item = Item(0, Kind.SEAL, signatures=["ab"])
    item.parts.append(("seal", passing()))
    item.shown.append(Shown(0, 5, "witness", "w", "ab"))
    found = earliest([item], frozenset(("witness",)))
    assert (found.files[0].time_us, found.whole) == (5, {})


def passing() -> Journal:
    journal = Journal()
    journal.complete()
    return journal


def test_a_list_anybody_could_have_signed_does_not_count(later: Later) -> None:
    """Lists that the bundle names by digest do: it vouches for them."""
    ends = [until(T0 + 2 * YEAR)]
    group = later.renew([first_record("sha512", [digest(LETTER)])], T0 + YEAR)[0]
    bare = replace(later.world, crls={})
    lists = [(name, content) for name, content in later.world.crls.items()]
    for known in ([], ends):
        assert later.verify(("letter", LETTER), ("letter.ers", group), ends=known).indication is PASSED
    without = bare.verify(("letter", LETTER), ("letter.ers", group), *lists, now=NOW, trust=bare.trust(algorithms=ends))
    assert without.indication is UNDECIDED
    assert SubIndication.TRY_LATER in subs(without)
    unended = bare.verify(("letter", LETTER), ("letter.ers", group), *lists, now=NOW, trust=bare.trust())
    assert unended.indication is PASSED


def test_lists_in_the_tokens_of_a_record_are_used(later: Later) -> None:
    lists = list(later.world.crls.values())
    made = token(later.world.tsa, LETTER, T0, crls=lists)
    record = expand(digest(LETTER, "sha256"), b"", made)
    bare = replace(later.world, crls={})
    assert bare.verify(("letter", LETTER), ("letter.ers", record), now=NOW).indication is PASSED
    without = expand(digest(LETTER, "sha256"), b"", token(later.world.tsa, LETTER, T0))
    assert subs(bare.verify(("letter", LETTER), ("letter.ers", without), now=NOW)) >= {SubIndication.TRY_LATER}


@pytest.fixture(scope="module")
def renewed_twice(later: Later) -> bytes:
    record = later.renew([time_stamp_renewal(old_record(later)), first_record("sha256", [bytes(32)])], T0 + DAY)[0]
    again = hash_tree_renewal(record, "sha512", [digest(LETTER)])
    return later.renew([again, first_record("sha512", [bytes(64)])], T0 + YEAR)[0]


@given(st.data())
@settings(max_examples=200)
def test_any_flipped_byte_of_a_renewed_record_refutes_it_or_changes_nothing(
    later: Later, renewed_twice: bytes, data: st.DataObject
) -> None:
    """All but what CMS says twice in the newest token, which its signature does not cover: older ones are hashed."""
    changed = bytearray(renewed_twice)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    report = later.verify(("letter", LETTER), ("letter.ers", bytes(changed)), ends=[until(T0 + 2 * YEAR)])
    if report.indication is PASSED:
        newest = parse_evidence_record(renewed_twice).chains[-1][-1].token
        assert at >= len(renewed_twice) - len(newest)
        good = later.verify(("letter", LETTER), ("letter.ers", renewed_twice), ends=[until(T0 + 2 * YEAR)])
        assert report.files[0].existed_no_later_than == good.files[0].existed_no_later_than


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: {**entry, "algorithm": "md5"},
        lambda entry: {**entry, "until": "2030-02-30T00:00:00Z"},
        lambda entry: {**entry, "below_bits": 0},
        lambda entry: {**entry, "more": 1},
    ],
)
def test_bundles_that_say_nonsense_of_algorithms(later: Later, change: Callable[[dict[str, Any]], object]) -> None:
    entry = msgspec.to_builtins(until(T0))
    with pytest.raises(TrustRefused):
        later.world.trust(algorithms=[change(entry)])


def test_what_is_refuted_stays_refuted(later: Later) -> None:
    report = later.verify(("letter", b"another"), ("letter.ers", old_record(later)), ends=[until(T0)])
    assert report.indication is FAILED
