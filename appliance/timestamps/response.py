"""TimeStampResp (RFC 3161, section 2.4.2): the answer of a time-stamp server, granted or rejected."""

from __future__ import annotations

from appliance import der
from appliance.errors import CinnabarError
from appliance.timestamps.errors import FailureInfo, failure_of

_GRANTED = der.sequence(der.integer(0))
_REJECTION = 2
_LONGEST_TEXT = 400


def granted(token: bytes) -> bytes:
    """DER TimeStampResp that grants a TimeStampToken."""
    return der.header(der.SEQUENCE, len(_GRANTED) + len(token)) + _GRANTED + token


def rejection(failure: FailureInfo, text: str) -> bytes:
    """DER TimeStampResp that rejects, with one failure bit and a text of at most 400 characters."""
    return der.sequence(
        der.sequence(
            der.integer(_REJECTION),
            der.sequence(der.utf8_string(text[:_LONGEST_TEXT])),
            der.tlv(der.BIT_STRING, _named_bit(failure)),
        )
    )


def rejection_of(error: CinnabarError) -> bytes:
    """DER TimeStampResp that tells of an error of the box."""
    return rejection(failure_of(error), f"{error.title}: {error}" if str(error) else error.title)


def _named_bit(bit: int) -> bytes:
    # A named bit list ends with its last one bit (X.690, section 11.2.2).
    whole, last = divmod(bit, 8)
    return bytes((7 - last,)) + bytes(whole) + bytes((0x80 >> last,))
