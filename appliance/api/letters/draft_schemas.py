"""The JSON of drafts that wait for approvals."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.api.letters.schemas import EventRequest, LetterRequest, StepNeeded
from appliance.api.schemas import Time
from appliance.letters.event import Digest, LetterId

LONGEST_HOURS = 720


class KeepRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a draft until its approvers have signed it. Either `begin`, or `letter` and `event`."""

    begin: LetterRequest | None = None
    """As for `/v1/letters`, without approvals."""
    letter: LetterId | None = None
    """Whose event it is."""
    event: EventRequest | None = None
    """As for `/v1/letters/{id}/events`, without approvals and codes: codes come when the event happens."""
    hours: Annotated[int, Meta(ge=1, le=LONGEST_HOURS)] = 72
    """How long it waits."""


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that has come."""

    approver: str
    step: int


class KeptDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that waits for approvals."""

    draft: Digest
    """Its id: the SHA-256 of `text`."""
    state: str
    """open: approvals are missing; complete: the event may happen; stale: it will not happen any more, for the letter
    has had another event, or the kind another version; withdrawn: the application that asked for it took it back."""
    letter: LetterId
    kind: str
    event: str
    application: str
    """Who asked for it, and alone can have it happen."""
    asked: Time
    expires: Time
    text: bytes
    """The event without approvals and time, canonical: what approvers sign after the heading of their step."""
    disclosures: dict[str, str]
    """Of hidden fields, so that approvers read what they sign."""
    needed: list[StepNeeded]
    """What each step needs; empty where a policy is no longer there."""
    approved: list[Approved]
    """In the order in which they came."""


class KeptDrafts(msgspec.Struct, frozen=True, kw_only=True):
    """Drafts that wait, in no particular order."""

    drafts: list[KeptDraft]
    next: Digest | None
    """Ask again with this as `after`; null: these are the last."""


class DraftEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have a draft's event happen."""

    codes: dict[str, str] = {}
    """Bid codes of veiled fields that it opens; the box keeps none."""
