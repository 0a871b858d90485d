"""What the documents point to is there: links, paths, modules, controls; docs/assurance.md covers every control."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from appliance.box.reference import errors
from firmware_tests.docs.pages import PAGES, ROOT, anchors, links, modules, paths, prose

ASSURANCE = ROOT / "docs" / "assurance.md"
CONTROLS = ("RECORD", "QUORUM", "TIME", "ONCE", "CHANNEL", "VEIL", "TAMPER", "APPEND", "FORK")


def _shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_there_are_pages_to_look_at() -> None:
    assert {"README.md", "docs/assurance.md", "docs/operations.md"} <= {_shown(page) for page in PAGES}
    assert len(set(paths(ASSURANCE))) > 60
    assert len(set(links(ROOT / "docs" / "start-here.md"))) > 15
    assert sum(len(set(modules(page))) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=_shown)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path)
        assert file.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(file), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=_shown)
def test_named_paths_are_there(page: Path) -> None:
    assert [path for path in paths(page) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_shown)
def test_named_modules_are_there(page: Path) -> None:
    assert [name for name in modules(page) if not _found(name)] == []


def _found(name: str) -> bool:
    """A module, or something inside one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def test_every_control_has_its_line_and_its_section() -> None:
    page = prose(ASSURANCE)
    assert tuple(re.findall(r"^\| \[([A-Z]+)\]\(#", page, re.MULTILINE)) == CONTROLS
    sections = re.findall(r"^## ([A-Z]+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert tuple(name for name, _ in sections) == CONTROLS
    for name, section in sections:
        assert "**Claim.**" in section, name
        assert "**Not there yet.**" in section, name
        assert "**Argument.**" not in section or ("**Code.**" in section and "**Tests.**" in section), name


def test_every_control_that_an_error_names_is_known() -> None:
    assert {kind.control for kind in errors()} - {None} <= set(CONTROLS)


def test_controls_in_the_code_are_known() -> None:
    """Log lines name controls too."""
    for source in (ROOT / "appliance").rglob("*.py"):
        for name in re.findall(r'control="([A-Z]+)"', source.read_text()):
            assert name in CONTROLS, source


def test_every_process_has_its_row_among_the_hostile() -> None:
    table = prose(ASSURANCE).partition("## What a hostile process")[2]
    for who in ("front", "API worker", "recorder", "log follower", "clock monitor", "keymaster", "supervisor, root"):
        assert re.search(rf"^\| {who}", table, re.MULTILINE), who
