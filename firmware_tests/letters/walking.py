"""Walks through a kind by its own rules: every event, every way of it, every state, decided by the pure judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.letters.checks.life import Way, parts_states, ways
from appliance.letters.effects import value_of as value_of_letter
from appliance.letters.event import Actor, Event, KindReference, Receipt
from appliance.letters.fields import moment
from appliance.letters.judge import Asked, happened, judge
from appliance.letters.kind import Condition, Field, Kind, LoadedKind
from appliance.letters.money import parse_amount, print_amount
from appliance.letters.patterns import example
from appliance.letters.state import LetterState, begin_part, follow

ACTOR = Actor(application="core", box="0b" * 16, tenant="acme")
START = moment("2030-01-01T00:00:00Z", "")
DAY = 86_400_000_000
LETTER = "ab" * 16


@dataclass(frozen=True)
class Step:
    """One event of a walk: what was asked, and what came of it."""

    way: Way
    child: bool
    """The walk goes on with a letter that was split off."""
    asked: Asked
    others: dict[str, LetterState]
    """Letters on which it waited."""
    event: Event
    before: LetterState | None
    after: LetterState
    now_us: int


def value_of(kind: Kind, name: str, field: Field, day: int = 0) -> Any:  # JSON
    """A value that fits. Dates and times rise in the order in which the kind declares them."""
    match field.type:
        case "text":
            return example(field.pattern) if field.pattern else "合同范本 No. 7"[: field.longest]
        case "money":
            currency = field.currencies[0] if field.currencies else "CNY"
            return {"amount": print_amount(8_000_000 * 10_000, currency), "currency": currency}
        case "integer":
            return int(field.least or field.most or 7)
        case "decimal":
            return field.least or field.most or "0.5"
        case "date" | "time":
            days = 30 * (1 + day)
            text = f"20{30 + days // 360}-{1 + days % 360 // 30:02d}-10"
            return text if field.type == "date" else f"{text}T09:30:00+08:00"
        case "choice":
            return next(iter(field.choices))
        case "yes-no":
            return True
        case "digest":
            return hashlib.sha256(name.encode()).hexdigest()
        case "party":
            return {"name": "华南建设集团有限公司", "id": firm_of(name)}
        case "letter":
            return hashlib.sha256(name.encode()).hexdigest()[:32]
        case "table":
            return [{key: value_of(kind, key, column, day) for key, column in field.columns.items()}]
    raise AssertionError(field.type)


def firm_of(name: str) -> str:
    """Id of the party that stands in a field of a walk: in each field another one."""
    return f"91440101-{name}"


def values_of(kind: Kind) -> dict[str, Any]:
    """Of every field of the letter."""
    dated = [name for name, field in kind.fields.items() if field.type in ("date", "time")]
    return {
        name: value_of(kind, name, field, dated.index(name) if name in dated else 0)
        for name, field in kind.fields.items()
    }


def walks(loaded: LoadedKind) -> Iterator[list[Step]]:
    """A walk for every way of every event: the shortest that ends with it."""
    kind = loaded.kind
    shortest: dict[str | None, list[tuple[Way, bool]]] = {None: []}
    waiting: list[str | None] = [None]
    for state in waiting:
        for way, child in _links(kind):
            after = parts_states(kind, way.event)[0] if child else way.after
            if way.before == state and after not in shortest:
                shortest[after] = [*shortest[state], (way, child)]
                waiting.append(after)
    for way, child in _links(kind):
        yield list(walk(loaded, [*shortest[way.before], (way, child)]))


def _links(kind: Kind) -> list[tuple[Way, bool]]:
    return [(way, child) for way in ways(kind) for child in (False, *(True for _ in parts_states(kind, way.event)))]


def walk(loaded: LoadedKind, path: list[tuple[Way, bool]]) -> Iterator[Step]:
    """The events of a path, one after the other, as the judge decides them."""
    kind = loaded.kind
    letter: LetterState | None = None
    now = START
    for way, child in path:
        rule = kind.events[way.event]
        if rule.not_before is not None:
            now = max(now, moment(values_of(kind)[rule.not_before], kind.zone) + DAY)
        asked, others = ask(kind, way, letter)
        decision = judge(loaded, letter, asked, ACTOR, frozenset(rule.by[:1]), now, others, frozenset("*"))
        made = msgspec.structs.replace(decision.draft, at=happened(now, letter))
        before, letter = letter, follow(letter, made)
        # As the box keeps it: it knows what it hides from others.
        letter = msgspec.structs.replace(letter, hidden=letter.hidden | dict(decision.disclosures))
        assert (letter.state, decision.draft.state) == (way.after, way.after), way
        if child:
            letter = begin_part(letter, made, made.parts[0])
        yield Step(way, child, asked, others, made, before, letter, now)
        now += 3_600_000_000


def ask(kind: Kind, way: Way, letter: LetterState | None) -> tuple[Asked, dict[str, LetterState]]:
    """What is asked for that the event takes this way, with the letters on which it waits."""
    rule = kind.events[way.event]
    values = values_of(kind)
    encrypted = [name for name in rule.fields if kind.fields[name].confidentiality in ("recipients", "veiled")]
    data = {name: value_of(kind, name, field) for name, field in rule.data.items()}
    move = rule.value
    if move is not None and letter is not None and move.move in ("lower", "split", "raise"):
        units = letter.balance if way.emptied else letter.balance // 2 // 10_000 * 10_000
        money = {"amount": print_amount(units, letter.currency), "currency": letter.currency}
        if move.amount is not None:
            data[move.amount] = money
        if move.parts is not None:
            data[move.parts] = [data[move.parts][0] | {"amount": money}]
    fields = {name: values[name] for name in rule.fields if name not in encrypted}
    asked = Asked(
        way.event,
        LETTER if letter is None else letter.letter,
        fields=fields,
        data=data,
        sealed=dict.fromkeys(encrypted, "cd" * 32),
        opened={name: (values[name], "ab" * 16) for name in rule.opens},
        receipts=tuple(Receipt(digest="ef" * 32, number="0001", registry=one) for one in rule.receipts),
        parts=("12" * 16,) if move is not None and move.move == "split" else (),
    )
    known = fields | data
    if letter is not None:
        known = {name: value_of_letter(letter, name) for name in letter.hidden} | letter.fields | known
    others = {}
    for condition in rule.conditions:
        other = known[condition.letter]
        others[other] = LetterState(
            letter=other,
            kind=KindReference(digest="00" * 32, id=condition.kinds[0], version=1),
            state=condition.states[0],
            number=1,
            head="00" * 32,
            fields={theirs: known[own] for own, theirs in condition.same.items()}
            | _compared(condition, known, asked)
            | _enough(condition, known),
            balance=next((worth(known[one.own]) for one in condition.compare if one.theirs == "@balance"), 0),
            currency="CNY",
        )
    return asked, others


def _enough(condition: Condition, known: dict[str, Any]) -> dict[str, Any]:
    """The other letter's amount, of which this event uses up all."""
    serves = condition.serves
    if serves is None or serves.each is None or isinstance(serves.at_most, int):
        return {}
    return {serves.at_most: known[serves.each]}


def _compared(condition: Condition, known: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Fields of the other letter with which every comparison holds."""
    made: dict[str, Any] = {}
    for one in condition.compare:
        if one.theirs.startswith("@") or (one.of and condition.kinds[0] not in one.of):
            continue
        head, _, member = one.own.partition(".")
        value = asked.letter if head == "@letter" else known[head]
        name, _, part = one.theirs.partition(".")
        if isinstance(value, list):
            value = [{part: row[member]} for row in value]
        elif part:
            value = {part: value[member] if member else value}
        made[name] = value
    return made


def worth(money: Any) -> int:  # JSON
    return parse_amount(money["amount"], money["currency"])
