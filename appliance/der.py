"""DER (X.690) by hand: small writers for hot paths, and a strict, bounded reader for what others send.

Writers take and give `bytes`; nothing is cached or mutable, so callers pre-encode what does not change. The reader
accepts DER alone: definite minimal lengths, one-byte tags, minimal integers, nothing left over. It never recurses
and never copies more than what it is asked for, so that the memory it needs is bounded by its input.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self

from appliance.errors import BadRequest

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

ENCODED_NULL = b"\x05\x00"
ENCODED_TRUE = b"\x01\x01\xff"
ENCODED_FALSE = b"\x01\x01\x00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_TIME_FIRST = -631_152_000  # 1950-01-01T00:00:00Z, RFC 5652, section 11.3
_UTC_TIME_END = 2_524_608_000  # 2050-01-01T00:00:00Z


class DerError(BadRequest):
    """The bytes are not the DER that was expected; the message says what and at which offset."""

    code = "bad-der"
    title = "The DER is not well formed"


# --- writing -----------------------------------------------------------------------------------------------------


def context(number: int) -> int:
    """The tag of a constructed context-specific element [number], 0 to 30."""
    return 0xA0 | number


def context_primitive(number: int) -> int:
    """The tag of a primitive context-specific element [number], 0 to 30."""
    return 0x80 | number


def header(tag: int, length: int) -> bytes:
    """Tag and definite length of an element whose content has `length` bytes."""
    if length < 0x80:
        return bytes((tag, length))
    if length < 0x100:
        return bytes((tag, 0x81, length))
    if length < 0x10000:
        return bytes((tag, 0x82, length >> 8, length & 0xFF))
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big")


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, definite length, content."""
    return header(tag, len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of already encoded parts."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of(members: Iterable[bytes]) -> bytes:
    """SET OF already encoded members in DER order (X.690, section 11.6): ascending, the shorter padded with zeros.

    No encoded element is a proper prefix of another, so plain comparison of the bytes gives that order.
    """
    return tlv(SET, b"".join(sorted(members)))


def integer(value: int) -> bytes:
    """INTEGER, minimal two's complement."""
    return tlv(INTEGER, integer_content(value))


def integer_content(value: int) -> bytes:
    """The content bytes of an INTEGER or ENUMERATED, minimal two's complement."""
    # A negative power of two needs one bit less than its absolute value: count the bits of the complement.
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return value.to_bytes((bits + 7) // 8, "big", signed=True)


def boolean(value: bool) -> bytes:
    """BOOLEAN."""
    return ENCODED_TRUE if value else ENCODED_FALSE


def octet_string(content: bytes) -> bytes:
    """OCTET STRING, primitive."""
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return tlv(BIT_STRING, b"\x00" + content)


def utf8_string(text: str) -> bytes:
    """UTF8String."""
    return tlv(UTF8_STRING, text.encode())


@lru_cache(maxsize=512)
def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from dotted decimals. Raises ValueError for what is not one."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or min(arcs) < 0 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"not an object identifier: {dotted!r}")
    content = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        content += bytes(reversed(groups))
    return tlv(OBJECT_IDENTIFIER, bytes(content))


def generalized_time(time_us: int) -> bytes:
    """GeneralizedTime in UTC with `Z`, fraction of a second without trailing zeros (RFC 3161, section 2.4.2).

    `time_us` is microseconds since 1970-01-01T00:00:00Z without leap seconds.
    """
    text = (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y%m%d%H%M%S")
    if fraction := time_us % 1_000_000:
        text += "." + f"{fraction:06d}".rstrip("0")
    return tlv(GENERALIZED_TIME, text.encode() + b"Z")


def utc_time(seconds: int) -> bytes:
    """UTCTime in UTC with `Z`; `seconds` since the epoch, in 1950 to 2049 (ValueError otherwise)."""
    if not _UTC_TIME_FIRST <= seconds < _UTC_TIME_END:
        raise ValueError("UTCTime holds the years 1950 to 2049")
    return tlv(UTC_TIME, (_EPOCH + timedelta(seconds=seconds)).strftime("%y%m%d%H%M%SZ").encode())


def cms_time(seconds: int) -> bytes:
    """The CMS and X.509 `Time`: UTCTime through 2049, GeneralizedTime without fraction elsewhere (RFC 5652, 11.3)."""
    if _UTC_TIME_FIRST <= seconds < _UTC_TIME_END:
        return utc_time(seconds)
    return generalized_time(seconds * 1_000_000)


# --- reading -----------------------------------------------------------------------------------------------------


class Reader:
    """Reads the elements of one DER value in order. Raises DerError for whatever is not strict DER.

    A reader is a window [position, end) on `data`, which is never copied: `enter` gives a reader on the content of
    the next element, `read` its content, `raw` the whole element. Who has read all that is expected calls `finish`.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = start
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        """Whether something is left."""
        return self.position < self.end

    def peek(self) -> int:
        """The tag of the next element, or -1 at the end."""
        return self.data[self.position] if self.position < self.end else -1

    def _next(self, expected: int) -> tuple[int, int]:
        """Step over the next element, which must have the tag `expected` (-1: any); give where its content lies."""
        data, position, end = self.data, self.position, self.end
        if position + 2 > end:
            raise DerError(f"element cut off at offset {position}")
        tag = data[position]
        if expected >= 0 and tag != expected:
            raise DerError(f"tag {tag:#04x} instead of {expected:#04x} at offset {position}")
        if tag & 0x1F == 0x1F or tag == 0:
            raise DerError(f"tag not supported at offset {position}")
        length = data[position + 1]
        start = position + 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise DerError(f"length neither definite nor below 4 GiB at offset {position}")
            start += size
            if start > end:
                raise DerError(f"element cut off at offset {position}")
            length = int.from_bytes(data[start - size : start], "big")
            if length < 0x80 or length >> (8 * size - 8) == 0:
                raise DerError(f"length is not minimal at offset {position}")
        stop = start + length
        if stop > end:
            raise DerError(f"element runs over its container at offset {position}")
        self.position = stop
        return start, stop

    def enter(self, tag: int = SEQUENCE) -> Self:
        """A reader on the content of the next element, which must have this tag."""
        start, stop = self._next(tag)
        return type(self)(self.data, start, stop)

    def enter_optional(self, tag: int) -> Self | None:
        """Like enter; None if the next element has another tag or there is none."""
        return self.enter(tag) if self.peek() == tag else None

    def read(self, tag: int) -> bytes:
        """The content of the next element, which must have this tag."""
        start, stop = self._next(tag)
        return self.data[start:stop]

    def raw(self, tag: int = -1) -> bytes:
        """The next element whole, header included; of any tag if none is given."""
        begin = self.position
        _, stop = self._next(tag)
        return self.data[begin:stop]

    def raw_optional(self, tag: int) -> bytes | None:
        """Like raw; None if the next element has another tag or there is none."""
        return self.raw(tag) if self.peek() == tag else None

    def rest(self) -> bytes:
        """Everything that is left, unparsed."""
        begin, self.position = self.position, self.end
        return self.data[begin : self.end]

    def finish(self) -> None:
        """Raises DerError if anything is left."""
        if self.position != self.end:
            raise DerError(f"{self.end - self.position} bytes left over at offset {self.position}")

    def integer(self, tag: int = INTEGER, *, max_bytes: int = 64) -> int:
        """An INTEGER of at most `max_bytes` content bytes."""
        at = self.position
        content = self.read(tag)
        if not 1 <= len(content) <= max_bytes:
            raise DerError(f"integer of {len(content)} bytes at offset {at}")
        if len(content) > 1 and (content[0], content[1] >> 7) in ((0x00, 0), (0xFF, 1)):
            raise DerError(f"integer is not minimal at offset {at}")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self, tag: int = BOOLEAN) -> bool:
        """A BOOLEAN: 0x00 or 0xff."""
        at = self.position
        content = self.read(tag)
        if content not in (b"\x00", b"\xff"):
            raise DerError(f"boolean is neither 00 nor ff at offset {at}")
        return content == b"\xff"

    def null(self) -> None:
        """A NULL."""
        if self.read(NULL):
            raise DerError("NULL with content")

    def octet_string(self) -> bytes:
        """The content of an OCTET STRING, primitive."""
        return self.read(OCTET_STRING)

    def bit_string(self) -> bytes:
        """The content of a BIT STRING of whole bytes."""
        at = self.position
        content = self.read(BIT_STRING)
        if not content or content[0]:
            raise DerError(f"bit string with unused bits at offset {at}")
        return content[1:]

    def oid(self) -> str:
        """An OBJECT IDENTIFIER as dotted decimals; at most 64 bytes long."""
        at = self.position
        content = self.read(OBJECT_IDENTIFIER)
        if not 1 <= len(content) <= 64 or content[-1] & 0x80:
            raise DerError(f"object identifier malformed at offset {at}")
        return _dotted(content, at)

    def utf8_string(self) -> str:
        """A UTF8String."""
        at = self.position
        try:
            return self.read(UTF8_STRING).decode()
        except UnicodeDecodeError:
            raise DerError(f"not UTF-8 at offset {at}") from None

    def generalized_time(self, tag: int = GENERALIZED_TIME) -> int:
        """A GeneralizedTime as microseconds since the epoch; DER form, at most six fractional digits."""
        at = self.position
        content = self.read(tag)
        whole, point, fraction = content[:-1].partition(b".")
        digits = whole + fraction
        if content[-1:] != b"Z" or len(whole) != 14 or not digits.isdigit() or len(fraction) > 6:
            raise DerError(f"time malformed at offset {at}")
        if point and (not fraction or fraction.endswith(b"0")):
            raise DerError(f"fraction of a second is not minimal at offset {at}")
        return _instant(whole, at) * 1_000_000 + int(fraction.ljust(6, b"0") or b"0")

    def cms_time(self) -> int:
        """A CMS or X.509 `Time` (UTCTime through 2049, GeneralizedTime elsewhere) as seconds since the epoch."""
        at = self.position
        if self.peek() != UTC_TIME:
            time_us = self.generalized_time()
            if time_us % 1_000_000 or _UTC_TIME_FIRST <= time_us // 1_000_000 < _UTC_TIME_END:
                raise DerError(f"GeneralizedTime where UTCTime is due at offset {at}")
            return time_us // 1_000_000
        content = self.read(UTC_TIME)
        if len(content) != 13 or content[-1:] != b"Z" or not content[:-1].isdigit():
            raise DerError(f"time malformed at offset {at}")
        return _instant((b"19" if content[:2] >= b"50" else b"20") + content[:-1], at)


def _dotted(content: bytes, at: int) -> str:
    arcs: list[int] = []
    value = 0
    for index, byte in enumerate(content):
        if byte == 0x80 and (index == 0 or not content[index - 1] & 0x80):
            raise DerError(f"object identifier is not minimal at offset {at}")
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _instant(digits: bytes, at: int) -> int:
    try:
        moment = datetime(
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:14]),
            tzinfo=UTC,
        )
    except ValueError:
        raise DerError(f"no such time at offset {at}") from None
    return int((moment - _EPOCH).total_seconds())
