"""Errors as the API answers them: problem details (RFC 9457), with the headers that some of them need."""

from __future__ import annotations

import msgspec

from appliance.api.errors import MethodNotAllowed
from appliance.api.messages import NO_STORE, PROBLEM, Response
from appliance.calls.problems import problem_of
from appliance.enrolment.errors import SecretRefused
from appliance.errors import CinnabarError

RETRY_AFTER_SECONDS = 1

_encode = msgspec.json.Encoder().encode


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
