"""Fields and what names them: types, limits, labels; what the public sees; uniqueness and quotas."""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from appliance.letters.checks.life import after_split, shared
from appliance.letters.checks.rules import PATTERN_REASONS, Finding, finding
from appliance.letters.errors import FieldRefused
from appliance.letters.fields import check_value, moment, parse_limit, plain_text
from appliance.letters.kind import Bilingual, Field, Kind, Quota
from appliance.letters.kind import Decimal as Amount
from appliance.letters.money import DIGITS
from appliance.letters.patterns import PatternRefused, check_pattern

LABEL: Final = {"en": 60, "zh": 30}
"""Characters of a label or title that fit a form, a button and the picture."""
_LIMITED: Final = frozenset({"money", "integer", "decimal", "date", "time"})
_LONG: Final = frozenset({"text", "party", "table"})
_ASKED: Final = frozenset({"text", "party", "money", "date", "integer", "decimal"})
"""Types of the second field: what is typed in, and not guessed at one go."""


def declared(kind: Kind) -> Iterator[Finding]:
    """Every finding about fields, labels, public, unique and quotas."""
    yield from _labels(kind)
    for name, field in kind.fields.items():
        yield from _field(f"fields.{name}", field)
    for event_name, event in kind.events.items():
        for name, field in event.data.items():
            where = f"events.{event_name}.data.{name}"
            yield from _field(where, field)
            if field.confidentiality != "clear":
                yield finding(f"{where}.confidentiality", "part-not-clear")
    set_somewhere = {name for event in kind.events.values() for name in event.fields}
    for name in kind.fields.keys() - set_somewhere:
        yield finding(f"fields.{name}", "field-unset")
    yield from _public(kind)
    yield from _unique(kind)
    yield from _quotas(kind)


def named(kind: Kind, path: str, name: str, *types: str) -> Iterator[Finding]:
    """The name of a clear field of the letter, of one of the types, if any are given."""
    field = kind.fields.get(name)
    if field is None:
        yield finding(path, "no-such-field", name=name)
        return
    if types and field.type not in types:
        yield finding(path, "wrong-type", name=name, found=field.type, wanted=" / ".join(types))
    if field.confidentiality != "clear":
        yield finding(path, "not-clear", name=name, found=field.confidentiality)


def twice(path: str, names: list[str] | tuple[str, ...]) -> Iterator[Finding]:
    """Names that stand twice in a list."""
    for name in {name for name in names if names.count(name) > 1}:
        yield finding(path, "named-twice", name=name)


def _labels(kind: Kind) -> Iterator[Finding]:
    yield from _label("title", kind.title)
    yield from _clean("about", kind.about)
    for part, titled in (("states", kind.states), ("events", kind.events), ("quotas", kind.quotas)):
        members: Mapping[str, Any] = titled
        for name, one in members.items():
            yield from _label(f"{part}.{name}.title", one.title)
    yield from twice("languages", kind.languages)


def _label(path: str, label: Bilingual) -> Iterator[Finding]:
    for language, most in LABEL.items():
        length = len(getattr(label, language))
        if length > most:
            yield finding(f"{path}.{language}", "label-long", length=str(length), most=str(most))
    yield from _clean(path, label)


def _clean(path: str, words: Bilingual) -> Iterator[Finding]:
    for language in LABEL:
        try:
            plain_text(getattr(words, language), 1000)
        except ValueError as error:
            yield finding(f"{path}.{language}", "label-unclean", said=str(error))


def _field(path: str, field: Field, *, column: bool = False) -> Iterator[Finding]:
    yield from _label(f"{path}.label", field.label)
    for member, types in (
        ("pattern", {"text"}),
        ("least", _LIMITED),
        ("most", _LIMITED),
        ("currencies", {"money"}),
        ("choices", {"choice"}),
        ("columns", {"table"}),
        ("identified", {"party"}),
    ):
        if getattr(field, member) and field.type not in types:
            yield finding(f"{path}.{member}", "not-for-type", member=member, type=field.type)
    if field.longest != 200 and field.type not in _LONG:
        yield finding(f"{path}.longest", "not-for-type", member="longest", type=field.type)
    for name, label in field.choices.items():
        yield from _label(f"{path}.choices.{name}", label)
    if field.type == "choice" and not field.choices:
        yield finding(path, "no-choices")
    if field.pattern is not None:
        yield from _pattern(f"{path}.pattern", field.pattern)
    for index, currency in enumerate(field.currencies):
        if currency not in DIGITS:
            yield finding(f"{path}.currencies[{index}]", "currency-unknown", name=currency)
    yield from twice(f"{path}.currencies", field.currencies)
    if field.type in _LIMITED:
        yield from _limits(path, field)
    if column and field.type == "table":
        yield finding(f"{path}.type", "table-within")
    elif field.type == "table":
        if not field.columns:
            yield finding(path, "no-columns")
        for name, one in field.columns.items():
            yield from _field(f"{path}.columns.{name}", one, column=True)
            if one.confidentiality != "clear":
                yield finding(f"{path}.columns.{name}.confidentiality", "part-not-clear")


