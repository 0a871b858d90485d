"""Kinds that belong together: conditions name kinds, states and fields that are there, and do not wait in a circle;
rules of uniqueness with one name are one register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from appliance.letters.checks.life import parts_states
from appliance.letters.checks.rules import Finding, finding
from appliance.letters.checks.waiting import alike, place_type
from appliance.letters.kind import BALANCE, Condition, Event, Kind, Quota, Unique

_Place = tuple[str, str]
"""A kind's id and one of its states, or of its events."""


def together(kinds: Sequence[Kind], *, whole: bool) -> Iterator[Finding]:
    """Findings about conditions. `whole`: every kind that one names must be among these. Paths begin with the kind's
    id where there are several kinds."""
    by_id = {kind.id: kind for kind in kinds}
    prefix = {kind.id: f"{kind.id}: " if len(kinds) > 1 else "" for kind in kinds}
    for kind in kinds:
        for name, event in kind.events.items():
            for index, condition in enumerate(event.conditions):
                path = f"{prefix[kind.id]}events.{name}.conditions[{index}]"
                yield from _names(by_id, path, kind, event, condition, whole=whole)
    yield from _shared_uses(kinds)
    yield from _grouped(kinds)
    happened = _possible(by_id)
    for kind in kinds:
        alone = _possible({kind.id: kind}, trusting=True)
        for name in kind.events:
            if (kind.id, name) in alone and (kind.id, name) not in happened:
                path = f"{prefix[kind.id]}events.{name}.conditions"
                if kind.events[name].conditions:
                    yield finding(path, "waiting", circle=_circle(by_id, kind.id, name, happened))


def _names(
    by_id: Mapping[str, Kind], path: str, kind: Kind, event: Event, condition: Condition, *, whole: bool
) -> Iterator[Finding]:
    for index, name in enumerate(condition.kinds):
        if name not in by_id and whole:
            yield finding(f"{path}.kinds[{index}]", "condition-kind", name=name)
    others = [by_id[name] for name in condition.kinds if name in by_id]
    if len(others) == len(condition.kinds):  # else a state may be one of the kind that is not here
        for index, state in enumerate(condition.states):
            if not any(state in other.states for other in others):
                kinds = " / ".join(condition.kinds)
                yield finding(f"{path}.states[{index}]", "condition-state", kind=kinds, name=state)
    yield from _ends(path, others, condition, all_here=len(others) == len(condition.kinds))
    for other in others:
        yield from _compared(path, kind, event, condition, other)
        if not set(condition.states) & other.states.keys():
            yield finding(f"{path}.states", "condition-state", kind=other.id, name=" / ".join(condition.states))
        for own, theirs in condition.same.items():
            mine, field = kind.fields.get(own), other.fields.get(theirs)
            where = f"{path}.same.{own}"
            if field is None or field.confidentiality != "clear":
                yield finding(where, "condition-field", kind=other.id, name=theirs)
            elif mine is not None and mine.type != field.type:
                pair = {"found": mine.type, "wanted": field.type}
                yield finding(where, "condition-type", name=own, other=theirs, kind=other.id, **pair)


def beside(kind: Kind, installed: Iterable[Kind]) -> Iterator[Finding]:
    """What a kind has otherwise than versions of kinds that letters live by, its own older ones too: a register of
    uniqueness, or a counter, that they would share. Paths begin with the kind's id."""
    for other in installed:
        if (other.id, other.version) != (kind.id, kind.version):
            yield from _shared_uses([other, kind])
            yield from _grouped([other, kind])


def _grouped(kinds: Sequence[Kind]) -> Iterator[Finding]:
    """Quotas of one name in one group, or of one kind, are one counter."""
    first: dict[tuple[str, str], tuple[Kind, Quota]] = {}
    for kind in kinds:
        for name, quota in kind.quotas.items():
            before, other = first.setdefault((quota.group or kind.id, name), (kind, quota))
            pairs = ((one.measure, one.period, one.by is None) for one in (other, quota))
            if len(set(pairs)) > 1:
                prefix = f"{kind.id}: " if len(kinds) > 1 else ""
                yield finding(f"{prefix}quotas.{name}", "counter-differs", kind=_version(before))


def _shared_uses(kinds: Sequence[Kind]) -> Iterator[Finding]:
    """Rules of one name in one scope are one register: the same fields in one order, shared by amount or not at all."""
    first: dict[tuple[str, str, frozenset[str]], tuple[Kind, Unique]] = {}
    for kind in kinds:
        for name, unique in kind.unique.items():
            before, other = first.setdefault((unique.scope, name, frozenset(unique.fields)), (kind, unique))
            if other.fields != unique.fields or (other.capacity is None) != (unique.capacity is None):
                yield finding(f"{kind.id}: unique.{name}", "unique-differs", kind=_version(before))


