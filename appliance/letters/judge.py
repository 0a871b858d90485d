"""Whether an event may happen to a letter, and what it then is: the rules of a kind, applied. Pure.

What must be decided across all workers (the head, uniqueness, value, quotas) is named here and decided by the recorder
in the transaction that records the event: see appliance.letters.effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from appliance.instants import rfc3339
from appliance.letters.conditions import Values, look, settle
from appliance.letters.effects import value_of
from appliance.letters.errors import EventRefused, FieldRefused, PartyMissing, RoleMissing
from appliance.letters.event import (
    RECEIPT_NUMBER,
    Actor,
    ApprovalStep,
    Event,
    KindReference,
    NewLetter,
    Receipt,
    Reference,
    ValueChange,
)
from appliance.letters.fields import check_fields, check_value, moment, parse_limit
from appliance.letters.hidden import digest_of, disclosure_of, hide, read_disclosure
from appliance.letters.kind import SETS, Kind, LoadedKind, Move
from appliance.letters.kind import Event as Rule
from appliance.letters.money import parse_amount, print_amount
from appliance.letters.state import LetterState
from appliance.letters.terms import check_terms
from appliance.letters.uniqueness import Use

SHORTEST_SALT: Final = 22
"""Characters of a disclosure's salt: 128 bits in base64url (RFC 9901, section 9.3)."""
RECEIPT: Final = "receipt_"
"""Before a registry's name, in the name of the claim on a receipt; no rule of uniqueness can begin so."""


class Asked(msgspec.Struct, frozen=True):
    """What an application asks for."""

    event: str
    letter: str
    """Id of the letter, also of one that begins."""
    fields: Mapping[str, Any] = {}
    """Values in clear, those of hidden fields too."""
    disclosures: Mapping[str, str] = {}
    """Of hidden fields that a draft made: with their salts the draft comes out the same. Others are made here."""
    data: Mapping[str, Any] = {}
    sealed: Mapping[str, str] = {}
    """SHA-256 of the envelopes of encrypted fields."""
    opened: Mapping[str, tuple[Any, str]] | None = None
    """Value and salt of the veiled fields that the event opens; None: the draft, before they are opened."""
    receipts: tuple[Receipt, ...] = ()
    parts: tuple[str, ...] = ()
    """Ids for the letters of a split, one a row."""


class Decision(msgspec.Struct, frozen=True):
    """An event that may happen, once it is approved and the recorder takes it."""

    draft: Event
    steps: tuple[ApprovalStep, ...]
    """Who must approve, in order."""
    disclosures: Mapping[str, str]
    """Of the hidden fields that it sets."""
    amount: tuple[int, str] | None
    """(ten-thousandths, currency) by which the tenant's approval policies find their tier."""
    uses: tuple[Use, ...]
    """What letters of its conditions serve, and the receipts that it uses, for the recorder to count."""
    at_us: int
    """The box's clock by which it was judged, microseconds since the epoch."""


def judge(
    loaded: LoadedKind,
    before: LetterState | None,
    asked: Asked,
    actor: Actor,
    roles: frozenset[str],
    now_us: int,
    others: Mapping[str, LetterState],
    parties: frozenset[str] = frozenset(),
) -> Decision:
    """Decide about one event. `now_us`: the box's clock, microseconds since the epoch; `others`: the tenant's letters
    that conditions name, by id; `roles`: of the application, "*" for all; `parties`: ids of those that it acts for,
    "*" for all.

    Raises FieldRefused, EventRefused, RoleMissing, PartyMissing, ConditionNotMet.
    """
    kind = loaded.kind
    rule = _rule(kind, before, asked, roles)
    clear, disclosures = _fields(kind, rule, before, asked)
    if rule.data or asked.data:
        needed = [name for name, one in rule.data.items() if one.required]
        check_fields(rule.data, asked.data, needed=needed, where="/data")
    _acts_for(rule, before, asked, roles, parties)
    after = clear if before is None else before.fields | clear
    hidden = {name: value_of(before, name) for name in before.hidden} if before is not None else {}
    known = hidden | after | {name: asked.fields[name] for name in disclosures}
    begun_us = now_us if before is None else moment(before.begun, "")
    if rule.fields:
        check_terms(kind.termed, known, begun_us, kind.zone)
    _times(kind, rule, after, now_us)
    references: tuple[Reference, ...] = ()
    uses: tuple[Use, ...] = ()
    if rule.conditions:
        values = Values(asked.letter, asked.data, known, before)
        references, uses = settle(rule, values, look(kind, rule, values, others, now_us))
    if rule.receipts or asked.receipts:
        _receipts(rule, asked)
    value, parts, state = _value(kind, rule, before, asked, after)
    table = "" if rule.value is None else rule.value.parts
    for place, part in enumerate(parts):
        check_terms(kind.termed, known | part.fields, begun_us, kind.zone, f"/data/{table}/{place}")
    draft = Event(
        actor=actor,
        data=dict(asked.data),
        event=asked.event,
        fields=clear,
        hidden=sorted(digest_of(disclosure) for disclosure in disclosures.values()),
        kind=KindReference(digest=loaded.digest, id=kind.id, version=kind.version),
        letter=asked.letter,
        number=1 if before is None else before.number + 1,
        opened={} if asked.opened is None else {name: asked.opened[name][1] for name in rule.opens},
        parts=list(parts),
        previous=None if before is None else before.head,
        receipts=list(asked.receipts),
        references=list(references),
        sealed=dict(asked.sealed),
        state=state,
        value=value,
    )
    amount = _approval_amount(rule, asked, after)
    return Decision(draft, _steps(rule, amount), disclosures, amount, uses + receipts_used(asked.receipts), now_us)


