"""Why the recorder refuses. A `Refused` answer carries the class's `code`; `from_code` makes the exception again."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from appliance import errors
from appliance.errors import BadRequest, CinnabarError, Conflict, NotAuthorised, NotFound, Unavailable
from appliance.letter_limits import LimitsRefused

FAULTS: Final = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, RecursionError, OSError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError,
)  # fmt: skip
"""What a fault in the handling of one command or query raises: it alone fails. A failing database is another thing."""


class Busy(Unavailable):
    """The bounded queue of the client or of the recorder is full: nothing was taken."""

    code = "busy"
    title = "The box has as much work as it can hold"


class ReadOnly(Unavailable):
    """The disk is at its lower watermark, or full: reads go on, new work is refused."""

    code = "read-only"
    status = 507
    title = "The box's disk is too full for new work"


class RecorderUnavailable(Unavailable):
    """There is no connection to the recorder: nothing was sent."""

    code = "recorder-unavailable"
    title = "The box's recorder does not answer"


class OutcomeUnknown(Unavailable):
    """The connection broke and was not restored in time: the command may be recorded or not.

    The same request with the same Idempotency-Key finds out. The signature is not released."""

    code = "outcome-unknown"
    title = "Whether the request was recorded is not known yet"
    control = "RECORD"


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was used with another request."""

    code = "idempotency-conflict"
    title = "The Idempotency-Key was used with another request"


class IdempotencyKeyInvalid(BadRequest):
    """The Idempotency-Key is not a UUID of version 7 (RFC 9562, section 5.7)."""

    code = "idempotency-key-invalid"
    title = "The Idempotency-Key is not a UUIDv7"


class IdempotencyKeyExpired(BadRequest):
    """The key is older than the window: whether it was used is forgotten, so it is never taken as new."""

    code = "idempotency-key-expired"
    title = "The Idempotency-Key is older than the window"


class IdempotencyKeyAhead(BadRequest):
    """The key's time lies more than five minutes ahead of the box's clock."""

    code = "idempotency-key-ahead"
    title = "The Idempotency-Key's time is ahead of the box's clock"


class RecordIdTaken(Conflict):
    """A record of that id exists with other content."""

    code = "record-id-taken"
    title = "A record of that id exists with other content"


class JobMoved(Conflict):
    """Another worker was there first, or the job is finished."""

    code = "job-moved"
    title = "The job's progress is elsewhere"


class IntakeMoved(Conflict):
    """The run is in another state, or another worker was there first."""

    code = "intake-moved"
    title = "The run is not where the request takes it to be"


class Fork(Conflict):
    """The checkpoint contradicts the recorded head of its log, or claims leaves that are not recorded."""

    code = "fork"
    title = "The checkpoint contradicts the log's recorded head"
    control = "FORK"


class Unknown(NotFound):
    """A tenant, application or certificate that the register does not have; for the administrator only."""

    code = "unknown"
    title = "The register does not have it"


class Archived(NotFound):
    """The record's segment was archived and pruned; its commitment stays in the log."""

    code = "archived"
    status = 410
    title = "The record has been moved to the archive"


class SegmentNotMounted(Archived):
    """The record is in a segment of the archive whose file is not there; mounted again, it is read."""

    code = "segment-not-mounted"
    status = 503
    title = "The archive does not have the record's segment here"


class KeyUnusable(CinnabarError):
    """A signing key may not be used, by its state or its limits."""

    code = "key-unusable"
    status = 403
    title = "The key may not be used"
    control = "QUORUM"


class KeyStopped(KeyUnusable):
    """The key is suspended, deactivated or compromised (NIST SP 800-57): only a quorum lets it sign again, if ever."""

    code = "key-stopped"
    status = 409
    title = "The key is stopped"


class KeyExpired(KeyUnusable):
    """The key's cryptoperiod has ended."""

    code = "key-expired"
    title = "The key's period of use has ended"


class KeyExhausted(KeyUnusable):
    """The key has made as many signatures as it may."""

    code = "key-exhausted"
    title = "The key has made all its signatures"

    left = 0
    """How many entries of the refused command, from its first, would have been taken."""


