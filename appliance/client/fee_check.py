"""Bills against records: the lines of every bill of a month, reckoned again from the letters' sealed events.

What a bill charges is added up with the other bills of its month, for a late event is a line of a later one. Kinds come
from files, by the digest that each letter names: the box is not asked what they say.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from appliance.instants import microseconds
from appliance.letter_limits import compile_tariff, read_tariff_file
from appliance.letter_limits.bills import Charged, Key, Sums, differences, reckon
from appliance.letter_limits.numbers import amount as parse_units
from appliance.letters.counting import metered
from appliance.letters.event import Event, read_event
from appliance.letters.kind import Kind
from appliance.letters.money import parse_amount, print_amount
from appliance.letters.state import LetterState, begin_part, follow

if TYPE_CHECKING:
    from appliance.client.synchronous import Client


WHOM: Final = 400
"""Letters of whom a line is of, as bills have them."""


class Checked(NamedTuple):
    """What was found."""

    lines: int
    """Of bills, that were held to records."""
    events: int
    wrong: list[tuple[Key, Sums, Sums]]
    """(line, as records have it, as bills say)."""
    not_checked: list[tuple[Key, Sums]]
    """(line, as bills say) of kinds some of whose letters' files are not at hand: what they came to is not known."""
    unknown: int
    """Letters whose kind is not among the files: nothing is said of them."""
    currencies: Mapping[int, str]
    """Of fees, by the tariff's version."""


def check_month(client: Client, month: str, kinds: Mapping[str, Kind]) -> Checked:
    """Hold all bills of a month to the records. `kinds`: by the digest of their files."""
    tariffs = [(one.since, compile_tariff(read_tariff_file(one.document.encode()))) for one in client.tariffs().tariffs]
    events: list[Charged] = []
    unknown: list[str] = []
    parts: dict[str, LetterState] = {}
    for letter in reversed(list(_letters(client))):
        kind = kinds.get(letter.kind_digest)
        if kind is None:
            unknown.append(letter.kind)
            continue
        for event, after in _chain(client, letter.letter, parts):
            one = metered(kind, after, event)
            if one.day[:7] == month:
                at = microseconds(datetime.datetime.fromisoformat(event.at))
                party = "" if one.whom is None else one.whom.label[:WHOM]
                application = event.actor.application
                events.append(Charged(one.kind, one.event, application, party, one.currency, one.amount, at))
    billed = _billed(client, month)
    apart = {key: sums for key, sums in billed.items() if key.kind in unknown}
    held = {key: sums for key, sums in billed.items() if key not in apart}
    currencies = {tariff.version: tariff.currency for _, tariff in tariffs}
    wrong = differences(reckon(events, tariffs), held)
    return Checked(len(held), len(events), wrong, list(apart.items()), len(unknown), currencies)


def describe(found: Checked) -> list[str]:
    """What did not agree, and what nobody could say; a line each."""

    def of(key: Key) -> str:
        return " ".join(word for word in key[:4] if word)

    def sums(key: Key, one: Sums) -> str:
        currency = found.currencies.get(key.tariff, "")
        fee = f"{print_amount(one.fee, currency)} {currency}" if currency else "nothing"
        return f"{one.events} for {fee}"

    said = [
        f"WRONG {of(key)}: billed {sums(key, billed)}, records hold {sums(key, there)}"
        for key, there, billed in found.wrong
    ]
    return said + [
        f"not checked: {of(key)}: billed {sums(key, billed)}; give its kind's file (--kind)"
        for key, billed in found.not_checked
    ]


def _letters(client: Client, kind: str | None = None) -> Iterator[Any]:
    after = None
    while True:
        page = client.letters(kind=kind, after=after)
        yield from page.letters
        after = page.next
        if after is None:
            return


def _chain(client: Client, letter: str, parts: dict[str, LetterState]) -> Iterator[tuple[Event, LetterState]]:
    """Each event of a letter with its state after it; the split that a part began with is its origin's."""
    state = parts.pop(letter, None)
    number = 0
    while True:
        page = client.letter_events(letter, after=number)
        for told in page.events:
            event = read_event(told.event)
            number = told.number
            if event.letter != letter:
                continue
            state = follow(state, event)
            if told.disclosures:
                state = _disclosed(state, told.disclosures)
            for part in event.parts:
                parts[part.letter] = begin_part(state, event, part)
            yield event, state
        if not page.more:
            return


def _disclosed(state: LetterState, disclosures: Mapping[str, str]) -> LetterState:
    return msgspec.structs.replace(state, hidden=state.hidden | dict(disclosures))


def _billed(client: Client, month: str) -> dict[Key, Sums]:
    billed: dict[Key, Sums] = {}
    for letter in _letters(client, "fee-bill"):
        if letter.fields.get("month") != month:
            continue
        for line in letter.fields.get("lines", []):
            currency = line.get("currency", "")
            key = Key(line["kind"], line["event"], line["application"], line.get("whom", ""), currency, line["tariff"])
            fee = parse_amount(line["fee"]["amount"], line["fee"]["currency"])
            sums = Sums(line["units"], parse_units(line["base"], currency), fee)
            billed[key] = billed.get(key, Sums()).plus(sums)
    return billed
