"""GET /log/{origin}/...: a log's checkpoint, tiles and entries, as C2SP tlog-tiles wants them.

A tenant's own log is read on the applications listener; on the public one, the box's log and the logs that their
tenants publish. A log that is another tenant's and a log that does not exist answer alike (control CHANNEL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.api.messages import NO_STORE, Request, Response
from appliance.errors import NotFound

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_IMMUTABLE = b"cache-control: public, max-age=31536000, immutable\r\n"
_FRESH = b"cache-control: no-cache\r\n"


async def log_resource(worker: Worker, request: Request) -> Response:
    """Serve one resource below a log's prefix."""
    hosted = worker.logs.get(request.arguments["origin"])
    tenant = request.caller.tenant if request.caller is not None else None
    if hosted is None or not (hosted.published if tenant is None else hosted.tenant == tenant or hosted.published):
        raise NotFound("There is no such log here.")
    resource = hosted.reader.resource(request.arguments["resource"])
    cache = _IMMUTABLE if resource.immutable else _FRESH
    if tenant is not None and not hosted.published:
        cache = NO_STORE
    return Response(resource.content, resource.content_type.encode(), headers=cache)


async def revocation_list(worker: Worker, request: Request) -> Response:
    """Serve the current CRL of one of the box's CAs (RFC 5280; media type of RFC 2585, section 4.2)."""
    path = worker.revocation_lists.get(request.arguments["name"])
    if path is None:
        raise NotFound("There is no such CRL here.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound("There is no such CRL here.") from None
    return Response(content, b"application/pkix-crl", headers=_FRESH)
