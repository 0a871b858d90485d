"""The generated parts of docs/actions.md: `python -m appliance.keymaster.reference docs/actions.md`."""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.box.reference import TypeWords, member_texts, one_line, renew, table
from appliance.ceremonies import actions, canonical
from appliance.ceremonies.actions import Action

_NAMED = {
    canonical.Digest: "SHA-256, hexadecimal",
    canonical.Name: "name",
    canonical.Text: "text",
    canonical.Base64: "base64",
    canonical.Instant: "time, as `2026-11-22T00:00:00Z`",
    actions.Scheme: "scheme",
}
_TYPES = TypeWords(lambda part: f"`{part.__name__}`", _NAMED)


def action_kinds() -> list[type[msgspec.Struct]]:
    """Every action, in the order of the code."""
    return list(typing.get_args(Action))


def table_of_actions() -> str:
    """Every action: what it does, who decides it, and its members."""
    rows = []
    for kind in action_kinds():
        what = f"`{kind.__struct_config__.tag}`"
        about = one_line(kind.__dict__.get("__doc__"))
        rows.append((f"{what}<br>{about}" if about else what, _decided_by(kind), _members(kind)))
    return table(("Action", "Decided by", "Members"), rows)


def parts_of_actions() -> str:
    """Objects that stand in members."""
    parts = (actions.ApprovalTier, actions.Quota)
    return table(("Object", "Members"), ((f"`{part.__name__}`", _members(part)) for part in parts))


def _decided_by(kind: Any) -> str:
    owned = type(None) in typing.get_args(typing.get_type_hints(kind).get("tenant"))
    whose = "the tenant's; the box's where `tenant` is null" if owned else "the box's"
    return f"one officer, {whose}" if kind.takes_away else f"quorum, {whose}"


def _members(kind: type[msgspec.Struct]) -> str:
    texts, hints = member_texts(kind), typing.get_type_hints(kind, include_extras=True)
    said = []
    for field in msgspec.structs.fields(kind):
        meaning = re.sub(r"\bNone\b", "null", texts.get(field.name, ""))
        words = f"`{field.encode_name}` {_TYPES.of(hints[field.name])}{_default(field)}"
        said.append(f"{words}: {meaning}" if meaning else words)
    return "<br>".join(said)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f" (if left out `{msgspec.json.encode(value).decode()}`)"


PARTS: dict[str, Callable[[], str]] = {"actions": table_of_actions, "parts": parts_of_actions}


def main(path: Path) -> None:
    """Renew the page at `path`."""
    path.write_text(renew(path.read_text(), PARTS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