def happened(at_us: int, before: LetterState | None) -> str:
    """The event's time as it stands in it: never before that of the event before it."""
    text = rfc3339(at_us)
    if before is not None and text < before.changed:
        raise EventRefused(f"the clock is behind the letter's last event, {before.changed}")
    return text


def _rule(kind: Kind, before: LetterState | None, asked: Asked, roles: frozenset[str]) -> Rule:
    rule = kind.events.get(asked.event)
    if rule is None:
        raise EventRefused(f"{kind.id} has no event {asked.event!r}; it has {', '.join(kind.events)}")
    if "*" not in roles and roles.isdisjoint(rule.by):
        raise RoleMissing(f"{asked.event} needs the role {' or '.join(rule.by)}")
    if before is None and rule.from_:
        raise EventRefused(f"{asked.event} does not begin a letter")
    if before is not None and before.state not in rule.from_:
        may = [name for name, one in kind.events.items() if before.state in one.from_]
        raise EventRefused(f"the letter is {before.state}: it may {', '.join(may) or 'have no event any more'}")
    return rule


def _acts_for(
    rule: Rule, before: LetterState | None, asked: Asked, roles: frozenset[str], parties: frozenset[str]
) -> None:
    """One role is enough: a role that the kind ties to no party, or one whose party the application acts for."""
    if "*" in roles or "*" in parties or not rule.acts_for:
        return
    held = roles.intersection(rule.by)
    if not held <= rule.acts_for.keys():
        return
    places = sorted({rule.acts_for[role] for role in held})
    # A party that neither stands nor is set, or has no id, is nobody's.
    if not any((_whose(rule, place, before, asked) or {}).get("id") in parties for place in places):
        names = " or ".join(place.removeprefix(SETS) for place in places)
        raise PartyMissing(f"{asked.event} needs the permission party-ID with the id of {names}")


def _whose(rule: Rule, place: str, before: LetterState | None, asked: Asked) -> Any:  # JSON of a party, or None
    """The party as it stands before the event, and where nobody stands yet as the event sets it: whoever joins a letter
    names itself, and only who stands there already can name another in its place, unless the kind says `@set`."""
    if place in rule.data:
        return asked.data.get(place)
    standing = None if before is None or place.startswith(SETS) else value_of(before, place)
    return asked.fields.get(place.removeprefix(SETS)) if standing is None else standing


def _fields(kind: Kind, rule: Rule, before: LetterState | None, asked: Asked) -> tuple[dict[str, Any], dict[str, str]]:
    """(values that the event tells, disclosures of those that it hides)."""
    settable = kind.settable(asked.event)
    for name in asked.sealed:
        if name not in settable.encrypted:
            raise FieldRefused(f"/envelopes/{name}: this event takes no envelope of that name")
    for name in asked.fields if settable.encrypted else ():
        if name in settable.encrypted:
            raise FieldRefused(f"/fields/{name}: it comes as an envelope, in /envelopes/{name}")
    needed = [name for name in settable.required if name not in asked.sealed] if before is None else ()
    check_fields(settable.fields, asked.fields, needed=needed, where="/fields")
    opened = {name: asked.opened[name][0] for name in rule.opens} if asked.opened is not None else {}
    for name, value in opened.items():
        check_value(kind.fields[name], value, f"/fields/{name}")
    if before is not None and rule.fields and not (asked.fields or asked.sealed):
        raise FieldRefused("/fields: the event changes at least one")
    if not (settable.hidden or asked.disclosures):
        return opened | dict(asked.fields), {}
    hidden = {name: value for name, value in asked.fields.items() if name in settable.hidden}
    clear = opened | {name: value for name, value in asked.fields.items() if name not in hidden}
    for name, text in asked.disclosures.items():
        salt = read_disclosure(text).salt
        if len(salt) < SHORTEST_SALT:
            raise FieldRefused(f"/disclosures/{name}: its salt has fewer than {SHORTEST_SALT} characters")
        # Spelling by spelling: JSON has several for one number, and what is used once must have one.
        if name not in hidden or disclosure_of(salt, name, hidden[name]) != text:
            raise FieldRefused(f"/disclosures/{name}: it does not disclose the value in /fields/{name}")
    fresh = {name: value for name, value in hidden.items() if name not in asked.disclosures}
    disclosures = dict(asked.disclosures) | dict(zip(fresh, hide(fresh).disclosures, strict=True))
    return clear, disclosures


