"""What a letter's evidence says, once it is checked: who, what, when, and how the letter stands. Part of the report.

Every text from the file is escaped. Titles in both languages are there where the kind's file is.
"""

from __future__ import annotations

import msgspec

from appliance.asic.chain import number_told
from appliance.evidence.findings import Indication, SubIndication
from appliance.letters.event import Approval
from appliance.quoting import escape


class Title(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind calls something."""

    en: str
    zh: str


class FieldFact(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the letter."""

    name: str
    title: Title | None = None
    form: str
    """clear; disclosed: a hidden field whose disclosure is in the file; encrypted: its value is not in the file."""
    value: str
    """In one line; of an encrypted field the SHA-256 of its envelope."""
    value_titles: Title | None = None
    """The value in each language, where a yes or a no stands in it."""


class ApprovalFact(msgspec.Struct, frozen=True, kw_only=True):
    """An approver's signature in an event."""

    approver: str
    step: int
    policy: str
    """Under which approval policy; empty where the event is from before approvals named it."""
    limits: list[str]
    """That the event exceeds, if it is for these that the approval was asked."""
    form: str
    signer: str
    """Subject of the certificate that fits the signature, or empty."""
    indication: Indication
    sub_indications: list[SubIndication]
    reason: str
    """Why it did not pass, in words."""


def place_of(approval: Approval | ApprovalFact) -> str:
    """Its step, as people count, with the policy and the limits that it says it is for."""
    said = ": ".join(escape(one) for one in (approval.policy, ", ".join(approval.limits)) if one)
    number = approval.step + 1
    return f"{number} ({said})" if said else str(number)


class FileFact(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside an event."""

    name: str
    size: int
    sha256: str


class EventFact(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    number: int
    letter: str
    event: str
    title: Title | None = None
    at: str
    """When the box says that it happened."""
    state: str
    state_title: Title | None = None
    move: str
    """What it did to the value: empty, or open, raise, lower, close, split."""
    amount: str
    """With its currency."""
    balance: str
    """What was left of the letter's value after it, with its currency; empty: the letter has none."""
    application: str
    tenant: str
    signers: list[str]
    """Who sealed it, by the certificates."""
    stamped: str
    """By the time-stamp in the seal or that of the evidence record over it; empty: none that holds."""
    existed_no_later_than: str
    """Said by others than the box; empty: nobody."""
    said_by: str
    log: str
    """Origin of the log that holds its record; empty: not shown."""
    index: int | None
    """Of the record in that log."""
    sha256: str
    approvals: list[ApprovalFact]
    receipts: list[str]
    references: list[str]
    data: list[FieldFact]
    changed: list[FieldFact]
    """Fields of the letter that it set."""
    files: list[FileFact]
    parts: list[str]
    """Letters that it made, with their amounts."""
    indication: Indication


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """A link of the chain of title: how a letter of the line began."""

    letter: str
    origin: str
    """The letter that it was split from; empty: the first one."""
    begun: str
    amount: str
    """With its currency; empty: the letter has no value."""
    fields: list[FieldFact]
    """What it was given of its own."""


class CourtFact(msgspec.Struct, frozen=True, kw_only=True):
    """The court package."""

    parts: list[FileFact]
    signers: list[str]
    indication: Indication


class RenewalFact(msgspec.Struct, frozen=True, kw_only=True):
    """A record over the file as it was."""

    number: int
    hash: str
    """Of its newest tree."""
    entries: int
    """Of the file, which it is over."""
    time: str
    """When its first time-stamp was made, by that one's word; empty: it holds for nothing."""
    by: str
    """Who says so."""
    indication: Indication


class LedgerFact(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor: a ledger that holds a head of the box's log under which every event's record stands."""

    ledger: str
    type: str
    strength: str
    """proven; attested: it rests on somebody's word; refused; unknown: the trust bundle has no profile of it."""
    by: str
    """The rule by which it is shown; empty: none."""
    place: str
    """Where in the ledger."""
    time: str
    """The ledger's own; empty: none is shown."""
    existed_no_later_than: str
    """Of a proven one: its time counts. Empty: no time is shown."""
    size: int
    """Leaves of the box's log under the anchored head."""
    reason: str
    """Why it is refused: the reason's name, and in words."""


class LetterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The letter as the file shows it: up to its newest event in the file, not beyond."""

    letter: str
    kind: str
    kind_title: Title | None = None
    kind_version: int
    kind_digest: str
    state: str
    state_title: Title | None = None
    events: list[EventFact]
    """Those of the letters that it was split off from first."""
    head: str
    """SHA-256 of the newest event."""
    balance: str
    begun: str
    changed: str
    """When the box says that the newest event happened."""
    existed_no_later_than: str
    said_by: str
    fields: list[FieldFact]
    hidden: int
    """How many digests of hidden fields stand in the events without a disclosure in the file."""
    title_chain: list[Holding]
    court: CourtFact | None = None
    ledgers: list[LedgerFact] = []
    renewals: list[RenewalFact] = []
    """Anchors in the file."""


def number_of(event: EventFact, letter: LetterFacts) -> str:
    """For people: see `number_told`."""
    return number_told(event.number, event.letter, letter.events[0].letter)
