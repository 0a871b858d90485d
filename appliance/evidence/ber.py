"""From BER with indefinite lengths to definite lengths, since BouncyCastle and streaming OpenSSL write CMS that way.

What is signed is DER in its own right (signed attributes, certificates, TSTInfo), so rewriting the wrapping changes no
signed byte. Constructed octet strings, the other form that streaming gives, become primitive. The strict reader of
appliance.der does everything after this.
"""

from __future__ import annotations

from appliance.der import OCTET_STRING, DerError, tlv

_DEPTH = 32
_ELEMENTS = 100_000
_CONSTRUCTED = 0x20
_END_OF_CONTENTS = b"\x00\x00"


def definite(data: bytes) -> bytes:
    """`data` itself if its outermost length is definite; otherwise the same value with definite lengths throughout.

    Raises DerError for what is not BER, nests deeper than 32 levels or has more than 100,000 elements.
    """
    if len(data) < 2 or data[1] != 0x80:
        return data
    rewriter = _Rewriter(data)
    encoded, end = rewriter.element(0, len(data), 0)
    if end != len(data):
        raise DerError(f"{len(data) - end} bytes left over at offset {end}")
    return encoded


class _Rewriter:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.elements = 0

    def element(self, position: int, limit: int, depth: int) -> tuple[bytes, int]:
        """The element at `position` with definite lengths, and where the next one begins."""
        data = self.data
        self.elements += 1
        if self.elements > _ELEMENTS or depth > _DEPTH:
            raise DerError(f"too many or too deeply nested elements at offset {position}")
        if position + 2 > limit:
            raise DerError(f"element cut off at offset {position}")
        tag, first = data[position], data[position + 1]
        if tag & 0x1F == 0x1F or tag == 0:
            raise DerError(f"tag not supported at offset {position}")
        start = position + 2
        if first == 0x80:
            if not tag & _CONSTRUCTED:
                raise DerError(f"indefinite length of a primitive element at offset {position}")
            parts, end = self._parts(start, limit, depth, indefinite=True)
            return _join(tag, parts, position), end
        if first > 0x80:
            size = first & 0x7F
            start += size
            if size > 4 or start > limit:
                raise DerError(f"length neither definite nor below 4 GiB at offset {position}")
            first = int.from_bytes(data[start - size : start], "big")
        end = start + first
        if end > limit:
            raise DerError(f"element runs over its container at offset {position}")
        if tag & _CONSTRUCTED:
            parts, _ = self._parts(start, end, depth, indefinite=False)
            return _join(tag, parts, position), end
        return tlv(tag, data[start:end]), end

    def _parts(self, position: int, limit: int, depth: int, *, indefinite: bool) -> tuple[list[bytes], int]:
        parts: list[bytes] = []
        while position < limit:
            if indefinite and self.data[position : position + 2] == _END_OF_CONTENTS:
                return parts, position + 2
            part, position = self.element(position, limit, depth + 1)
            parts.append(part)
        if indefinite:
            raise DerError(f"indefinite length without an end at offset {position}")
        return parts, position


def _join(tag: int, parts: list[bytes], position: int) -> bytes:
    if tag != OCTET_STRING | _CONSTRUCTED:
        return tlv(tag, b"".join(parts))
    content = bytearray()
    for part in parts:
        if part[0] != OCTET_STRING:
            raise DerError(f"octet string made of something else at offset {position}")
        content += part[2 + (part[1] & 0x7F if part[1] & 0x80 else 0) :]
    return tlv(OCTET_STRING, bytes(content))
