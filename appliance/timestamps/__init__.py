"""RFC 3161 time-stamps (with RFC 5816 and EN 319 422): pure and synchronous, but for taking the shared mark.

    prepared = unit.prepare(request_der, clock.read())      # or prepare_digest("sha256", digest, clock.read())
    token = unit.complete(prepared, key.sign(prepared.to_be_signed))
    answer = granted(token)                                 # or rejection_of(error)

See docs/timestamps.md.
"""

from appliance.timestamps.certificate import Validity
from appliance.timestamps.errors import (
    FailureInfo,
    MarkUnavailable,
    StampRejected,
    TimeRanBackwards,
    UnitFaults,
    UnitStopped,
    failure_of,
)
from appliance.timestamps.marks import HighWaterMark
from appliance.timestamps.response import granted, rejection, rejection_of
from appliance.timestamps.token import PreparedStamp
from appliance.timestamps.unit import TimeStampUnit, UnitProfile, check_unit_certificate

__all__ = [
    "FailureInfo",
    "HighWaterMark",
    "MarkUnavailable",
    "PreparedStamp",
    "StampRejected",
    "TimeRanBackwards",
    "TimeStampUnit",
    "UnitFaults",
    "UnitProfile",
    "UnitStopped",
    "Validity",
    "check_unit_certificate",
    "failure_of",
    "granted",
    "rejection",
    "rejection_of",
]
