"""Ceremonies: listed, written, reviewed, sent to the approval origin, executed, watched."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.errors import NotFound
from mgmt_service.access import Access, Area
from mgmt_service.dispatch import Context
from mgmt_service.roles import EVERYONE

area = Area("ceremonies")


class Line(msgspec.Struct, frozen=True):
    """A proposal in the list."""

    digest: str
    title: str
    state: str
    requester: str
    scopes: list[str]
    actions: list[str]
    submitted: int
    expires: str
    approved: int
    needed: int


class Filter(msgspec.Struct, frozen=True):
    state: str = ""


class Ceremonies(msgspec.Struct, frozen=True):
    lines: list[Line]
    state: str


@area.read(
    "/ceremonies", access=Access(roles=EVERYONE), gives=Ceremonies, query=Filter, template="ceremonies/list.html"
)
def ceremonies(context: Context, query: Filter) -> Ceremonies:
    """The proposals of the viewer's scopes, the newest first."""
    scopes = sorted(context.viewer.scopes())
    found = context.services.desk.call(lambda client: client.proposals(scopes))
    lines = [line_of(one) for one in found]
    return Ceremonies([one for one in lines if query.state in {"", one.state}], query.state)


def line_of(summary: dict[str, Any]) -> Line:
    tally = summary["tally"] or {"scopes": [], "outcome": ""}
    unsigned = tally["outcome"] == "unsigned" and summary["state"] == "open"
    return Line(
        digest=summary["digest"],
        title=summary["title"],
        state="unsigned" if unsigned else summary["state"],
        requester=summary["requester"],
        scopes=summary["scopes"],
        actions=summary["actions"],
        submitted=summary["submitted"] // 1_000_000,
        expires=summary["expires"],
        approved=sum(min(len(part["approved"]), part["threshold"]) for part in tally["scopes"]),
        needed=sum(part["threshold"] for part in tally["scopes"]),
    )


__all__ = ["NotFound", "area"]
