"""The life cycle: states, and the ways between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from appliance.letters.checks.rules import Finding, finding
from appliance.letters.kind import Event, Kind, SealedDocument

LONGEST_ROLE: Final = 59
"""A permission, role-NAME, has at most 64 characters (appliance.ceremonies.actions.EnrolApplication)."""
_ROLE = re.compile(rf"[a-z0-9-]{{1,{LONGEST_ROLE}}}")


class Way(NamedTuple):
    """One way that an event leads."""

    event: str
    before: str | None
    """None: the letter begins."""
    after: str
    emptied: bool = False
    """The way that it takes when nothing is left."""


def ways(kind: Kind) -> list[Way]:
    """Every way between states that are there, in the order of the file; for a split, its parts' beginning too."""
    found = []
    for name, event in kind.events.items():
        begins: list[str | None] = [*event.from_] or [None]
        for before in begins:
            after = event.to or before
            if after in kind.states and (before is None or before in kind.states):
                found.append(Way(name, before, after))
                if event.value is not None and event.value.emptied in kind.states:
                    found.append(Way(name, before, event.value.emptied, emptied=True))
    return found


def parts_states(kind: Kind, name: str) -> list[str]:
    """The state in which letters begin that the event splits off."""
    move = kind.events[name].value
    return [move.parts_state] if move is not None and move.parts_state in kind.states else []


def reachable(kind: Kind, begin: set[str] | None = None) -> set[str]:
    """States that letters can come to; from `begin`, or from nothing."""
    reached: set[str] = set(begin or ())
    grown = True
    while grown:
        size = len(reached)
        for way in ways(kind):
            if way.before in reached or (way.before is None and begin is None):
                reached.add(way.after)
                reached.update(parts_states(kind, way.event))
        grown = len(reached) > size
    return reached


def shared(kind: Kind) -> set[str]:
    """States in which a letter can be a part, or one that parts were split off."""
    begin = {one for name in kind.events for one in parts_states(kind, name)}
    return after_split(kind) | (reachable(kind, begin) if begin else set())


def after_split(kind: Kind) -> set[str]:
    """States to which a letter can come after parts were split off it."""
    splits = {name for name, event in kind.events.items() if event.value is not None and event.value.move == "split"}
    begin = {way.after for way in ways(kind) if way.event in splits}
    return reachable(kind, begin) if begin else set()


def life(kind: Kind) -> Iterator[Finding]:
    """Every finding about states and ways."""
    for name, event in kind.events.items():
        yield from _names(kind, f"events.{name}", event)
    beginnings = [name for name, event in kind.events.items() if not event.from_]
    if not beginnings:
        yield finding("events", "no-beginning")
    required = [name for name, field in kind.fields.items() if field.required]
    for name in beginnings:
        if kind.events[name].to is None:
            yield finding(f"events.{name}.to", "beginning-without-state")
        for missing in required:
            if missing not in kind.events[name].fields:
                yield finding(f"events.{name}.fields", "beginning-lacks", name=missing)
    reached = reachable(kind)
    if beginnings:
        for name in kind.states:
            if name not in reached:
                yield finding(f"states.{name}", "unreachable")
    yield from _ends(kind)


def _names(kind: Kind, path: str, event: Event) -> Iterator[Finding]:
    for index, name in enumerate(event.from_):
        if name not in kind.states:
            yield finding(f"{path}.from[{index}]", "no-such-state", name=name)
        elif kind.states[name].final:
            yield finding(f"{path}.from[{index}]", "final-with-events", name=name, event=path.partition(".")[2])
    if event.to is not None and event.to not in kind.states:
        yield finding(f"{path}.to", "no-such-state", name=event.to)
    for index, name in enumerate(event.fields):
        if name not in kind.fields:
            yield finding(f"{path}.fields[{index}]", "no-such-field", name=name)
    for index, name in enumerate(event.by):
        if _ROLE.fullmatch(name) is None:
            yield finding(f"{path}.by[{index}]", "role-unusable", name=name, most=str(LONGEST_ROLE))
    if event.seals_document is not None:
        yield from _document(kind, f"{path}.seals_document", event.seals_document)
    lists = {"from": event.from_, "by": event.by, "fields": event.fields, "receipts": event.receipts}
    for member, names in lists.items():
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield finding(f"{path}.{member}", "named-twice", name=name)


def _ends(kind: Kind) -> Iterator[Finding]:
    """Every state leads to a final one: a circle that never does is refused."""
    endings = {name for name, state in kind.states.items() if state.final}
    grown = True
    while grown:
        size = len(endings)
        endings |= {way.before for way in ways(kind) if way.before is not None and way.after in endings}
        grown = len(endings) > size
    for name in kind.states:
        if name in endings:
            continue
        if not any(name in event.from_ for event in kind.events.values()):
            yield finding(f"states.{name}", "no-way-out")
        else:
            circle = _circle(kind, name)
            yield finding(f"states.{name}", "never-ends", circle=" -> ".join(circle))


def _circle(kind: Kind, begin: str) -> list[str]:
    """States by the first way out of each, until one comes again or there is none."""
    path = [begin]
    while True:
        after = [way.after for way in ways(kind) if way.before == path[-1]]
        other = [name for name in after if name != path[-1]] or after
        if not other or other[0] in path:
            return [*path, *other[:1]]
        path.append(other[0])


def _document(kind: Kind, path: str, document: SealedDocument) -> Iterator[Finding]:
    """Its fields are there, of their types and required; whose event it is stands in the order, each once."""
    for where, name, type_ in [
        (f"{path}.digest", document.digest, "digest"),
        *((f"{path}.order", name, "party") for name in document.order),
    ]:
        field = kind.fields.get(name)
        if field is None:
            yield finding(where, "no-such-field", name=name)
        elif field.type != type_:
            yield finding(where, "wrong-type", name=name, found=field.type, wanted=type_)
        elif field.confidentiality != "clear":
            yield finding(where, "not-clear", name=name, found=field.confidentiality)
        elif not field.required:
            yield finding(where, "not-required", name=name)
    for name in {one for one in document.order if document.order.count(one) > 1}:
        yield finding(f"{path}.order", "named-twice", name=name)
    if document.own not in document.order:
        yield finding(f"{path}.own", "not-in-order", name=document.own)
