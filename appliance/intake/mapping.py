"""From headers to a plan: what the caller says, and else the headers that are a field's name or its label.

A header matches whatever its case, blanks and punctuation: `project_number`, `Project number` and `项目编号`.
Members of money and parties have headers of their own: `amount.currency`, `Debtor ID`, `被担保人编号`.
What a label says in brackets may be left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from appliance.intake.errors import IntakeRefused
from appliance.intake.form import Form
from appliance.intake.plan import FieldPlan, Plan
from appliance.letters.fields import plain_text
from appliance.letters.kind import Event, Field, Kind

LETTER: Final = "letter"
MOST_COLUMNS: Final = 1_000
HEADER_CHARACTERS: Final = 200
_WORDS: Final = {
    "name": ("name", "名称"),
    "id": ("id", "编号", "证件号码"),
    "amount": ("amount", "金额"),
    "currency": ("currency", "币种"),
}
_MEMBERS: Final = {"party": ("name", "id"), "money": ("amount", "currency")}
_RECEIPT: Final = {"number": ("number", "编号"), "receipt": ("receipt", "回执")}
"""Members of a receipt, with the words that a header has for them."""
_LETTER_HEADERS: Final = ("letter", "letter id", "函件", "函件编号")
ENCRYPTED: Final = ("recipients", "veiled")
"""Confidentiality of fields that their sender encrypts: a row carries the envelope, in base64."""
_ASIDE = re.compile(r"\s*[(（][^)）]*[)）]")
_PUNCTUATION = re.compile(r"[\s._/()（）:：-]+")


def default_mapping(kind: Kind, event: str) -> dict[str, str]:
    """Places (`fields.NAME`, `fields.NAME.MEMBER`, `data.NAME`, `receipts.REGISTRY.MEMBER`, `letter`) by the normal
    form of the headers that mean them. A header that could mean two is left out. Raises IntakeRefused."""
    rule = _rule(kind, event)
    found: dict[str, set[str]] = {}
    for where, fields in _settable(kind, rule).items():
        for name, field in fields.items():
            for header, place in _headers(where, name, field):
                found.setdefault(normal_form(header), set()).add(place)
    for place, words in _receipts(rule).items():
        for header in words:
            found.setdefault(normal_form(header), set()).add(place)
    if rule.from_:
        for header in _LETTER_HEADERS:
            found.setdefault(normal_form(header), set()).add(LETTER)
    return {header: places.pop() for header, places in found.items() if len(places) == 1}


def make_plan(
    kind: Kind,
    event: str,
    form: Form,
    header: Sequence[str],
    mapping: Mapping[str, str | None],
    constants: Mapping[str, Any],
    key: Sequence[str],
) -> Plan:
    """The plan of a file. `header`: its headers, of NDJSON none; `mapping`: places by header, None to pass a column
    over; `key`: headers of the columns by which rows are known again. Raises IntakeRefused, naming the column."""
    rule = _rule(kind, event)
    known = default_mapping(kind, event)
    places: list[str | None]
    ignored: list[str] = []
    if form.format == "ndjson":
        ignored = [name for name, place in mapping.items() if place is None]
        named = _json_names(kind, rule, mapping)
        columns, places = list(named), list(named.values())
    else:
        columns = check_header(header)
        for name in mapping:
            if name not in columns:
                raise IntakeRefused(f"column {name!r}: the mapping names it and the file has none of that name")
        places = [_place(name, mapping, known) for name in columns]
    wanted = _settable(kind, rule)
    gathered: dict[tuple[str, str], dict[str, int]] = {}
    receipts = _receipts(rule)
    letter: int | None = None
    for at, (name, place) in enumerate(zip(columns, places, strict=True)):
        if place is None:
            continue
        if place == LETTER and rule.from_:
            if letter is not None:
                raise IntakeRefused(f"column {name!r}: another column names the letter")
            letter = at
            continue
        where, field, member = place.split(".") if place in receipts else _target(name, place, wanted)
        members = gathered.setdefault((where, field), {})
        if member in members:
            raise IntakeRefused(f"column {name!r}: {columns[members[member]]!r} is the same value, {place}")
        members[member] = at
    if rule.from_ and letter is None:
        raise IntakeRefused("no column names the letter whose event a row is: call it `letter`, or map one to it")
    fields = [
        _field_plan(kind, where, name, wanted[where][name], members)
        for (where, name), members in gathered.items()
        if where in wanted
    ]
    for place in constants:
        where, field, member = _target(place, place, wanted)
        if wanted[where][field].confidentiality in ENCRYPTED:
            raise IntakeRefused(f"constant {place!r}: its sender encrypts it for each letter anew")
        if member and wanted[where][field].type in _MEMBERS and "." in place.removeprefix(f"{where}.{field}"):
            raise IntakeRefused(f"constant {place!r}: give the whole value")
        if (where, field) in gathered:
            raise IntakeRefused(f"constant {place!r}: the file has a column for it")
    _check_complete(kind, rule, gathered, constants)
    return Plan(
        columns=columns, ignored=ignored, fields=fields, letter=letter, key=_key(columns, key),
        constants=dict(constants), receipts={field: gathered["receipts", field] for field in rule.receipts},
    )  # fmt: skip


def check_header(header: Sequence[str]) -> list[str]:
    """The headers, if each is there, once, and shows. Raises IntakeRefused."""
    if not header or len(header) > MOST_COLUMNS:
        raise IntakeRefused(f"a file has 1 to {MOST_COLUMNS} columns, and this one {len(header)}")
    columns: list[str] = []
    for at, name in enumerate(header, start=1):
        try:
            text = plain_text(name.strip(), HEADER_CHARACTERS)
        except ValueError as error:
            raise IntakeRefused(f"row 1, column {at}: its header: {error}") from None
        if text in columns:
            raise IntakeRefused(f"row 1, column {at}: the header {text!r} stands there twice")
        columns.append(text)
    return columns


def normal_form(header: str) -> str:
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", header).casefold())


def _rule(kind: Kind, event: str) -> Event:
    rule = kind.events.get(event)
    if rule is None:
        raise IntakeRefused(f"{kind.id} has no event {event!r}; it has {', '.join(kind.events)}")
    if rule.opens or (rule.value is not None and rule.value.move == "split"):
        raise IntakeRefused(f"{event} needs codes or a split: it is no event of a batch")
    return rule


def _settable(kind: Kind, rule: Event) -> dict[str, dict[str, Field]]:
    return {"fields": {name: kind.fields[name] for name in rule.fields}, "data": dict(rule.data)}


def _receipts(rule: Event) -> dict[str, list[str]]:
    """Headers by the place of each member of the receipts that the event takes."""
    return {
        f"receipts.{registry}.{member}": [f"receipts.{registry}.{member}", *(f"{registry} {word}" for word in words)]
        for registry in rule.receipts
        for member, words in _RECEIPT.items()
    }


def _headers(where: str, name: str, field: Field) -> Iterable[tuple[str, str]]:
    place = f"{where}.{name}"
    labels = (field.label.en, field.label.zh)
    words = (name, place, *labels, *(_ASIDE.sub("", label) for label in labels))
    members = () if field.confidentiality in ENCRYPTED else _MEMBERS.get(field.type, ())
    for word in words:
        yield word, f"{place}.{members[0]}" if members else place
        for member in members:
            for said in _WORDS[member]:
                yield f"{word} {said}", f"{place}.{member}"


def _place(name: str, mapping: Mapping[str, str | None], known: Mapping[str, str]) -> str | None:
    if name in mapping:
        return mapping[name]
    place = known.get(normal_form(name))
    if place is None:
        raise IntakeRefused(
            f"column {name!r}: no field is called so; map it to one, or to null so that it is passed over"
        )
    return place


def _json_names(kind: Kind, rule: Event, mapping: Mapping[str, str | None]) -> dict[str, str]:
    """Places by the names that a line of NDJSON may have: those of the mapping, and of fields the names alone."""
    named = {name: place for name, place in mapping.items() if place is not None}
    taken = set(named.values()) | set(mapping)
    settable = _settable(kind, rule)
    for where, fields in settable.items():
        for name in fields:
            both = name in settable["fields"] and name in settable["data"]
            header = f"{where}.{name}" if both else name
            if f"{where}.{name}" not in taken and header not in mapping:
                named[header] = f"{where}.{name}"
    named |= {place.removeprefix("receipts."): place for place in _receipts(rule) if place not in taken}
    if rule.from_ and LETTER not in taken:
        named[LETTER] = LETTER
    return named


def _target(name: str, place: str, wanted: Mapping[str, Mapping[str, Field]]) -> tuple[str, str, str]:
    """(where, field, member) of a place. Raises IntakeRefused."""
    where, _, rest = place.partition(".")
    field, _, member = rest.partition(".")
    declared = wanted.get(where, {}).get(field)
    if declared is None:
        raise IntakeRefused(f"column {name!r}: {place!r} is no value that this event takes")
    members = () if declared.confidentiality in ENCRYPTED else _MEMBERS.get(declared.type, ())
    if member and member not in members:
        raise IntakeRefused(f"column {name!r}: {field} is of type {declared.type} and has no member {member!r}")
    return where, field, member


def _field_plan(kind: Kind, where: str, name: str, field: Field, members: dict[str, int]) -> FieldPlan:
    choices = {
        spelled.casefold(): choice
        for choice, words in field.choices.items()
        for spelled in (choice, words.en, words.zh)
    }
    one = field.currencies[0] if len(field.currencies) == 1 else None
    clear: Literal["fields", "data"] = "fields" if where == "fields" else "data"
    return FieldPlan(
        where="envelopes" if field.confidentiality in ENCRYPTED else clear, name=name, type=field.type,
        columns=members, currency=one,
        choices=choices, zone=kind.zone,
    )  # fmt: skip


def _check_complete(
    kind: Kind, rule: Event, gathered: Mapping[tuple[str, str], Mapping[str, int]], constants: Mapping[str, Any]
) -> None:
    begins = not rule.from_
    for where, fields in _settable(kind, rule).items():
        for name, field in fields.items():
            needed = field.required and (begins or where == "data")
            if needed and (where, name) not in gathered and f"{where}.{name}" not in constants:
                raise IntakeRefused(f"no column is {name} ({field.label.en}, {field.label.zh}), which is required")

    for registry in rule.receipts:
        for member in _RECEIPT:
            if member not in gathered.get(("receipts", registry), {}):
                raise IntakeRefused(f"no column is the {member} of {registry}'s receipt: call it {registry} {member}")


def _key(columns: Sequence[str], key: Sequence[str]) -> list[int]:
    for name in key:
        if name not in columns:
            raise IntakeRefused(f"column {name!r}: rows are to be known by it, and the file has none of that name")
    return [columns.index(name) for name in key]
