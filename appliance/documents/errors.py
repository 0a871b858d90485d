"""How a task on a document fails where the task itself says nothing."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Unavailable


class DocumentTooCostly(BadRequest):
    """The document needed more processor time or memory than a task may use; its worker was ended."""

    code = "document-too-costly"
    status = 422
    title = "The document needs more time or memory than one may use"


class DocumentWorkerFailed(Unavailable):
    """The document's worker ended unexpectedly, or the box was too loaded to let it finish in time."""

    code = "document-worker-failed"
    title = "The document's worker did not finish"


class DocumentsBusy(Unavailable):
    """As many documents wait, of this tenant or of all, as the box lets wait: this one was not taken."""

    code = "documents-busy"
    title = "The box has as many documents as it can hold"


class DocumentsUnavailable(Unavailable):
    """The document workers cannot be reached."""

    code = "documents-unavailable"
    title = "The box's document workers do not answer"


class TrustUnavailable(Unavailable):
    """The box's own trust bundle is missing, or does not hold."""

    code = "trust-unavailable"
    title = "The box's trust bundle cannot be used"
    retriable = False


class FontsMissing(Unavailable):
    """A font that documents for people are set in is not installed."""

    code = "fonts-missing"
    title = "A font of the box's documents is missing"
    retriable = False


class NotRendered(BadRequest):
    """The document could not be set from its data."""

    code = "not-rendered"
    status = 422
    title = "The document cannot be set"


GENERAL: tuple[type[CinnabarError], ...] = (
    DocumentTooCostly,
    DocumentWorkerFailed,
    DocumentsBusy,
    DocumentsUnavailable,
)
"""What every task can be answered with."""


def from_code(code: str, detail: str, own: tuple[type[CinnabarError], ...]) -> CinnabarError:
    """The exception that a refusal stands for: one of the task's `own` or a general one, whatever a worker sends."""
    for kind in (*own, *GENERAL):
        if kind.code == code:
            return kind(detail)
    return DocumentWorkerFailed("The document's worker gave an answer that it does not have.")
