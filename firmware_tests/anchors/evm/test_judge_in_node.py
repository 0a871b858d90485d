"""A verifier on npm's libraries alone comes to the same verdicts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from appliance.anchors import AnchorRefused, canonical
from appliance.anchors.evm.judge import judge
from appliance.anchors.evm.proof import write_proof
from firmware_tests.anchors.evm.cases import Case, cases, changed
from firmware_tests.others.npm import node


def in_node(table: Sequence[Case], directory: Path) -> list[str]:
    """The verdicts of the other verifier."""
    file = directory / "cases.json"
    file.write_text(
        json.dumps(
            [
                {
                    "proof": json.loads(canonical.encode(case.proof)),
                    "rules": json.loads(canonical.encode(case.rules)),
                    "commitment": case.commitment.hex(),
                }
                for case in table
            ]
        )
    )
    found: list[str] = node("check-evm-receipt.mjs", str(file))
    assert len(found) == len(table)
    return found


def test_the_table_in_node(tmp_path: Path) -> None:
    table = cases()
    verdicts = dict(zip([case.name for case in table], in_node(table, tmp_path), strict=True))
    assert verdicts == {case.name: case.verdict for case in table}


def damaged(text: str, chance: random.Random) -> str:
    """Bytes in hexadecimal, with one changed, left out, added, or all from some place on."""
    data = bytearray.fromhex(text)
    place = chance.randrange(len(data)) if data else 0
    match chance.randrange(4):
        case 0 if data:
            data[place] ^= 1 << chance.randrange(8)
        case 1 if data:
            del data[place]
        case 2:
            data.insert(place, chance.randrange(256))
        case _:
            data[place:] = b""
    return data.hex()


def test_both_take_the_same_of_what_is_damaged_at_random(tmp_path: Path) -> None:
    chance = random.Random(16)
    honest = [case for case in cases() if case.verdict in ("proven", "attested")]
    table: list[Case] = []
    for _ in range(600):
        case = chance.choice(honest)
        members = ["receipt", "transaction", "block", "headers", "receipt_proof", "transaction_proof"]
        member = chance.choice([each for each in members if getattr(case.proof, each)])
        value = getattr(case.proof, member)
        if isinstance(value, str):
            spoilt = damaged(value, chance)
        elif isinstance(value, tuple):
            at = chance.randrange(len(value))
            spoilt = (*value[:at], damaged(value[at], chance), *value[at + 1 :])
        else:
            continue
        table.append(Case(case.name, changed(case.proof, **{member: spoilt}), case.rules, member, case.commitment))
    accepted = ("proven", "attested")
    for case, theirs in zip(table, in_node(table, tmp_path), strict=True):
        try:
            ours = str(judge(write_proof(case.proof), case.commitment, case.rules).strength)
        except AnchorRefused as refused:
            ours = str(refused.reason)
        assert (ours in accepted) == (theirs in accepted), (case.name, case.verdict, ours, theirs)
        assert ours not in accepted or ours == theirs