def _version(kind: Kind) -> str:
    return f"{kind.id} {kind.version}"


def _compared(path: str, kind: Kind, event: Event, condition: Condition, other: Kind) -> Iterator[Finding]:
    for place, one in enumerate(condition.compare):
        if one.of and other.id not in one.of:
            continue
        where = f"{path}.compare[{place}]"
        head = one.theirs.partition(".")[0]
        theirs, mine = place_type(other.fields, one.theirs), place_type(kind.fields | event.data, one.own)
        worthless = one.theirs == BALANCE and other.value is None
        secret = head in other.fields and other.fields[head].confidentiality != "clear"
        if theirs is None or worthless or secret:
            yield finding(f"{where}.theirs", "condition-field", kind=other.id, name=one.theirs)
        elif mine is not None and not alike(mine, theirs, one.is_):
            pair = {"found": mine, "wanted": theirs}
            yield finding(where, "condition-type", name=one.own, other=one.theirs, kind=other.id, **pair)
    serves = condition.serves
    if serves is not None and isinstance(serves.at_most, str):
        field = other.fields.get(serves.at_most)
        if field is None or field.confidentiality != "clear":
            yield finding(f"{path}.serves.at_most", "condition-field", kind=other.id, name=serves.at_most)
        elif field.type != (wanted := "integer" if serves.each is None else "money"):
            pair = {"found": field.type, "wanted": wanted}
            yield finding(f"{path}.serves.at_most", "wrong-type", name=serves.at_most, **pair)


def _ends(path: str, others: Sequence[Kind], condition: Condition, *, all_here: bool) -> Iterator[Finding]:
    """The field by which the other letter ends: one of the kinds has it at least, and where one has it it is a time."""
    name = condition.not_after
    if name is None:
        return
    if all_here and not any(name in other.fields for other in others):
        yield finding(f"{path}.not_after", "condition-field", kind=" / ".join(condition.kinds), name=name)
    for other in others:
        field = other.fields.get(name)
        if field is None:
            continue
        if field.confidentiality != "clear":
            yield finding(f"{path}.not_after", "condition-field", kind=other.id, name=name)
        elif field.type not in ("date", "time"):
            yield finding(f"{path}.not_after", "wrong-type", name=name, found=field.type, wanted="date / time")


def _possible(by_id: Mapping[str, Kind], *, trusting: bool = False) -> set[_Place]:
    """Events that some chain of events of these kinds can come to. `trusting`: conditions are taken as met."""
    states: set[_Place] = set()
    events: set[_Place] = set()
    grown = True
    while grown:
        size = len(states) + len(events)
        for kind in by_id.values():
            for name, event in kind.events.items():
                begins = [state for state in event.from_ if (kind.id, state) in states]
                if event.from_ and not begins:
                    continue
                if not trusting and not all(_met(by_id, one, states) for one in event.conditions):
                    continue
                events.add((kind.id, name))
                states.update((kind.id, state) for state in _after(kind, name, event, begins))
        grown = len(states) + len(events) > size
    return events


def _after(kind: Kind, name: str, event: Event, begins: list[str]) -> list[str]:
    emptied = event.value.emptied if event.value is not None else None
    after = [event.to] if event.to is not None else begins
    return [*after, *([emptied] if emptied is not None else []), *parts_states(kind, name)]


def _met(by_id: Mapping[str, Kind], condition: Condition, states: set[_Place]) -> bool:
    """A letter that meets it can be there; of a kind that is not here, it is taken that it can."""
    return any(
        name not in by_id or any((name, state) in states for state in condition.states) for name in condition.kinds
    )


def _circle(by_id: Mapping[str, Kind], kind: str, event: str, happened: set[_Place]) -> str:
    """In words: which event waits for which, until one comes again."""
    path: list[_Place] = [(kind, event)]
    while path[-1] not in path[:-1]:
        waits = [one for one in _waits(by_id, *path[-1]) if one not in happened]
        if not waits:
            break
        path.append(waits[0])
    return " -> ".join(f"{one}.{name}" for one, name in path)


def _waits(by_id: Mapping[str, Kind], kind: str, name: str) -> Iterator[_Place]:
    """Events that would have to happen before."""
    event = by_id[kind].events[name]
    wanted = [(other, set(one.states)) for one in event.conditions for other in one.kinds if other in by_id]
    if event.from_:
        wanted.append((kind, set(event.from_)))
    for other, states in wanted:
        for before, rule in by_id[other].events.items():
            if states & set(_after(by_id[other], before, rule, rule.from_)):
                yield other, before
