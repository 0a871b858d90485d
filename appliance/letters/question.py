"""What is asked of a register before anybody uses it, and the box's sealed answer. Pure.

The answer tells what trying would tell, and nothing else of others (control CHANNEL): whether a letter with these
values, of this amount, would be taken now. How much is left is told where the register is the tenant's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from appliance.letters.effects import spelled_values
from appliance.letters.errors import FieldRefused
from appliance.letters.event import Actor, Digest, KindReference
from appliance.letters.fields import check_fields, check_value
from appliance.letters.kind import Kind
from appliance.letters.money import parse_amount, print_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use


class RegisterAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The statement that the box seals."""

    actor: Actor
    amount: dict[str, str] | None
    """Money that was asked about; null: of what is used once."""
    asked: Digest
    """SHA-256 of {"amount", "fields", "register"} in sorted JSON."""
    at: str
    """RFC 3339, UTC, six digits of a second."""
    available: bool
    """Whether a letter with these values would have been taken at that time."""
    fields: dict[str, Any]
    """Clear values that were asked about."""
    format: Literal["cinnabar-register-answer/1"] = "cinnabar-register-answer/1"
    kind: KindReference
    left: dict[str, str] | None
    """Money that is left; null: it is not told."""
    register: str
    """The rule of uniqueness, as the kind names it."""

    def canonical(self) -> bytes:
        """Canonical JSON (RFC 8785), as of events."""
        return _encode(self)


_encode = msgspec.json.Encoder(order="sorted").encode


class Question(NamedTuple):
    """What would be used."""

    use: Use
    currency: str
    """Empty: it is used once."""


def read_question(kind: Kind, name: str, fields: Mapping[str, Any], amount: Any) -> Question:
    """What a letter with these values would use. `amount`: money, of a register that is shared by amount.

    Raises FieldRefused."""
    rule = kind.unique.get(name)
    if rule is None:
        raise FieldRefused(f"/register: {kind.id} has no register {name}; it has {', '.join(kind.unique) or 'none'}")
    needed = [one.partition(".")[0] for one in rule.fields] + ([rule.capacity] if rule.capacity is not None else [])
    declared = {one: kind.fields[one] for one in needed}
    check_fields(declared, fields, needed=declared, where="/fields")
    state = LetterState(
        letter="", kind=KindReference(digest="", id=kind.id, version=kind.version), state="", number=0, head="",
        fields=dict(fields),
    )  # fmt: skip
    values = spelled_values(kind, state, rule.fields)
    if values is None:
        raise FieldRefused("/fields: a value that the register goes by is missing")
    scope = "" if rule.scope == "tenant" else rule.scope
    if rule.capacity is None:
        if amount is not None:
            raise FieldRefused("/amount: it is used once, not by amount")
        return Question(Use(scope, name, values, 1, 1), "")
    return _by_amount(kind, scope, name, values, fields[rule.capacity], amount)


def _by_amount(kind: Kind, scope: str, name: str, values: tuple[str, ...], capacity: Any, amount: Any) -> Question:
    assert kind.value is not None  # noqa: S101 - the check of the kind holds it
    if amount is None:
        raise FieldRefused("/amount: it is shared by amount")
    check_value(kind.fields[kind.value.amount], amount, "/amount")
    units = parse_amount(amount["amount"], amount["currency"])
    if not units:
        raise FieldRefused("/amount: it is above zero")
    return Question(
        Use(scope, name, values, units, parse_amount(capacity["amount"], capacity["currency"])), amount["currency"]
    )


def answer(question: Question, used: int, capacity: int) -> tuple[bool, dict[str, str] | None]:
    """(whether it would be taken, what is left if that is told). `used`, `capacity`: as the recorder has it; nothing
    used: as if it had never been."""
    use = question.use
    if not used:
        capacity = use.capacity
    available = capacity == use.capacity and used + use.amount <= capacity
    if use.scope or not question.currency:
        return available, None
    return available, {"amount": print_amount(capacity - used, question.currency), "currency": question.currency}
