"""docs/systems.md is what the scenarios' markers say, for every row, and markers that hold nothing are refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from firmware_tests.scenarios.systems.claims import shows, take_shown
from firmware_tests.scenarios.systems.markers import BadMarker, collect, read, written
from firmware_tests.scenarios.systems.rows import ROWS
from firmware_tests.scenarios.systems.table import page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_fresh() -> None:
    assert (DOCS / "systems.md").read_text() == page(), "make docs"


def test_every_row_is_on_the_page() -> None:
    text = page()
    assert len(ROWS) == 49
    assert all(f"\n### {row} " in text for row in ROWS)


def test_each_capability_that_a_row_needs_is_shown_or_owned_up_to() -> None:
    shown, missing = collect()
    rows = {one.row for one in shown}
    for row in rows:
        spoken_of = {code for one in [*shown, *missing] if one.row == row for code in one.capabilities}
        assert set(ROWS[row].needs) <= spoken_of, row


def test_a_claim_stands_once_and_in_the_file_of_its_row_or_capability() -> None:
    shown, missing = collect()
    assert [one for one, times in Counter((one.row, one.claim) for one in shown).items() if times > 1] == []
    for one in [*shown, *missing]:
        homes = (one.row, *one.capabilities)  # a file of a capability runs its box once for many rows
        assert one.file.startswith(tuple(f"test_{home.lower()}_" for home in homes)), one


@pytest.mark.parametrize(
    "body",
    [
        "    if box:\n        with shows('A1', 'K1', 'x'):\n            assert True\n",
        "    for one in box:\n        with shows('A1', 'K1', 'x'):\n            assert one\n",
        "    with shows('A1', 'K1', 'x'):\n        pass\n",
        "    with shows('A1', 'K1', str(box)):\n        assert True\n",
        "    with shows('Z1', 'K1', 'x'):\n        assert True\n",
        "    with shows('A1', 'K99', 'x'):\n        assert True\n",
        "    return\n    with shows('A1', 'K1', 'x'):\n        assert True\n",
        "    pytest.skip()\n    with shows('A1', 'K1', 'x'):\n        assert True\n",
        "    def inner():\n        with shows('A1', 'K1', 'x'):\n            assert True\n",
        "    shows('A1', 'K1', 'x')\n",
        "    not_yet('A1', 'K1', 'x')\n",
    ],
)
def test_a_marker_that_may_be_passed_by_or_holds_nothing_is_refused(body: str) -> None:
    with pytest.raises(BadMarker):
        read(f"def test_a1(box):\n{body}", "test_a1_made_up.py")
    with pytest.raises(BadMarker):
        read(
            "@pytest.mark.skip\ndef test_a1(box):\n    with shows('A1', 'K1', 'x'):\n        assert box\n",
            "test_a1_made_up.py",
        )


def test_a_claim_counts_only_once_its_checks_have_held() -> None:
    source = "def test_a1(box):\n    with shows('A1', 'K1 K6', 'x'):\n        assert box\n"
    wanted = written(source, "test_a1_made_up.py", "test_a1")
    recorder = shows  # called by another name: no marker of this file's own
    with pytest.raises(AssertionError), recorder("A1", "K1 K6", "x"):
        raise AssertionError
    assert take_shown() == [] != wanted
    with recorder("A1", "K1 K6", "x"):
        pass
    assert take_shown() == wanted
