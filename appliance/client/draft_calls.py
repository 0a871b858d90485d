"""The calls of drafts that wait for approvals, as appliance.client.calls has the others. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from appliance.api.letters import draft_schemas as schemas
from appliance.api.letters.schemas import EventRequest, LetterAnswer, LetterRequest
from appliance.client.calls import Call, json_answer, post
from appliance.letters.event import Approval


def keep_letter_draft(begin: LetterRequest, *, hours: int = 72) -> Call[schemas.KeptDraft]:
    """Keep a draft that begins a letter until its approvers have signed it."""
    asked = schemas.KeepRequest(begin=begin, hours=hours)
    return post("/v1/drafts", asked, schemas.KeptDraft, None, signs=False)


def keep_event_draft(letter: str, event: EventRequest, *, hours: int = 72) -> Call[schemas.KeptDraft]:
    """Keep a draft of a letter's event until its approvers have signed it."""
    asked = schemas.KeepRequest(letter=letter, event=event, hours=hours)
    return post("/v1/drafts", asked, schemas.KeptDraft, None, signs=False)


def kept_drafts(*, after: str | None = None) -> Call[schemas.KeptDrafts]:
    """A page of the drafts that wait. `after`: the page before's `next`."""
    query = {} if after is None else {"after": after}
    return Call("GET", "/v1/drafts", json_answer(schemas.KeptDrafts), query=query)


def kept_draft(draft: str) -> Call[schemas.KeptDraft]:
    """A draft that waits."""
    return Call("GET", f"/v1/drafts/{quote(draft, safe='')}", json_answer(schemas.KeptDraft))


def withdraw_draft(draft: str) -> Call[schemas.KeptDraft]:
    """Take back a draft that this application asked for."""
    return Call("DELETE", f"/v1/drafts/{quote(draft, safe='')}", json_answer(schemas.KeptDraft))


def approve_draft(draft: str, approval: Approval) -> Call[schemas.KeptDraft]:
    """Add an approval to a draft."""
    return post(f"/v1/drafts/{quote(draft, safe='')}/approvals", approval, schemas.KeptDraft, None, signs=False)


def finish_draft(
    draft: str, *, codes: Mapping[str, str] | None = None, idempotency_key: str | None = None
) -> Call[LetterAnswer]:
    """Have a draft's event happen, with the approvals that have come. `codes`: of veiled fields that it opens."""
    asked = schemas.DraftEvent(codes=dict(codes or {}))
    return post(f"/v1/drafts/{quote(draft, safe='')}/event", asked, LetterAnswer, idempotency_key)
