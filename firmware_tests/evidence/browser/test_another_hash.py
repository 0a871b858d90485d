"""Letters whose logs are under other hashes than SHA-256, in the page and in the program: the same verdict."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
import rfc8785
from playwright.sync_api import Page

from appliance.asic import EventFiles, read_container
from appliance.evidence import CosigningEntry, Indication, read_bundle
from appliance.evidence.bundle import TimeRules
from appliance.log import Checkpoint, TlogProof
from appliance.log.checkpoint import sign_checkpoint
from appliance.record import commitment
from appliance.tree_hash import SHA256, SHA512, SM3, TREE_HASHES, TreeHash
from firmware_tests.evidence import anchors
from firmware_tests.evidence.browser.test_agreement import Entries, Row, agree, changed, page
from firmware_tests.evidence.hashed_letters import Logs, logs_under
from firmware_tests.evidence.letters import NOW, check, evidence
from firmware_tests.evidence.material import DAY, T0, microseconds
from firmware_tests.evidence.renewing import until

__all__ = ["page"]

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
OPENING, PROOF = "META-INF/opening-0001.json", "META-INF/proof-0001.tlog-proof"
LEDGERS: Final[dict[str, Any]] = {
    "ledgers": [anchors.entry(anchors.profile())], "time": TimeRules(accepted=["tsa", "ledger"]),
}  # fmt: skip
TRIES: Final = 50
OTHERS: Final = {SHA256: SHA512, SHA512: SM3, SM3: SHA512}
"""To each hash another one."""


def plain(logs: Logs) -> bytes:
    return evidence(logs.letter())


def boxed(logs: Logs, **how: Any) -> bytes:
    return evidence(logs.under_the_box(logs.letter(), **how))


def anchored(logs: Logs, **stated: Any) -> bytes:
    chain = logs.letter()
    return evidence(chain, anchors=[logs.anchor(chain, **stated)])


def reproven(change: Callable[[TlogProof, Logs], TlogProof]) -> Callable[[Logs], bytes]:
    """The first record's proof is another one."""

    def made(logs: Logs) -> bytes:
        return changed(plain(logs), lambda one: one.update({PROOF: change(TlogProof.parse(one[PROOF]), logs).encode()}))

    return made


def shortened(proof: TlogProof, logs: Logs) -> TlogProof:
    """A step of the other size."""
    size = 96 - logs.own.hashing.size
    return replace(proof, path=(proof.path[0][:size].ljust(size, b"\0"), *proof.path[1:]))


def with_path_under(hashing: TreeHash) -> Callable[[TlogProof, Logs], TlogProof]:
    """The path that another hash gives; the head is the log's."""

    def change(proof: TlogProof, logs: Logs) -> TlogProof:
        path = [hashing.digest(step) for step in proof.path]
        return replace(proof, path=tuple(path))

    return change


def with_root_under(hashing: TreeHash) -> Callable[[TlogProof, Logs], TlogProof]:
    """A head that the log's key has signed, with a root of another hash than its origin names."""

    def change(proof: TlogProof, logs: Logs) -> TlogProof:
        head = Checkpoint(logs.own.origin, 7, hashing.digest(b"root"))
        note = sign_checkpoint(head, [(logs.own.verifier, logs.own.key.sign)])
        return replace(proof, checkpoint=note)

    return change


def respelt(change: Callable[[dict[str, Any]], object]) -> Callable[[Logs], bytes]:
    """The first record's opening, changed."""

    def made(logs: Logs) -> bytes:
        def spell(entries: Entries) -> None:
            value = json.loads(entries[OPENING])
            change(value)
            entries[OPENING] = rfc8785.dumps(value)

        return changed(plain(logs), spell)

    return made


def stated_under(hashing: TreeHash) -> Callable[[Logs], bytes]:
    """An opening whose commitment is that of another log; what stands in this one is computed."""

    def change(value: dict[str, Any]) -> None:
        value["commitment"] = commitment(bytes.fromhex(value["salt"]), value["content"].encode(), hashing).hex()

    return respelt(change)


def reopened(**changes: Any) -> Callable[[dict[str, Any]], object]:
    def change(proof: dict[str, Any]) -> None:
        opening = json.loads(proof["leaf"]["opening"])
        opening.update({name: one(opening[name]) for name, one in changes.items()})
        proof["leaf"]["opening"] = json.dumps(opening, separators=(",", ":"))

    return change


def spelt(was: str, becomes: str) -> Callable[[Logs], bytes]:
    """The openings of the box leaf, in another spelling."""

    def change(proof: dict[str, Any]) -> None:
        said = proof["leaf"]["opening"]
        assert was in said
        proof["leaf"]["opening"] = said.replace(was, becomes)

    return lambda logs: boxed(logs, change=change)


def row(expected: Indication, content: Callable[[Logs], bytes], own: TreeHash, box: TreeHash, **bundle: Any) -> Row:
    logs = logs_under(own, box)
    return Row(expected, lambda: content(logs), logs.world, LEDGERS | bundle)


