"""Why an event does not happen, or a kind is refused."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Conflict, InvalidMember, NotAuthorised, NotFound


class KindRefused(BadRequest):
    """A kind's file breaks its schema or contradicts itself; the detail says where."""

    code = "kind-refused"
    status = 422
    title = "The kind is not sound"


class KindUnknown(NotFound):
    """The tenant has no kind of that name or version."""

    code = "kind-unknown"
    title = "There is no such kind of letter"


class FieldRefused(InvalidMember):
    """A field's value breaks the kind; the detail begins with the field's JSON pointer (RFC 6901)."""

    code = "field-refused"
    title = "A field of the letter breaks its kind"


class EventRefused(Conflict):
    """The kind does not allow this event in the letter's state, at this time or with these values."""

    code = "event-refused"
    title = "The letter cannot have this event now"


class RoleMissing(NotAuthorised):
    """The application has no role that may do this."""

    code = "role-missing"
    title = "The application's roles do not allow this event"


class ApprovalMissing(CinnabarError):
    """Approvals that the kind wants are not there, not valid, or not in order."""

    code = "approval-missing"
    status = 403
    title = "The event lacks an approval"
    control = "QUORUM"


class ConditionNotMet(Conflict):
    """A condition on another letter does not hold; the detail names the field and what was found."""

    code = "condition-not-met"
    title = "A condition of this event does not hold"


class EventDamaged(BadRequest):
    """A chain of events does not hold together: an event is not canonical, or does not follow the one before."""

    code = "event-damaged"
    title = "The letter's chain of events does not hold"
