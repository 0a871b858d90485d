"""What a monitor meets."""

from __future__ import annotations

from appliance.errors import CinnabarError
from appliance.log.forks import ForkEvidence


class NotPublished(CinnabarError):
    """The log's server does not answer, or not with what was asked for."""

    code = "log-not-published"
    title = "The log cannot be read"
    retriable = True


class TilesWrong(CinnabarError):
    """The published tiles do not have the root of the signed head: the server is damaged, or it lies."""

    code = "tiles-wrong"
    control = "APPEND"
    title = "The published tiles are not those of the signed head"


class HistoryForked(CinnabarError):
    """The log has signed two histories."""

    code = "history-forked"
    control = "FORK"
    title = "The log has two histories"

    def __init__(self, detail: str, evidence: ForkEvidence) -> None:
        super().__init__(detail)
        self.evidence = evidence
