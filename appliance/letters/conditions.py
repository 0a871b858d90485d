"""Conditions on other letters: looked at one by one, so that a refusal can tell all of them. Pure.

What was found holds for the heads that were looked at; the recorder compares those in the transaction that records the
event, so that no change of another letter slips by, and counts what a letter serves (appliance.recorder.letters).
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from appliance.letters.errors import ConditionNotMet
from appliance.letters.event import Reference
from appliance.letters.fields import moment
from appliance.letters.kind import BALANCE, LETTER, Comparison, Condition, Event, Kind, Serves
from appliance.letters.money import parse_amount, print_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use

SERVES: Final = "serves_"
"""Before what a letter serves as, in the name of its claim; no rule of uniqueness can begin so."""
_WITHHELD: Final = "there is no such letter, or none that is told of here"


@dataclass(frozen=True)
class Values:
    """What an event brings and its letter has, to be compared."""

    letter: str
    data: Mapping[str, Any]
    fields: Mapping[str, Any]
    """Of the letter after the event, those of hidden fields too."""
    before: LetterState | None


@dataclass(frozen=True)
class Looked:
    """One condition, looked at."""

    where: str
    """JSON pointer of the field that names the other letter."""
    other: LetterState | None
    named: str | None
    """Id that the field holds."""
    failed: str | None
    """Why it does not hold, after a JSON pointer; None: it holds."""


def look(kind: Kind, rule: Event, values: Values, others: Mapping[str, LetterState], now_us: int) -> list[Looked]:
    """Every condition of an event, in order. `others`: the tenant's letters that conditions name, by id."""
    return [_look(kind, rule, one, values, others, now_us) for one in rule.conditions]


def settle(rule: Event, values: Values, looked: list[Looked]) -> tuple[tuple[Reference, ...], tuple[Use, ...]]:
    """What the event refers to, and how often letters serve. Raises ConditionNotMet with the first that fails."""
    references: list[Reference] = []
    uses: list[Use] = []
    for condition, one in zip(rule.conditions, looked, strict=True):
        if one.failed is not None or one.other is None:
            raise ConditionNotMet(one.failed or "", tuple(looked))
        other = one.other
        references.append(Reference(field=condition.letter, head=other.head, letter=other.letter, state=other.state))
        serves = condition.serves
        if serves is not None:
            uses += _served(rule, condition.letter, serves, values, other)
    return tuple(references), tuple(uses)


def withhold(error: ConditionNotMet, kinds: Collection[str]) -> ConditionNotMet:
    """The same refusal for somebody who is told of letters of these kinds only: of any other one as of one that is not
    there, whatever was found (control CHANNEL)."""
    looked = [
        one
        if one.other is not None and one.other.kind.id in kinds
        else replace(one, other=None, failed=f"{one.where}: {_WITHHELD}")
        for one in error.looked
    ]
    first = next((one.failed for one in looked if one.failed is not None), str(error))
    return ConditionNotMet(first, tuple(looked))


def _served(rule: Event, name: str, serves: Serves, values: Values, other: LetterState) -> list[Use]:
    most = serves.at_most if isinstance(serves.at_most, int) else other.fields.get(serves.at_most)
    amount = 1
    if serves.each is not None:
        each = (values.data if serves.each in rule.data else values.fields).get(serves.each)
        if not isinstance(each, Mapping) or not isinstance(most, Mapping) or each["currency"] != most["currency"]:
            raise ConditionNotMet(f"{_pointer(rule, serves.each)}: {name} serves in another currency, or not at all")
        amount, most = (parse_amount(one["amount"], one["currency"]) for one in (each, most))
    if not isinstance(most, int) or not amount:
        return []
    return [Use("", SERVES + serves.name, (other.letter,), amount, most)]


def _look(
    kind: Kind, rule: Event, condition: Condition, values: Values, others: Mapping[str, LetterState], now_us: int
) -> Looked:
    name = condition.letter
    where = f"/data/{name}" if name in rule.data else f"/fields/{name}"
    wanted = values.data.get(name) if name in rule.data else values.fields.get(name)
    named = wanted if isinstance(wanted, str) else None
    other = others.get(named) if named is not None and named != values.letter else None
    if named == values.letter:
        failed: str | None = f"{where}: a letter is no condition of its own"
    elif other is None:
        failed = f"{where}: there is no such letter"
    else:
        failed = _fails(kind, rule, condition, values, other, now_us, where)
    return Looked(where, other, named, failed)


