"""From events that were followed to the facts of the report: texts escaped, titles from the kind where it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from appliance.asic.chain import Line
from appliance.evidence.letters.facts import FieldFact, FileFact, Holding, Title
from appliance.letters.event import Event
from appliance.letters.fields import as_declared
from appliance.letters.kind import Bilingual, Field, Kind
from appliance.letters.money import print_amount
from appliance.letters.state import LetterState
from appliance.quoting import escape

_LONGEST = 4_000


def said(text: str) -> str:
    """A text from the file."""
    return escape(text, _LONGEST)


def title(found: Bilingual | None) -> Title | None:
    return None if found is None else Title(en=escape(found.en), zh=escape(found.zh))


def state_title(kind: Kind | None, name: str) -> Title | None:
    state = kind.states.get(name) if kind is not None else None
    return None if state is None else title(state.title)


def event_title(kind: Kind | None, name: str) -> Title | None:
    rule = kind.events.get(name) if kind is not None else None
    return None if rule is None else title(rule.title)


def amount(units: int, currency: str) -> str:
    return f"{print_amount(units, currency)} {said(currency)}" if currency else ""


def field_facts(values: Mapping[str, Any], declared: Mapping[str, Field], form: str = "clear") -> list[FieldFact]:
    return [
        FieldFact(
            name=said(name), form=form, value=said(_line(value)),
            title=title(declared[name].label) if name in declared else None, value_titles=_value_titles(value),
        )
        for name, value in as_declared(values, declared)
    ]  # fmt: skip


_YES_NO: Final = {True: "yes", False: "no"}
_YES_NO_CHINESE: Final = {True: "是", False: "否"}


def _value_titles(value: Any) -> Title | None:
    english, chinese = _line(value), _line(value, _YES_NO_CHINESE)
    return None if english == chinese else Title(en=said(english), zh=said(chinese))


def _line(value: Any, yes_no: Mapping[bool, str] = _YES_NO) -> str:
    if isinstance(value, dict):
        if set(value) == {"amount", "currency"}:
            return f"{value['amount']} {value['currency']}"
        if "name" in value and set(value) <= {"id", "name"}:
            return f"{value['name']} ({value['id']})" if "id" in value else str(value["name"])
        return ", ".join(f"{name}: {_line(one, yes_no)}" for name, one in sorted(value.items()))
    if isinstance(value, list):
        return "; ".join(_line(one, yes_no) for one in value)
    if isinstance(value, bool):
        return yes_no[value]
    return "-" if value is None else str(value)


def file_facts(files: Mapping[str, bytes]) -> list[FileFact]:
    return [
        FileFact(name=said(name), size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    ]


def holdings(line: Line, kind: Kind | None) -> list[Holding]:
    """The chain of title: each letter of the line, as it began."""
    declared = kind.fields if kind is not None else {}
    return [
        Holding(
            letter=said(state.letter),
            origin=said(state.origin or ""),
            begun=said(state.begun),
            amount=amount(state.balance, state.currency),
            fields=field_facts(_own_fields(line, state), declared),
        )
        for state in line.beginnings
    ]


def _own_fields(line: Line, state: LetterState) -> Mapping[str, Any]:
    for step in line.steps:
        for part in step.event.parts:
            if part.letter == state.letter:
                return part.fields
    return state.fields


def parts_made(event: Event) -> list[str]:
    currency = event.value.currency if event.value is not None else ""
    return [f"{part.letter}: {said(part.amount)} {said(currency)}" for part in event.parts]
