"""Anchors of letters whose tenant's log was renewed, in the page and in the program: the same verdict."""

from __future__ import annotations

import base64
import functools
import json
import random
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
import pytest
import rfc8785
from playwright.sync_api import Page

from appliance.asic import EventFiles
from appliance.evidence import Indication, LogEntry, read_bundle
from appliance.evidence.bundle import TimeRules
from appliance.log.checkpoint import Checkpoint, sign_checkpoint
from firmware_tests.evidence import anchors
from firmware_tests.evidence.browser.test_agreement import Row, agree, page
from firmware_tests.evidence.letters import NOW, check, evidence, surroundings
from firmware_tests.evidence.material import DAY, T0, microseconds
from firmware_tests.evidence.renewing import until
from firmware_tests.evidence.test_anchors_of_renewed_logs import Letter
from firmware_tests.log.renewed import NEW, NEWEST, OLD

__all__ = ["page"]

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Made: TypeAlias = dict[str, Any]
"""An anchor as JSON has it."""
Change = Callable[[Made], object]
TRIES: Final = 100


@functools.cache
def letter(sizes: tuple[int, ...]) -> Letter:
    return Letter(*sizes)


SOUND: Final = letter((9, 6))


@functools.cache
def anchor(one: Letter, **how: Any) -> tuple[str, int, bytes]:
    return one.anchor(**how)


def bundle(one: Letter, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "logs": one.entries(), "ledgers": [anchors.entry(anchors.profile())],
        "time": TimeRules(accepted=["tsa", "ledger"]),
    }  # fmt: skip
    return fields | changes


def changed(one: Letter, change: Change) -> bytes:
    """The letter's file, with something else in its anchor, which is in its canonical form."""
    ledger, size, encoded = anchor(one)
    made = json.loads(encoded)
    change(made)
    return evidence(one.chain, anchors=[(ledger, size, rfc8785.dumps(made))])


def row(expected: Indication, change: Change = len, sizes: tuple[int, ...] = (9, 6), **more: Any) -> Row:
    one = letter(sizes)
    return Row(expected, lambda: changed(one, change), bundle=bundle(one, **more))


def of_first(change: Change) -> Change:
    """Of where the first event's record stands."""
    return lambda made: change(made["records"]["0001"])


def step(number: int = 0, **members: Any) -> Change:
    """Members of a step of the first event's record: their values, or what makes them of those that are there."""

    def change(record: Made) -> None:
        steps = record["continued"]
        for name, value in members.items():
            steps[number][name] = value(steps[number].get(name)) if callable(value) else value

    return of_first(change)


def successor(number: int = 0, **members: Any) -> Change:
    def respelt(said: str) -> str:
        made = json.loads(said)
        for name, value in members.items():
            made[name] = value(made.get(name)) if callable(value) else value
        return rfc8785.dumps(made).decode()

    return step(number, successor=respelt)


def swapped(made: Made) -> None:
    records = made["records"]
    records["0001"], records["0002"] = records["0002"], records["0001"]


def moved(made: Made) -> None:
    """Steps of a record that stands in the log that goes on."""
    made["records"]["0003"].update(continued=made["records"]["0001"]["continued"], index=0)


def many(record: Made) -> None:
    record["continued"].append(record["continued"][-1])


def reversed_steps(record: Made) -> None:
    record["continued"].reverse()


def of_size(size: int) -> Callable[[str], str]:
    """A head that the ended log's key has signed, of another size."""
    log = SOUND.logs[0]
    return lambda _: sign_checkpoint(
        Checkpoint(OLD, size, log.root(min(size, 9), log.hashing)), [(log.keys[0].verifier, log.key.sign)]
    ).decode()


def ended_at(size: int, origin: str = OLD) -> list[LogEntry]:
    return [msgspec.structs.replace(one, last_size=size) if one.origin == origin else one for one in SOUND.entries()]


def unsaid() -> list[LogEntry]:
    """Which log succeeds which is not said."""
    return [LogEntry(origin=one.origin, key=one.key, last_size=one.last_size) for one in SOUND.entries()]


