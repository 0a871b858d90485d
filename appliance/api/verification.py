"""POST /v1/verify: the pure function of appliance.evidence over the given files and the box's own trust bundle.

Nothing more: no record, no log, no register is looked into, so equal files give equal reports whoever asks. And nothing
of it here: a document worker decodes the body, verifies, and encodes the report (see appliance.documents).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from appliance.api.messages import Request, Response
from appliance.documents import VERIFY

if TYPE_CHECKING:
    from appliance.api.worker import Worker


async def verify_files(worker: Worker, request: Request) -> Response:
    """POST /v1/verify"""
    copied = partial(worker.hub.let_go, request)
    report = await worker.documents.call_encoded(VERIFY, request.known_caller.tenant, request.pieces, copied)
    return Response(report)
