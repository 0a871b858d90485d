"""The kinds that ship: each is sound, and each is walked through every event and state by its own rules."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from appliance.letters.check import check_file, check_together, read_sound_kind
from appliance.letters.checks.life import parts_states, reachable
from appliance.letters.counting import counts
from appliance.letters.dues import dues, first_dues
from appliance.letters.effects import uses
from appliance.letters.errors import EventRefused, PartyMissing, RoleMissing
from appliance.letters.judge import Asked, judge
from appliance.letters.kind import SETS, LoadedKind
from firmware_tests.letters.walking import ACTOR, START, Step, firm_of, walks

CATALOGUE = Path(str(files("appliance.letters") / "catalogue"))
NAMES = sorted(path.stem for path in CATALOGUE.glob("*.toml"))
ROWS = {
    f"{letter}{number}"
    for letter, most in {"A": 8, "B": 10, "V": 9, "P": 1, "C": 21}.items()
    for number in range(1, most + 1)
}


def load(name: str) -> LoadedKind:
    return read_sound_kind((CATALOGUE / f"{name}.toml").read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_that_ships_is_sound_and_teaches(name: str) -> None:
    text = (CATALOGUE / f"{name}.toml").read_bytes()
    loaded, findings = check_file(text)
    assert [str(one) for one in findings] == []
    assert loaded is not None
    assert loaded.kind.id == name
    assert loaded.kind.rows, "which systems use it"
    assert text.startswith(b"# "), "a first line that says what it is"
    assert max(map(len, text.decode().splitlines())) <= 320


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_lives_through_every_event_and_state(name: str) -> None:
    loaded = load(name)
    kind = loaded.kind
    seen_events, seen_states = set(), set()
    for steps in walks(loaded):
        for step in steps:
            seen_events.add(step.way.event)
            seen_states |= {step.way.after, *(parts_states(kind, step.way.event) if step.child else ())}
            uses(kind, step.before, step.after)
            counts(kind, step.before, step.after)
            waiting = dues(kind, step.after)
            automatic = [one.at for one in waiting if one.automatic]
            assert first_dues(kind, step.after) == (min(waiting).at if waiting else 0, min(automatic, default=0))
        last = steps[-1]
        state = kind.states[last.after.state]
        assert not state.final or last.after.balance == 0, "nothing is left in a letter that has ended"
        for event, rule in kind.events.items():
            asked = Asked(event, last.after.letter)
            if last.after.state not in rule.from_:
                with pytest.raises(EventRefused):
                    judge(loaded, last.after, asked, ACTOR, frozenset(rule.by), last.now_us, {})
            with pytest.raises(RoleMissing):
                judge(loaded, last.after, asked, ACTOR, frozenset({"nobody"}), last.now_us, {})
    assert seen_events == kind.events.keys()
    assert seen_states == kind.states.keys() == reachable(kind)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_letter_that_ended_held_is_given_back_or_kept_as_the_kind_says(name: str) -> None:
    loaded = load(name)
    kind = loaded.kind
    for steps in walks(loaded):
        if any(step.child for step in steps):
            continue
        held: dict[tuple[str, tuple[str, ...]], int] = {}
        for step in steps:
            for use in uses(kind, step.before, step.after):
                key = (use.name, use.values)
                held[key] = held.get(key, 0) + use.amount
                assert 0 <= held[key] <= use.capacity
        ended = steps[-1].after.state
        for (unique, _), amount in held.items():
            if ended in kind.unique[unique].free_in:
                assert amount == 0


FOR_ANYBODY = {
    # The tenant itself, under the name that the kind calls it by.
    **dict.fromkeys(("county", "guarantor", "mediator", "registrar", "reguarantor", "trading-centre")),
    # Desks and programs of the tenant's own.
    **dict.fromkeys(("billing", "contracting", "filing", "monitor", "payments", "product", "reviewing", "risk")),
    # What serves every party, and authorities of which there is one.
    **dict.fromkeys(("customs", "device-gateway", "gateway", "platform", "supervisor")),
}.keys()
"""Roles that no kind ties to a party, but where it calls a party so."""
BY_ANYBODY = {
    ("contract", "deposit", "depositor"): "a depository that keeps the steps of whoever asks it",
    ("fund-allocation", "pay-out", "bank"): "it is held to an executed payment on this allocation, whoever notes it",
    ("fund-allocation", "note-failure", "bank"): "it changes nothing",
    ("invoice", "register", "bank"): "a bank registers what it was shown, with the tax office's receipt",
    ("invoice", "review", "bank"): "nobody has taken the invoice yet, and approvers sign",
    ("invoice", "void", "bank"): "nobody has taken the invoice, and the tax office's receipt says so",
}
"""Kind, event and role: why it acts for anybody, though other events of that role are one party's."""


@pytest.mark.parametrize("name", NAMES)
def test_an_event_is_its_partys_alone_or_is_meant_for_anybody(name: str) -> None:
    """Who acts for the party that the kind says makes the event happen, and who acts for any other party of the letter
    does not; a role that is not tied is one of those above."""
    loaded = load(name)
    kind = loaded.kind
    strangers = {firm_of(field) for field in kind.fields} | {"OTHER"}
    seen = set()
    for step in (steps[-1] for steps in walks(loaded)):
        rule = kind.events[step.way.event]

        def ask(role: str, parties: set[str], step: Step = step) -> None:
            held, own = frozenset({role}), frozenset(parties)
            judge(loaded, step.before, step.asked, ACTOR, held, step.now_us, step.others, own)

        for role in rule.by:
            seen.add((name, step.way.event, role))
            if role not in rule.acts_for:
                assert role in FOR_ANYBODY or (name, step.way.event, role) in BY_ANYBODY, (step.way.event, role)
                ask(role, set())
                continue
            field = rule.acts_for[role].removeprefix(SETS)
            ask(role, {firm_of(field)})
            ask(role, {"*"})
            for others in (strangers - {firm_of(field)}, set()):
                with pytest.raises(PartyMissing, match=rf"{step.way.event} needs .* with the id of {field}$"):
                    ask(role, others)
    assert seen == {(name, event, role) for event, rule in kind.events.items() for role in rule.by}
    assert {one for one in BY_ANYBODY if one[0] == name} <= seen


def test_the_kinds_hold_together() -> None:
    assert [str(one) for one in check_together([load(name).kind for name in NAMES])] == []


def test_every_row_has_a_kind() -> None:
    served = {row for name in NAMES for row in load(name).kind.rows}
    assert served == ROWS


def test_an_event_of_another_kind_begins_nothing() -> None:
    with pytest.raises(EventRefused, match="has no event"):
        judge(load("bid-bond"), None, Asked("split", "ab" * 16), ACTOR, frozenset("*"), START, {})