def _pattern(path: str, pattern: str) -> Iterator[Finding]:
    try:
        check_pattern(pattern)
    except PatternRefused as error:
        yield finding(path, "pattern-refused", said=PATTERN_REASONS[error.reason], place=str(error.place + 1))


def _limits(path: str, field: Field) -> Iterator[Finding]:
    """A limit is written as a value of the type is; `least` is not above `most`."""
    read: dict[str, Any] = {}
    for member in ("least", "most"):
        text = getattr(field, member)
        if text is None:
            continue
        try:
            read[member] = _read_limit(field.type, text)
        except (ValueError, FieldRefused) as error:
            said = str(error).removeprefix(": ")
            yield finding(f"{path}.{member}", "bad-limit", text=text, type=field.type, said=said)
    if len(read) == 2 and read["least"] > read["most"]:
        yield finding(f"{path}.least", "limits-crossed", least=str(field.least), most=str(field.most))


def _read_limit(type_: str, text: str) -> Any:  # something that can be compared with its like
    """Raises ValueError."""
    if type_ == "money":
        return parse_limit(msgspec.convert(text, Amount))
    if type_ == "integer":
        if str(int(text)) != text:
            raise ValueError("write it in plain digits")
        return int(text)
    check_value(_BARE[type_], text, "")
    if type_ == "decimal":
        return decimal.Decimal(text)
    return moment(text, "+00:00")


_WORDS = Bilingual(en="-", zh="-")
_BARE: Final = {
    "decimal": Field(label=_WORDS, type="decimal"),
    "date": Field(label=_WORDS, type="date"),
    "time": Field(label=_WORDS, type="time"),
}


def _public(kind: Kind) -> Iterator[Finding]:
    for index, name in enumerate(kind.public):
        yield from named(kind, f"public[{index}]", name)
    yield from twice("public", kind.public)
    if kind.second is not None:
        yield from named(kind, "second", kind.second, *sorted(_ASKED))
        if kind.second in kind.fields and not kind.fields[kind.second].required:
            yield finding("second", "not-required", name=kind.second)
    elif kind.public:
        yield finding("public", "no-second")
    if kind.pair is not None:
        for index, name in enumerate(kind.pair.fields):
            yield from _member(kind, f"pair.fields[{index}]", name, hidden=True)
            field = kind.fields.get(name.partition(".")[0])
            if field is not None and not field.required:
                yield finding(f"pair.fields[{index}]", "not-required", name=name)
        yield from twice("pair.fields", kind.pair.fields)
        if kind.pair.from_ is not None:
            yield from named(kind, "pair.from", kind.pair.from_, "date", "time")
            if kind.pair.from_ in kind.fields and not kind.fields[kind.pair.from_].required:
                yield finding("pair.from", "not-required", name=kind.pair.from_)


