"""What commands on letters come to, before it is written: of one command, and of all of a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.recorder.messages import Notice
from appliance.recorder.metering import Meters

Place = tuple[int, bytes]
"""(tenant's number, letter id) of a letter, or (scope, key) of a claim."""


@dataclass(slots=True)
class Letter:
    """A letter that this transaction moves."""

    number: int
    head: bytes
    events: int
    balance: int
    shelf: int | None
    """Where the tables have it; None: it is new."""
    latest: int = 0
    anchor: int = 0
    kind: str = ""
    state: str = ""
    view: bytes = b""
    due: int = 0
    automatic: int = 0

    def copy(self) -> Letter:
        return Letter(
            self.number, self.head, self.events, self.balance, self.shelf, self.latest, self.anchor, self.kind,
            self.state, self.view, self.due, self.automatic,
        )  # fmt: skip


@dataclass(slots=True)
class Stock:
    """What is claimed of something. Nothing used: as if it had never been."""

    used: int = 0
    capacity: int = 0
    holder: int = 0
    """See appliance.store.letters.ClaimRow."""

    def copy(self) -> Stock:
        return Stock(self.used, self.capacity, self.holder)


@dataclass(slots=True)
class Draft:
    """What one command would change."""

    letters: dict[Place, Letter] = field(default_factory=dict)
    new: int = 0
    """Letters among them that are new."""
    events: list[tuple[int, int, int, int, int, bytes]] = field(default_factory=list)
    """In the order of appliance.store.letters.add_events."""
    stocks: dict[Place, Stock] = field(default_factory=dict)
    uses: dict[tuple[int, bytes, int], int] = field(default_factory=dict)
    """By (scope, key, letter's number), of what several letters use."""
    tallies: dict[tuple[int, str], int] = field(default_factory=dict)
    labels: dict[tuple[int, str], bytes] = field(default_factory=dict)
    federations: dict[str, int] = field(default_factory=dict)
    notices: list[tuple[int, Notice]] = field(default_factory=list)
    """With the tenant's number."""
    stops: dict[tuple[int, str], str] = field(default_factory=dict)
    """Kinds whose issuing stops, and why."""
    meters: Meters = field(default_factory=Meters)
    finds: set[tuple[int, bytes, int]] = field(default_factory=set)
    """(tenant, key, letter's number)."""
