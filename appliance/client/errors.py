"""What a call can end with instead of an answer. Errors of the box carry its problem document (RFC 9457)."""

from __future__ import annotations

import re

import msgspec

from appliance.calls.problems import PROBLEM_TYPE_PREFIX, Problem


class ApiError(Exception):
    """Base of every error of this client."""

    retry_after_s: float | None = None
    """When the box asks to be asked again, in seconds from its answer."""


class Unreachable(ApiError):
    """No answer: the box cannot be reached, or the connection broke. A request that signs may have been recorded;
    the same call with the same `idempotency_key` finds out."""


class NothingListens(Unreachable):
    """Nothing listens at the box's address: the box is not running. Nothing was sent."""


class NotTrusted(ApiError):
    """What answers shows another certificate than the box's CA issues for that address. Nothing was sent."""


class UnusableCredentials(ApiError):
    """The certificate, key or CA that this client was given cannot be used. Nothing was sent."""


class NotUnderstood(ApiError):
    """The answer is not one of this API."""


class TimeStampRejected(ApiError):
    """The box answered a time-stamp request with a TimeStampResp that grants nothing."""


class Refused(ApiError):
    """The box answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem

    @property
    def code(self) -> str:
        """The last part of the problem's type."""
        return self.problem.type.removeprefix(PROBLEM_TYPE_PREFIX)

    @property
    def control(self) -> str | None:
        """Id of the control that was upheld."""
        return self.problem.control

    @property
    def retriable(self) -> bool:
        return self.problem.retriable


class BadRequest(Refused):
    """400, 413, 414, 415, 422, 431: the request is at fault."""


class NotAuthorised(Refused):
    """401 and 403: the certificate is unknown, or may not do this."""


class NotFound(Refused):
    """404, 410: no such thing, or not this tenant's."""


class Conflict(Refused):
    """409: it contradicts what is recorded."""


class Unavailable(Refused):
    """5xx: the box cannot do this now."""


_BY_STATUS: dict[int, type[Refused]] = {
    401: NotAuthorised,
    403: NotAuthorised,
    404: NotFound,
    409: Conflict,
    410: NotFound,
}

_decode = msgspec.json.Decoder(Problem).decode


def refusal(status: int, media_type: str, body: bytes, issuer: str = "") -> ApiError:
    """The error that an answer of status 400 or above stands for. `issuer`: of the certificate that was shown."""
    if media_type == "application/problem+json":
        try:
            problem = _decode(body)
        except msgspec.DecodeError:
            return NotUnderstood(f"status {status} with a problem that cannot be read")
    else:
        # Not the worker's own words: the front's, when no worker answers, or without TLS or a certificate.
        problem = Problem(
            type="about:blank",
            title=f"The front answered {status}",
            status=status,
            detail=f"{_reason(body, issuer)}The request did not reach a worker of the box.",
            retriable=status in {502, 503, 504},
        )
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else BadRequest)
    return kind(problem)


_TITLE = re.compile(rb"<title>(?:[0-9]{3} )?([\x20-\x7e]{1,200}?)</title>", re.IGNORECASE)


_NOT_TAKEN = "The SSL certificate error"
_NOT_SHOWN = "No required SSL certificate was sent"
"""The front's words (nginx's) for a certificate of another CA or out of force, and for none."""


def _reason(body: bytes, issuer: str) -> str:
    """The reason in the front's page of HTML, as the beginning of a text; empty where there is none to read."""
    found = _TITLE.search(body[:4_096])
    if found is None:
        return ""
    said = found[1].decode()
    if said == _NOT_TAKEN:
        whose = f" It is of {issuer}." if issuer else ""
        return f"The certificate shown was not issued by this box's CA, or is not in force ({said}).{whose} "
    if said == _NOT_SHOWN:
        return (
            f"This port is for applications, which show a certificate ({said}); a first certificate is got at the "
            "`public` listener, whose address `cinnabar run --public` has. "
        )
    return f"{said}. "