def _unique(kind: Kind) -> Iterator[Finding]:
    for unique_name, unique in kind.unique.items():
        path = f"unique.{unique_name}"
        for index, name in enumerate(unique.fields):
            yield from _member(kind, f"{path}.fields[{index}]", name, hidden=True)
            field = kind.fields.get(name.partition(".")[0])
            if field is not None and not field.required and len(unique.fields) > 1:
                yield finding(f"{path}.fields[{index}]", "not-required", name=name.partition(".")[0])
        yield from twice(f"{path}.fields", unique.fields)
        split = after_split(kind)
        for index, state in enumerate(unique.free_in):
            if state not in kind.states:
                yield finding(f"{path}.free_in[{index}]", "no-such-state", name=state)
            elif state in split:
                yield finding(f"{path}.free_in[{index}]", "freed-with-parts", name=state)
        yield from twice(f"{path}.free_in", unique.free_in)
        if unique.capacity is None:
            continue
        field = kind.fields.get(unique.capacity)
        where = f"{path}.capacity"
        if field is None:
            yield finding(where, "no-such-field", name=unique.capacity)
        elif field.type != "money":
            yield finding(where, "wrong-type", name=unique.capacity, found=field.type, wanted="money")
        elif field.confidentiality not in ("clear", "hidden"):
            yield finding(where, "not-clear", name=unique.capacity, found=field.confidentiality)
        elif not field.required:
            yield finding(where, "not-required", name=unique.capacity)
        if kind.value is None or kind.value.rule != "balance":
            yield finding(where, "capacity-without-balance")
        elif field is not None and field.type == "money":
            worth = kind.fields.get(kind.value.amount)
            if worth is None or len(field.currencies) != 1 or worth.currencies != field.currencies:
                yield finding(where, "capacity-currencies", name=unique.capacity, other=kind.value.amount)
    yield from _unheld(kind)


def _unheld(kind: Kind) -> Iterator[Finding]:
    """A part holds nothing, its origin holds for both: what is unique stays as it was when the letter was split."""
    fields = {name.partition(".")[0] for unique in kind.unique.values() for name in unique.fields}
    split = shared(kind)
    for event_name, event in kind.events.items():
        path = f"events.{event_name}"
        for index, name in enumerate(event.fields):
            if name in fields and not split.isdisjoint(event.from_):
                yield finding(f"{path}.fields[{index}]", "unique-after-split", name=name)
        move = event.value
        if kind.value is None or move is None or move.move != "split" or move.parts not in event.data:
            continue
        for column in event.data[move.parts].columns:
            if (kind.value.amount if column == "amount" else column) in fields:
                where = f"{path}.data.{move.parts}.columns.{column}"
                yield finding(where, "unique-after-split", name=kind.value.amount if column == "amount" else column)


def _member(kind: Kind, path: str, name: str, *, hidden: bool) -> Iterator[Finding]:
    """A field's name, or `field.name`, `field.id` of a party."""
    head, dot, member = name.partition(".")
    field = kind.fields.get(head)
    if field is None:
        yield finding(path, "no-such-field", name=head)
        return
    if dot and (field.type != "party" or member not in ("name", "id")):
        yield finding(path, "no-such-member", name=name)
    elif member == "id" and not field.identified:
        yield finding(path, "id-optional", name=head)
    elif not dot and field.type == "party":
        yield finding(path, "party-whole", name=head)
    if field.type == "table":
        yield finding(path, "wrong-type", name=head, found="table", wanted="text / party / ...")
    if field.confidentiality not in (("clear", "hidden") if hidden else ("clear",)):
        yield finding(path, "not-clear", name=head, found=field.confidentiality)


def _quotas(kind: Kind) -> Iterator[Finding]:
    for quota_name, quota in kind.quotas.items():
        path = f"quotas.{quota_name}"
        if quota.measure == "value" and kind.value is None and not quota.events:
            yield finding(f"{path}.measure", "measure-without-value")
        if quota.by is not None:
            yield from _member(kind, f"{path}.by", quota.by, hidden=True)
        if quota.events and quota.period == "outstanding":
            yield finding(f"{path}.period", "counted-outstanding")
        if quota.amount is not None and (not quota.events or quota.measure != "value"):
            yield finding(f"{path}.amount", "counts-no-event")
        yield from twice(f"{path}.events", quota.events)
        for index, name in enumerate(quota.events):
            yield from _counted_event(kind, quota, f"{path}.events[{index}]", name)
    if kind.metered_by is not None:
        yield from _member(kind, "metered_by", kind.metered_by, hidden=True)


def _counted_event(kind: Kind, quota: Quota, path: str, name: str) -> Iterator[Finding]:
    event = kind.events.get(name)
    if event is None:
        yield finding(path, "no-such-event", name=name)
    elif quota.measure == "value" and quota.amount is None:
        if event.value is None:
            yield finding(path, "event-moves-nothing", name=name)
    elif quota.amount is not None:
        field = event.data.get(quota.amount)
        if field is None:
            yield finding(path, "no-such-field", name=quota.amount)
        elif field.type != "money":
            yield finding(path, "wrong-type", name=quota.amount, found=field.type, wanted="money")
        elif not field.required:
            yield finding(path, "not-required", name=quota.amount)
