"""Markers of what a scenario shows of its row, and of what it does not show yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_shown: list[tuple[str, str, str]] = []


@contextmanager
def shows(row: str, capabilities: str, claim: str) -> Iterator[None]:
    """The checks within show this claim of the row. It counts as shown once all of them have held.

    `capabilities`: of systems.md's K1 to K20, separated by blanks."""
    yield
    _shown.append((row, capabilities, claim))


def not_yet(row: str, capabilities: str, reason: str) -> None:
    """What the row's capability would need, and why the scenario does not show it. Read from the source only."""


def take_shown() -> list[tuple[str, str, str]]:
    """What was shown since the last call."""
    taken = list(_shown)
    _shown.clear()
    return taken
