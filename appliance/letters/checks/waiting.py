"""What an event compares with other letters, how long terms are, and what the box does by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from appliance.letters.checks.rules import Finding, finding
from appliance.letters.conditions import SERVES
from appliance.letters.judge import RECEIPT
from appliance.letters.kind import BALANCE, BEGUN, LETTER, Comparison, Event, Field, Kind, Term

ORDERED: Final = frozenset({"money", "integer", "decimal", "date", "time"})
"""Types that at-most and at-least compare."""
_DATED: Final = ("date", "time")


def waiting(kind: Kind) -> Iterator[Finding]:
    """Every finding about terms, comparisons, what the box does by itself, and names that the box keeps to itself."""
    for name, field in kind.fields.items():
        yield from _no_term_within(f"fields.{name}", field)
        if field.term is not None:
            yield from _term(kind, f"fields.{name}.term", name, field, field.term)
    for name in kind.unique:
        if name.startswith((SERVES, RECEIPT)):
            yield finding(f"unique.{name}", "name-kept", name=name)
    for event_name, event in kind.events.items():
        path = f"events.{event_name}"
        for name, field in event.data.items():
            yield from _no_term_within(f"{path}.data.{name}", field)
            if field.term is not None:
                yield finding(f"{path}.data.{name}.term", "term-elsewhere")
        for index, condition in enumerate(event.conditions):
            for place, one in enumerate(condition.compare):
                where = f"{path}.conditions[{index}].compare[{place}]"
                for number, of in enumerate(one.of):
                    if of not in condition.kinds:
                        yield finding(f"{where}.of[{number}]", "condition-kind", name=of)
                yield from _own(kind, event, where, one)
            each = None if condition.serves is None else condition.serves.each
            if each is not None:
                yield from _each(kind, event, f"{path}.conditions[{index}].serves", each)
        if event.automatic:
            yield from _automatic(path, event)


def place_type(fields: Mapping[str, Field], place: str) -> str | None:
    """The type of what a comparison names; `several NAME` of a column of a table; None: there is no such thing."""
    if place.startswith("@"):
        return {LETTER: "letter", BALANCE: "money"}[place]
    head, _, member = place.partition(".")
    field = fields.get(head)
    if field is None:
        return None
    if not member:
        return field.type
    if field.type == "party":
        return "text" if member in ("id", "name") else None
    column = field.columns.get(member) if field.type == "table" else None
    return None if column is None else f"several {column.type}"


def alike(found: str, wanted: str, how: str) -> bool:
    """Whether values of the two types can be compared so."""
    if how != "within":
        return found == wanted and (how == "equal" or found in ORDERED) and found != "table"
    return found.removeprefix("several ") == wanted.removeprefix("several ") and found != "table"


def _own(kind: Kind, event: Event, path: str, one: Comparison) -> Iterator[Finding]:
    found = place_type(kind.fields | event.data, one.own)
    if found is None:
        yield finding(f"{path}.own", "no-such-field", name=one.own)
        return
    if one.own == BALANCE and kind.value is None:
        yield finding(f"{path}.own", "measure-without-value")
    field = (kind.fields | event.data).get(one.own.partition(".")[0])
    if field is not None and field.confidentiality not in ("clear", "hidden"):
        yield finding(f"{path}.own", "not-clear", name=one.own, found=field.confidentiality)
    if not alike(found, found, one.is_):
        wanted = " / ".join(sorted(ORDERED))
        yield finding(f"{path}.own", "wrong-type", name=one.own, found=found, wanted=wanted)


def _each(kind: Kind, event: Event, path: str, name: str) -> Iterator[Finding]:
    field = (kind.fields | event.data).get(name)
    if field is None:
        yield finding(f"{path}.each", "no-such-field", name=name)
    elif field.type != "money":
        yield finding(f"{path}.each", "wrong-type", name=name, found=field.type, wanted="money")
    elif field.confidentiality not in ("clear", "hidden"):
        yield finding(f"{path}.each", "not-clear", name=name, found=field.confidentiality)
    elif not field.required:
        yield finding(f"{path}.each", "not-required", name=name)


def _no_term_within(path: str, field: Field) -> Iterator[Finding]:
    for name, column in field.columns.items():
        if column.term is not None:
            yield finding(f"{path}.columns.{name}.term", "term-elsewhere")


def _term(kind: Kind, path: str, name: str, field: Field, term: Term) -> Iterator[Finding]:
    if field.type not in _DATED:
        yield finding(path, "not-for-type", member="term", type=field.type)
    if field.confidentiality not in ("clear", "hidden"):
        yield finding(path, "not-clear", name=name, found=field.confidentiality)
    if term.most is None and term.least is None:
        yield finding(path, "term-without-end")
    base = kind.fields.get(term.after)
    if term.after == BEGUN:
        return
    if base is None or term.after == name:
        yield finding(f"{path}.after", "no-such-field", name=term.after)
        return
    if base.type not in _DATED:
        yield finding(f"{path}.after", "wrong-type", name=term.after, found=base.type, wanted="date / time")
    if base.confidentiality not in ("clear", "hidden"):
        yield finding(f"{path}.after", "not-clear", name=term.after, found=base.confidentiality)
    if not base.required:
        yield finding(f"{path}.after", "not-required", name=term.after)


def _automatic(path: str, event: Event) -> Iterator[Finding]:
    """Nobody is there to bring anything: it needs a time, and nothing else."""
    needs = [
        *(name for name, field in event.data.items() if field.required),
        *event.fields,
        *event.opens,
        *event.receipts,
        *([event.value.move] if event.value is not None and event.value.move in ("raise", "lower", "split") else []),
        *(["approvals"] if event.approvals is not None and any(tier.steps for tier in event.approvals.tiers) else []),
    ]
    for name in needs:
        yield finding(f"{path}.automatic", "automatic-needs", name=name)
    if event.not_before is None or not event.from_:
        yield finding(f"{path}.automatic", "automatic-when")
