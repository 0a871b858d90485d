"""The JSON of letters in the local API, for the server, the client and the OpenAPI alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.api.pdf_schemas import SealSeen
from appliance.api.schemas import Name, RecordId, Time
from appliance.letters.event import Approval, Digest, LetterId

KindId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Id of a kind of letters.")]


class ReceiptGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an outside registry handed out; it is kept and sealed with the event."""

    registry: Annotated[str, Meta(min_length=1, max_length=63)]
    """The registry, as the kind calls it."""
    number: Annotated[str, Meta(min_length=1, max_length=200)]
    """The receipt's number."""
    receipt: bytes
    """The receipt itself."""


class Particulars(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an event of a letter needs; its kind says which of it."""

    fields: dict[str, Any] = {}
    """Values of the letter's fields, by name."""
    data: dict[str, Any] = {}
    """Values of the event alone."""
    envelopes: dict[str, bytes] = {}
    """Encrypted fields, by name."""
    receipts: Annotated[list[ReceiptGiven], Meta(max_length=16)] = []
    """What outside registries handed out."""
    approvals: Annotated[list[Approval], Meta(max_length=64)] = []
    """Signatures over a step's heading and the draft, both answered by `/v1/letters/drafts` or
    `/v1/letters/{id}/drafts`."""
    disclosures: dict[str, str] = {}
    """Of hidden fields, as a draft answered them; made anew where left out."""
    ids_tag: Digest | None = None
    """With `letter` or `parts`: that of the draft which answered them."""
    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""
    unit: Name | None = None
    """The time-stamping unit, likewise."""
    document: bool = False
    """Whether the letter's page, a PDF/A-3 with the event inside, is set and sealed (PAdES B-T) with the event."""
    document_seal: Name | None = None
    """Seal object as which the page's seal is seen; left out, it is in the file and not on the page."""
    pdf: bytes | None = None
    """The PDF that the event seals (PAdES B-T), where its kind says so."""
    pdf_seen: SealSeen | None = None
    """Where that seal is seen and as what."""


class LetterRequest(Particulars, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin a letter."""

    kind: KindId
    """The kind of letter."""
    event: str | None = None
    """An event that begins a letter; the kind's first if left out."""
    letter: LetterId | None = None
    """The id that a draft answered, where approvals came with it; 128 random bits of the box's if left out."""


class EventRequest(Particulars, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have an event happen to a letter."""

    event: str
    """One of the kind's, by name."""
    head: Digest | None = None
    """The letter's head that the caller goes by; another one is refused."""
    codes: dict[str, str] = {}
    """Bid codes, or the platform's shares, of veiled fields that the event opens."""
    parts: list[LetterId] | None = None
    """Ids for the letters of a split that a draft answered."""


class StepNeeded(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of approvals needs. Who may give it is told to nobody here: approvers know it."""

    step: int
    policy: str
    """An approval policy of the tenant."""
    limits: list[str]
    """The tenant's limits that the event exceeds and whose approval it is; none: the kind wants it."""
    approvals: int
    """How many of its approvers sign, each once over all steps; one more is refused."""
    in_order: bool
    """Whether in the order of the policy's list."""
    heading: str
    """What the step's approvers sign: this, in UTF-8, and after it the draft's `text`."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event as approvers would have it. Nothing is recorded."""

    letter: LetterId
    parts: list[LetterId]
    text: bytes
    """The event without approvals and time, canonical: what approvers sign after the heading of their step."""
    digest: Digest
    """SHA-256 of it."""
    ids_tag: Digest
    """Goes back with `letter` or `parts`: by it the box knows that it gave these ids to this tenant."""
    policies: list[str]
    """Approval policies of the tenant whose approvers must sign, in order."""
    needed: list[StepNeeded]
    """What each of them needs for this amount, in order."""
    disclosures: dict[str, str]
    """Of hidden fields: they go back with the approvals."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it stands after its newest event."""

    letter: LetterId
    kind: str
    version: int
    kind_digest: Digest
    state: str
    number: int
    """How many events it has."""
    head: Digest
    """SHA-256 of the newest event."""
    fields: dict[str, Any]
    hidden: dict[str, Any]
    """Values of hidden fields."""
    encrypted: list[str]
    """Fields whose value stands in an envelope."""
    balance: str | None
    """What is left of its value; null: it has none."""
    currency: str | None
    origin: LetterId | None
    """The letter that it was split from."""
    begun: Time
    changed: Time


class LetterEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is sealed and recorded."""

    letter: LetterId
    number: int
    event: bytes
    """Canonical JSON."""
    manifest: bytes
    """ASiCManifest (ETSI EN 319 162-1, annex A.4) that names the event and what is beside it: what the seal signs."""
    seal: bytes
    """CMS SignedData, DER, detached: CAdES B-T, or B-B with `evidence_record`."""
    beside: dict[str, bytes]
    """Other files that the manifest names."""
    disclosures: dict[str, str]
    """Of hidden fields (RFC 9901), by field."""
    record: RecordId
    evidence_record: bytes | msgspec.UnsetType = msgspec.UNSET
    """RFC 4998, DER: the time-stamp of a seal that was stamped with others, as rows of a file are."""


class LimitNotice(msgspec.Struct, frozen=True, kw_only=True):
    """An early warning, or issuing that stopped: once a crossing, and a leaf of the tenant's log (docs/limits.md)."""

    what: Literal["limit-warning", "share-warning", "issuing-stopped", "issuing-resumed"]
    subject: str
    """COUNTER/WINDOW/WHOM, WHOM a keyed hash; of issuing, KIND/BREAKER."""
    threshold: int
    """Ten-thousandths of the limit; of a share or an indicator, the limit itself; of refusals, how many."""
    used: int
    """Ten-thousandths of a currency's unit, or how many."""
    most: int
    """The limit, the sum or the denominator that it is compared with."""


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an event did."""

    happened: LetterEvent
    state: str
    head: Digest
    parts: list[LetterId]
    """The letters that a split made."""
    stamp_record: RecordId
    warnings: list[LimitNotice] = []
    """Of limits that the event crossed; told with the event's own answer only."""


class LetterEvents(msgspec.Struct, frozen=True, kw_only=True):
    """A letter's events in order."""

    events: list[LetterEvent]
    more: bool
    """Whether there are later ones: ask again from the last number."""


class LetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Letters, the newest first."""

    letters: list[Letter]
    next: str | None
    """Ask again with this as `after`; null: these are the last."""


class ReleaseKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that senders veil values to, for this tenant."""

    key: bytes
    """SubjectPublicKeyInfo, DER, of a point of P-256."""
    id: Digest
    """SHA-256 of the uncompressed point: by which envelopes name it."""
    chain: list[bytes]
    """Its certificate and its issuer's, DER: an authority of the trust bundle says whose key it is, and until when.
    Senders check it before they veil anything."""


class LetterAnchorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor of a letter, as its evidence file has it: META-INF/anchor-LEDGER-SIZE.json."""

    ledger: str
    size: int
    """Leaves of the box's log under the anchored head."""
    anchor: bytes
    """The entry's content."""


class LetterAnchors(msgspec.Struct, frozen=True, kw_only=True):
    """Of each ledger the first final anchor that covers the events."""

    anchors: list[LetterAnchorAnswer]