def forked() -> Row:
    """Two last heads of the ended log: one that the letter's proofs are under, one that the successor commits to."""
    honest, other = SOUND, Letter()
    before, after = other.logs
    before.key = honest.logs[0].key
    before.entries[8] = bytes(32)
    after.entries[0] = before.successor(after.hashing).entry(after.hashing)
    newest = other.chain[2]
    proof = after.proof(2).encode()
    last = EventFiles(artifact=newest.artifact, opened=msgspec.structs.replace(newest.opened, proof=proof))
    other.chain = [*honest.chain[:2], last]
    return Row(UNDECIDED, lambda: evidence(other.chain, anchors=[other.anchor()]), bundle=bundle(other))


def elsewhere() -> Row:
    """The head is of another log than the one that the steps lead to."""
    one = Letter()
    held = one.anchor(origin="bank.rehearsal.example/other/sha512")
    return Row(UNDECIDED, lambda: evidence(one.chain, anchors=[held]), bundle=bundle(one))


def ends(name: str) -> Any:
    return [until(T0 + DAY / 2, name)]  # type: ignore[arg-type]


TABLE: Final[dict[str, Row]] = {
    "one renewal": row(PASSED),
    "two renewals": row(PASSED, sizes=(9, 4, 6)),
    "as many renewals as there may be": row(PASSED, sizes=(9, *(2,) * 7, 6)),
    "a first log of one entry less": row(PASSED, sizes=(8, 6)),
    "a log that ended with its first entry": row(PASSED, sizes=(9, 1, 6)),
    "no ledger that is trusted": row(PASSED, ledgers=[]),
    # The bundle.
    "succession is not said": row(UNDECIDED, logs=unsaid()),
    "the old log ended later": row(FAILED, logs=ended_at(10)),
    "the old log ended earlier": row(FAILED, logs=ended_at(8)),
    "the newest log is not named": row(UNDECIDED, logs=[SOUND.entries()[0], SOUND.entries()[1]]),
    "the box's log is not named": row(UNDECIDED, logs=SOUND.entries()[1:]),
    "the old hash has ended": row(UNDECIDED, algorithms=ends("sha256")),
    "the new hash has ended": row(UNDECIDED, algorithms=ends("sha512")),
    "a hash that nothing uses has ended": row(PASSED, algorithms=ends("sm3")),
    # The form.
    "no steps in the list": row(FAILED, of_first(lambda one: one.update(continued=[]))),
    "steps that are none": row(FAILED, of_first(lambda one: one.update(continued={}))),
    "more steps than may be": row(FAILED, of_first(many), sizes=(9, *(2,) * 7, 6)),
    "steps to another than the first entry": row(FAILED, of_first(lambda one: one.update(index=1))),
    "a member more in a step": row(FAILED, step(more=1)),
    "a member less in a step": row(FAILED, of_first(lambda one: one["continued"][0].pop("index"))),
    "an index that is none": row(FAILED, step(index=-1)),
    "hashes in capitals": row(FAILED, step(hashes=lambda path: [one.upper() for one in path])),
    "a way and what it is of": row(FAILED, lambda made: made.update(continued=[])),
    # The steps.
    "no steps": row(FAILED, of_first(lambda one: one.pop("continued"))),
    "another index": row(FAILED, step(index=6)),
    "no path": row(FAILED, step(hashes=[])),
    "a shorter path": row(FAILED, step(hashes=lambda path: path[1:])),
    "a longer path": row(FAILED, step(hashes=lambda path: [*path, path[0]])),
    "a path of another size": row(FAILED, step(hashes=lambda path: [one[:64] for one in path])),
    "a log that succeeds none": row(UNDECIDED, step(origin="elsewhere.rehearsal.example/log/sha512")),
    "another log's step": row(UNDECIDED, step(origin=NEWEST)),
    "steps in another order": row(FAILED, of_first(reversed_steps), sizes=(9, 4, 6)),
    "one of two steps": row(FAILED, of_first(lambda one: one["continued"].pop()), sizes=(9, 4, 6)),
    "the second of two steps": row(FAILED, of_first(lambda one: one["continued"].pop(0)), sizes=(9, 4, 6)),
    "a second step of another entry": row(FAILED, step(1, index=1), sizes=(9, 4, 6)),
    "a second step that goes back": row(FAILED, step(1, origin=NEW), sizes=(9, 4, 6)),
    "another's steps": row(FAILED, swapped),
    "steps of a record that needs none": row(FAILED, moved),
    "the next path is another": row(FAILED, of_first(lambda one: one.update(hashes=one["hashes"][1:]))),
    # The successor.
    "no successor": row(FAILED, step(successor="{}")),
    "a successor in another spelling": row(FAILED, step(successor=lambda said: said + " ")),
    "a successor with a member more": row(FAILED, successor(more=1)),
    "a successor of another format": row(FAILED, successor(format="cinnabar-log-successor/2")),
    "another root": row(FAILED, successor(tree="00" * 64)),
    "a root of another size": row(FAILED, successor(tree=lambda root: root[:64])),
    "a root in capitals": row(FAILED, successor(tree=lambda root: root.upper())),
    "no head": row(FAILED, successor(checkpoint="")),
    "a head of another log": row(FAILED, successor(checkpoint=lambda head: head.replace(OLD, "elsewhere"))),
    "a head that nobody signed": row(FAILED, successor(checkpoint=lambda head: head.replace("\n9\n", "\n8\n"))),
    "a smaller head": row(FAILED, successor(checkpoint=of_size(8))),
    "a larger head": row(FAILED, successor(checkpoint=of_size(10))),
    "an empty head": row(FAILED, successor(checkpoint=of_size(0))),
    "a head signed anew": row(PASSED, successor(checkpoint=of_size(9))),
    "two last heads": forked(),
    "under another log's head": elsewhere(),
}


