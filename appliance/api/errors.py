"""Errors that only the HTTP interface can meet. What the rooms below raise is answered by their own classes."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, NotAuthorised, NotFound, Unavailable


class UnknownPath(NotFound):
    """No endpoint of this listener has the path; an endpoint of another listener answers the same."""

    title = "There is no such endpoint on this listener"


class MethodNotAllowed(CinnabarError):
    """The path exists, the method does not. `allowed` goes into the Allow header."""

    code = "method-not-allowed"
    status = 405
    title = "The endpoint does not take this method"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This path takes {allowed}.")
        self.allowed = allowed


class RequestTimeout(CinnabarError):
    """The client sent its request more slowly than the listener waits."""

    code = "request-timeout"
    status = 408
    title = "The request did not arrive in time"
    retriable = True


class TooLarge(CinnabarError):
    """The body is larger than the endpoint takes."""

    code = "too-large"
    status = 413
    title = "The request is larger than this endpoint takes"


class AddressTooLong(CinnabarError):
    """The request line is longer than the listener takes."""

    code = "address-too-long"
    status = 414
    title = "The address is too long"


class UnsupportedMediaType(CinnabarError):
    """The endpoint does not take a body of this Content-Type."""

    code = "unsupported-media-type"
    status = 415
    title = "The endpoint does not take this media type"


class TooManyRequests(CinnabarError):
    """The front was asked, or connected to, more often by one address than it takes."""

    code = "too-many-requests"
    status = 429
    title = "This address asks too often"
    retriable = True


class HeadersTooLarge(CinnabarError):
    """The header section is larger than the listener takes."""

    code = "headers-too-large"
    status = 431
    title = "The header section is too large"


class UnsupportedVersion(CinnabarError):
    """Workers speak HTTP/1.1 and 1.0; HTTP/2 is spoken by the TLS front."""

    code = "unsupported-http-version"
    status = 505
    title = "The worker does not speak this version of HTTP"


class UnknownCaller(NotAuthorised):
    """No certificate, or one that is not in the register, expired, not yet valid, or revoked: they answer alike."""

    code = "unknown-caller"
    status = 401
    title = "The caller is not known to this box"


class NotPermitted(NotAuthorised):
    """The caller is known and may not use this unit or key."""

    code = "not-permitted"


class Busy(Unavailable):
    """The worker holds as many requests, or as many bytes of them, as it takes."""

    code = "busy"
    title = "The box is busy"


class StateForbids(Unavailable):
    """The box's state does not allow this kind of work."""

    code = "state-forbids"
    title = "The box's state does not allow this"


class BadCertificateHeader(CinnabarError):
    """The TLS front's certificate header is missing its form, or stands there twice: somebody else wrote it."""

    code = "bad-certificate-header"
    status = 400
    title = "The certificate header is not the front's"
    control = "CHANNEL"


class IdempotencyNotOffered(BadRequest):
    """An Idempotency-Key is one application's; who is nobody in particular has none (control CHANNEL)."""

    code = "idempotency-not-offered"
    title = "This listener takes no Idempotency-Key"
    control = "CHANNEL"
