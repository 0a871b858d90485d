"""Why there is no stamp: RFC 3161's failure codes, and the errors that carry them."""

from __future__ import annotations

from enum import IntEnum

from appliance.clock.errors import TimeNotShown
from appliance.errors import CinnabarError, Unavailable


class FailureInfo(IntEnum):
    """PKIFailureInfo bits that a TSA may set (RFC 3161, section 2.4.2)."""

    badAlg = 0
    badRequest = 2
    badDataFormat = 5
    timeNotAvailable = 14
    unacceptedPolicy = 15
    unacceptedExtension = 16
    addInfoNotAvailable = 17
    systemFailure = 25


class StampRejected(CinnabarError):
    """The request cannot be granted as it is; `failure` says why in RFC 3161's terms."""

    code = "stamp-rejected"
    status = 422
    title = "The time-stamp request was rejected"

    def __init__(self, failure: FailureInfo, text: str) -> None:
        super().__init__(text)
        self.failure = failure


class TimeRanBackwards(TimeNotShown):
    """The unit's high-water mark is ahead of the clock by more than the declared accuracy."""

    code = "time-ran-backwards"
    title = "The box waits until its clock has passed the unit's last stamp"


class MarkUnavailable(Unavailable):
    """The unit's high-water mark cannot be used: every slot of its page is held by a living process."""

    code = "mark-unavailable"
    title = "Too many processes serve this time-stamping unit"


class UnitStopped(Unavailable):
    """The unit's certificate or private key is not in its validity period."""

    code = "unit-stopped"
    title = "The time-stamping unit is outside its validity"
    retriable = False


class UnitFaults(CinnabarError):
    """The unit's certificate or settings break rules; `faults` lists every one of them."""

    code = "unit-faults"
    title = "The time-stamping unit cannot be used"

    def __init__(self, unit: str, faults: list[str]) -> None:
        super().__init__(f"time-stamping unit {unit}: " + "; ".join(faults))
        self.faults = faults


def failure_of(error: CinnabarError) -> FailureInfo:
    """The failure code by which a TimeStampResp tells of any error of the box."""
    if isinstance(error, StampRejected):
        return error.failure
    return FailureInfo.timeNotAvailable if error.control == "TIME" else FailureInfo.systemFailure
