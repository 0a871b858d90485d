"""Whose an event is, what it waits for (approvals, times, conditions on other letters), what opens veiled fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from appliance.letters.checks.declared import named, twice
from appliance.letters.checks.life import reachable, ways
from appliance.letters.checks.rules import Finding, finding
from appliance.letters.fields import parse_limit
from appliance.letters.kind import SETS, Approvals, Condition, Event, Field, Kind, Tier
from appliance.letters.money import DIGITS

_POLICY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""As ceremonies name one (appliance.ceremonies.canonical.Name)."""


def permission(kind: Kind) -> Iterator[Finding]:
    """Every finding about parties, approvals, times, the fields of conditions, and veiled fields."""
    for name, event in kind.events.items():
        path = f"events.{name}"
        yield from _acts_for(kind, path, event)
        if event.approvals is not None:
            yield from _approvals(kind, f"{path}.approvals", event, event.approvals)
        for member in ("not_before", "not_after"):
            limit = getattr(event, member)
            if limit is None:
                continue
            yield from named(kind, f"{path}.{member}", limit, "date", "time")
            if limit in kind.fields and not kind.fields[limit].required and not _set_before(kind, event, limit):
                yield finding(f"{path}.{member}", "not-required", name=limit)
            if member == "not_before" and event.from_ and limit in event.fields:
                yield finding(f"{path}.{member}", "own-limit", name=limit)
        for index, condition in enumerate(event.conditions):
            yield from _condition(kind, f"{path}.conditions[{index}]", event, condition)
    yield from _veil(kind)


def _acts_for(kind: Kind, path: str, event: Event) -> Iterator[Finding]:
    """A role that waits for a party or an id that may be missing is nobody's then: an event has one role at least that
    acts for anybody, or for a party whose id is always there."""
    missing: list[Finding] = []
    sure = not event.acts_for.keys() >= set(event.by)
    for role, place in event.acts_for.items():
        where = f"{path}.acts_for.{role}"
        if role not in event.by:
            yield finding(where, "acts-for-nobody", name=role)
        name = place.removeprefix(SETS)
        field = event.data.get(place) or kind.fields.get(name)
        if field is None:
            yield finding(where, "no-such-field", name=name)
            continue
        if place.startswith(SETS) and name not in event.fields:
            yield finding(where, "acts-for-unset", name=name)
        if field.type != "party":
            yield finding(where, "wrong-type", name=name, found=field.type, wanted="party")
            continue
        # What is split off has the clear fields of its origin, and no others.
        splits = kind.value is not None and kind.value.rule == "divisible"
        if field.confidentiality != "clear" and (splits or field.confidentiality != "hidden"):
            yield finding(where, "not-clear", name=name, found=field.confidentiality)
        found = list(_may_be_missing(kind, where, event, place, field))
        missing += found
        sure = sure or not found
    if not sure:
        yield from missing


def _may_be_missing(kind: Kind, path: str, event: Event, place: str, field: Field) -> Iterator[Finding]:
    name = place.removeprefix(SETS)
    if not field.identified:
        yield finding(path, "id-optional", name=name)
    if field.required:
        return
    # An event that sets this field alone sets it: whoever asks names itself, where nobody stands there yet.
    sets = place not in event.data and event.fields == [name]
    stands = place not in event.data and place == name and _set_before(kind, event, name)
    if not (sets or stands):
        yield finding(path, "not-required", name=name)


def _set_before(kind: Kind, event: Event, name: str, seen: Sequence[Event] = ()) -> bool:
    """Whether a field that is not required is there all the same: every event that leads into a state in which `event`
    may happen sets this field alone, and an event that sets fields sets one at least; or it was there before that, and
    what is split off has it from its origin. `seen`: events that were come by, since no letter begins in a circle."""
    if not event.from_:
        return False
    seen = (*seen, event)
    return all(
        one.from_ and (one.fields == [name] or one in seen or _set_before(kind, one, name, seen))
        for one in kind.events.values()
        if _leads_into(one, event.from_)
    )


def _leads_into(event: Event, states: Sequence[str]) -> bool:
    move = event.value
    return event.to in states or (move is not None and (move.parts_state in states or move.emptied in states))


def _approvals(kind: Kind, path: str, event: Event, approvals: Approvals) -> Iterator[Finding]:
    for index, tier in enumerate(approvals.tiers):
        for number, step in enumerate(tier.steps):
            if _POLICY.fullmatch(step.policy) is None:
                yield finding(f"{path}.tiers[{index}].steps[{number}].policy", "policy-unusable", name=step.policy)
    name = approvals.amount
    if name is None:
        for index, tier in enumerate(approvals.tiers):
            if tier.up_to is not None or tier.currency is not None or index:
                yield finding(f"{path}.tiers[{index}]", "tier-without-amount")
        return
    if name not in event.data:
        yield from named(kind, f"{path}.amount", name, "money")
    field = event.data.get(name) or kind.fields.get(name)
    if field is None:
        return
    if name in event.data and field.type != "money":
        yield finding(f"{path}.amount", "wrong-type", name=name, found=field.type, wanted="money")
    if not field.required:
        yield finding(f"{path}.amount", "not-required", name=name)
    yield from _tiers(f"{path}.tiers", approvals.tiers, name, field)


