"""Renewed evidence files in the page and in the program: the same verdict, with and without ended algorithms."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.sync_api import Page

from appliance.asic import read_container, write_container
from appliance.asic.names import renewal_names
from appliance.evidence import Indication, read_bundle
from appliance.evidence.bundle import AlgorithmEnd
from appliance.evidence.letters import LetterFacts
from appliance.evidence_records import hash_tree_renewal, time_stamp_renewal
from firmware_tests.evidence.browser.test_agreement import CARD, JUDGE, TEXT, approved, by_card, card_credential, page
from firmware_tests.evidence.letters import Office, check, evidence, letter_of_a_file, plain_letter, story, surroundings
from firmware_tests.evidence.material import DAY, T0, World, certify, crl, microseconds, time_stamper
from firmware_tests.evidence.renewing import NOW, YEAR, until
from firmware_tests.evidence.test_letters import court
from firmware_tests.evidence.test_renewed_letters import MANIFEST, RECORD, REFUTED, altered, later, once, renewed

__all__ = ["page"]

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
ENDED: Final = (until(T0 + 2 * YEAR),)


@dataclass(frozen=True)
class Row:
    """A file, under a bundle with these ends."""

    expected: Indication
    content: Callable[[], bytes]
    ends: Sequence[AlgorithmEnd] = ()
    world: Callable[[World], World] = lambda world: world
    now: datetime = NOW


def bare() -> bytes:
    return evidence(plain_letter())


def by_rsa() -> bytes:
    """Sealed with a small key."""
    world, log = surroundings()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    desk = Office(replace(world, sealer=certify("Bank of Examples", world.seal_ca, key=key)), log)
    for one in story(1):
        desk.seal(one)
    return evidence(desk.chain())


def in_chains() -> bytes:
    """A record of the file that was renewed in its own chain, and then under another hash."""
    entries = read_container(once())
    longer = later().renew([time_stamp_renewal(entries[RECORD])], T0 + YEAR + DAY)[0]
    digests = [hashlib.sha384(entries[name]).digest() for name in entries if "renewal" not in name]
    longer = later().renew([hash_tree_renewal(longer, "sha384", digests)], T0 + 2 * YEAR - DAY)[0]
    return altered(lambda one: one.update({RECORD: longer}))


def with_list() -> bytes:
    """The authorities' lists stand in the file alone, and are renewed with it."""
    world, _ = surroundings()
    return renewed(evidence(plain_letter(), lists=list(world.crls.values())), T0 + YEAR)


def tainted(world: World) -> World:
    """The unit of the seals' time-stamps was revoked, with its key in others' hands, after the renewal."""
    entry = (world.tsa, T0 + 2 * YEAR, x509.ReasonFlags.key_compromise)
    return world.with_crl("tsa-ca.crl", crl(world.tsa_ca, [entry], issued=T0 + 2 * YEAR + DAY, until=T0 + 5 * YEAR))


def without_lists(world: World) -> World:
    return replace(world, crls={"strong.crl": world.crls["strong.crl"]})


def spoilt(content: bytes, name: str, before: bytes = b"") -> bytes:
    """One byte of an entry is another, in front of something or at the end."""
    entries = read_container(content)
    found = bytearray(entries[name])
    place = found.index(before) - 2 if before else len(found) - 1
    found[place] = ord("A") if found[place] != ord("A") else ord("B")
    return write_container((entries | {name: bytes(found)}).items())