@pytest.mark.parametrize("sizes", [(9, 6), (9, 4, 6)])
def test_a_later_event_in_an_ended_log(page: Page, sizes: tuple[int, ...]) -> None:
    one = Letter(*sizes, late=1)
    agree(page, Row(UNDECIDED, lambda: evidence(one.chain, anchors=[one.anchor()]), bundle=bundle(one)))


@pytest.mark.parametrize("name", TABLE)
def test_both_say_the_same(page: Page, name: str) -> None:
    agree(page, TABLE[name])


def _other(text: str, chance: random.Random) -> str:
    """A text with a character changed, left out, added, or cut off."""
    at = chance.randrange(len(text) + 1)
    more = chance.choice("0af+/=\n 9—")
    return chance.choice([text[:at] + more + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + more + text[at:]])


def _damage(made: Made, chance: random.Random) -> None:
    record = made["records"][chance.choice(["0001", "0002"])]
    one = chance.choice(record["continued"])
    match chance.randrange(6):
        case 0:
            place = chance.randrange(len(one["hashes"]))
            one["hashes"][place] = _other(one["hashes"][place], chance)
        case 1:
            one["hashes"].insert(chance.randrange(len(one["hashes"]) + 1), chance.choice(one["hashes"]))
        case 2:
            one["index"] = max(0, one["index"] + chance.choice((-1, 1)))
        case 3:
            one["origin"] = chance.choice([OLD, NEW, NEWEST, _other(one["origin"], chance)])
        case 4:
            one["successor"] = _other(one["successor"], chance)
        case _:
            said = json.loads(one["successor"])
            name = chance.choice(sorted(said))
            said[name] = _other(said[name], chance)
            one["successor"] = rfc8785.dumps(said).decode()


@pytest.mark.parametrize("sizes", [(9, 6), (9, 4, 6)])
def test_both_say_the_same_of_steps_damaged_at_random(ask: Callable[..., Any], sizes: tuple[int, ...]) -> None:
    one = letter(sizes)
    files = surroundings()[0].bundle_files(**bundle(one))
    trust = read_bundle(files, None)
    trusted = {name: base64.b64encode(given).decode() for name, given in files.items()}
    seen = set()
    for number in range(TRIES):
        spoilt = changed(one, lambda made, number=number: _damage(made, random.Random(f"{sizes} {number}")))  # type: ignore[misc]
        report = check(spoilt, trust=trust)
        said = ask("verify", trust=trusted, file=base64.b64encode(spoilt).decode(), now=microseconds(NOW) // 1000)
        reasons = [each.text for part in report.files[0].parts for each in part.checks if each.sub_indication]
        assert report.indication.value == said["indication"], (number, reasons, said["told"])
        seen.add(report.indication)
    assert seen >= {UNDECIDED, FAILED}
