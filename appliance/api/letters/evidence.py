"""GET /v1/evidence/{letter}: a letter's events, their seals and proofs, as one file (docs/letter-evidence.md)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from appliance.api.application import query_of
from appliance.api.letters.assembling import EvidenceNotReady, LetterSource, letter_evidence
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
        anchors=worker.anchors,
    )


__all__ = ["EvidenceNotReady", "evidence", "letter_source"]
