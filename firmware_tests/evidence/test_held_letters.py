"""Which letter an evidence file is of, for whoever looks one up: of none that does not pass wholly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.evidence import held_letters, verify
from appliance.evidence.held_letters import HeldLetter, held_letter
from firmware_tests.evidence.corpus import PACKED
from firmware_tests.evidence.letters import (
    LETTER,
    NOW,
    PART,
    check,
    evidence,
    plain_letter,
    split_letter,
    surroundings,
)
from firmware_tests.evidence.material import certify, microseconds
from firmware_tests.evidence.test_letters import HOSTILE, changed, good

NOW_US = microseconds(NOW)


def held(content: bytes) -> HeldLetter | None:
    return held_letter(content, surroundings()[0].trust(), NOW_US)


def test_a_passing_file_is_of_its_letter() -> None:
    assert held(good()) == HeldLetter(tenant="bank", letter=LETTER)
    assert held(evidence(split_letter(1))) == HeldLetter(tenant="bank", letter=PART)


def test_what_proves_nothing_is_of_none() -> None:
    world, _ = surroundings()
    foreign = replace(world, seal_ca=certify("Another CA", ca=True)).trust()
    assert held_letter(good(), foreign, NOW_US) is None
    unstamped = evidence(plain_letter(1, stamped_by=None))
    assert check(unstamped).indication.value == "INDETERMINATE"
    assert held(unstamped) is None
    for content in (b"", b"%PDF-1.7", b"PK\x03\x04"):
        assert held(content) is None


@pytest.mark.parametrize("name", ["a changed document", "another event's record", "no seal"])
def test_a_changed_file_is_of_none(name: str) -> None:
    assert held(changed(HOSTILE[name])) is None


@pytest.mark.parametrize("name", ["a bomb", "an entry twice", "content after the end"])
def test_a_file_that_is_packed_otherwise_is_of_none(name: str) -> None:
    assert held(PACKED[name](good())) is None


def test_a_file_of_too_many_seals_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_letters, "MOST_SEALS", 2)
    assert held(evidence(plain_letter(2))) == HeldLetter(tenant="bank", letter=LETTER)
    assert held(evidence(plain_letter(3))) is None


def test_a_file_of_too_many_certificates_lists_and_answers_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    helped = evidence(plain_letter(), certificates=[certify(f"CA {n}", ca=True).der for n in range(3)])
    monkeypatch.setattr(held_letters, "MOST_HELPERS", 3)
    assert held(helped) is not None
    monkeypatch.setattr(held_letters, "MOST_HELPERS", 2)
    assert held(helped) is None


@pytest.mark.parametrize(("approvals", "cards", "looked_at"), [(4, 4, True), (5, 4, False), (17, 0, False)])
def test_a_file_of_too_many_approvals_is_not_looked_at(
    approvals: int, cards: int, looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(held_letters, "MOST_TRIES", 16)
    monkeypatch.setattr(held_letters, "verify", lambda *files, **_: looked.append(files) or verify(*files, **_))
    spoiled = {
        "event-0001.json": b'{"approvals":[' + b",".join([b"{}"] * approvals) + b"]}",
        "event-0001/approvers.json": b'{"persons":[{},{"credentials":[' + b",".join([b"{}"] * cards) + b"]}]}",
    }
    assert held(changed(lambda entries: entries.update(spoiled))) is None
    assert bool(looked) is looked_at
