"""GET /v1/openapi.json: the API described by the table that it is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from appliance.api.messages import Request, Response
from appliance.api.openapi import openapi_document

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_CACHE = b"cache-control: max-age=300\r\n"


async def openapi(worker: Worker, request: Request) -> Response:  # noqa: ARG001 - every handler has this form
    """GET /v1/openapi.json"""
    if worker.description is None:
        from appliance.api.table import ENDPOINTS  # noqa: PLC0415 - the table names this handler

        served = [endpoint for endpoint in ENDPOINTS if "applications" in endpoint.listeners]
        worker.description = msgspec.json.encode(openapi_document(served, worker.settings.limits))
    return Response(worker.description, headers=_CACHE)