def _tiers(path: str, tiers: Sequence[Tier], name: str, field: Field) -> Iterator[Finding]:
    by_currency: dict[str, list[tuple[int, Tier]]] = {}
    for index, tier in enumerate(tiers):
        if tier.currency is None:
            yield finding(f"{path}[{index}]", "tier-without-currency")
        elif tier.currency not in DIGITS:
            yield finding(f"{path}[{index}].currency", "currency-unknown", name=tier.currency)
        elif field.currencies and tier.currency not in field.currencies:
            yield finding(f"{path}[{index}].currency", "tier-foreign", name=name, currency=tier.currency)
        else:
            by_currency.setdefault(tier.currency, []).append((index, tier))
    if not field.currencies:
        yield finding(path, "amount-any-currency", name=name)
    for currency in field.currencies:
        if currency not in by_currency:
            yield finding(path, "currency-without-tier", currency=currency)
    for currency, rising in by_currency.items():
        for (_, before), (index, tier) in pairwise(rising):
            where = f"{path}[{index}]"
            if before.up_to is None:
                yield finding(where, "tier-after-end")
            elif tier.up_to is not None and parse_limit(tier.up_to) <= parse_limit(before.up_to):
                yield finding(f"{where}.up_to", "tiers-fall", up_to=tier.up_to, before=before.up_to)
            if len(tier.steps) < len(before.steps):
                now, earlier = str(len(tier.steps)), str(len(before.steps))
                yield finding(f"{where}.steps", "tiers-relax", now=now, before=earlier)
        last, tier = rising[-1]
        if tier.up_to is not None:
            yield finding(f"{path}[{last}].up_to", "tiers-end", currency=currency)


def _condition(kind: Kind, path: str, event: Event, condition: Condition) -> Iterator[Finding]:
    name = condition.letter
    if name not in event.data:
        yield from named(kind, f"{path}.letter", name, "letter")
    field = event.data.get(name) or kind.fields.get(name)
    if field is not None and name in event.data and field.type != "letter":
        yield finding(f"{path}.letter", "wrong-type", name=name, found=field.type, wanted="letter")
    if field is not None and not field.required and not (name in event.data or event.from_):
        yield finding(f"{path}.letter", "not-required", name=name)
    yield from twice(f"{path}.kinds", condition.kinds)
    yield from twice(f"{path}.states", condition.states)
    for own in condition.same:
        yield from named(kind, f"{path}.same.{own}", own)


def always_approved(event: Event) -> bool:
    """Somebody signs, whatever the amount."""
    return event.approvals is not None and all(tier.steps for tier in event.approvals.tiers)


def _veil(kind: Kind) -> Iterator[Finding]:
    """Control VEIL: a veiled field has a way to open, after a time or with approvals, and none that goes around it."""
    veiled = {name for name, field in kind.fields.items() if field.confidentiality == "veiled"}
    opened: set[str] = set()
    for name, event in kind.events.items():
        if not event.opens:
            continue
        path = f"events.{name}"
        opened |= set(event.opens)
        for index, field in enumerate(event.opens):
            yield from _opens(kind, f"{path}.opens[{index}]", event, field)
        yield from twice(f"{path}.opens", event.opens)
        if not always_approved(event):
            if event.not_before is None:
                yield finding(path, "veil-weak")
            else:
                yield from _moved(kind, name, event.not_before)
        for field in event.opens:
            yield from _again(kind, name, field)
    if veiled and (kind.second not in kind.fields or kind.fields[kind.second].type != "text"):
        yield finding("second", "veil-unbound", name=min(veiled))
    if veiled and kind.second is not None:
        for name, event in kind.events.items():
            if event.from_ and kind.second in event.fields:
                yield finding(f"events.{name}.fields", "second-moves", name=kind.second)
    for field in sorted(veiled - opened):
        yield finding(f"fields.{field}.confidentiality", "veil-unopened")


def _opens(kind: Kind, path: str, event: Event, name: str) -> Iterator[Finding]:
    field = kind.fields.get(name)
    if field is None:
        yield finding(path, "no-such-field", name=name)
        return
    if field.confidentiality != "veiled":
        yield finding(path, "opens-not-veiled", name=name, found=field.confidentiality)
    if name in event.fields:
        yield finding(path, "opens-and-sets", name=name)
    # States that a letter comes to without the field ever having been set: the event may not begin in one of them.
    unset: set[str] = set()
    grown = True
    while grown:
        size = len(unset)
        for way in ways(kind):
            if (way.before is None or way.before in unset) and name not in kind.events[way.event].fields:
                unset.add(way.after)
        grown = len(unset) > size
    if not event.from_ or unset & set(event.from_):
        yield finding(path, "opens-before-set", name=name)


def _again(kind: Kind, opening: str, field: str) -> Iterator[Finding]:
    """What was opened is not sealed again: a plain value would stand beside an envelope that says something else."""
    after = reachable(kind, {way.after for way in ways(kind) if way.event == opening})
    for name, event in kind.events.items():
        if field in event.fields and after & set(event.from_):
            yield finding(f"events.{name}.fields", "veil-again", name=field)


def _moved(kind: Kind, opening: str, limit: str) -> Iterator[Finding]:
    """The time that a veil waits for is not moved by one hand while something is veiled."""
    for name, event in kind.events.items():
        if limit in event.fields and event.from_ and not always_approved(event) and _leads(kind, name, opening):
            yield finding(f"events.{name}.fields", "veil-time-moved", name=limit, event=opening)


def _leads(kind: Kind, name: str, opening: str) -> bool:
    after = {way.after for way in ways(kind) if way.event == name}
    return bool(reachable(kind, after) & set(kind.events[opening].from_))
