"""Trust bundles in the page and in the program: the same are believed, and witnesses count alike by their policies."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from appliance.evidence import TrustRefused, WitnessEntry, read_bundle
from firmware_tests.evidence import anchors
from firmware_tests.evidence.browser.test_agreement import rule, seen
from firmware_tests.evidence.letters import NOW, check, surroundings
from firmware_tests.evidence.logs import ORIGIN
from firmware_tests.evidence.material import microseconds
from firmware_tests.evidence.test_policies_on_witnesses import CANNOT_BE, NAMES
from firmware_tests.evidence.test_renewed_logs import Renewed, impossible_successions
from firmware_tests.evidence.test_trust import resigned

Ask = Callable[..., Any]
LEDGER: dict[str, Any] = {
    "name": "chain-1", "rules": {"accounts": []}, "tolerance_s": 60, "type": "evm",
}  # fmt: skip
LEDGERS: dict[str, Any] = {
    "one": [LEDGER],
    "none": [],
    "rules that no judge knows": [LEDGER | {"rules": {"hope": True}, "type": "aura"}],
    "the same twice": [LEDGER, LEDGER],
    "no list": LEDGER,
    "nothing": None,
    "a name in capitals": [LEDGER | {"name": "Chain"}],
    "a name that ends in a hyphen": [LEDGER | {"name": "chain-"}],
    "a name of 65 letters": [LEDGER | {"name": "a" * 65}],
    "a name with a line's end": [LEDGER | {"name": "chain\n"}],
    "a type with a hyphen": [LEDGER | {"type": "e-vm"}],
    "a tolerance below zero": [LEDGER | {"tolerance_s": -1}],
    "a tolerance of more than a year": [LEDGER | {"tolerance_s": 31_622_401}],
    "a tolerance in parts": [LEDGER | {"tolerance_s": 0.5}],
    "a tolerance as text": [LEDGER | {"tolerance_s": "60"}],
    "rules that are a list": [LEDGER | {"rules": []}],
    "no rules": [{name: one for name, one in LEDGER.items() if name != "rules"}],
    "a further member": [LEDGER | {"more": 1}],
    "authorities that are no list": [LEDGER | {"rules": {"authorities": 7}, "type": "rfc3161"}],
    "authorities that are none": [LEDGER | {"rules": {"authorities": [7, {"certificate": "??"}]}, "type": "rfc3161"}],
    "an authority of others": [anchors.entry(anchors.profile())],
}


def _is_believed(ask: Ask, files: dict[str, bytes]) -> bool:
    """Whether both believe it; they must agree."""
    try:
        read_bundle(files, None)
        believed = True
    except TrustRefused:
        believed = False
    found = ask("trust", trust={name: base64.b64encode(one).decode() for name, one in files.items()})
    assert isinstance(found, dict) is believed, found
    return believed


@pytest.mark.parametrize("what", LEDGERS)
def test_what_is_said_of_ledgers(ask: Ask, what: str) -> None:
    entries = LEDGERS[what]
    if what == "an authority of others":
        (one,) = entries
        entries = [{name: getattr(one, name) for name in ("name", "rules", "tolerance_s", "type")}]
    files = resigned(surroundings()[0], lambda document: document.update(ledgers=entries))
    believed = _is_believed(ask, files)
    assert believed is (what in ("one", "none", "rules that no judge knows") or "authorit" in what)


def test_logs_that_succeed_one_another(ask: Ask) -> None:
    world, _ = surroundings()
    renewed = Renewed(world, (9, 4, 3))
    for entries, why in [(renewed.entries(), ""), *impossible_successions(renewed)]:
        logs = msgspec.to_builtins(entries)
        files = resigned(world, lambda document, logs=logs: document.update(logs=logs))  # type: ignore[misc]
        assert _is_believed(ask, files) is (not why), why


@pytest.mark.parametrize("own", [True, False])
def test_the_boxs_own_authority_is_no_ledger(ask: Ask, own: bool) -> None:
    world, _ = surroundings()
    listed = base64.b64encode((world.tsa_ca if own else anchors.CA).der).decode()
    entry = LEDGER | {"rules": {"authorities": [{"certificate": listed, "policies": ["1.2"]}]}, "type": "rfc3161"}
    assert _is_believed(ask, resigned(world, lambda document: document.update(ledgers=[entry]))) is not own


@pytest.mark.parametrize("what", CANNOT_BE)
def test_policies_that_cannot_be(ask: Ask, what: str) -> None:
    entry = {"origin": ORIGIN, "witnesses": NAMES, "quorum": 1, "last_size": None}
    world, log = surroundings()
    cosigning = [entry | changes for changes in CANNOT_BE[what]]
    keys = [{"key": str(key)} for key in log.names()]
    assert _is_believed(ask, resigned(world, lambda document: document.update(cosigning=[entry], witnesses=keys)))
    assert not _is_believed(ask, resigned(world, lambda document: document.update(cosigning=cosigning, witnesses=keys)))


def test_policies_at_random_count_the_same_witnesses(ask: Ask) -> None:
    """Any numbers of witnesses, quorums, sizes and revocations, whoever cosigned, in any order."""
    chance = random.Random(5)
    world, log = surroundings()
    verdicts = set()
    for _ in range(60):
        keys = log.names()
        since = {key.name: chance.choice([None, None, "2026-02-01T00:00:00Z"]) for key in keys}
        rules: list[Any] = []
        for last in [*sorted(chance.sample(range(1, 12), chance.randrange(3))), None]:
            some = chance.sample(range(3), chance.randrange(4))
            rules.append(rule(chance.randint(1, len(some)) if some else 0, some, last))
        witnesses = [WitnessEntry(key=str(key), **({"revoked": at} if (at := since[key.name]) else {})) for key in keys]
        changes: dict[str, Any] = {"witnesses": witnesses}
        if chance.random() < 0.8:
            changes["cosigning"] = rules
        when = [
            timedelta(hours=chance.randint(1, 9), days=chance.choice([0, 0, 0, 90])) for _ in range(chance.randrange(4))
        ]
        content = seen(*when)
        files = world.bundle_files(**changes)
        file = check(content, trust=read_bundle(files, None)).files[0]
        encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
        said = ask("verify", trust=encoded, file=base64.b64encode(content).decode(), now=microseconds(NOW) // 1000)
        shown = file.existed_no_later_than
        existed = None if shown is None else shown.time_us // 1000
        noted = [
            one.text
            for part in file.parts
            for one in part.checks
            if one.name == "witnesses" and one.outcome != "passed"
        ]
        assert (file.indication.value, existed) == (said["indication"], said["facts"]["existed"]), (changes, when)
        assert sorted(noted) == sorted(said["witnesses"]), (changes, when)
        verdicts.add(file.indication)
    assert len(verdicts) == 2


VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    2**53 - 1,
    0.5,
    "",
    "x",
    "box",
    "rehearsal",
    [],
    {},
    [1],
    "2026-02-30T00:00:00Z",
)


def _changed(value: Any, chance: random.Random) -> Any:
    """A document with one member left out, added, or of another value, somewhere in it."""
    if isinstance(value, dict) and value:
        name = chance.choice(sorted(value))
        match chance.randrange(6):
            case 0:
                return {one: held for one, held in value.items() if one != name}
            case 1:
                return value | {"more": 1}
            case 2:
                return value | {name: chance.choice(VALUES)}
        return value | {name: _changed(value[name], chance)}
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(VALUES)


def test_documents_changed_at_random_are_believed_by_both_or_by_none(ask: Ask) -> None:
    chance = random.Random(11)
    world, log = surroundings()
    more = {
        "algorithms": [{"algorithm": "rsa", "below_bits": 3000, "until": "2030-01-01T00:00:00Z"}],
        "ceremonies": {"genesis": "ab" * 32},
        "cosigning": [{"origin": ORIGIN, "witnesses": NAMES, "quorum": 1, "last_size": None}],
        "ledgers": [LEDGER],
        "witnesses": [{"key": str(key)} for key in log.names()],
    }
    found = []
    for _ in range(400):

        def change(document: dict[str, Any]) -> None:
            document.update(more)
            made = _changed(document, chance)
            document.clear()
            document.update(made)

        found.append(_is_believed(ask, resigned(world, change)))
    assert 20 < sum(found) < 380
