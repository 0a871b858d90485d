"""docs/systems.md, made from the scenarios' markers.

python -m firmware_tests.scenarios.systems.table docs/systems.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from firmware_tests.scenarios.systems.markers import NotYet, Shown, collect
from firmware_tests.scenarios.systems.rows import CAPABILITIES, ROWS

_FOLDER = "../firmware_tests/scenarios/systems"
_HEAD = """# The systems that the box must carry, and what is shown of them

Each row is a system that its operators run today. What is *shown* is checked by a scenario that drives a running box
through its API, its officers' pages and ceremonies alone, as that system's parties would, and reads what came out with
`cinnabar verify`; what is *not yet* shown says why. Nothing here is written by hand: `make docs` makes this page from
the markers `shows(...)` and `not_yet(...)` in [the scenarios](../firmware_tests/scenarios/systems). A test that passes
without coming past its markers fails.

"""


def page() -> str:
    """The whole page, Markdown."""
    shown, missing = collect()
    parts = [_HEAD, _sums(shown, missing), "\n## Capabilities\n\n", _capabilities(shown, missing), "\n## Rows\n"]
    parts += [_row(row, shown, missing) for row in ROWS]
    return "".join(parts)


def _sums(shown: list[Shown], missing: list[NotYet]) -> str:
    with_scenario = {one.row for one in shown}
    whole = sum(row in with_scenario and not any(one.row == row for one in missing) for row in ROWS)
    return (
        f"{len(ROWS)} rows: {len(with_scenario)} have a scenario that shows something, {whole} lack nothing; "
        f"{len(shown)} claims are shown, {len(missing)} are not yet.\n"
    )


def _capabilities(shown: list[Shown], missing: list[NotYet]) -> str:
    lines = ["| Capability | Shown for | Not yet, or not wholly, for |", "|---|---|---|"]
    for code, name in CAPABILITIES.items():
        rows = dict.fromkeys(one.row for one in sorted(shown, key=_place) if code in one.capabilities)
        lacking = dict.fromkeys(one.row for one in sorted(missing, key=_place) if code in one.capabilities)
        lines.append(f"| {code} {name} | {' '.join(rows)} | {' '.join(lacking)} |")
    return "\n".join(lines) + "\n"


def _row(row: str, shown: list[Shown], missing: list[NotYet]) -> str:
    about = ROWS[row]
    mine = [one for one in shown if one.row == row]
    files = dict.fromkeys(one.file for one in mine)
    lines = [f"\n### {row} {about.system}\n", f"{about.claim}. Needs {' '.join(about.needs)}.", ""]
    if files:
        lines[1] += f" Scenario: {', '.join(f'[{file}]({_FOLDER}/{file})' for file in files)}."
        lines += ["| Shown | |", "|---|---|"]
        lines += [f"| {' '.join(one.capabilities)} | {_cell(one.claim)} |" for one in mine]
        lines.append("")
    else:
        lines += ["No scenario yet.", ""]
    lacking = [one for one in missing if one.row == row]
    if lacking:
        lines += ["| Not yet | Why |", "|---|---|"]
        lines += [f"| {' '.join(one.capabilities)} | {_cell(one.reason)} |" for one in lacking]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _place(one: Shown | NotYet) -> int:
    return list(ROWS).index(one.row)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(path: Path) -> None:
    """Make the page at `path` anew."""
    path.write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
