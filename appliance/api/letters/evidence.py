"""GET /v1/evidence/{letter}: all of a letter's events, their seals and proofs, as one file (docs/letter-evidence.md).

The file is the same bytes each time until the letter has another event: proofs are under the first checkpoint that
covers their record, revocation lists are those that were newest when the last event happened. A read signs nothing.
"""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any

from appliance.api.application import query_of
from appliance.api.messages import NO_STORE, Request, Response
from appliance.asic import ASIC_E, EventFiles, Extras, OpenedRecord, letter_container
from appliance.errors import NotFound, Unavailable
from appliance.letters.artifact import decode_artifact
from appliance.letters.event import read_event
from appliance.log import NotYetIncluded

if TYPE_CHECKING:
    from appliance.api.worker import HostedLog, Worker


class EvidenceNotReady(Unavailable):
    """The newest event is not in a signed head of the log yet: a matter of a second."""

    code = "evidence-not-ready"
    title = "The letter's newest event is not in the log's signed head yet"


async def evidence(worker: Worker, request: Request) -> Response:
    """GET /v1/evidence/{letter}"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    tenant, letter = request.caller.tenant, request.arguments["letter"]
    disclosed = [name for name in query_of(request).get("disclose", "").split(",") if name]
    log = worker.log_of(tenant)
    if log is None:
        raise NotFound("the tenant has no log")
    chain = await _chain(worker, tenant, log, letter)
    newest = read_event(chain[-1].artifact.event)
    extras = Extras(
        lists=await _lists(worker, newest.at),
        disclosed=disclosed,
        kind=worker.kinds.by_digest(tenant, newest.kind.digest).kind,
    )
    file = await asyncio.to_thread(letter_container, chain, extras, letter)
    headers = NO_STORE + b'content-disposition: attachment; filename="%s.asice"\r\n' % letter.encode()
    return Response(file, ASIC_E.encode(), headers=headers)


async def _chain(worker: Worker, tenant: str, log: HostedLog, letter: str) -> list[EventFiles]:
    """Every event that leads to the letter, the oldest first."""
    own: list[EventFiles] = []
    after, wanted = 0, bytes.fromhex(letter)
    while True:
        rows: list[tuple[int, list[Any]]] = await worker.recorder.query("letter_records", tenant, wanted, after)
        if not rows:
            break
        for number, row in rows:
            own.append(await _event(worker, tenant, log, row))
            after = number
    first = read_event(own[0].artifact.event)
    if first.letter == letter:
        return own
    # It was split off: its first event is its parent's. What led to that comes before it, and nothing after the split.
    parents = await _chain(worker, tenant, log, first.letter)
    split = [one.artifact.event for one in parents].index(own[0].artifact.event)
    return [*parents[: split + 1], *own[1:]]


async def _event(worker: Worker, tenant: str, log: HostedLog, row: list[Any]) -> EventFiles:
    index, record_id, commitment, body = row[0], row[1], row[6], row[7]
    opened = worker.cipher_of(tenant).open(record_id, body)
    note = await worker.recorder.query("checkpoint_covering", log.origin, index + 1)
    try:
        if note is None:
            raise NotYetIncluded(f"{index}")
        proof = log.reader.tlog_proof(index, entry=commitment, note=note)
    except NotYetIncluded:
        raise EvidenceNotReady("Ask again in a second.") from None
    return EventFiles(
        artifact=decode_artifact(opened.artifact),
        opened=OpenedRecord(record=opened.record, salt=opened.salt, index=index, proof=proof),
    )


async def _lists(worker: Worker, at: str) -> list[bytes]:
    moment = datetime.datetime.fromisoformat(at)
    time_us = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    found = [await worker.recorder.query("list_at", one.name, time_us) for one in worker.settings.authorities]
    return [one for one in found if one is not None]
