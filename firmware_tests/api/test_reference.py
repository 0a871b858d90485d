"""docs/api.md says what the table says."""

from __future__ import annotations

from pathlib import Path

from appliance.api.reference import MARKER, main, reference


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "api.md"
    assert page.read_text().partition(MARKER)[2] == "\n" + reference(), (
        "run python -m appliance.api.reference docs/api.md"
    )
    copy = tmp_path / "api.md"
    copy.write_text(page.read_text())
    main(copy)
    assert copy.read_text() == page.read_text()
