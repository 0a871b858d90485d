"""Why an event did not happen, as a document that the box seals: the reason in words, and every condition looked at.

Canonical JSON (RFC 8785) inside an enveloping CAdES seal. It changes no letter: whoever was refused can show it, and
the tenant's log has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from appliance.letters.conditions import Looked
from appliance.letters.event import Actor, Digest, KindReference, LetterId
from appliance.letters.kind import Event as Rule
from appliance.letters.kind import Kind


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ConditionFound(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition on another letter, and what was found."""

    failed: str | None
    """Why it does not hold; null: it holds."""
    field: str
    """JSON pointer of the field that names the other letter."""
    head: Digest | None
    """SHA-256 of that letter's newest event; null: there is no such letter, or none that the application is told of."""
    kind: str | None
    letter: str | None
    state: str | None


class Refusal(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the module."""

    actor: Actor
    asked: Digest
    """SHA-256 of the values that were asked for: {"data", "event", "fields"} in sorted JSON."""
    at: str
    """When the box refused: RFC 3339, UTC, six digits of a second."""
    code: str
    """Last part of the problem's type."""
    conditions: list[ConditionFound]
    data: dict[str, Any]
    """Of the event alone, where they were sound."""
    detail: str
    event: str
    fields: dict[str, Any]
    """Clear values of the letter that were asked for, where they were sound."""
    format: Literal["cinnabar-refusal/1"] = "cinnabar-refusal/1"
    head: Digest | None
    """The letter's newest event, which stays that; null: it would have begun a letter."""
    kind: KindReference
    letter: LetterId | None

    def canonical(self) -> bytes:
        """As of events (appliance.letters.event): what is in it was held to the same rules."""
        return _encode(self)


_encode = msgspec.json.Encoder(order="sorted").encode


def asked_digest(event: str, fields: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """See Refusal.asked."""
    return hashlib.sha256(_encode({"data": data, "event": event, "fields": fields})).hexdigest()


def conditions_found(looked: Sequence[Looked]) -> list[ConditionFound]:
    """As the refusal tells them, in the kind's order."""
    return [
        ConditionFound(
            failed=one.failed,
            field=one.where,
            head=None if one.other is None else one.other.head,
            kind=None if one.other is None else one.other.kind.id,
            letter=one.named,
            state=None if one.other is None else one.other.state,
        )
        for one in looked
    ]


def clear_of(kind: Kind, rule: Rule, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that an event would tell in clear."""
    settable = {name for name in rule.fields if kind.fields[name].confidentiality == "clear"}
    return {name: value for name, value in fields.items() if name in settable}
