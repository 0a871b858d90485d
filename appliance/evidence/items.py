"""A file under judgement: what its parts concluded, what it speaks about, and which times it says or shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.evidence.findings import Indication, Journal, worst
from appliance.evidence.recognise import Kind
from appliance.evidence.trust import TimeClass


@dataclass(frozen=True)
class Shown:
    """Something is shown to have existed no later than a time."""

    target: int
    """Index of the file or digest."""
    time_us: int
    time_class: TimeClass
    by: str
    """Who says so, in words, escaped."""
    helps: bool = True
    """False where it shows the content of the target but not every signature in it: for the report alone."""


@dataclass
class Item:
    """One file or digest."""

    index: int
    kind: Kind
    parts: list[tuple[str, Journal]] = field(default_factory=list)
    covers: list[int] = field(default_factory=list)
    """Indexes of the files or digests whose bytes it binds."""
    missing: list[Journal] = field(default_factory=list)
    """Journals of parts whose subject is not among the files."""
    claimed: list[tuple[int, str]] = field(default_factory=list)
    """Times that the box states, in microseconds, and in which words."""
    shown: list[Shown] = field(default_factory=list)

    @property
    def indication(self) -> Indication:
        """The worst of its parts."""
        return worst([journal.indication for _, journal in self.parts])

    def cover(self, indexes: Sequence[int]) -> None:
        """Note what it binds, itself excepted."""
        self.covers += [index for index in indexes if index != self.index and index not in self.covers]


Earliest = dict[int, Shown]


def earliest(items: Sequence[Item], accepted: frozenset[str], *, helpful_only: bool = True) -> Earliest:
    """For each file the earliest time shown by an accepted class, through files that bind others too.

    Only files that passed count. If a seal existed then, so did the document whose digest it holds.
    """
    found: Earliest = {}
    for item in items:
        if item.indication is Indication.PASSED:
            for shown in item.shown:
                if shown.time_class in accepted and (shown.helps or not helpful_only):
                    _keep(found, shown)
    for _ in items:
        before = dict(found)
        for item in items:
            if item.index in found and item.indication is Indication.PASSED:
                shown = found[item.index]
                for target in item.covers:
                    _keep(found, Shown(target, shown.time_us, shown.time_class, shown.by))
        if found == before:
            break
    return found


def _keep(found: Earliest, shown: Shown) -> None:
    held = found.get(shown.target)
    if held is None or shown.time_us < held.time_us:
        found[shown.target] = shown
