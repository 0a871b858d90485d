"""The appliance's error hierarchy.

Every error that can reach a client is a `CinnabarError`. Its class says, once, what the client is told:
`code` is the last part of the problem type, `status` the HTTP status, `control` the control of
docs/assurance.md that was upheld by raising it, `retriable` whether the same request may succeed later.
The message is for people and never holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class CinnabarError(Exception):
    """Base of every error that the appliance raises on purpose."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "The box met an internal error"
    control: ClassVar[str | None] = None
    retriable: ClassVar[bool] = False
    sealed: tuple[str, bytes] | None = None
    """Record and seal (CMS) of the statement in which the box says that it refused, and why; None: it sealed none."""


class BadRequest(CinnabarError):
    """The request cannot be understood or breaks a documented limit."""

    code = "bad-request"
    status = 400
    title = "The request is not well formed"


class InvalidMember(BadRequest):
    """The JSON is well formed and breaks the schema; the detail names the member."""

    code = "invalid-member"
    status = 422
    title = "A member of the request breaks its schema"


class NotFound(CinnabarError):
    """No such thing, or not the caller's: the two answer alike (control CHANNEL)."""

    code = "not-found"
    status = 404
    title = "There is no such thing here"
    control = "CHANNEL"


class NotAuthorised(CinnabarError):
    """The caller is unknown, suspended, revoked, or may not do this."""

    code = "not-authorised"
    status = 403
    title = "The caller may not do this"
    control = "CHANNEL"


class Conflict(CinnabarError):
    """The request contradicts something already recorded."""

    code = "conflict"
    status = 409
    title = "The request contradicts what is recorded"


class Unavailable(CinnabarError):
    """The box cannot do this now; the same request may succeed later."""

    code = "unavailable"
    status = 503
    title = "The box cannot do this now"
    retriable = True
