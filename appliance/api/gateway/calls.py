"""What a partner's message asks for, done as if its application had called the API itself, within its profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from appliance.api.callers import Caller
from appliance.api.gateway.answering import Answering
from appliance.api.letters.happening import beginning, following, happen, told_answer
from appliance.api.letters.making import Wanted
from appliance.api.letters.schemas import EventRequest, LetterRequest
from appliance.api.letters.views import read_letter, shown
from appliance.errors import InvalidMember, NotFound
from appliance.gateway import Call, CallNotPermitted, PartnerProfile

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode
_Asked = TypeVar("_Asked", LetterRequest, EventRequest)


async def perform(worker: Worker, caller: Caller, profile: PartnerProfile, call: Call, answering: Answering) -> bytes:
    """Do it, and the answer, which is on disk. Raises CallNotPermitted, and what the call is refused with."""
    if call.call not in profile.calls:
        raise CallNotPermitted(f"The profile has no call {call.call}.")
    if call.call == "begin":
        asked = _asked(call, LetterRequest)
        if asked.kind not in profile.kinds:
            raise CallNotPermitted(f"The profile has no kind {asked.kind}.")
        return await _happen(worker, caller, profile, beginning(worker, caller, asked), answering)
    assert call.letter is not None  # noqa: S101 - read_call has seen to it
    before = await read_letter(worker, caller.tenant, call.letter)
    if before.kind.id not in profile.kinds:
        raise NotFound("there is no such letter")  # as of one that is not there
    if call.call == "letter":
        return await answering.commit(200, _encode(shown(before)))
    wanted = await following(worker, caller, call.letter, _asked(call, EventRequest))
    return await _happen(worker, caller, profile, wanted, answering)


async def _happen(
    worker: Worker, caller: Caller, profile: PartnerProfile, wanted: Wanted, answering: Answering
) -> bytes:
    """What stands in an answer is known before the event is counted: no warning of the tenant's limits is in it."""
    closing = answering.with_event(lambda made: _encode(told_answer(made)))
    await happen(worker, caller, None, msgspec.structs.replace(wanted, told_of=frozenset(profile.kinds)), closing)
    return closing.answer


def _asked(call: Call, form: type[_Asked]) -> _Asked:
    try:
        return msgspec.json.decode(call.request, type=form)
    except msgspec.ValidationError as error:
        raise InvalidMember(f"/request: {error}") from None
