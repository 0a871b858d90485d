"""Letters: POST /v1/letters, POST /v1/letters/{id}/events, their drafts, and the reads."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.api.application import query_of
from appliance.api.callers import Caller
from appliance.api.letters.approvals import needed_of, told
from appliance.api.letters.happening import beginning, following, happen, once, told_event
from appliance.api.letters.ids import ids_tag
from appliance.api.letters.making import Wanted, decide, with_limits
from appliance.api.letters.rows import letter_rows
from appliance.api.letters.schemas import Draft, LetterEvent, LetterEvents, LetterPage, ReleaseKey
from appliance.api.letters.views import open_view, read_letter, shown
from appliance.api.messages import Request, Response
from appliance.api.texts import idempotency_of
from appliance.errors import BadRequest, NotFound
from appliance.instants import microseconds
from appliance.letters.artifact import decode_artifact
from appliance.letters.event import read_event
from appliance.letters.veil import key_id
from appliance.recorder.errors import KeyExpired, KeyStopped, KeyUnusable

if TYPE_CHECKING:
    from appliance.api.worker import Worker

PAGE: Final = 50
"""Letters of one page."""
HISTORY_BYTES: Final = 1024 * 1024
"""Of the records whose events make one answer; one event at least."""
_encode = msgspec.json.Encoder().encode


async def letters(worker: Worker, request: Request) -> Response:
    """POST /v1/letters"""
    caller, asked = request.known_caller, request.document
    idempotency = idempotency_of(request)

    async def begin() -> Response:
        return await happen(worker, caller, idempotency, beginning(worker, caller, asked))

    return await once(worker, caller, idempotency, begin())


async def letter_events(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/{id}/events"""
    caller, asked = request.known_caller, request.document
    idempotency = idempotency_of(request)

    async def go_on() -> Response:
        wanted = await following(worker, caller, request.arguments["id"], asked)
        return await happen(worker, caller, idempotency, wanted)

    return await once(worker, caller, idempotency, go_on())


async def letter_drafts(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/drafts"""
    caller, asked = request.known_caller, request.document
    return await _draft(worker, caller, beginning(worker, caller, asked))


async def letter_event_drafts(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/{id}/drafts"""
    caller, asked = request.known_caller, request.document
    return await _draft(worker, caller, await following(worker, caller, request.arguments["id"], asked))


async def letter(worker: Worker, request: Request) -> Response:
    """GET /v1/letters/{id}"""
    return Response(_encode(shown(await read_letter(worker, request.known_caller.tenant, request.arguments["id"]))))


async def letter_history(worker: Worker, request: Request) -> Response:
    """GET /v1/letters/{id}/events"""
    tenant, arguments = request.known_caller.tenant, query_of(request)
    after = int(arguments.get("after", "0"))
    letter = bytes.fromhex(request.arguments["id"])
    newest = (await worker.recorder.query("letter", tenant, letter))["number"]
    cipher = worker.cipher_of(tenant)
    events: list[LetterEvent] = []
    size = 0
    async with contextlib.aclosing(letter_rows(worker.recorder, tenant, letter, after)) as rows:
        async for number, row in rows:
            size += len(row[-1])
            if events and size > HISTORY_BYTES:
                break
            artifact = decode_artifact(cipher.open(row[1], row[-1]).artifact)
            events.append(told_event(artifact, row[1], number, read_event(artifact.event)))
            if number >= newest:
                break
    return Response(_encode(LetterEvents(events=events, more=bool(events) and events[-1].number < newest)))


async def letter_page(worker: Worker, request: Request) -> Response:
    """GET /v1/letters"""
    tenant, arguments = request.known_caller.tenant, query_of(request)
    if "due_before" in arguments:
        return await _due_page(worker, tenant, arguments)
    after = arguments.get("after", "")
    if "-" in after:
        raise BadRequest("after is `next` of a page of what is due")
    before = bytes.fromhex(after)
    kind, state = arguments.get("kind"), arguments.get("state")
    found = await worker.recorder.query("letter_page", tenant, kind, state, PAGE, before)
    cipher = worker.cipher_of(tenant)
    page = [shown(open_view(cipher, one["letter"], one["view"])) for one in found]
    more = page[-1].letter if len(page) == PAGE else None
    return Response(_encode(LetterPage(letters=page, next=more)))


async def _due_page(worker: Worker, tenant: str, arguments: Mapping[str, str]) -> Response:
    if "kind" in arguments or "state" in arguments:
        raise BadRequest("what is due is listed of all kinds and states")
    try:
        by = microseconds(datetime.datetime.fromisoformat(arguments["due_before"].replace("Z", "+00:00")))
    except ValueError:
        raise BadRequest("due_before is a time of RFC 3339") from None
    last, _, since = arguments.get("after", "").partition("-")
    after = [int(since or 0), bytes.fromhex(last)] if last else None
    found = await worker.recorder.query("letters_due", tenant, max(0, by), PAGE, after)
    cipher = worker.cipher_of(tenant)
    page = [shown(open_view(cipher, one["letter"], one["view"])) for _, one in found]
    more = f"{page[-1].letter}-{found[-1][0]}" if len(page) == PAGE else None
    return Response(_encode(LetterPage(letters=page, next=more)))


async def release_key(worker: Worker, request: Request) -> Response:
    """GET /v1/release-key"""
    tenant = request.known_caller.tenant
    refused: KeyUnusable | None = None
    for one in worker.release_keys.get(tenant, ()):
        try:
            worker.gates.check_veiling(tenant, one.name)
        except (KeyStopped, KeyExpired) as error:
            refused = refused or error
            continue
        public = one.key.public_key
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Response(_encode(ReleaseKey(key=der, id=key_id(public), chain=one.chain)))
    raise refused or NotFound("the tenant has no release key")


async def _draft(worker: Worker, caller: Caller, wanted: Wanted) -> Response:
    decision = await with_limits(worker, caller, wanted, await decide(worker, caller, wanted))
    text, parts = decision.draft.draft_text(), [part.letter for part in decision.draft.parts]
    return Response(
        _encode(
            Draft(
                letter=decision.draft.letter,
                parts=parts,
                text=text,
                digest=hashlib.sha256(text).hexdigest(),
                ids_tag=ids_tag(worker, caller.tenant, decision.draft.letter, parts),
                policies=[step.policy for step in decision.steps],
                needed=told(needed_of(worker, caller, decision)),
                disclosures=dict(decision.disclosures),
            )
        )
    )
