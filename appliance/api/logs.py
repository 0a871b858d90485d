"""GET /log/{origin}/...: a log's heads, tiles and entries, as C2SP tlog-tiles wants them; and box openings.

A tenant's own log is read on the applications listener; on the public one, the box's log and the logs that their
tenants publish. A log that is another tenant's and a log that does not exist answer alike (control CHANNEL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from appliance.api.application import query_of
from appliance.api.messages import NO_STORE, Request, Response
from appliance.api.schemas import BoxOpening
from appliance.errors import NotFound
from appliance.log import NotYetIncluded, OpenedLeaf, Resource
from appliance.log.cosigned import COSIGNED_FILE
from appliance.log.lines import Placed
from appliance.log.predecessor import entries_of

if TYPE_CHECKING:
    from appliance.api.worker import BoxLog, HostedLog, Worker

CONTINUATION = "continuation"
_IMMUTABLE = b"cache-control: public, max-age=31536000, immutable\r\n"
_FRESH = b"cache-control: no-cache\r\n"


async def log_resource(worker: Worker, request: Request) -> Response:
    """Serve one resource below a log's prefix."""
    hosted = worker.logs.get(request.arguments["origin"])
    tenant = request.caller.tenant if request.caller is not None else None
    if hosted is None or not (hosted.published if tenant is None else hosted.tenant == tenant or hosted.published):
        raise NotFound("There is no such log here.")
    path = request.arguments["resource"]
    if path == CONTINUATION:
        resource = _continuation(worker, hosted)
    else:
        resource = _cosigned(hosted) if path == COSIGNED_FILE else hosted.reader.resource(path)
    cache = _IMMUTABLE if resource.immutable else _FRESH
    if tenant is not None and not hosted.published:
        cache = NO_STORE
    return Response(resource.content, resource.content_type.encode(), headers=cache)


def _continuation(worker: Worker, hosted: HostedLog) -> Resource:
    """How the first entry of a log that was renewed goes on: so followers learn where. Raises NotFound for others."""
    line = worker.line_of(hosted.tenant)
    log = None if line is None else next((one for one in line.logs if one.origin == hosted.origin), None)
    if line is None or log is None or log.era.size is None:
        raise NotFound("The log goes on.")
    entry = entries_of(log.reader.directory, log.era.size, 0, log.era.hashing)[0]
    found = line.continuation(Placed(log, 0), entry)
    if found is None:
        raise NotYetIncluded("The log that succeeds it has no head yet.")
    return Resource(found, "application/json", immutable=False)


def _cosigned(hosted: HostedLog) -> Resource:
    """Raises NotFound where a log has no witnesses, NotYetIncluded before the first head that has its quorum."""
    try:
        note = hosted.cosigned.latest()
    except NotYetIncluded:
        if hosted.witnessed:
            raise
        raise NotFound("The log has no witnesses.") from None
    return Resource(note, "text/plain; charset=utf-8", immutable=False)


async def log_openings(worker: Worker, request: Request) -> Response:
    """GET /v1/log/openings: what the box's own log holds about the caller's tenant, one leaf at a time."""
    caller = request.known_caller
    box, own = worker.box_log, worker.log_of(caller.tenant)
    first = int(query_of(request).get("from", "0"))
    found = None if box is None or own is None else box.openings.from_index(caller.tenant, own.origin, first)
    if box is None or found is None:
        raise NotFound("The box's log has no such opening for this tenant.")
    return Response(msgspec.json.encode(box_opening(box, found)))


def box_opening(box: BoxLog, found: OpenedLeaf) -> BoxOpening:
    """What a tenant is given of its own opening."""
    return BoxOpening(
        origin=box.origin,
        index=found.index,
        opening=found.opening.encode().decode(),
        tlog_proof=found.tlog_proof.decode(),
    )


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
