"""Errors as RFC 9457 problem details: type, title, status, detail, and two members of ours, `control` and `retriable`.

The type is a URN of the error's code, so that it needs no host: urn:cinnabar:problem:CODE. docs/api.md lists them.
"""

from __future__ import annotations

import msgspec

from appliance.api.errors import MethodNotAllowed
from appliance.api.messages import NO_STORE, PROBLEM, Response
from appliance.api.schemas import PROBLEM_TYPE_PREFIX, Problem
from appliance.enrolment.errors import SecretRefused
from appliance.errors import CinnabarError

RETRY_AFTER_SECONDS = 1

_encode = msgspec.json.Encoder().encode


def problem_of(error: CinnabarError) -> Problem:
    """The problem document of an error."""
    return Problem(
        type=PROBLEM_TYPE_PREFIX + error.code,
        title=error.title,
        status=error.status,
        detail=str(error) or error.title + ".",
        control=error.control,
        retriable=error.retriable,
    )


def problem_response(error: CinnabarError) -> Response:
    """The HTTP response of an error: Retry-After where it is retriable, Allow where a method was wrong,
    WWW-Authenticate where a one-time secret was."""
    headers = NO_STORE
    if error.retriable:
        headers += b"retry-after: %d\r\n" % getattr(error, "retry_after", RETRY_AFTER_SECONDS)
    if isinstance(error, SecretRefused):
        headers += b'www-authenticate: Basic realm="enrolment", charset="UTF-8"\r\n'
    if isinstance(error, MethodNotAllowed):
        headers += b"allow: %s\r\n" % error.allowed.encode()
    return Response(_encode(problem_of(error)), PROBLEM, error.status, headers)