def _fails(
    kind: Kind, rule: Event, condition: Condition, values: Values, other: LetterState, now_us: int, where: str
) -> str | None:
    if other.kind.id not in condition.kinds:
        return f"{where}: it is a {other.kind.id}; wanted {' or '.join(condition.kinds)}"
    if other.state not in condition.states:
        return f"{where}: it is {other.state}; wanted {' or '.join(condition.states)}"
    for own, theirs in condition.same.items():
        if values.fields.get(own) is None or values.fields.get(own) != other.fields.get(theirs):
            return f"/fields/{own}: it is not the same as {theirs} of the letter in {where}"
    until = None if condition.not_after is None else other.fields.get(condition.not_after)
    if until is not None and now_us > moment(until, kind.zone, end=True):
        return f"{where}: its {condition.not_after}, {until}, is past"
    for one in condition.compare:
        if (not one.of or other.kind.id in one.of) and not _holds(kind, rule, one, values, other):
            pointer = _pointer(rule, one.own)
            return f"{pointer}: it is not {_SAID[one.is_]} {one.theirs.lstrip('@')} of the letter in {where}"
    return None


_SAID: Final = {"equal": "the same as", "at-most": "at most", "at-least": "at least", "within": "within"}


def _pointer(rule: Event, own: str) -> str:
    if own.startswith("@"):
        return f"/{own[1:]}"
    return f"/{'data' if own.partition('.')[0] in rule.data else 'fields'}/{own.replace('.', '/')}"


def _holds(kind: Kind, rule: Event, one: Comparison, values: Values, other: LetterState) -> bool:
    mine, theirs = _own(rule, one.own, values), _theirs(one.theirs, other)
    if not mine or not theirs:
        return False
    if one.is_ == "within":
        return all(value in theirs for value in mine)
    if len(mine) != 1 or len(theirs) != 1:
        return False
    try:
        type_, ordered = _type(kind, rule, one.own), one.is_ != "equal"
        left, right = (_comparable(type_, value, ordered=ordered) for value in (mine[0], theirs[0]))
        return _COMPARED[one.is_](left, right)
    except (ValueError, TypeError, KeyError, ArithmeticError):  # of two currencies, or not what the type says
        return False


def _own(rule: Event, place: str, values: Values) -> list[Any]:
    if place == LETTER:
        return [values.letter]
    if place == BALANCE:
        return _balance(values.before)
    return _at(values.data if place.partition(".")[0] in rule.data else values.fields, place)


def _theirs(place: str, other: LetterState) -> list[Any]:
    if place == LETTER:
        return [other.letter]
    return _balance(other) if place == BALANCE else _at(other.fields, place)


def _balance(letter: LetterState | None) -> list[Any]:
    if letter is None or not letter.currency:
        return []
    return [{"amount": print_amount(letter.balance, letter.currency), "currency": letter.currency}]


def _at(fields: Mapping[str, Any], place: str) -> list[Any]:
    """The values of a field: several of a column of a table."""
    head, _, member = place.partition(".")
    value = fields.get(head)
    if member and isinstance(value, list):
        return [row[member] for row in value if isinstance(row, Mapping) and member in row]
    if member:
        value = value.get(member) if isinstance(value, Mapping) else None
    return [] if value is None else [value]


def _type(kind: Kind, rule: Event, place: str) -> str:
    if place.startswith("@"):
        return "money" if place == BALANCE else "letter"
    head, _, member = place.partition(".")
    if member:
        return "text"
    return (rule.data.get(head) or kind.fields[head]).type


def _comparable(type_: str, value: Any, *, ordered: bool) -> Any:  # JSON; what can be compared with its like
    """Raises ValueError, TypeError, KeyError, ArithmeticError: of another shape than the type, or without an order."""
    if type_ == "money":
        return _Money(parse_amount(value["amount"], value["currency"]), value["currency"])
    if type_ == "integer":
        if type(value) is not int:
            raise TypeError("no integer")
        return value
    if type_ in ("decimal", "date", "time"):
        if not isinstance(value, str):
            raise TypeError("no text")
        if type_ == "decimal":
            return decimal.Decimal(value)
        return datetime.date.fromisoformat(value) if type_ == "date" else moment(value, "+00:00")
    if ordered:
        raise TypeError("without an order")
    return value


@dataclass(frozen=True)
class _Money:
    units: int
    currency: str

    def __le__(self, other: _Money) -> bool:
        if self.currency != other.currency:
            raise ValueError("amounts of two currencies")
        return self.units <= other.units


_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "equal": lambda left, right: bool(left == right),
    "at-most": lambda left, right: bool(left <= right),
    "at-least": lambda left, right: bool(right <= left),
}
