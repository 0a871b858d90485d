"""Files changed at random, but each time the same way: what passes in the page passes in the program, and back."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from appliance.asic import read_container, write_container
from appliance.evidence import TrustBundle, read_bundle
from appliance.tree_hash import SHA512, SM3, TreeHash
from firmware_tests.evidence import der_trees
from firmware_tests.evidence.browser.test_agreement import (
    NO_LISTS,
    answered,
    answers,
    under_the_box_log,
    with_box_log,
)
from firmware_tests.evidence.der_trees import Node
from firmware_tests.evidence.hashed_letters import logs_under
from firmware_tests.evidence.letters import NOW, check, evidence, letter_of_a_file, plain_letter, surroundings
from firmware_tests.evidence.material import microseconds
from firmware_tests.letters.kinds import BID_BOND

TRIES: Final = 24
DER: Final = (".p7s", ".ers", ".cer", ".crl", ".ors")
Files = dict[str, bytes]
Change = Callable[[random.Random, bytes], bytes]

WORLD, LOG = surroundings()


def hashed(own: TreeHash, box: TreeHash) -> tuple[Callable[[], bytes], Callable[[], Files]]:
    logs = logs_under(own, box)
    return lambda: evidence(logs.under_the_box(logs.letter())), lambda: logs.world().bundle_files()


BASES: Final[dict[str, tuple[Callable[[], bytes], Callable[[], Files]]]] = {
    "a seal": (lambda: evidence(plain_letter(2)), WORLD.bundle_files),
    "an evidence record": (lambda: evidence(letter_of_a_file(1)), WORLD.bundle_files),
    "lists": (
        lambda: evidence(plain_letter(2), lists=list(WORLD.crls.values())),
        lambda: WORLD.bundle_files(**NO_LISTS),
    ),
    "answers": (lambda: answered(answers()), lambda: WORLD.bundle_files(**NO_LISTS)),
    "a kind": (lambda: evidence(plain_letter(2), kinds=[BID_BOND]), WORLD.bundle_files),
    "the box's log": (under_the_box_log, lambda: with_box_log(WORLD).bundle_files()),
    "a log of sha512, a box's of sm3": hashed(SHA512, SM3),
    "a log of sm3, a box's of sha512": hashed(SM3, SHA512),
}


@functools.cache
def base(name: str) -> tuple[bytes, Files, TrustBundle]:
    content, files = BASES[name][0](), BASES[name][1]()
    return content, files, read_bundle(files, None)


def _der(chance: random.Random, encoded: bytes) -> bytes:
    tree = der_trees.decode(encoded)
    nodes, place = chance.choice(list(der_trees.everywhere(tree)))
    node = nodes[place]
    bare = node.inner is None
    changes: list[Callable[[], object]] = [
        lambda: der_trees.behind(nodes, place),
        lambda: der_trees.twice(nodes, place),
        lambda: nodes.insert(place + 1, Node(0x05, b"")),
        lambda: nodes.insert(place, Node(0xA0, b"\x05\x00", [Node(0x05, b"")])),
        lambda: nodes.pop(place),
        nodes.reverse,
    ]
    if bare:
        changes += [
            lambda: der_trees.padded(nodes, place),
            lambda: nodes.__setitem__(place, Node(node.tag, node.content + b"\x81")),
            lambda: nodes.__setitem__(place, Node(node.tag, node.content[:-1])),
        ]
    chance.choice(changes)()
    return der_trees.encode(tree)


def _text(chance: random.Random, encoded: bytes) -> bytes:
    more = ("\ufeff", "\x85", " ", "\n", "0", "=", "\r", "é").__getitem__(chance.randrange(8)).encode()
    place = chance.randrange(len(encoded) + 1)
    lines = encoded.split(b"\n")
    again = chance.randrange(len(lines))
    return chance.choice(
        [
            encoded[:place] + more + encoded[place:],
            encoded[:place] + encoded[place + 1 :],
            encoded[:place] + encoded[place : place + 64].upper() + encoded[place + 64 :],
            b"\n".join([*lines[:again], lines[again], *lines[again:]]),
        ]
    )


def _changed(chance: random.Random, content: bytes) -> bytes:
    entries = read_container(content)
    name = chance.choice([one for one in entries if not one.startswith("event-")])
    made = (_der if name.endswith(DER) else _text)(chance, entries[name])
    named = name
    if name.endswith((".cer", ".crl", ".ors")):  # they are named by their own SHA-256
        named = f"{name.rpartition('-')[0]}-{hashlib.sha256(made).hexdigest()}{name[-4:]}"
    return write_container([(named, made) if one == name else (one, whole) for one, whole in entries.items()])


@pytest.mark.parametrize("name", BASES)
def test_what_passes_in_one_passes_in_the_other(ask: Callable[..., Any], name: str) -> None:
    content, files, trust = base(name)
    trusted = {one: base64.b64encode(given).decode() for one, given in files.items()}
    for number in range(TRIES):
        spoiled = _changed(random.Random(f"{name} {number}"), content)
        report = check(spoiled, trust=trust)
        found = ask("verify", trust=trusted, file=base64.b64encode(spoiled).decode(), now=microseconds(NOW) // 1000)
        both = (report.indication.value == "TOTAL-PASSED", found["indication"] == "TOTAL-PASSED")
        reasons = [one.text for part in report.files[0].parts for one in part.checks if one.sub_indication]
        assert both[0] == both[1], (number, reasons, json.dumps(found["told"], ensure_ascii=False))
