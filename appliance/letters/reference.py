"""The generated parts of docs/kinds.md: `python -m appliance.letters.reference docs/kinds.md`.

Which kinds ship and which systems they serve, every member of a kind's file, every rule that the check holds it to.
"""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.box.reference import TypeWords, member_texts, one_line, renew, table
from appliance.letters import kind as schema
from appliance.letters.check import RULES
from appliance.letters.kind import Kind, read_kind
from appliance.letters.shipped import shipped

_SNAKE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAMED = {
    schema.Name: "name",
    schema.FieldName: "name of a field",
    schema.Whose: "name of a field or `@set.FIELD`",
    schema.Words: "text, at most 200 characters",
    schema.Currency: "ISO 4217 code",
    schema.Decimal: "decimal text",
    schema.Row: "row of a system",
}


def _row_order(row: str) -> tuple[int, int]:
    return "ABVPC".find(row[0]), int(row[1:])


def kinds() -> str:
    """The kinds that ship, each with its title, its events and the rows that it serves."""
    rows = []
    for name, text in shipped().items():
        kind = read_kind(text).kind
        link = f"[`{name}`](../appliance/letters/catalogue/{name}.toml)"
        served = ", ".join(sorted(kind.rows, key=_row_order))
        rows.append((link, f"{kind.title.en} {kind.title.zh}", ", ".join(kind.events), served))
    return table(("Kind", "Title", "Events", "Rows"), rows)


def systems() -> str:
    """The same the other way round."""
    by_row: dict[str, list[str]] = {}
    for name, text in shipped().items():
        for row in read_kind(text).kind.rows:
            by_row.setdefault(row, []).append(f"`{name}`")
    return table(("Row", "Kinds"), ((row, ", ".join(by_row[row])) for row in sorted(by_row, key=_row_order)))


def programs() -> str:
    """Which roles of the kinds that ship need a party beside them, and for what."""
    rows = []
    for name, text in shipped().items():
        events: dict[tuple[str, str], list[str]] = {}
        for event, rule in read_kind(text).kind.events.items():
            for role, place in rule.acts_for.items():
                field = place.removeprefix(schema.SETS)
                whose = f"`{field}`" + (" of the event" if field in rule.data else " as set" if field != place else "")
                events.setdefault((role, whose), []).append(event)
        rows += [(f"`{name}`", f"`{role}`", whose, ", ".join(made)) for (role, whose), made in events.items()]
    return table(("Kind", "Role", "Acts for", "Events"), rows)


def rules() -> str:
    """Everything that the check can say, in both languages; {name} stands for what it names in the case."""
    return table(("Rule", "English", "中文"), ((f"`{name}`", *pair) for name, pair in RULES.items()))


def members() -> str:
    """Every member of a kind's file, a table a part of it."""
    return "\n".join(_part(part) for part in _parts(Kind))


def _parts(part: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The parts of a kind in the order in which they are met, the whole first."""
    found = [part]
    for hint in typing.get_type_hints(part).values():
        for inner in _within(hint):
            if inner not in found:
                found += [one for one in (_parts(inner) if inner is not part else []) if one not in found]
    return found


def _within(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for argument in typing.get_args(hint):
        yield from _within(argument)


def _title(part: type) -> str:
    return _SNAKE.sub(" ", part.__name__).lower()


def _part(part: type[msgspec.Struct]) -> str:
    texts, hints = member_texts(part), typing.get_type_hints(part, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(part):
        meaning = re.sub(r"\bNone\b", "left out", texts.get(field.name, ""))
        rows.append((f"`{field.encode_name}`", _TYPES.of(hints[field.name]), _default(field), meaning))
    about = "The file as a whole." if part is Kind else one_line(part.__dict__.get("__doc__"))
    return (
        f"### {_title(part)}\n\n"
        + (f"{about}\n\n" if about else "")
        + table(("Member", "Type", "If left out", "Meaning"), rows)
    )


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return "" if value is None or value in ([], {}) else f"`{msgspec.json.encode(value).decode()}`"


_TYPES = TypeWords(
    lambda part: f"[{_title(part)}](#{_title(part).replace(' ', '-')})", _NAMED, null="",
    mapping="table: {key} = {value}",
)  # fmt: skip


PARTS: dict[str, Callable[[], str]] = {
    "kinds": kinds,
    "systems": systems,
    "programs": programs,
    "members": members,
    "rules": rules,
}


def main(path: Path) -> None:
    """Renew the page at `path`."""
    path.write_text(renew(path.read_text(), PARTS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
