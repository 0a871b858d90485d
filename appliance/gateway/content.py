"""What is inside a message: a call, or the answer to one. JSON."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from appliance.errors import BadRequest
from appliance.gateway.errors import AnswerRefused, CallUnreadable
from appliance.gateway.profile import CallName
from appliance.repeated import refuse_repeated

LetterId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a partner asks for."""

    call: CallName
    letter: LetterId | None = None
    """Which one; not of `begin`."""
    request: msgspec.Raw = msgspec.Raw(b"{}")
    """As the body of `POST /v1/letters` or `POST /v1/letters/{id}/events`; not of `letter`."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the box answers."""

    nonce: str
    """Of the message that it answers."""
    request: str
    """SHA-256 of that message's bytes, hexadecimal."""
    status: int
    """As the call would be answered over HTTP (RFC 9110, section 15)."""
    body: msgspec.Raw
    """Likewise; of a refusal a problem (RFC 9457)."""


_encode = msgspec.json.Encoder().encode


def write_call(call: Call) -> bytes:
    return _encode(call)


def read_call(content: bytes) -> Call:
    """Raises CallUnreadable."""
    try:
        call = msgspec.json.decode(content, type=Call)
        refuse_repeated(content)
    except (msgspec.MsgspecError, BadRequest, RecursionError, UnicodeError) as error:
        raise CallUnreadable(str(error)) from None
    if (call.letter is None) is not (call.call == "begin"):
        raise CallUnreadable("/letter: every call names a letter but the one that begins it")
    return call


def write_answer(request: bytes, nonce: str, status: int, body: bytes) -> bytes:
    digest = hashlib.sha256(request).hexdigest()
    return _encode(Answer(nonce=nonce, request=digest, status=status, body=msgspec.Raw(body)))


def read_answer(content: bytes, request: bytes, nonce: str) -> Answer:
    """The answer to a message and to no other one. Raises AnswerRefused."""
    try:
        answer = msgspec.json.decode(content, type=Answer)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise AnswerRefused("not an answer") from None
    if (answer.nonce, answer.request) != (nonce, hashlib.sha256(request).hexdigest()):
        raise AnswerRefused("it answers another message")
    return answer
