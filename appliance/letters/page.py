"""A letter as people read it: its kind's labels and its values, for the template that sets letters. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from appliance.instants import local_day, zone_of
from appliance.letters.kind import Bilingual, Field, LoadedKind
from appliance.letters.money import print_amount
from appliance.letters.state import LetterState
from appliance.pdf import Circumstances, Column, LetterPage, Pair, Row, Section, Table

DOCUMENT: Final = "letter.pdf"
"""Name of the letter's page beside its event."""
PAGE_RULES: Final = 1
"""Version of what stands here: another one wherever an event's page would come out otherwise. Pages made by other
versions are not compared with their events (appliance.evidence.letters.pages)."""
_YES_NO = {True: Pair(zh="是", en="Yes"), False: Pair(zh="否", en="No")}
_HIDDEN = Pair(zh="（不公开）", en="(not shown)")
_VEILED = Pair(zh="（密文，开启后可见）", en="(encrypted until it is opened)")
_STATE = Bilingual(en="State", zh="状态")
_BALANCE = Bilingual(en="Outstanding", zh="余额")
_EVENT = Bilingual(en="Event", zh="事项")


def letter_page(
    loaded: LoadedKind,
    after: LetterState,
    event: str,
    digest: str,
    organisation: str,
    *,
    verify: str,
    rehearsal: bool,
) -> LetterPage:
    """The page of a letter after an event. `digest`: SHA-256 of the event's JSON, which travels inside the PDF;
    `organisation`: the tenant's registered name; `verify`: where
    the letter can be checked, printed below the QR."""
    kind = loaded.kind
    standing = [
        Row(_pair(_EVENT), _pair(kind.events[event].title)),
        Row(_pair(_STATE), _pair(kind.states[after.state].title)),
    ]
    if after.currency:
        left = _grouped(print_amount(after.balance, after.currency))
        standing.append(Row(_pair(_BALANCE), f"{after.currency} {left}"))
    named = {name: field for name, field in kind.fields.items() if field.type != "table"}
    facts = [
        Row(_pair(field.label), _shown(after, name, field, kind.zone))
        for name, field in named.items()
        if _has(after, name)
    ]
    tables = [
        _table(field, after.fields[name], kind.zone)
        for name, field in kind.fields.items()
        if field.type == "table" and name in after.fields
    ]
    return LetterPage(
        title=_pair(kind.title),
        issuer=Pair(zh=organisation, en=organisation),
        number=after.letter,
        date=local_day(after.changed, kind.zone),
        kind=f"{kind.id} {kind.version} · {loaded.digest[:16]}",
        digest=digest,
        statement=[_pair(kind.about)],
        sections=[Section(rows=facts), Section(rows=standing)],
        tables=tables,
        seals=[Pair(zh=organisation, en=organisation)],
        verify=verify,
        rehearsal=rehearsal,
        circumstances=Circumstances(
            rules=PAGE_RULES, organisation=organisation, verify=verify, rehearsal=rehearsal,
            hidden=[name for name in kind.fields if name in after.hidden and name not in after.fields],
        ),
    )  # fmt: skip


def _pair(text: Bilingual) -> Pair:
    return Pair(zh=text.zh, en=text.en)


def _has(state: LetterState, name: str) -> bool:
    return name in state.fields or name in state.hidden or name in state.sealed


def _shown(state: LetterState, name: str, field: Field, zone: str) -> str | Pair:
    if name in state.fields:
        return _value(field, state.fields[name], zone)
    return _HIDDEN if name in state.hidden else _VEILED


def _value(field: Field, value: Any, zone: str) -> str | Pair:  # JSON that appliance.letters.fields has checked
    if field.type == "money":
        return f"{value['currency']} {_grouped(value['amount'])}"
    if field.type == "party":
        return f"{value['name']}（{value['id']}）" if "id" in value else str(value["name"])
    if field.type == "choice":
        return _pair(field.choices[value])
    if field.type == "yes-no":
        return _YES_NO[value]
    if field.type == "time":
        shown = datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(zone_of(zone))
        return f"{shown.replace(tzinfo=None).isoformat(' ')} {zone}"
    return str(value)


def _table(field: Field, rows: list[Mapping[str, Any]], zone: str) -> Table:
    columns = [
        Column(_pair(column.label), number=column.type in ("money", "integer", "decimal"))
        for column in field.columns.values()
    ]
    cells = [[_cell(column, row.get(name), zone) for name, column in field.columns.items()] for row in rows]
    return Table(columns=columns, rows=cells, title=_pair(field.label))


def _cell(field: Field, value: Any, zone: str) -> str:  # JSON
    if value is None:
        return ""
    shown = _value(field, value, zone)
    return shown if isinstance(shown, str) else f"{shown.zh} {shown.en}"


def _grouped(amount: str) -> str:
    """Digits in groups of three."""
    whole, point, part = amount.partition(".")
    return f"{int(whole):,}{point}{part}"