class QuotaExceeded(CinnabarError):
    """The tenant's quota of this day (UTC) is used up; Retry-After says when the next day begins."""

    code = "quota-exceeded"
    status = 429
    title = "The quota of this day is used up"
    retriable = True

    left = 0
    """How many entries of the refused command, from its first, would have been taken."""

    @property
    def retry_after(self) -> int:
        """Seconds until midnight, UTC."""
        return 86_400 - int(time.time()) % 86_400


class DraftMoved(Conflict):
    """A draft that waits for approvals was changed by somebody else at the same time."""

    code = "draft-moved"
    title = "The draft was changed at the same time"


class HeadMoved(Conflict):
    """The event names a predecessor that is no longer the letter's head: another event was there first."""

    code = "head-moved"
    title = "Another event of this letter was recorded first"
    control = "ONCE"


class Taken(Conflict):
    """Something is used, or not so much of it is left; by whom, when, and how much there is, is not told (CHANNEL)."""

    code = "taken"
    title = "Taken"
    control = "ONCE"


class MessageReplayed(Conflict):
    """A partner's nonce was used already, with another message."""

    code = "message-replayed"
    title = "The nonce of this message was used already"
    control = "ONCE"


class ValueExceeded(Conflict):
    """A letter's balance would go below zero."""

    code = "value-exceeded"
    title = "There is not so much left"
    control = "ONCE"


class TallyExceeded(CinnabarError):
    """A tenant's quota of letters is used up; the detail names it."""

    code = "letter-quota-exceeded"
    status = 409
    title = "The quota of these letters is used up"


class LimitExceeded(TallyExceeded):
    """An event would bring a counter above the limit that the tenant has set; the detail names counter and limit."""

    code = "letter-limit-exceeded"
    title = "The limit of these letters is reached"
    control = "ONCE"


class LimitNeedsApproval(CinnabarError):
    """At what a counter comes to, the tenant's limits want approvals of a policy, which the event does not hold."""

    code = "limit-needs-approval"
    status = 403
    title = "The letter's limit wants an approval"
    control = "QUORUM"


class ShareExceeded(TallyExceeded):
    """One debtor, industry or region would have a larger share of the whole than the tenant allows (concentration)."""

    code = "concentration-exceeded"
    title = "Too much of the whole would be of one"
    control = "ONCE"


class IssuingStopped(Conflict):
    """A circuit breaker, or an officer's word, has stopped the issuing of this kind; a quorum lets it go on."""

    code = "issuing-stopped"
    title = "Nothing new of this kind is issued"
    control = "ONCE"


class BillMoved(Conflict):
    """What a bill would charge was billed meanwhile, or was not metered."""

    code = "bill-moved"
    title = "What is to be billed has changed"
    control = "ONCE"


class Governed(NotAuthorised):
    """The box has officers: what gives power comes from the keymaster, by a ceremony that it names."""

    code = "governed"
    title = "This needs a ceremony of the box's officers"
    control = "QUORUM"


class NeedsCare(Exception):
    """A record id is there already: the writer runs the transaction again, looking every id up first."""


_CLASSES: dict[str, type[CinnabarError]] = {
    kind.code: kind
    for kind in (
        CinnabarError,
        BadRequest,
        Conflict,
        NotAuthorised,
        NotFound,
        Unavailable,
        Busy,
        ReadOnly,
        RecorderUnavailable,
        OutcomeUnknown,
        IdempotencyConflict,
        IdempotencyKeyInvalid,
        IdempotencyKeyExpired,
        IdempotencyKeyAhead,
        RecordIdTaken,
        JobMoved,
        IntakeMoved,
        Fork,
        Unknown,
        Archived,
        SegmentNotMounted,
        KeyUnusable,
        KeyStopped,
        KeyExpired,
        KeyExhausted,
        QuotaExceeded,
        DraftMoved,
        HeadMoved,
        MessageReplayed,
        Taken,
        ValueExceeded,
        TallyExceeded,
        LimitExceeded,
        LimitNeedsApproval,
        ShareExceeded,
        IssuingStopped,
        BillMoved,
        LimitsRefused,
        Governed,
    )
}


def from_code(code: str, detail: str, left: int = 0) -> CinnabarError:
    """The exception that a `Refused` answer stands for."""
    error = _CLASSES.get(code, errors.CinnabarError)(detail)
    if isinstance(error, KeyExhausted | QuotaExceeded):
        error.left = left
    return error
