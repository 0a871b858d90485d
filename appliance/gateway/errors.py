"""Why a message is not taken."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Conflict, NotAuthorised


class MessageRefused(NotAuthorised):
    """The message is not one that this partner made for this receiver just so. Its maker is told no more (CHANNEL);
    `reason` is for the log."""

    code = "message-refused"
    title = "The message is not this partner's to this receiver, or was altered"

    def __init__(self, reason: str) -> None:
        super().__init__("It was not opened.")
        self.reason = reason


class MessageOutOfTime(Conflict):
    """The partner signed the message, and its time is not near the box's."""

    code = "message-out-of-time"
    title = "The message's time is not near the box's clock"


class CallNotPermitted(NotAuthorised):
    """The partner's profile does not allow this call, or letters of this kind."""

    code = "call-not-permitted"
    title = "The partner may not make this call"


class CallUnreadable(BadRequest):
    """What was in the message is not a call; the detail names the member."""

    code = "call-unreadable"
    status = 422
    title = "The message holds no call"


class PartnerRefused(BadRequest):
    """A partner's profile is not sound; the detail says where."""

    code = "partner-refused"
    status = 422
    title = "The partner's profile is not sound"


class AnswerRefused(CinnabarError):
    """What came back is not the box's answer to the message that was sent."""

    code = "answer-refused"
    status = 502
    title = "This is not the answer to the message"
