"""docs/operations.md says what the code says."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from appliance.box import settings
from appliance.box.reference import PARTS, errors, renew, setting_structs, settings_reference
from appliance.box.states import Cause, State
from firmware_tests.docs.pages import ROOT
from firmware_tests.running import RunningBox, cinnabar

PAGE = ROOT / "docs" / "operations.md"


def test_the_generated_parts_are_up_to_date() -> None:
    page = PAGE.read_text()
    assert renew(page) == page, "run `make docs`"


def test_a_page_without_a_place_for_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="must stand once"):
        renew(PAGE.read_text().replace("<!-- begin states -->\n", ""))


def test_the_table_of_states_is_whole() -> None:
    made = PARTS["states"]()
    assert all(f"**{state.label}**" in made for state in State)
    assert all(f"`{cause.label}`" in made for cause in Cause)


def test_every_setting_is_explained() -> None:
    kinds = setting_structs()
    defined = {
        kind for kind in vars(settings).values() if isinstance(kind, type) and kind.__module__ == settings.__name__
    }
    ledgers = {kind for kind in kinds if kind.__module__.startswith(("appliance.box.ledgers.", "appliance.anchors."))}
    assert {kind for kind in defined if not kind.__name__.startswith("_")} == set(kinds) - ledgers
    assert ledgers
    rows = [line.split(" | ") for line in settings_reference().splitlines() if line.startswith("| `")]
    tagged = [kind for kind in kinds if kind.__struct_config__.tag is not None]
    assert len(rows) == len(tagged) + sum(len(msgspec.structs.fields(kind)) for kind in kinds)
    assert [row[0] for row in rows if not row[-1].strip(" |")] == []


def test_every_problem_has_advice() -> None:
    advice = PAGE.read_text().partition("## Troubleshooting")[2].partition("## Every problem")[0]
    told = re.findall(
        r"`([a-z0-9-]+)`", "\n".join(line.split(" | ")[0] for line in advice.splitlines() if line.startswith("| "))
    )
    assert len(told) == len(set(told)), "a code stands twice"
    assert set(told) == {kind.code for kind in errors()}


def test_settings_in_the_page_are_settings() -> None:
    page = PAGE.read_text()
    token = re.search(r'^    (\{"name": "bank".*?\}\})$', page, re.MULTILINE | re.DOTALL)
    assert token is not None
    made = msgspec.json.decode(token[1], type=settings.TokenSettings)
    assert made.lanes.mode == "threads"
    clock = re.search(r'"clock": (\{.*\})', page)
    assert clock is not None
    assert msgspec.convert(json.loads(clock[1]), settings.ClockSettings).source == "chrony"


def test_metrics_in_the_page_are_metrics(box: RunningBox) -> None:
    with box.http() as client:
        shown = client.get(f"http://{box.address('metrics')}/metrics").text
    named = set(re.findall(r"`(cinnabar_\w+)", PAGE.read_text()))
    assert len(named) > 5
    # A counter with labels has no sample before it has counted; its description is there.
    described = set(re.findall(r"^# TYPE (\w+)", shown, re.MULTILINE))
    assert {name.removesuffix("_total") for name in named} <= {name.removesuffix("_total") for name in described}


def test_log_lines_in_the_page_are_log_lines() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "appliance").rglob("*.py"))
    table = PAGE.read_text().partition("| Log line |")[2].partition("\n\n")[0]
    events = re.findall(r"`([a-z-]+)`", "\n".join(line.split(" | ")[0] for line in table.splitlines()))
    assert len(events) > 10
    assert [event for event in events if f'"{event}"' not in sources] == []


def test_the_numbers_of_record_are_asked_as_the_page_says(box: RunningBox) -> None:
    assert "cinnabar counts --home DIR" in PAGE.read_text()
    asked = cinnabar("counts", "--home", str(box.home.root), "--limit", "5", "--json")
    assert asked.returncode == 0, asked.stderr
    assert all(run["state"] in {"open", "clean", "lost"} for run in json.loads(asked.stdout)["runs"])
