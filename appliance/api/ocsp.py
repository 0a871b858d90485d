"""OCSP over HTTP (RFC 6960, appendix A; RFC 5019): answers that the keymaster signed in advance are looked up.

Nonces are not echoed, as RFC 5019 (section 4) permits of answers made in advance. A certificate that nobody here issued
gets `unauthorized` (section 2.2.3).
"""

from __future__ import annotations

import base64
import binascii
import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from appliance.api.messages import NO_STORE, Request, Response
from appliance.errors import NotFound

if TYPE_CHECKING:
    from appliance.api.worker import Worker

MEDIA_OCSP_REQUEST: Final = "application/ocsp-request"
MEDIA_OCSP_RESPONSE: Final = "application/ocsp-response"
_HASHES: Final[dict[type[hashes.HashAlgorithm], str]] = {hashes.SHA1: "sha1", hashes.SHA256: "sha256"}


async def ocsp_post(worker: Worker, request: Request) -> Response:
    """POST /ocsp/{name}"""
    return _answer(worker, request.arguments["name"], request.body, NO_STORE)


async def ocsp_get(worker: Worker, request: Request) -> Response:
    """GET /ocsp/{name}/{request}: the request in base64 (RFC 6960, appendix A.1)."""
    try:
        der = base64.b64decode(request.arguments["request"], validate=True)
    except binascii.Error:
        der = b""
    return _answer(worker, request.arguments["name"], der, None)


def _answer(worker: Worker, name: str, der: bytes, cache: bytes | None) -> Response:
    """`cache`: header lines; None: those of an answer that caches may keep (RFC 5019, section 6.2)."""
    if name not in worker.responders:
        raise NotFound("There is no such responder here.")
    try:
        asked = ocsp.load_der_ocsp_request(der)
        named_by = _HASHES.get(type(asked.hash_algorithm))
        serial = asked.serial_number
    except (ValueError, NotImplementedError):
        return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if named_by is None or serial <= 0:
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    try:
        content = (worker.home.ocsp / name / f"{serial:x}-{named_by}.der").read_bytes()
    except (FileNotFoundError, OSError):
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    answer = ocsp.load_der_ocsp_response(content)
    if (answer.issuer_name_hash, answer.issuer_key_hash) != (asked.issuer_name_hash, asked.issuer_key_hash):
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    now, until = datetime.datetime.now(datetime.UTC), answer.next_update_utc
    if until is None or until <= now:
        return _refusal(ocsp.OCSPResponseStatus.TRY_LATER)
    if cache is None:
        # A change of state is signed at once: caches may not hold it back for long.
        age = min(3_600, int((until - now).total_seconds()))
        cache = (
            b"cache-control: max-age=%d, public, no-transform, must-revalidate\r\nlast-modified: %s\r\n"
            % (
                age,
                format_datetime(answer.this_update_utc, usegmt=True).encode(),
            )
            + b"expires: %s\r\n" % format_datetime(until, usegmt=True).encode()
        )
    return Response(content, MEDIA_OCSP_RESPONSE.encode(), headers=cache)


def _refusal(status: ocsp.OCSPResponseStatus) -> Response:
    der = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)
    return Response(der, MEDIA_OCSP_RESPONSE.encode(), headers=NO_STORE)
