"""The pages of this project, and what they point to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOMS = ("hsm", "appliance", "provisioning", "mgmt_service", "firmware_tests", "docs")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_PATH = re.compile(rf"(?:{'|'.join(ROOMS)})(?:/[\w.-]+)+/?")
_MODULE = re.compile(r"(?:hsm|appliance|provisioning|mgmt_service|firmware_tests)(?:\.\w+)+")


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def links(page: Path) -> Iterator[str]:
    """Targets of links, but for those on the network."""
    return (target for target in _LINK.findall(prose(page)) if "://" not in target)


def named(page: Path) -> Iterator[str]:
    """What stands between back quotes."""
    return iter(_CODE.findall(prose(page)))


def paths(page: Path) -> Iterator[str]:
    """Paths of this project that a page names."""
    for name in named(page):
        yield from _PATH.findall(name)


def modules(page: Path) -> Iterator[str]:
    """Dotted names of this project that a page names as a whole."""
    for name in named(page):
        found = _MODULE.match(name.removeprefix("python -m ").removeprefix("python -P -m "))
        if found is not None:
            yield found[0]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
