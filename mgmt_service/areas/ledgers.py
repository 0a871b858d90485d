"""Outside ledgers on which heads of the box's log are anchored: how each stands. Read-only (docs/anchors.md)."""

from __future__ import annotations

import msgspec

from appliance.anchorer.client import AnchorerClient, AnchorerUnavailable
from appliance.anchorer.views import AnchorView, LedgerView
from appliance.box.users import has_anchorer
from appliance.ceremonies import BOX
from mgmt_service.access import Access, Area, Fixed
from mgmt_service.dispatch import Context
from mgmt_service.roles import EVERYONE

area = Area("ledgers")
SHOWN = 10
"""Anchors of each ledger, the newest."""
MICROSECONDS = 1_000_000


class AnchorLine(msgspec.Struct, frozen=True):
    """One anchor. Times in seconds since the epoch."""

    number: int
    state: str
    since: float
    cause: str
    size: int
    superseded_by: int | None
    strength: str
    """proven, attested, or empty before it is final."""
    ledger_time: float | None
    place: str


class LedgerPart(msgspec.Struct, frozen=True):
    name: str
    type: str
    """Empty where it is not configured."""
    configured: bool
    """Whether box.json lists it; else the box once anchored on it."""
    untried: bool
    """Whether its type has not run on a real network yet."""
    trouble: str
    """Why the last step with it failed, or why it was not begun; empty: neither."""
    begun: bool
    """Whether it is worked on."""
    open: int
    anchors: list[AnchorLine]


class Ledgers(msgspec.Struct, frozen=True):
    ledgers: list[LedgerPart]
    anchorer: str
    """working, silent, or none where the box has, and had, no ledgers."""


@area.read("/ledgers", access=Access(roles=EVERYONE, scope=Fixed(BOX)), gives=Ledgers, template="box/ledgers.html")
def ledgers(context: Context) -> Ledgers:
    """The box's ledgers, also former ones, each with its newest anchors and their states."""
    services = context.services
    if not has_anchorer(services.home, services.settings()):
        return Ledgers([], "none")
    try:
        with AnchorerClient(services.home.anchorer_socket) as client:
            parts = [_part(one, client.anchors(one.name, None, SHOWN)) for one in client.ledgers()]
    except AnchorerUnavailable:
        return Ledgers([], "silent")
    return Ledgers(parts, "working")


def _part(ledger: LedgerView, anchors: list[AnchorView]) -> LedgerPart:
    lines = [_line(one) for one in anchors]
    return LedgerPart(
        name=ledger.name,
        type=ledger.type,
        configured=ledger.configured,
        untried=bool(ledger.caveat),
        trouble=ledger.trouble,
        begun=ledger.begun,
        open=ledger.open,
        anchors=lines,
    )


def _line(anchor: AnchorView) -> AnchorLine:
    return AnchorLine(
        number=anchor.number,
        state=anchor.state,
        since=anchor.since_us / MICROSECONDS,
        cause=anchor.cause,
        size=anchor.size,
        superseded_by=anchor.superseded_by,
        strength=anchor.strength or "",
        ledger_time=None if anchor.time_us is None else anchor.time_us / MICROSECONDS,
        place=anchor.place or "",
    )
