"""Why an event does not happen, or a kind is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.errors import BadRequest, CinnabarError, Conflict, InvalidMember, NotAuthorised, NotFound

if TYPE_CHECKING:
    from appliance.letters.conditions import Looked


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


class PartyMissing(NotAuthorised):
    """The application is not enrolled for the party whose event this is."""

    code = "party-missing"
    title = "The application does not act for this party"


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

    def __init__(self, detail: str, looked: Sequence[Looked] = ()) -> None:
        super().__init__(detail)
        self.looked = looked
        """Every condition of the event, those that hold too."""


class EventDamaged(BadRequest):
    """A chain of events does not hold together: an event is not canonical, or does not follow the one before."""

    code = "event-damaged"
    title = "The letter's chain of events does not hold"


class IdsNotGiven(BadRequest):
    """Ids of letters come from a draft of the same tenant, with its `ids_tag`; left out, the box makes them."""

    code = "letter-ids-not-given"
    title = "No draft gave these ids of letters"
    control = "CHANNEL"


class WeakCode(BadRequest):
    """Not a bid code: too short, mistyped, or no random one. The detail never holds the code."""

    code = "weak-code"
    status = 422
    title = "This is no bid code"
    control = "VEIL"


class EnvelopeRefused(BadRequest):
    """A veiled value's envelope is not well formed; the detail names the member."""

    code = "envelope-refused"
    status = 422
    title = "The envelope of a veiled value is not well formed"
    control = "VEIL"


class EnvelopeElsewhere(Conflict):
    """The envelope was made for another tenant, kind, field, reference or release key; the detail names the member."""

    code = "envelope-elsewhere"
    title = "The envelope was made for something else"
    control = "VEIL"


class OpenedTooEarly(Conflict):
    """The envelope is not to be opened yet."""

    code = "opened-too-early"
    title = "The veiled value is not to be opened yet"
    control = "VEIL"


class WrongCode(NotAuthorised):
    """The code, or the platform's share, is not the one that this envelope was made with."""

    code = "wrong-code"
    title = "The code does not open this envelope"
    control = "VEIL"


class EnvelopeDamaged(BadRequest):
    """The envelope was altered, or holds something else than what was committed to."""

    code = "envelope-damaged"
    status = 422
    title = "The envelope does not hold what was committed to"
    control = "VEIL"


class DisclosureRefused(BadRequest):
    """A disclosure of a hidden field is not well formed, or its digest is not in the event."""

    code = "disclosure-refused"
    status = 422
    title = "The disclosure does not belong to this event"


class RecipientRefused(BadRequest):
    """Not a certificate that a field may be encrypted to, or not a message to named recipients."""

    code = "recipient-refused"
    status = 422
    title = "The field cannot be encrypted to this recipient"


class SealObjectRefused(Conflict):
    """The seal object is not there, out of its validity, withdrawn, or not for this key's certificate."""

    code = "seal-object-refused"
    status = 409
    title = "The seal may not be seen here"


class DocumentNotInOrder(Conflict):
    """The PDF is not the letter's, lacks seals of those before, or bears others."""

    code = "document-not-in-order"
    status = 409
    title = "The document is not to be sealed by this institution now"
