"""What a time-stamp token covers and when: a shallow, strict walk through an RFC 3161 token.

Signatures are not checked here: that is the work of whoever verifies. This says only whether a token is about
certain bytes, which seals (signature time-stamps) and evidence records both need to know.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.der import SEQUENCE, SET, DerError, Reader, context

_OID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_OID_TST_INFO = "1.2.840.113549.1.9.16.1.4"


class TokenImprint(NamedTuple):
    """The message imprint and time of a token."""

    digest_algorithm: str
    """Dotted OID of the imprint's hash algorithm."""
    digest: bytes
    time_us: int
    """genTime, microseconds since the epoch."""


def token_imprint(token: bytes) -> TokenImprint:
    """Read a TimeStampToken (RFC 3161, section 2.4.2): a ContentInfo and nothing after it.

    Raises DerError if it is not one.
    """
    outer = Reader(token)
    content_info = outer.enter()
    outer.finish()
    if content_info.oid() != _OID_SIGNED_DATA:
        raise DerError("not a SignedData")
    explicit = content_info.enter(context(0))
    content_info.finish()
    signed_data = explicit.enter()
    explicit.finish()
    if signed_data.integer() != 3:
        raise DerError("SignedData of a token has version 3")
    signed_data.raw(SET)
    encapsulated = signed_data.enter()
    if encapsulated.oid() != _OID_TST_INFO:
        raise DerError("SignedData does not hold a TSTInfo")
    wrapped = encapsulated.enter(context(0))
    encapsulated.finish()
    content = Reader(wrapped.octet_string())
    wrapped.finish()
    info = content.enter()
    content.finish()
    if info.integer() != 1:
        raise DerError("TSTInfo has version 1")
    info.oid()
    imprint = info.enter(SEQUENCE)
    algorithm = imprint.enter().oid()
    digest = imprint.octet_string()
    imprint.finish()
    info.integer()
    return TokenImprint(algorithm, digest, info.generalized_time())
