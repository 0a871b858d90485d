"""The endpoints of intake runs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.api.application import query_of
from appliance.api.callers import Caller
from appliance.api.intakes.file import store_part
from appliance.api.intakes.schemas import (
    WORKBOOK_BYTES,
    IntakePage,
    IntakeRequest,
    RowVerdict,
    RowVerdicts,
)
from appliance.api.intakes.views import Kept, close_request, shown, verdicts_of
from appliance.api.messages import Request, Response
from appliance.api.tables import table
from appliance.api.texts import idempotency_of, new_idempotency_key
from appliance.errors import BadRequest, CinnabarError
from appliance.intake import IntakeRefused, default_mapping
from appliance.recorder.errors import OutcomeUnknown
from appliance.recorder.messages import Idempotency, Replayed

if TYPE_CHECKING:
    from appliance.api.worker import Worker

PAGE: Final = 50
"""Runs of one page."""
VERDICTS: Final = 1_000
"""Of one page."""
RESULT_ROWS: Final = 20_000
"""Of one part of a result."""
SEARCHED: Final = 20_000
"""Rows that one page looks through."""
_encode = msgspec.json.Encoder().encode


async def intakes(worker: Worker, request: Request) -> Response:
    """POST /v1/intakes"""
    caller, asked = request.known_caller, request.document
    assert isinstance(asked, IntakeRequest)  # noqa: S101 - the endpoint's schema
    loaded = worker.kinds.newest(caller.tenant, asked.kind)
    event = asked.event or next((name for name, one in loaded.kind.events.items() if not one.from_), "")
    default_mapping(loaded.kind, event)  # whether rows can have this event at all
    if asked.format == "xlsx" and asked.size > WORKBOOK_BYTES:
        raise IntakeRefused(f"a workbook has at most {WORKBOOK_BYTES} bytes; send larger files as CSV or NDJSON")
    if asked.batch is not None and not asked.row_key:
        raise IntakeRefused("row_key: rows of a batch are known by columns; their numbers may be others next time")
    worker.unit_for(caller, asked.unit)
    worker.seal_key_for(caller, asked.key)
    intake = os.urandom(16)
    cipher = worker.cipher_of(caller.tenant)
    answer = await worker.recorder.intake_create(
        caller.tenant, caller.application, caller.certificate, intake, asked.kind, event, asked.size,
        close_request(cipher, intake, Kept(caller.certificate, asked)),
        idempotency_of(request) or Idempotency(new_idempotency_key(), intake + bytes(16)), checks=asked.check,
    )  # fmt: skip
    if isinstance(answer, Replayed) and answer.job_id is not None:
        intake = answer.job_id
    return await _told(worker, caller, intake)


async def intake_file(worker: Worker, request: Request) -> Response:
    """PUT /v1/intakes/{id}/file"""
    caller, intake = request.known_caller, _id(request)
    start = int(query_of(request).get("from", "0"))
    if not request.body:
        raise BadRequest("A part has bytes.")
    run = await worker.recorder.query("intake", caller.tenant, intake)
    if start + len(request.body) > run["size"]:
        raise BadRequest(f"The file has {run['size']} bytes, as its run was told.")
    if run["state"] == "receiving" and run["received"] == start:
        cipher = worker.cipher_of(caller.tenant)
        digest = await store_part(worker.stored, cipher, intake, start, request.body)
        try:
            await worker.recorder.intake_part(
                caller.tenant, caller.application, caller.certificate, intake, start, len(request.body), digest
            )
        except OutcomeUnknown:
            raise  # it may be named: if it is not, `sweep` finds it
        except CinnabarError:
            await asyncio.to_thread(worker.stored.remove, digest)
            raise
        worker.intakes.poke()
    elif run["received"] < start + len(request.body):
        raise BadRequest(f"The next part begins at {run['received']}.")
    return await _told(worker, caller, intake)


async def intake_page(worker: Worker, request: Request) -> Response:
    """GET /v1/intakes"""
    caller = request.known_caller
    after = query_of(request).get("after")
    before = 0
    if after is not None:
        before = (await worker.recorder.query("intake", caller.tenant, bytes.fromhex(after)))["number"]
    found = await worker.recorder.query("intakes", caller.tenant, PAGE, before)
    cipher = worker.cipher_of(caller.tenant)
    page = [shown(cipher, run) for run in found]
    return Response(_encode(IntakePage(intakes=page, next=page[-1].intake if len(page) == PAGE else None)))


async def intake(worker: Worker, request: Request) -> Response:
    """GET /v1/intakes/{id}"""
    return await _told(worker, request.known_caller, _id(request))


async def intake_stop(worker: Worker, request: Request) -> Response:
    """POST /v1/intakes/{id}/stop"""
    return await _ask(worker, request, "stopped")


async def intake_resume(worker: Worker, request: Request) -> Response:
    """POST /v1/intakes/{id}/resume"""
    return await _ask(worker, request, "running")


async def intake_verdicts(worker: Worker, request: Request) -> Response:
    """GET /v1/intakes/{id}/verdicts"""
    query = query_of(request)
    found, following = await _verdicts(
        worker, request.known_caller, _id(request), int(query.get("after", "0")), query.get("only"), VERDICTS
    )
    return Response(_encode(RowVerdicts(verdicts=found, next=following)))


async def intake_result(worker: Worker, request: Request) -> Response:
    """GET /v1/intakes/{id}/result"""
    after = int(query_of(request).get("after", "0"))
    found, following = await _verdicts(worker, request.known_caller, _id(request), after, None, RESULT_ROWS)
    return table(request, RowVerdict, found, first=after == 0, following=None if following is None else str(following))


async def _verdicts(
    worker: Worker, caller: Caller, intake: bytes, after: int, only: str | None, most: int
) -> tuple[list[RowVerdict], int | None]:
    """Verdicts after so many rows of the run, and what to ask again with; None where all decided ones were told."""
    cipher = worker.cipher_of(caller.tenant)
    found: list[RowVerdict] = []
    first = after
    while after - first < SEARCHED:
        pages = await worker.recorder.query("intake_pages", caller.tenant, intake, after, only == "refused")
        if not pages:
            return found, None
        for page in pages:
            for place, verdict in verdicts_of(cipher, intake, page, after):
                after = place
                if only is None or verdict.verdict == only:
                    found.append(verdict)
                    if len(found) == most:
                        return found, after
            after = max(after, page["start"] + page["rows"])
            if after - first >= SEARCHED:
                break
    return found, after


async def _ask(worker: Worker, request: Request, after: str) -> Response:
    caller, intake = request.known_caller, _id(request)
    await worker.recorder.intake_ask(caller.tenant, caller.application, caller.certificate, intake, after)
    worker.intakes.poke()
    return await _told(worker, caller, intake)


async def _told(worker: Worker, caller: Caller, intake: bytes) -> Response:
    run = await worker.recorder.query("intake", caller.tenant, intake)
    return Response(_encode(shown(worker.cipher_of(caller.tenant), run)))


def _id(request: Request) -> bytes:
    return bytes.fromhex(request.arguments["id"])