def policy(logs: Logs, quorum: int) -> list[CosigningEntry]:
    names = [one.name for one in logs.own.names()]
    return [CosigningEntry(origin=logs.own.origin, witnesses=names, quorum=quorum)]


def table() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for own, box in itertools.product(TREE_HASHES, TREE_HASHES):
        name = f"{own.name} under a box's {box.name}"
        other = OTHERS[box]
        rows |= {
            f"{name}: box proofs": row(PASSED, boxed, own, box),
            f"{name}: an anchor": row(PASSED, anchored, own, box),
            f"{name}: a leaf of {other.name}": row(FAILED, lambda logs, h=other: boxed(logs, hashing=h), own, box),
            f"{name}: an anchor of a leaf of {other.name}": row(
                FAILED, lambda logs, h=other: anchored(logs, hashing=h), own, box
            ),
        }
    for own in (SHA512, SM3):
        logs, other = logs_under(own, SM3), OTHERS[own]
        ended = [until(T0 + DAY / 2, own.name)]  # type: ignore[arg-type]
        rows |= {
            f"{own.name}: {name}": row(expected, content, own, SM3, **bundle)
            for name, expected, content, bundle in (
                ("as it is", PASSED, plain, {}),
                ("enough witnesses", PASSED, plain, {"cosigning": policy(logs, 1)}),
                ("too few witnesses", UNDECIDED, plain, {"cosigning": policy(logs, 2)}),
                ("a log that nobody knows", UNDECIDED, plain, {"logs": []}),
                ("its hash has ended", UNDECIDED, plain, {"algorithms": ended}),
                ("its hash has ended, with an anchor", UNDECIDED, anchored, {"algorithms": ended}),
                ("a step of another size", FAILED, reproven(shortened), {}),
                ("a step of another size, in a log that nobody knows", UNDECIDED, reproven(shortened), {"logs": []}),
                (f"a path under {other.name}", FAILED, reproven(with_path_under(other)), {}),
                ("a path under SHA-256", FAILED, reproven(with_path_under(SHA256)), {}),
                (f"a root of {SHA512.name}", FAILED, reproven(with_root_under(SHA512)), {}),
                ("a root of SHA-256", FAILED, reproven(with_root_under(SHA256)), {}),
                ("a step of no size", FAILED, reproven(lambda proof, _: replace(proof, path=(b"",))), {}),
                ("a step beyond any size", FAILED, reproven(lambda proof, _: replace(proof, path=(b"x" * 65,))), {}),
                ("a commitment as of a log of SHA-256", PASSED, stated_under(SHA256), {}),
                (f"a commitment as of a log of {other.name}", PASSED, stated_under(other), {}),
                ("another commitment", FAILED, respelt(_another_commitment), {}),
                ("another salt", FAILED, respelt(lambda one: one.update(salt="00" * 32)), {}),
                ("a longer salt", FAILED, respelt(lambda one: one.update(salt="00" * 33)), {}),
                ("a continuation in the opening", FAILED, respelt(lambda one: one.update(continuation="{}")), {}),
                ("another root in the statement", FAILED, lambda logs: boxed(logs, root="00" * 64), {}),
                ("another origin in the statement", FAILED, lambda logs: boxed(logs, origin="elsewhere"), {}),
                ("a head of another log of the same hash", UNDECIDED, _of_another_origin, {}),
                ("an anchor under another log of the same hash", UNDECIDED, _anchored_elsewhere, {}),
                ("longer hashes", FAILED, lambda logs: boxed(logs, change=_doubled), {}),
                ("a longer path", FAILED, lambda logs: boxed(logs, change=reopened(path=_longer)), {}),
                ("a shorter path", FAILED, lambda logs: boxed(logs, change=reopened(path=lambda p: p[:-1])), {}),
                ("a path in capitals", FAILED, lambda logs: boxed(logs, change=reopened(path=_capitals)), {}),
                ("an opening with spaces", PASSED, spelt('opening/1",', 'opening/1" , '), {}),
                ("a statement with spaces", FAILED, spelt('"statement":{', '"statement":{ '), {}),
                ("spaces around a statement", PASSED, spelt('"statement":{', '"statement" :\n {'), {}),
                ("a width in a fraction", FAILED, spelt('"width":16', '"width":16.0'), {}),
                ("a width in powers of ten", FAILED, spelt('"width":16', '"width":160e-1'), {}),
                ("another statement before", PASSED, spelt('"statement":', '"statement":{"size":1},"statement":'), {}),
                ("another statement behind", FAILED, spelt('"width":', '"statement":{"size":1},"width":'), {}),
                ("a longer salt of the leaf", FAILED, lambda logs: boxed(logs, change=reopened(salt=_twice)), {}),
            )
        }  # fmt: skip
    return rows


