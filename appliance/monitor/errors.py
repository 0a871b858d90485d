"""What a monitor meets. Each of these but the first is an alarm."""

from __future__ import annotations

from appliance.errors import CinnabarError
from appliance.log.forks import ForkEvidence


class NotPublished(CinnabarError):
    """The log's server does not answer, or not with what was asked for."""

    code = "log-not-published"
    title = "The log cannot be read"
    retriable = True


class Alarming(CinnabarError):
    """Something that a person must look at. `evidence`: what shows it, to be kept; empty where nothing does."""

    evidence: bytes = b""


class HeadNotSigned(Alarming):
    """What is published as the log's head is no head of it, or none of its keys signed it."""

    code = "head-not-signed"
    title = "The published head is not signed by the log"


class TilesWrong(Alarming):
    """The published tiles do not have the root of the signed head: the server is damaged, or it lies."""

    code = "tiles-wrong"
    control = "APPEND"
    title = "The published tiles are not those of the signed head"


class HistoryForked(Alarming):
    """The log has signed two histories."""

    code = "history-forked"
    control = "FORK"
    title = "The log has two histories"

    def __init__(self, detail: str, fork: ForkEvidence) -> None:
        super().__init__(detail)
        self.fork = fork
        self.evidence = fork.encode()


class Rewound(Alarming):
    """The published head is smaller than one that was seen. It lies on the same history, as far as the tiles tell."""

    code = "log-rewound"
    control = "FORK"
    title = "The log shows less than it did"


class NotCosigned(Alarming):
    """The head that is published as cosigned has not the witnesses that were asked for, or is behind."""

    code = "head-not-cosigned"
    control = "FORK"
    title = "The log's head lacks its witnesses"


class Silent(Alarming):
    """The log cannot be read for longer than is borne, or has shown nothing new for so long."""

    code = "log-silent"
    title = "The log is silent"


class SuccessorWrong(Alarming):
    """What is published of the log that goes on from this one does not hold, or there are two such logs."""

    code = "successor-wrong"
    control = "FORK"
    title = "The log's successor does not hold"

    def __init__(self, detail: str, evidence: bytes = b"") -> None:
        super().__init__(detail)
        self.evidence = evidence


class ChainBroken(Alarming):
    """The box's commitments to a tenant's heads do not follow each other, or contradict what the logs show."""

    code = "commitments-broken"
    control = "FORK"
    title = "The box's commitments to the log do not hold"

    def __init__(self, detail: str, evidence: bytes = b"") -> None:
        super().__init__(detail)
        self.evidence = evidence
