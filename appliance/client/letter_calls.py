"""The calls of letters, as appliance.client.calls has the others: what to send and how to read the answer. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from appliance.api.letters import schemas
from appliance.api.letters.asking import RegisterQuestion, RegisterTold
from appliance.api.pdf_schemas import SealSeen
from appliance.client.calls import Call, json_answer, post, raw_answer
from appliance.letters.event import Approval


def begin_letter(
    kind: str,
    fields: Mapping[str, Any],
    *,
    event: str | None = None,
    letter: str | None = None,
    ids_tag: str | None = None,
    data: Mapping[str, Any] | None = None,
    envelopes: Mapping[str, bytes] | None = None,
    receipts: Sequence[schemas.ReceiptGiven] = (),
    approvals: Sequence[Approval] = (),
    disclosures: Mapping[str, str] | None = None,
    seal_key: str | None = None,
    unit: str | None = None,
    document: bool = False,
    document_seal: str | None = None,
    pdf: bytes | None = None,
    pdf_seen: SealSeen | None = None,
    idempotency_key: str | None = None,
) -> Call[schemas.LetterAnswer]:
    """Begin a letter of a kind. `letter` with its `ids_tag`, and `approvals`, come after `draft_letter`."""
    asked = schemas.LetterRequest(
        kind=kind, event=event, letter=letter, ids_tag=ids_tag, **_content(fields, data, envelopes, receipts),
        approvals=list(approvals), disclosures=dict(disclosures or {}), key=seal_key, unit=unit,
        document=document, document_seal=document_seal, pdf=pdf, pdf_seen=pdf_seen,
    )  # fmt: skip
    return post("/v1/letters", asked, schemas.LetterAnswer, idempotency_key)


def draft_letter(
    kind: str,
    fields: Mapping[str, Any],
    *,
    event: str | None = None,
    data: Mapping[str, Any] | None = None,
    envelopes: Mapping[str, bytes] | None = None,
    receipts: Sequence[schemas.ReceiptGiven] = (),
) -> Call[schemas.Draft]:
    """What approvers would sign to begin a letter: asked for with all that the letter is then begun with."""
    asked = schemas.LetterRequest(kind=kind, event=event, **_content(fields, data, envelopes, receipts))
    return post("/v1/letters/drafts", asked, schemas.Draft, None, signs=False)


def letter_event(
    letter: str,
    event: str,
    *,
    fields: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    head: str | None = None,
    codes: Mapping[str, str] | None = None,
    parts: Sequence[str] | None = None,
    ids_tag: str | None = None,
    envelopes: Mapping[str, bytes] | None = None,
    receipts: Sequence[schemas.ReceiptGiven] = (),
    approvals: Sequence[Approval] = (),
    disclosures: Mapping[str, str] | None = None,
    seal_key: str | None = None,
    unit: str | None = None,
    document: bool = False,
    document_seal: str | None = None,
    pdf: bytes | None = None,
    pdf_seen: SealSeen | None = None,
    idempotency_key: str | None = None,
) -> Call[schemas.LetterAnswer]:
    """Have an event happen to a letter. `head`: the head that the caller goes by; another one is refused. `parts` with
    their `ids_tag` come after `draft_event`."""
    asked = schemas.EventRequest(
        event=event, head=head, codes=dict(codes or {}), parts=None if parts is None else list(parts),
        ids_tag=ids_tag, **_content(fields, data, envelopes, receipts),
        approvals=list(approvals), disclosures=dict(disclosures or {}), key=seal_key, unit=unit,
        document=document, document_seal=document_seal, pdf=pdf, pdf_seen=pdf_seen,
    )  # fmt: skip
    return post(f"/v1/letters/{quote(letter, safe='')}/events", asked, schemas.LetterAnswer, idempotency_key)


def release_key() -> Call[schemas.ReleaseKey]:
    """The key that values for this tenant are veiled to."""
    return Call("GET", "/v1/release-key", json_answer(schemas.ReleaseKey))


def draft_event(
    letter: str,
    event: str,
    *,
    fields: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    envelopes: Mapping[str, bytes] | None = None,
    receipts: Sequence[schemas.ReceiptGiven] = (),
) -> Call[schemas.Draft]:
    """What approvers would sign for an event of a letter: asked for with all that the event is then sent with."""
    asked = schemas.EventRequest(event=event, **_content(fields, data, envelopes, receipts))
    return post(f"/v1/letters/{quote(letter, safe='')}/drafts", asked, schemas.Draft, None, signs=False)


def letter(letter_id: str) -> Call[schemas.Letter]:
    """A letter as it stands."""
    return Call("GET", f"/v1/letters/{quote(letter_id, safe='')}", json_answer(schemas.Letter))


def letters(
    *, kind: str | None = None, state: str | None = None, due_before: str | None = None, after: str | None = None
) -> Call[schemas.LetterPage]:
    """A page of letters, the newest first. `due_before`: those of which an event may happen by then that waits for a
    time, the earliest first; RFC 3339. `after`: the page before's `next`."""
    query = {"kind": kind, "state": state, "due_before": due_before, "after": after}
    wanted = {name: value for name, value in query.items() if value is not None}
    return Call("GET", "/v1/letters", json_answer(schemas.LetterPage), query=wanted)


def letter_events(letter_id: str, *, after: int = 0) -> Call[schemas.LetterEvents]:
    """A letter's events numbered above `after`, with their seals."""
    path = f"/v1/letters/{quote(letter_id, safe='')}/events"
    return Call("GET", path, json_answer(schemas.LetterEvents), query={"after": str(after)} if after else {})


def ask_register(
    kind: str, register: str, fields: Mapping[str, Any], *, amount: Mapping[str, str] | None = None
) -> Call[RegisterTold]:
    """Whether a letter with these values would be taken now, without using anything; sealed."""
    asked = RegisterQuestion(
        kind=kind, register=register, fields=dict(fields), amount=None if amount is None else dict(amount)
    )
    return post("/v1/questions", asked, RegisterTold, None, signs=False)


def evidence(letter_id: str, *, disclose: Sequence[str] = ()) -> Call[bytes]:
    """A letter's evidence, ASiC-E; `disclose`: hidden fields that it tells."""
    query = {"disclose": ",".join(disclose)} if disclose else {}
    return Call("GET", f"/v1/evidence/{quote(letter_id, safe='')}", raw_answer, query=query)


def evidence_anchors(letter_id: str, *, events: int | None = None) -> Call[schemas.LetterAnchors]:
    """A letter's anchors that are final by now; `events`: how many events the file holds that they are for."""
    query = {} if events is None else {"events": str(events)}
    path = f"/v1/evidence/{quote(letter_id, safe='')}/anchors"
    return Call("GET", path, json_answer(schemas.LetterAnchors), query=query)


def court_evidence(letter_id: str, *, disclose: Sequence[str] = ()) -> Call[bytes]:
    """A letter's evidence with a package for a court, ASiC-E; each time it is sealed and recorded anew."""
    query = {"disclose": ",".join(disclose)} if disclose else {}
    return Call("GET", f"/v1/evidence/{quote(letter_id, safe='')}/court", raw_answer, query=query)


def _content(
    fields: Mapping[str, Any] | None,
    data: Mapping[str, Any] | None,
    envelopes: Mapping[str, bytes] | None,
    receipts: Sequence[schemas.ReceiptGiven],
) -> dict[str, Any]:
    """What an event is about, as its draft and its request both have it."""
    return {
        "fields": dict(fields or {}),
        "data": dict(data or {}),
        "envelopes": dict(envelopes or {}),
        "receipts": list(receipts),
    }
