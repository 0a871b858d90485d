"""The event document: what happened to a letter, in canonical JSON (RFC 8785), naming the event before by its SHA-256.

An event says everything that follows from it by itself (state, value, new letters), so that a chain of events can be
followed by somebody who has no kind at hand. Approvers sign what they decide, a step with its policy, and the draft:
the event without approvals and time.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec

from appliance.letters.errors import EventDamaged

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""SHA-256, lower-case hexadecimal."""
LetterId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""128 random bits, lower-case hexadecimal."""
APPROVAL_PREFIX: Final = b"cinnabar letter approval v2\n"
FIRST_APPROVAL_PREFIX: Final = b"cinnabar letter approval v1\n"
RECEIPT_NUMBER: Final = 200
"""Characters that the number of a receipt may have."""
"""Of events of the format cinnabar-event/1: their approvals are over the draft alone, whatever step they were for."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Actor(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asked, as the box's register knew it."""

    application: str
    box: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    """The box's id: what approvers sign for a rehearsal is nothing to another box."""
    tenant: str


class KindReference(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digest: Digest
    id: str
    version: int


class ValueChange(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the event does to the letter's value, after it was decided."""

    amount: str
    currency: str
    move: Literal["open", "raise", "lower", "close", "split"]


class NewLetter(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A letter that a split makes: this event is its first."""

    amount: str
    fields: dict[str, Any]
    letter: LetterId
    state: str


class Reference(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another letter on which a condition was found to hold, with its head at that time."""

    field: str
    head: Digest
    letter: LetterId
    state: str


class Receipt(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an outside registry handed out; the receipt itself travels beside the event."""

    digest: Digest
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=RECEIPT_NUMBER)]
    registry: str


APPROVERS: Final = "approvers.json"
"""Beside an event that persons approved: those persons with their keys (appliance.letters.approval_keys)."""


class ApprovalStep(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an approval decides: one of the steps that an event needs."""

    limits: list[str] = []
    """Names of the tenant's limits that the event exceeds and whose approval it is; none: the kind wants it."""
    policy: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,62}\Z")]
    """An approval policy of the tenant."""
    step: Annotated[int, msgspec.Meta(ge=0)]

    def heading(self) -> bytes:
        """What stands before the draft in the text of an approval: the context, and the step as a line of canonical
        JSON. No signature serves another step, or the same place under another policy or limit."""
        return APPROVAL_PREFIX + _encode(self) + b"\n"


class Approval(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An approver's signature over a step's heading and the draft."""

    approver: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Id of the person, as the tenant's approval policy names her."""
    form: Literal["cms", "webauthn"]
    limits: list[str] = []
    """As of the step; not there if none."""
    policy: Annotated[str, msgspec.Meta(max_length=63)] = ""
    """As of the step. Not there in events of the format cinnabar-event/1."""
    signature: Annotated[str, msgspec.Meta(max_length=32_768)]
    """Base64: a CMS SignedData (detached) over the approval text; or a WebAuthn assertion, JSON."""
    step: Annotated[int, msgspec.Meta(ge=0, le=31)]
    """Which of the event's steps it belongs to: its kind's, at most 8, and after them those that limits want."""


class Event(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """See the module."""

    actor: Actor
    approvals: list[Approval] = []
    at: str = ""
    """When the box says that it happened: RFC 3339, UTC, six digits of a second."""
    data: dict[str, Any] = {}
    """The event's own values, in clear."""
    event: str
    fields: dict[str, Any] = {}
    """Fields of the letter that it sets, in clear."""
    format: Literal["cinnabar-event/1", "cinnabar-event/2"] = "cinnabar-event/2"
    """1: from before approvals named their step; such events are read and never made."""
    hidden: list[str] = msgspec.field(name="_sd", default_factory=list)
    """Digests of the disclosures of hidden values (RFC 9901), sorted: see appliance.letters.hidden."""
    hidden_algorithm: Literal["sha-256"] = msgspec.field(name="_sd_alg", default="sha-256")
    kind: KindReference
    letter: LetterId
    number: Annotated[int, msgspec.Meta(ge=1)]
    opened: dict[str, str] = {}
    """Salts (hexadecimal) of veiled fields that it opens, by field: with the field's value in canonical JSON they give
    the commitment in the field's envelope (appliance.letters.veil)."""
    parts: list[NewLetter] = []
    previous: Digest | None
    """SHA-256 of the letter's event before; None: its first."""
    receipts: list[Receipt] = []
    references: list[Reference] = []
    sealed: dict[str, Digest] = {}
    """SHA-256 of the envelopes of encrypted fields, by field; the envelopes travel beside the event."""
    state: str
    """The letter's state after it."""
    value: ValueChange | None = None

    def canonical(self) -> bytes:
        """Canonical JSON, UTF-8. Texts hold no control characters and no numbers are floats (appliance.letters.fields),
        so that the sorted encoding is the canonical one; a test holds it to that."""
        made: bytes | None = self.__dict__.get("_canonical")
        if made is None:
            made = self.__dict__["_canonical"] = _encode(self)
        return made

    def digest(self) -> str:
        """SHA-256 of the canonical form: what the seal covers and the next event names."""
        made: str | None = self.__dict__.get("_digest")
        if made is None:
            made = self.__dict__["_digest"] = hashlib.sha256(self.canonical()).hexdigest()
        return made

    def draft_text(self) -> bytes:
        """The draft, canonical: the event before anybody approved it. Persons approve an opening before anybody sees
        what is in it."""
        fields = {name: value for name, value in self.fields.items() if name not in self.opened}
        return msgspec.structs.replace(self, approvals=[], at="", fields=fields, opened={}).canonical()

    def approval_text(self, approval: Approval) -> bytes:
        """What the signature of one of its approvals is over."""
        if self.format == "cinnabar-event/1":
            return FIRST_APPROVAL_PREFIX + self.draft_text()
        step = ApprovalStep(limits=approval.limits, policy=approval.policy, step=approval.step)
        return step.heading() + self.draft_text()


_encode = msgspec.json.Encoder(order="sorted").encode
_decoder = msgspec.json.Decoder(Event)


def read_event(text: bytes) -> Event:
    """An event out of its canonical form. Raises EventDamaged."""
    try:
        event = _decoder.decode(text)
        same = event.canonical() == text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventDamaged(f"not an event: {error}") from None
    if not same:
        raise EventDamaged("the event is not in its canonical form")
    for one in event.approvals:
        if bool(one.policy) is (event.format == "cinnabar-event/1") or (one.limits and not one.policy):
            raise EventDamaged(f"an approval does not name its step as {event.format} does")
    return event
