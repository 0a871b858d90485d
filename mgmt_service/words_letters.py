"""What the pages about letters call things, in the reader's language."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask
from flask_babel import lazy_gettext as _

CONFIDENTIALITY: Final[dict[str, Any]] = {
    "hidden": _("hidden"),
    "recipients": _("encrypted to its recipients"),
    "veiled": _("veiled until it is opened"),
}
READERS: Final[dict[str, Any]] = {
    "clear": _("whoever has the evidence"),
    "hidden": _("hidden: whom its value is disclosed to"),
    "recipients": _("encrypted: its recipients alone"),
    "veiled": _("veiled: everybody once it is opened, nobody before"),
}
"""Confidentiality of a field to who can read it."""
MOVES: Final[dict[str, Any]] = {
    "open": _("It opens"),
    "raise": _("It is raised"),
    "lower": _("It is lowered"),
    "close": _("What is left ends"),
    "split": _("It goes to new letters"),
}
LINKS: Final[dict[str, Any]] = {
    "origin": _("it was split off from this letter"),
    "part": _("a part that it was split into"),
    "sibling": _("another part of the same split"),
    "condition": _("a condition rested on it"),
    "named": _("it names this letter"),
}
EFFECTS: Final[dict[str, Any]] = {
    "added": (_("Added"), "good"),
    "removed": (_("Taken away"), "bad"),
    "tightened": (_("Tightened"), "warn"),
    "loosened": (_("Loosened"), "warn"),
    "changed": (_("Changed"), "plain"),
}
"""Of a difference between two versions of a kind."""
COUNTED: Final[dict[str, Any]] = {"letters": _("letters"), "value": _("value")}
PERIODS: Final[dict[str, Any]] = {
    "day": _("a day"),
    "month": _("a month"),
    "year": _("a year"),
    "ever": _("for ever"),
    "outstanding": _("outstanding now"),
}
VALUES: Final[dict[str, Any]] = {
    "balance": _("a balance that events draw on"),
    "divisible": _("can be split into letters"),
}
DRAFT_STATES: Final[dict[str, Any]] = {
    "open": (_("Approvals are missing"), "warn"),
    "complete": (_("Approved; the application can have it happen"), "good"),
    "stale": (_("Will not happen any more"), "plain"),
    "withdrawn": (_("Taken back by the application that asked for it"), "plain"),
}

NOTICES: Final[dict[str, Any]] = {
    "limit-warning": (_("Near its limit"), "warn"),
    "share-warning": (_("Concentration"), "warn"),
    "issuing-stopped": (_("Issuing stopped"), "bad"),
    "issuing-resumed": (_("Issuing goes on"), "good"),
}

RUN_STATES: Final[dict[str, Any]] = {
    "receiving": (_("The file is being sent"), "warn"),
    "received": (_("Waits for its turn"), "warn"),
    "reading": (_("Being read"), "warn"),
    "running": (_("Rows are being decided"), "warn"),
    "done": (_("Done"), "good"),
    "failed": (_("Failed"), "bad"),
    "stopped": (_("Stopped"), "plain"),
}
ROW_VERDICTS: Final[dict[str, Any]] = {
    "accepted": (_("Accepted"), "good"),
    "duplicate": (_("Duplicate"), "plain"),
    "refused": (_("Refused"), "bad"),
}
ROW_REFUSALS: Final[dict[str, Any]] = {
    "field-refused": _("A field of the letter breaks its kind"),
    "event-refused": _("The letter cannot have this event now"),
    "role-missing": _("The application's roles do not allow this event"),
    "approval-missing": _("The event lacks an approval"),
    "condition-not-met": _("A condition of this event does not hold"),
    "head-moved": _("Another event of this letter was recorded first"),
    "taken": _("Taken"),
    "letter-limit-exceeded": _("The limit of these letters is reached"),
    "limit-needs-approval": _("The letter's limit wants an approval"),
    "concentration-exceeded": _("Too much of the whole would be of one"),
    "issuing-stopped": _("Nothing new of this kind is issued"),
}
"""Code of a row's refusal to its title."""


def install(app: Flask) -> None:
    app.jinja_env.globals.update(
        CONFIDENTIALITY=CONFIDENTIALITY,
        READERS=READERS,
        MOVES=MOVES,
        LINKS=LINKS,
        EFFECTS=EFFECTS,
        COUNTED=COUNTED,
        PERIODS=PERIODS,
        VALUES=VALUES,
        DRAFT_STATES=DRAFT_STATES,
        NOTICES=NOTICES,
        RUN_STATES=RUN_STATES,
        ROW_VERDICTS=ROW_VERDICTS,
    )
