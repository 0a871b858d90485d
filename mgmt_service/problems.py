"""Errors of the management service, and how each answers: a page for people, problem+json (RFC 9457) for programs."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, NotAuthorised
from appliance.keymaster.errors import ExecutionBusy

PROBLEM_TYPE = "application/problem+json"


class NotSignedIn(NotAuthorised):
    """There is no session, or it has ended."""

    code = "not-signed-in"
    status = 401
    title = "Sign in first"


class SignInRefused(NotAuthorised):
    """A sign-in that does not hold. Says the same whatever was wrong."""

    code = "sign-in-refused"
    status = 403
    title = "This passkey does not sign anybody in"


class LinkRefused(NotAuthorised):
    """A one-time link that is unknown, used or too old."""

    code = "link-refused"
    status = 403
    title = "This link does not work any more"


class ProofNeeded(NotAuthorised):
    """The act needs the passkey again: the last proof is too old."""

    code = "proof-needed"
    status = 403
    title = "Show your passkey again"


class CrossSite(NotAuthorised):
    """A changing request that did not come from a page of this service, or without its token."""

    code = "cross-site"
    status = 403
    title = "The request did not come from a page of this service"


class TooMany(CinnabarError):
    """Too many attempts from one address."""

    code = "too-many-requests"
    status = 429
    title = "Too many attempts; wait a moment"
    retriable = True


class StateForbids(CinnabarError):
    """The box is in a state in which this is not done."""

    code = "state-forbids"
    status = 409
    title = "The box is in a state in which this cannot be done"


class AnotherExecuting(ExecutionBusy):
    """Another ceremony of the same scope is being executed. `others`: digest and title of those in execution that the
    viewer may see, and of no other (control CHANNEL)."""

    def __init__(self, message: str, others: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.others = others


class Malformed(BadRequest):
    """A body that is not of the form that the operation takes."""

    code = "malformed"
    status = 422
    title = "Something in the form is not right"


class TooLarge(BadRequest):
    """Files that are too large to be verified by way of a page."""

    code = "too-large"
    status = 413
    title = "The files are too large for this page"