def _times(kind: Kind, rule: Rule, after: Mapping[str, Any], now_us: int) -> None:
    for name, late in ((rule.not_before, False), (rule.not_after, True)):
        text = after.get(name) if name is not None else None
        if text is None:
            continue
        when = moment(text, kind.zone, end=late)
        if late and now_us > when:
            raise EventRefused(f"/fields/{name}: {text} is past")
        if not late and now_us < when:
            raise EventRefused(f"/fields/{name}: not before {text}")


def _receipts(rule: Rule, asked: Asked) -> None:
    for place, one in enumerate(asked.receipts):
        if not 0 < len(one.number) <= RECEIPT_NUMBER:
            raise FieldRefused(f"/receipts/{place}: a receipt's number has 1 to {RECEIPT_NUMBER} characters")
    given = {one.registry for one in asked.receipts}
    for registry in rule.receipts:
        if registry not in given:
            raise FieldRefused(f"/receipts: that of {registry} is missing")
    unknown = given - set(rule.receipts)
    if unknown:
        raise FieldRefused(f"/receipts: the event takes none of {min(unknown)}")


def receipts_used(receipts: Sequence[Receipt]) -> tuple[Use, ...]:
    """A registry's receipt serves one letter: its number is claimed once, and may come again with that letter."""
    numbers = dict.fromkeys((one.registry, one.number) for one in receipts)
    return tuple(Use("", RECEIPT + registry, (number,), 1, 1, again=True) for registry, number in numbers)


def _value(
    kind: Kind, rule: Rule, before: LetterState | None, asked: Asked, after: Mapping[str, Any]
) -> tuple[ValueChange | None, tuple[NewLetter, ...], str]:
    """(change, new letters, state after)."""
    state = rule.to or (before.state if before is not None else "")
    move = rule.value
    if move is None or kind.value is None:
        return None, (), state
    balance = 0 if before is None else before.balance
    parts: tuple[NewLetter, ...] = ()
    if move.move == "open":
        opened = after[kind.value.amount]
        units, currency = parse_amount(opened["amount"], opened["currency"]), opened["currency"]
    elif move.move == "close":
        units, currency = balance, _currency(before)
    elif move.move == "split":
        currency = _currency(before)
        units, parts = _parts(move, kind, asked, currency)
    else:
        money = asked.data[move.amount or ""]
        currency = _currency(before)
        if money["currency"] != currency:
            raise FieldRefused(f"/data/{move.amount}: the letter is in {currency}")
        units = parse_amount(money["amount"], currency)
    if move.move in ("lower", "split"):
        if units > balance:
            where = move.parts or move.amount
            raise FieldRefused(f"/data/{where}: only {print_amount(balance, currency)} {currency} is left")
        if units == balance and move.emptied is not None:
            state = move.emptied
    return ValueChange(amount=print_amount(units, currency), currency=currency, move=move.move), parts, state


def _currency(before: LetterState | None) -> str:
    if before is None or not before.currency:
        raise EventRefused("the letter has no value yet")
    return before.currency


def _parts(move: Move, kind: Kind, asked: Asked, currency: str) -> tuple[int, tuple[NewLetter, ...]]:
    assert kind.value is not None  # noqa: S101 - its caller looked
    rows = asked.data[move.parts or ""]
    if len(asked.parts) != len(rows):
        raise EventRefused("a split needs an id for each of its letters")
    parts = []
    total = 0
    for place, (letter, row) in enumerate(zip(asked.parts, rows, strict=True)):
        money = row["amount"]
        where = f"/data/{move.parts}/{place}/amount"
        if money["currency"] != currency:
            raise FieldRefused(f"{where}: the letter is in {currency}")
        units = parse_amount(money["amount"], currency)
        if not units:
            raise FieldRefused(f"{where}: a part is worth something")
        total += units
        fields = {name: value for name, value in row.items() if name != "amount"} | {kind.value.amount: money}
        parts.append(NewLetter(amount=money["amount"], fields=fields, letter=letter, state=move.parts_state or ""))
    return total, tuple(parts)


def _approval_amount(rule: Rule, asked: Asked, after: Mapping[str, Any]) -> tuple[int, str] | None:
    if rule.approvals is None or rule.approvals.amount is None:
        return None
    name = rule.approvals.amount
    money = asked.data.get(name) if name in rule.data else after.get(name)
    if money is None:
        raise FieldRefused(f"/fields/{name}: approvals go by it")
    return parse_amount(money["amount"], money["currency"]), money["currency"]


def _steps(rule: Rule, amount: tuple[int, str] | None) -> tuple[ApprovalStep, ...]:
    if rule.approvals is None:
        return ()
    for tier in rule.approvals.tiers:
        if amount is None or tier.currency in (None, amount[1]):
            ends = None if tier.up_to is None or amount is None else parse_limit(tier.up_to)
            if ends is None or (amount is not None and amount[0] <= ends):
                return tuple(ApprovalStep(policy=one.policy, step=number) for number, one in enumerate(tier.steps))
    raise EventRefused("no tier of approvals covers the amount")