def _of_another_origin(logs: Logs) -> bytes:
    return boxed(logs, origin=f"elsewhere/{logs.own.hashing.name}")


def _anchored_elsewhere(logs: Logs) -> bytes:
    return anchored(logs, origin=f"elsewhere/{logs.own.hashing.name}")


def _doubled(proof: dict[str, Any]) -> None:
    proof["hashes"] = [(one * 2)[:128] if len(one) == 64 else one[:64] for one in proof["hashes"]]


def _another_commitment(value: dict[str, Any]) -> None:
    value["commitment"] = "00" * (len(value["commitment"]) // 2)


def _longer(path: list[str]) -> list[str]:
    return [_twice(path[0]), *path[1:]]


def _twice(text: str) -> str:
    return text * 2


def _capitals(path: list[str]) -> list[str]:
    return [one.upper() for one in path]


TABLE: Final = table()


@pytest.mark.parametrize("name", TABLE)
def test_both_say_the_same(page: Page, name: str) -> None:
    agree(page, TABLE[name])


def test_the_logs_are_of_the_hashes_that_their_origins_name() -> None:
    for hashing in TREE_HASHES:
        chain: list[EventFiles] = logs_under(hashing, SHA256).letter()
        entries = read_container(evidence(chain))
        assert {len(one.opened.commitment) for one in chain} == {hashing.size}
        assert json.loads(entries[OPENING])["commitment"] == chain[0].opened.commitment.hex()
        assert chain[0].opened.log.endswith(hashing.name) == (hashing is not SHA256)


# --- what was damaged at random ---------------------------------------------------------------------------------------


def _text(chance: random.Random, said: str) -> str:
    """A text with something in it changed, left out, added, or said twice."""
    at = chance.randrange(len(said) + 1)
    more = chance.choice(["0", "f", "A", " ", "\n", "=", "é", ",", '"', "}", "sm3", "sha512"])
    until = at + chance.randrange(1, 80)
    return chance.choice(
        [
            said[:at] + more + said[at + 1 :], said[:at] + said[at + 1 :], said[:at] + more + said[at:],
            said[:at] + said[at:until].upper() + said[until:], said[:until] + said[at:],
        ]
    )  # fmt: skip


def _inside(chance: random.Random, value: Any) -> Any:
    """A value with something in it damaged, at any depth."""
    match value:
        case dict() if value:
            name = chance.choice(sorted(value))
            return value | {name: _inside(chance, value[name])}
        case list() if value:
            at = chance.randrange(len(value))
            damaged = _inside(chance, value[at])
            return chance.choice([[*value[:at], damaged, *value[at + 1 :]], value[:at], [*value, value[at]]])
        case str():
            return _text(chance, value)
        case int():
            return chance.choice([value + 1, value - 1, value * 2, -value, 2**53, 0])
    return value


def _damaged(chance: random.Random, encoded: bytes) -> bytes:
    """An anchor or an opening, in its canonical form, with something damaged in it or in a JSON text that it holds."""
    made = json.loads(encoded)
    boxed = made.get("box_proof", {}).get("leaf", made)
    if "opening" in boxed and chance.random() < 0.5:
        spelt = chance.choice([(",", ":"), (", ", ":"), (",", ": ")])
        boxed["opening"] = json.dumps(_inside(chance, json.loads(boxed["opening"])), separators=spelt)
    else:
        part = chance.choice([name for name in made if name != "receipt"])
        made[part] = _inside(chance, made[part])
    return rfc8785.dumps(made)


@pytest.mark.parametrize(("own", "box"), [(SHA512, SM3), (SM3, SHA512), (SM3, SM3), (SHA256, SHA512)])
@pytest.mark.parametrize("name", ["META-INF/opening-0001.json", "META-INF/anchor-outside-6.json"])
def test_both_say_the_same_of_what_is_damaged_at_random(
    ask: Callable[..., Any], own: TreeHash, box: TreeHash, name: str
) -> None:
    logs = logs_under(own, box)
    chain = logs.under_the_box(logs.letter(1))
    content = evidence(chain, anchors=[logs.anchor(chain)])
    files = logs.world().bundle_files(**LEDGERS)
    trust = read_bundle(files, None)
    trusted = {one: base64.b64encode(given).decode() for one, given in files.items()}
    seen = set()
    for number in range(TRIES):
        chance = random.Random(f"{own.name} {box.name} {name} {number}")
        try:
            spoilt = changed(content, lambda one: one.update({name: _damaged(chance, one[name])}))  # noqa: B023
        except rfc8785.CanonicalizationError:
            continue
        report = check(spoilt, trust=trust)
        said = ask("verify", trust=trusted, file=base64.b64encode(spoilt).decode(), now=microseconds(NOW) // 1000)
        reasons = [each.text for part in report.files[0].parts for each in part.checks if each.sub_indication]
        assert report.indication.value == said["indication"], (number, reasons, said["told"])
        seen.add(report.indication)
    assert FAILED in seen
