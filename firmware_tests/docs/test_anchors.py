"""What the pages of ledgers give to be copied is taken by the code that reads it on a box; they leave nothing out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.anchorer.cli import anchor_group
from appliance.anchors import State, read_profile
from appliance.anchors.judging import TYPES, rules_of
from appliance.box.ledgers import LedgerSettings
from firmware_tests.docs.pages import ROOT
from firmware_tests.evidence.material import certify

PAGES = sorted((ROOT / "docs").glob("anchors*.md"))
MAIN = ROOT / "docs" / "anchors.md"
_SHOWN = re.compile(r"<!-- check: (profile|settings) (\w+) -->\n```json\n(.*?)```", re.DOTALL)
_CERTIFICATE = base64.b64encode(certify("A CA", ca=True).certificate.public_bytes(Encoding.DER)).decode()
_YOURS = {
    "BASE64 OF THE CERTIFICATE'S DER": _CERTIFICATE,
    "BASE64": _CERTIFICATE,
    "ADDRESS": "ad" * 20,
    "SIGNER A": "51" * 20,
    "SIGNER B": "52" * 20,
    "SIGNER C": "53" * 20,
    "CONTRACT": "c0" * 20,
    "GENESIS": "9e" * 32,
    "WORK": "1f00ba",
}
"""What stands in capitals on the pages, and what an operator may put there."""


def _shown(part: str) -> Iterator[tuple[str, str]]:
    """Each type's example of this part, as an operator would write it."""
    for page in PAGES:
        for what, kind, text in _SHOWN.findall(page.read_text()):
            if what == part:
                yield kind, re.sub(r'"([^"]*)"', lambda found: json.dumps(_YOURS.get(found[1], found[1])), text)


PROFILES, SETTINGS = dict(_shown("profile")), dict(_shown("settings"))


def test_every_type_of_ledger_is_shown() -> None:
    assert sorted(PROFILES) == sorted(SETTINGS) == sorted(TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_a_profile_that_is_copied_is_one(kind: str) -> None:
    profile = read_profile(PROFILES[kind].encode())
    assert profile.type == kind
    rules_of(profile)


@pytest.mark.parametrize("kind", TYPES)
def test_settings_that_are_copied_are_those_of_the_profile(kind: str) -> None:
    (ledger,) = msgspec.json.decode(f"{{{SETTINGS[kind]}}}", type=dict[str, list[LedgerSettings]])["ledgers"]
    profile = read_profile(PROFILES[kind].encode())
    assert (ledger.name, type(ledger).__struct_config__.tag) == (profile.name, kind)
    assert ledger.profile == f"ledgers/ledger-{profile.name}.json"


def test_every_command_stands_on_the_page_and_every_one_that_stands_there_exists() -> None:
    told = set(re.findall(r"cinnabar anchor (\w+)", MAIN.read_text()))
    assert told == set(anchor_group.commands)


def test_every_state_is_drawn_and_explained() -> None:
    text = MAIN.read_text()
    drawing, table = text.split("## States")[1].split("```")[1:3]
    for state in ("due", *State):
        assert re.search(rf"\b{state}\b", drawing), state
        assert f"| `{state}` |" in table, state
