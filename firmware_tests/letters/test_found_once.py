"""What is found once and asked for by every event: of kinds, against the plain way; of callers, by what they may do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from appliance.api.callers import Caller
from appliance.letters.kind import read_kind
from firmware_tests.letters.kinds import CATALOGUE, OWN

FILES = sorted([*CATALOGUE.glob("*.toml"), *OWN.glob("*.toml")])


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_of_kinds(path: Path) -> None:
    kind = read_kind(path.read_bytes()).kind
    for _ in range(2):  # found, and remembered
        for name, event in kind.events.items():
            settable = kind.settable(name)
            assert settable.fields == {one: kind.fields[one] for one in event.fields}
            of = {one: kind.fields[one].confidentiality for one in event.fields}
            assert settable.hidden == {one for one in of if of[one] == "hidden"}
            assert settable.encrypted == {one for one in of if of[one] in ("recipients", "veiled")}
            assert settable.required == [one for one in event.fields if kind.fields[one].required]
        assert {name: (event, field) for name, event, field in kind.waiting} == {
            name: (event, event.not_before) for name, event in kind.events.items() if event.not_before is not None
        }
        assert kind.termed == {name: one for name, one in kind.fields.items() if one.term is not None}
        assert list(kind.counters.values()) == list(kind.quotas.values())


@pytest.mark.parametrize(
    ("permissions", "roles", "parties"),
    [
        (("seal", "role-clerk", "role-guarantor", "party-91440101"), {"clerk", "guarantor"}, {"91440101"}),
        (("*",), {"*"}, set()),
        (("party-*", "roles", "party"), set(), {"*"}),
        ((), set(), set()),
    ],
)
def test_of_callers(permissions: Iterable[str], roles: set[str], parties: set[str]) -> None:
    caller = Caller(b"", "app", "acme", frozenset(permissions), 0, 0)
    assert caller.roles == roles
    assert caller.parties == parties
