"""The pages that a viewer is offered: those of the operations that she may ask, in one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask_babel import lazy_gettext as _

from mgmt_service.roles import AUDIT, EVERYONE, GUESTS, LETTER_READERS, OFFICERS, WORK_LIST, Role, Viewer


@dataclass(frozen=True)
class Entry:
    path: str
    label: Any
    roles: frozenset[Role]
    box_only: bool = False


ENTRIES: Final = [
    Entry("/", _("Overview"), EVERYONE | GUESTS),
    Entry("/ceremonies", _("Ceremonies"), EVERYONE),
    Entry("/keys", _("Keys and certificates"), EVERYONE),
    Entry("/tenants", _("Tenants"), EVERYONE),
    Entry("/kinds", _("Kinds of letters"), EVERYONE | LETTER_READERS),
    Entry("/letters", _("Letters"), LETTER_READERS),
    Entry("/intakes", _("Intake runs"), AUDIT),
    Entry("/approvals", _("Letters to approve"), WORK_LIST),
    Entry("/records", _("Seals and stamps"), AUDIT),
    Entry("/audit", _("Audit"), AUDIT),
    Entry("/officers", _("Officers"), EVERYONE),
    Entry("/supervision", _("Supervision"), EVERYONE),
    Entry("/ledgers", _("Ledgers"), EVERYONE, box_only=True),
    Entry("/verify", _("Verify files"), EVERYONE),
    Entry("/sign-ins", _("Sign-ins"), AUDIT),
    Entry("/settings", _("Settings"), EVERYONE, box_only=True),
    Entry("/updates", _("Updates"), EVERYONE, box_only=True),
]
"""Each area adds its own where it belongs (see mgmt_service.areas)."""


def entries(viewer: Viewer | None, here: str) -> list[tuple[Entry, bool]]:
    """What this viewer is offered, each with whether it is where she is."""
    if viewer is None:
        return []
    offered = [
        entry for entry in ENTRIES if (viewer.has(entry.roles, "box") if entry.box_only else viewer.scopes(entry.roles))
    ]
    return [(entry, _is_at(entry.path, here)) for entry in offered]


def _is_at(path: str, here: str) -> bool:
    here = here.partition("?")[0]
    return here == path if path == "/" else here == path or here.startswith(f"{path}/")


__all__ = ["AUDIT", "ENTRIES", "OFFICERS", "Entry", "entries"]
