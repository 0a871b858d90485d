"""What the steps of golden runs left: facts and their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"


def facts_in(found: Any) -> Iterator[dict[str, Any]]:
    """Every step's facts in a golden run."""
    if isinstance(found, dict):
        if isinstance(found.get("facts"), dict):
            yield found["facts"]
        for one in found.values():
            yield from facts_in(one)
    elif isinstance(found, list):
        for one in found:
            yield from facts_in(one)
