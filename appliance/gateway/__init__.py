"""Messages between a tenant and its partners: signed, encrypted, in time, taken once (docs/gateway.md). Pure.

    read = receive(profile, raw, parties, now_ms)       who signed it, and with which nonce; not decrypted yet
    content = read.open(key)                            key: of the HSM, or a partner's own
    prepared = prepare(profile.format, content, ...)    its to_be_signed goes to a key, what it completes to the wire

Two formats say the same: `envelope`, a JSON object of five members, and `jose`, a JWS over a JWE.
"""

from appliance.gateway.checks import check_time, receive
from appliance.gateway.content import Answer, Call, read_answer, read_call, write_answer, write_call
from appliance.gateway.errors import (
    AnswerRefused,
    CallNotPermitted,
    CallUnreadable,
    MessageOutOfTime,
    MessageRefused,
    PartnerRefused,
)
from appliance.gateway.formats import MEDIA, prepare, read_message
from appliance.gateway.keys import SCHEMES, Opener, SoftwareKey
from appliance.gateway.messages import Head, Parties, PreparedMessage, ReadMessage, fresh_nonce
from appliance.gateway.partner_side import PartnerKeys, Sent, open_answer, write_message
from appliance.gateway.profile import PartnerProfile, check_profile, encryption_key, parties_of
from appliance.gateway.sheet import MessageKey, PartnerSheet

__all__ = [
    "MEDIA",
    "SCHEMES",
    "Answer",
    "AnswerRefused",
    "Call",
    "CallNotPermitted",
    "CallUnreadable",
    "Head",
    "MessageKey",
    "MessageOutOfTime",
    "MessageRefused",
    "Opener",
    "Parties",
    "PartnerKeys",
    "PartnerProfile",
    "PartnerRefused",
    "PartnerSheet",
    "PreparedMessage",
    "ReadMessage",
    "Sent",
    "SoftwareKey",
    "check_profile",
    "check_time",
    "encryption_key",
    "fresh_nonce",
    "open_answer",
    "parties_of",
    "prepare",
    "read_answer",
    "read_call",
    "read_message",
    "receive",
    "write_answer",
    "write_call",
    "write_message",
]
