"""Is a kind sound: what its schema cannot say, checked between its parts, each finding with its place in the file.

`check_file` for people, `read_sound_kind` for whoever installs or uses one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from appliance.letters.checks.declared import declared
from appliance.letters.checks.life import life
from appliance.letters.checks.permission import permission
from appliance.letters.checks.rules import RULES, Finding, finding
from appliance.letters.checks.together import beside, together
from appliance.letters.checks.waiting import waiting
from appliance.letters.checks.worth import worth
from appliance.letters.errors import KindRefused
from appliance.letters.kind import Event, Field, FieldName, Kind, LoadedKind, Name, Quota, State, Unique, read_kind

__all__ = ["RULES", "Finding", "check", "check_beside", "check_file", "check_together", "read_sound_kind"]

_SAID: Final = 12
"""Findings that a refusal names; the rest is counted."""


def check(kind: Kind) -> list[Finding]:
    """Everything that does not hold in one kind; conditions on kinds that are not here are taken at their word."""
    findings = [
        *declared(kind), *life(kind), *worth(kind), *permission(kind), *waiting(kind), *together([kind], whole=False)
    ]  # fmt: skip
    return sorted(findings, key=lambda one: one.path)


def check_together(kinds: Sequence[Kind], *, whole: bool = True) -> list[Finding]:
    """What does not hold between kinds that are used together: conditions that name none of them (where these are the
    `whole`), or wait in a circle. Paths begin with the kind's id. Each kind alone: `check`."""
    return list(together(kinds, whole=whole))


def check_beside(kind: Kind, installed: Iterable[Kind]) -> list[Finding]:
    """What a kind that is to be installed has otherwise than versions that letters live by, its own older ones too,
    where the two share a register of uniqueness or a counter (control ONCE). Each finding once; paths begin with the
    kind's id."""
    return list({str(one): one for one in beside(kind, installed)}.values())


def check_file(text: bytes) -> tuple[LoadedKind | None, list[Finding]]:
    """A kind's file against the schema, then `check`; None where it breaks the schema. Raises KindRefused where it is
    not even TOML, or too large."""
    try:
        loaded = read_kind(text)
    except KindRefused:
        findings = list(_schema(text))
        if not findings:
            raise
        return None, findings
    return loaded, check(loaded.kind)


def read_sound_kind(text: bytes) -> LoadedKind:
    """A kind that holds together. Raises KindRefused, which names what does not."""
    loaded, findings = check_file(text)
    if findings or loaded is None:
        more = f"; and {len(findings) - _SAID} more" if len(findings) > _SAID else ""
        raise KindRefused("; ".join(str(one) for one in findings[:_SAID]) + more)
    return loaded


_TABLES: Final[Mapping[str, tuple[Any, Any]]] = {
    "fields": (FieldName, Field),
    "states": (Name, State),
    "events": (Name, Event),
    "unique": (Name, Unique),
    "quotas": (Name, Quota),
}


def _schema(text: bytes) -> Iterator[Finding]:
    """What breaks the schema, each with its full place: msgspec names a member of a table only as [...]."""
    try:
        document = tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return
    bare = dict(document)
    for table, (name_type, type_) in _TABLES.items():
        if isinstance(document.get(table), dict):
            bare[table] = {}
            yield from _members(table, document[table], name_type, type_)
    yield from _convert("", bare, Kind)


def _members(path: str, members: Mapping[str, Any], name_type: Any, type_: Any) -> Iterator[Finding]:
    for name, value in members.items():
        where = f"{path}.{name}"
        try:
            msgspec.convert(name, name_type)
        except msgspec.ValidationError as error:
            yield finding(where, "schema", said=str(error))
        rest = value
        for table, within in (("data", Event), ("columns", Field)):
            if type_ is within and isinstance(value, dict) and isinstance(value.get(table), dict):
                rest = {**rest, table: {}}
                yield from _members(f"{where}.{table}", value[table], FieldName, Field)
        yield from _convert(where, rest, type_)


def _convert(path: str, value: Any, type_: Any) -> Iterator[Finding]:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        yield finding((path + place.rstrip("`")).strip("."), "schema", said=said)