TABLE: Final[dict[str, Row]] = {
    "renewed": Row(PASSED, once),
    "renewed twice": Row(PASSED, lambda: renewed(once(), T0 + 2 * YEAR)),
    "with an ended hash, not renewed": Row(UNDECIDED, bare, ENDED),
    "with an ended hash, on its last day": Row(PASSED, bare, ENDED, now=T0 + 2 * YEAR),
    "with an ended hash, renewed": Row(PASSED, once, ENDED),
    "with an ended hash, renewed too late": Row(UNDECIDED, lambda: renewed(bare(), T0 + 2 * YEAR + DAY), ENDED),
    "stamped together, with an ended hash, not renewed": Row(UNDECIDED, lambda: evidence(letter_of_a_file()), ENDED),
    "stamped together, with an ended hash, renewed": Row(
        PASSED, lambda: renewed(evidence(letter_of_a_file()), T0 + YEAR), ENDED
    ),
    "with a court package, renewed": Row(
        PASSED, lambda: renewed(evidence(plain_letter(), court=court(plain_letter())), T0 + YEAR)
    ),
    "the renewal's own hash has ended": Row(UNDECIDED, once, (*ENDED, until(T0 + 2 * YEAR, "sha512"))),
    "the renewal's own hash has ended, and it was renewed": Row(
        PASSED,
        lambda: renewed(renewed(bare(), T0 + YEAR, "sha384"), T0 + 2 * YEAR - DAY),
        (*ENDED, until(T0 + 2 * YEAR, "sha384")),
    ),
    "renewed under SM3": Row(PASSED, lambda: renewed(bare(), T0 + YEAR, "sm3")),
    "renewed under SM3, with an ended hash": Row(PASSED, lambda: renewed(bare(), T0 + YEAR, "sm3"), ENDED),
    "renewed under SM3, which has ended": Row(
        UNDECIDED, lambda: renewed(bare(), T0 + YEAR, "sm3"), (*ENDED, until(T0 + 2 * YEAR, "sm3"))
    ),
    "renewed under SM3, which has ended, and renewed again": Row(
        PASSED,
        lambda: renewed(renewed(bare(), T0 + YEAR, "sm3"), T0 + 2 * YEAR - DAY),
        (*ENDED, until(T0 + 2 * YEAR, "sm3")),
    ),
    "renewed under SM3, stamped together": Row(
        PASSED, lambda: renewed(evidence(letter_of_a_file()), T0 + YEAR, "sm3"), ENDED
    ),
    "renewed under SM3, and an entry changed": Row(
        FAILED, lambda: spoilt(renewed(bare(), T0 + YEAR, "sm3"), "META-INF/for-people.html")
    ),
    "renewed under SM3, and its digests changed": Row(
        FAILED, lambda: spoilt(renewed(bare(), T0 + YEAR, "sm3"), MANIFEST, before=b"</ds:DigestValue>")
    ),
    "renewed in its own chains": Row(PASSED, in_chains),
    "renewed in its own chains, with an ended hash": Row(PASSED, in_chains, ENDED),
    "sealed with a small key, which has ended": Row(PASSED, by_rsa, (until(T0 + 2 * YEAR, "rsa", 3000),)),
    "sealed with a small key, which had ended": Row(UNDECIDED, by_rsa, (until(T0 - DAY, "rsa", 3000),)),
    "sealed with a small key, which has ended, renewed": Row(
        PASSED, lambda: renewed(by_rsa(), T0 + YEAR), (until(T0 + 2 * YEAR, "rsa", 3000),)
    ),
    "sealed with a key that is large enough": Row(PASSED, by_rsa, (until(T0 + 2 * YEAR, "rsa", 2048),)),
    "every elliptic curve has ended": Row(UNDECIDED, once, (until(T0 + 2 * YEAR, "ecdsa"),)),
    "small curves have ended": Row(PASSED, once, (until(T0 + 2 * YEAR, "ecdsa", 500),)),
    "an algorithm that nothing uses has ended": Row(PASSED, bare, (until(T0, "sm3"), until(T0, "ml-dsa"))),
    "lists in the file alone, renewed with it": Row(PASSED, with_list, (), without_lists),
    "lists in the file alone, renewed with it, with an ended hash": Row(PASSED, with_list, ENDED, without_lists),
    "by a stranger": Row(
        UNDECIDED,
        lambda: renewed(bare(), T0 + YEAR, by=time_stamper("Stranger", certify("Another CA", ca=True))),
    ),
    "before the events, by its word": Row(UNDECIDED, lambda: renewed(bare(), T0 - DAY)),
    "to come": Row(UNDECIDED, lambda: renewed(bare(), NOW + DAY)),
    "of a unit that was compromised later": Row(UNDECIDED, bare, (), tainted),
    "of a unit that was compromised later, renewed by another party": Row(PASSED, once, (), tainted),
    "of a unit that was compromised later, renewed by another party after that": Row(
        UNDECIDED, lambda: renewed(bare(), T0 + 2 * YEAR + DAY), (), tainted
    ),
    "stamped together, by a unit that was compromised later, renewed by another party": Row(
        PASSED, lambda: renewed(evidence(letter_of_a_file()), T0 + YEAR), (), tainted
    ),
    **{f"refuted: {name}": Row(FAILED, lambda change=change: altered(change)) for name, change in REFUTED.items()},
}
"""Renewals under SHA-3 are not in it: no browser has that."""


@pytest.mark.parametrize("name", TABLE)
def test_both_say_the_same(page: Page, name: str) -> None:
    row = TABLE[name]
    content = row.content()
    files = row.world(later().world).bundle_files(algorithms=list(row.ends))
    report = check(content, trust=read_bundle(files, None), now=row.now)
    reasons = [one.text for part in report.files[0].parts for one in part.checks if one.sub_indication]
    encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
    said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(row.now) // 1000])
    assert (report.indication.value, said["indication"]) == (row.expected.value, row.expected.value), (reasons, said)
    existed = report.files[0].existed_no_later_than
    if row.expected is PASSED:
        assert said["existed"] == (None if existed is None else existed.time_us // 1000)


@pytest.mark.parametrize("ended", [T0 - DAY, T0 + 2 * YEAR])
def test_approvals_by_cards_are_held_to_ended_algorithms_in_both(page: Page, ended: datetime) -> None:
    content = renewed(approved(by_card(CARD, TEXT), credentials=[card_credential(CARD)]), T0 + YEAR)
    files = later().world.bundle_files(algorithms=[until(ended, "ecdsa", 300)])
    report = check(content, trust=read_bundle(files, None), now=NOW)
    encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
    said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(NOW) // 1000])
    letter = report.files[0].letter
    assert isinstance(letter, LetterFacts)
    expected = PASSED if ended > T0 else UNDECIDED
    assert ([one.indication for one in letter.events[0].approvals], said["approvals"]) == ([expected], [expected.value])
    assert (report.indication.value, said["indication"]) == (expected.value, expected.value)


@pytest.mark.parametrize("name", ["sha3-256", "sha3-512"])
def test_what_no_browser_can_hash_is_undecided_there(page: Page, name: str) -> None:
    content = renewed(bare(), T0 + YEAR, name)
    files = later().world.bundle_files()
    assert check(content, trust=read_bundle(files, None), now=NOW).indication is PASSED
    encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
    said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(NOW) // 1000])
    assert said["indication"] == "INDETERMINATE"
    assert any("cannot check" in one for one in said["told"])


def test_names_of_renewals_are_of_the_same_form_in_both(page: Page) -> None:
    for name in (*renewal_names(1), *renewal_names(9999), "META-INF/evidencerecord-renewal-0000.ers"):
        entries = read_container(bare()) | {name: b""}
        files = later().world.bundle_files()
        encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
        content = write_container(entries.items())
        said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(NOW) // 1000])
        assert (
            said["indication"] == "TOTAL-FAILED" == check(content, trust=read_bundle(files, None), now=NOW).indication
        )
    assert renewal_names(1).manifest == MANIFEST
