"""Why a file was not renewed, or a whole job was not done."""

from __future__ import annotations

from enum import StrEnum

from appliance.errors import BadRequest, CinnabarError, Unavailable


class Reason(StrEnum):
    """Why one file was not renewed."""

    UNREADABLE = "unreadable"
    NOT_EVIDENCE = "not-evidence"
    """Neither an evidence record, nor a token, nor evidence of a letter; or malformed."""
    MISSING_ORIGINAL = "missing-original"
    CHANGED_ORIGINAL = "changed-original"
    UNTRUSTED_TOKEN = "untrusted-token"
    EXPIRED = "expired"
    """What it relies on has ended already: a renewal now would not help it."""
    NOT_PASSED = "not-passed"
    """It does not pass under the trust bundle, for another reason."""
    RENEWED_TOO_OFTEN = "renewed-too-often"
    RECORD_THERE = "record-there"
    """A token whose record is there already."""
    CHANGED_MEANWHILE = "changed-meanwhile"
    NOT_WRITTEN = "not-written"


class NotRenewed(CinnabarError):
    """One file cannot be renewed; the detail says why in words."""

    code = "not-renewed"
    status = 422
    title = "The file was not renewed"

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class JobRefused(BadRequest):
    """The job cannot be begun or gone on with."""

    code = "renewal-job-refused"
    title = "The renewal cannot be done"


class AuthorityFailed(Unavailable):
    """The time-stamping authority gave no token that counts. Nothing was written."""

    code = "authority-failed"
    title = "The time-stamping authority gave no token that counts"
