"""The published examples are those of the table, and come out as they say."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import rfc8785

from appliance.anchors import AnchorRefused
from appliance.anchors.bitcoin.judge import Rules, judge
from firmware_tests.anchors.bitcoin.vectors import vectors

PUBLISHED = json.loads((Path(__file__).parents[3] / "docs/vectors/anchors-bitcoin.json").read_text())


def test_the_published_examples_are_these() -> None:
    assert json.loads(json.dumps(vectors())) == PUBLISHED


@pytest.mark.parametrize("one", PUBLISHED, ids=[one["name"] for one in PUBLISHED])
def test_each_comes_out_as_it_says(one: dict[str, object]) -> None:
    rules = msgspec.convert(one["rules"], Rules)
    try:
        found = judge(rfc8785.dumps(one["proof"]), bytes.fromhex(str(one["commitment"])), rules)  # type: ignore[arg-type]
    except AnchorRefused as error:
        verdict = str(error.reason)
    else:
        verdict = f"{found.strength} {found.by}"
    assert verdict == one["verdict"]
