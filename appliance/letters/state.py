"""A letter's state: its events, folded. The same function serves the box and whoever checks a chain offline."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.letters.errors import EventDamaged
from appliance.letters.event import Event, KindReference, NewLetter
from appliance.letters.money import parse_amount


class LetterState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a letter after an event."""

    letter: str
    kind: KindReference
    state: str
    number: int
    head: str
    """SHA-256 of the newest event."""
    fields: dict[str, Any]
    """Clear values."""
    hidden: dict[str, str] = {}
    """Disclosures (RFC 9901) of hidden fields, by field, where they are known."""
    sealed: dict[str, str] = {}
    """SHA-256 of envelopes, by field."""
    balance: int = 0
    """Ten-thousandths of the currency's unit."""
    currency: str = ""
    begun: str = ""
    """Time of its first event."""
    changed: str = ""
    origin: str | None = None
    """The letter that it was split from."""


def follow(before: LetterState | None, event: Event) -> LetterState:
    """The state of the event's own letter after it. Raises EventDamaged where it does not follow `before`."""
    digest = event.digest()
    if before is None:
        if event.previous is not None or event.number != 1:
            raise EventDamaged("a letter begins with its first event")
        return LetterState(
            letter=event.letter, kind=event.kind, state=event.state, number=1, head=digest, fields=dict(event.fields),
            sealed=dict(event.sealed), balance=_balance(0, event, ""), currency=_currency(event, ""), begun=event.at,
            changed=event.at,
        )  # fmt: skip
    if (event.letter, event.previous, event.number) != (before.letter, before.head, before.number + 1):
        raise EventDamaged("the event does not follow the one before")
    if event.kind.id != before.kind.id or event.at < before.changed:
        raise EventDamaged("the event is of another kind, or earlier than the one before")
    return msgspec.structs.replace(
        before,
        kind=event.kind,
        state=event.state,
        number=event.number,
        head=digest,
        fields=before.fields | event.fields,
        hidden={name: one for name, one in before.hidden.items() if name not in event.fields},
        sealed=before.sealed | event.sealed,
        balance=_balance(before.balance, event, before.currency),
        currency=_currency(event, before.currency),
        changed=event.at,
    )


def begin_part(after: LetterState, event: Event, part: NewLetter) -> LetterState:
    """The state of a letter that the event splits off: the event is its first. It has its parent's clear fields, but
    for those of its own. `after`: the parent after the event."""
    assert event.value is not None  # noqa: S101 - a split has a value
    return LetterState(
        letter=part.letter, kind=event.kind, state=part.state, number=1, head=after.head,
        fields=after.fields | part.fields,
        balance=parse_amount(part.amount, event.value.currency), currency=event.value.currency, begun=event.at,
        changed=event.at, origin=event.letter,
    )  # fmt: skip


def _currency(event: Event, before: str) -> str:
    return event.value.currency if event.value is not None else before


def _balance(before: int, event: Event, currency: str) -> int:
    change = event.value
    if change is None:
        return before
    if currency not in ("", change.currency):
        raise EventDamaged("a letter keeps its currency")
    try:
        amount = parse_amount(change.amount, change.currency)
        parts = sum(parse_amount(part.amount, change.currency) for part in event.parts)
    except ValueError as error:
        raise EventDamaged(str(error)) from None
    after = before + amount if change.move in ("open", "raise") else before - amount
    if after < 0 or (change.move == "close" and after) or (change.move == "split" and parts != amount):
        raise EventDamaged("the event's value does not add up")
    if event.parts and change.move != "split":
        raise EventDamaged("only a split makes letters")
    return after
