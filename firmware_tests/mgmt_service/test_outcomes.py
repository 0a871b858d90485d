"""What steps left, as people read it: every fact that a ceremony of ours leaves has its label and no Python in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from appliance.ceremonies.outcome_texts import LABELS
from firmware_tests.ceremonies.golden_facts import GOLDEN, facts_in
from mgmt_service import languages
from mgmt_service.outcomes import Outcome, outcomes

DIGEST = "ab" * 32


def names_in(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for name, one in found.items():
            yield name
            yield from names_in(one)
    elif isinstance(found, list):
        for one in found:
            yield from names_in(one)


def flat(told: list[Outcome] | tuple[Outcome, ...]) -> Iterator[Outcome]:
    for one in told:
        yield one
        yield from flat(one.parts)


def shown(facts: dict[str, Any], language: str = "en") -> list[Outcome]:
    app = Flask(__name__)
    languages.install(app)
    with app.test_request_context(headers={"Cookie": f"language={language}"}):
        return outcomes(facts)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_fact_of_the_golden_runs_has_a_label(path: Path) -> None:
    for facts in facts_in(json.loads(path.read_text())):
        assert set(names_in(facts)) <= set(LABELS), path.name
        for language in ("en", "zh_Hans_CN"):
            told = list(flat(shown(facts, language)))
            assert told
            assert not [one for one in told if set(one.value) & set("{}[]'") and not one.value.startswith("<")]
            assert "None" not in {one.value for one in told}


def test_a_certificate_is_its_subject_and_serial() -> None:
    facts = {
        "key": "letters",
        "lint": "passed",
        "certificate": DIGEST,
        "subject": "CN=Demo Bank",
        "issuer": "CN=CA",
        "serial": "1f",
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2027-01-01T00:00:00Z",
        "to_be_signed": DIGEST,
    }
    told = {one.label: one for one in shown(facts)}
    assert told["Certificate"].value == "CN=Demo Bank, serial number 1f"
    below = {one.label: one for one in told["Certificate"].parts}
    assert below["Certificate, SHA-256"] == Outcome("Certificate, SHA-256", DIGEST, "hex")
    assert below["In force until"].kind == "time"
    assert told["Checked by the rules for certificates"].value == "yes: nothing was wrong"
    assert set(told) == {"Key", "Checked by the rules for certificates", "Certificate"}


def test_values_are_written_for_people() -> None:
    facts = {
        "until": "2028-01-01T00:00:00Z",
        "signature_limit": None,
        "storage_bytes": 1_000_000,
        "purpose": "seal",
        "state": "pre-active",
        "rehearsed": True,
        "version": 1_700_000_000,
        "affected": {"records": 2, "first_index": None, "query": {"log": "@box", "from_time": 0}},
        "custodians": [{"person": "ann", "index": 1, "handed_out": "console"}],
        "unheard_of": "value",
    }
    told = {one.label: one for one in shown(facts)}
    assert told["Until"].kind == "time"
    assert told["Signatures, at most"].value == "no limit"
    assert told["Bytes stored a day"].value == "1,000,000"
    assert (told["Used for"].value, told["State now"].value) == ("Seals", "Not in use yet")
    assert told["Signed first by a throwaway key"].value == "yes"
    assert told["Version"].value == "1700000000"
    query = {one.label: one for one in flat(told["What it signed since then"].parts)}
    assert query["From"] == Outcome("From", "1970-01-01T00:00:00Z", "time")
    assert query["First entry in the log"].value == "none"
    (share,) = told["Custodians"].parts
    assert share == Outcome("ann", "", "text", (Outcome("Share", "1"), Outcome("Handed over", "at the console")))
    assert told["unheard_of"].value == "value", "nothing is left out"


def test_chinese_has_its_own_words() -> None:
    told = {one.label: one.value for one in shown({"key": "x", "public": False, "permissions": ["*"]}, "zh_Hans_CN")}
    assert told == {"密钥": "x", "向网络开放": "否", "权限": "该租户的所有印章密钥和时间戳单元"}
