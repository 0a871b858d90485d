"""GET /v1/evidence/{letter}: a letter's events, their seals and proofs, as one file (docs/letter-evidence.md)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from appliance.api.application import query_of
from appliance.api.letters.assembling import EvidenceNotReady, LetterSource, anchors_of, letter_evidence, read_chain
from appliance.api.letters.schemas import LetterAnchorAnswer, LetterAnchors
from appliance.api.messages import NO_STORE, Request, Response
from appliance.asic import ASIC_E
from appliance.errors import NotFound

if TYPE_CHECKING:
    from appliance.api.worker import Worker


async def evidence(worker: Worker, request: Request) -> Response:
    """GET /v1/evidence/{letter}"""
    tenant, letter = request.known_caller.tenant, request.arguments["letter"]
    disclosed = [name for name in query_of(request).get("disclose", "").split(",") if name]
    file = await letter_evidence(letter_source(worker, tenant), letter, disclosed)
    headers = NO_STORE + b'content-disposition: attachment; filename="%s.asice"\r\n' % letter.encode()
    return Response(file, ASIC_E.encode(), headers=headers)


async def anchors(worker: Worker, request: Request) -> Response:
    """GET /v1/evidence/{letter}/anchors: those of the events that an older file holds."""
    tenant, letter = request.known_caller.tenant, request.arguments["letter"]
    source = letter_source(worker, tenant)
    chain = await read_chain(source, letter)
    events = int(query_of(request).get("events", str(len(chain))))
    if events > len(chain):
        raise NotFound("the letter has not so many events")
    found = await anchors_of(source, chain[:events], letter)
    answer = LetterAnchors(
        anchors=[LetterAnchorAnswer(ledger=ledger, size=size, anchor=encoded) for ledger, size, encoded in found]
    )
    return Response(msgspec.json.encode(answer), headers=NO_STORE)


def letter_source(worker: Worker, tenant: str) -> LetterSource:
    """Raises NotFound where the tenant has no log."""
    log = worker.log_of(tenant)
    if log is None:
        raise NotFound("the tenant has no log")
    return LetterSource(
        tenant=tenant,
        recorder=worker.recorder,
        cipher=worker.cipher_of(tenant),
        origin=log.origin,
        log=log.reader,
        cosigned=log.cosigned,
        witnessed=log.witnessed,
        authorities=[one.name for one in worker.settings.authorities],
        kind_of=partial(worker.kinds.by_digest, tenant),
        rehearsal=worker.settings.rehearsal,
        anchors=worker.anchors,
    )


__all__ = ["EvidenceNotReady", "anchors", "evidence", "letter_source"]
