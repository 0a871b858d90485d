"""CMS that was streamed has containers of indefinite length (BER, X.690, section 8.1.3.6); here they get definite ones.

Only elements of indefinite length, and octet strings cut into pieces, are written anew. What has a definite length
is kept byte for byte, and with it everything that was signed: certificates and SignerInfos are written at once.
"""

from __future__ import annotations

from appliance.der import OCTET_STRING, DerError, tlv

MAX_DEPTH = 16
MAX_ELEMENTS = 200_000

_CONSTRUCTED = 0x20
_CONSTRUCTED_OCTET_STRING = OCTET_STRING | _CONSTRUCTED


def with_definite_lengths(data: bytes) -> bytes:
    """`data`, one BER element, with definite lengths. Raises DerError for what is not one, or is nested too deeply."""
    element, end = _Rewriter(data).element(0, len(data), 0)
    if end != len(data):
        raise DerError(f"{len(data) - end} bytes left over at offset {end}")
    return element


def definite(data: bytes) -> bytes:
    """`data` itself unless its outermost length is indefinite; then as `with_definite_lengths`. Raises DerError."""
    return with_definite_lengths(data) if data[1:2] == b"\x80" else data


class _Rewriter:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.elements = 0

    def element(self, position: int, end: int, depth: int) -> tuple[bytes, int]:
        """The element at `position`, rewritten, and where the next one begins."""
        data = self.data
        tag, start, stop = self._header(position, end)
        if stop is not None and tag != _CONSTRUCTED_OCTET_STRING:
            return data[position:stop], stop
        if depth == MAX_DEPTH:
            raise DerError(f"nested deeper than {MAX_DEPTH} levels at offset {position}")
        parts: list[bytes] = []
        at, limit = start, end if stop is None else stop
        while not self._is_end(at, limit, stop):
            part, at = self.element(at, limit, depth + 1)
            parts.append(part)
        after = at + 2 if stop is None else stop
        if tag != _CONSTRUCTED_OCTET_STRING:
            return tlv(tag, b"".join(parts)), after
        return tlv(OCTET_STRING, b"".join(map(_piece, parts))), after

    def _header(self, position: int, end: int) -> tuple[int, int, int | None]:
        """Tag, where the content begins, and where it stops; None if its length is indefinite."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise DerError(f"more than {MAX_ELEMENTS} elements")
        data = self.data
        if position + 2 > end:
            raise DerError(f"element cut off at offset {position}")
        tag, length = data[position], data[position + 1]
        if tag & 0x1F == 0x1F or tag == 0:
            raise DerError(f"tag not supported at offset {position}")
        start = position + 2
        if length == 0x80:
            if not tag & _CONSTRUCTED:
                raise DerError(f"primitive element of indefinite length at offset {position}")
            return tag, start, None
        if length > 0x80:
            size = length & 0x7F
            start += size
            if size > 4 or start > end:
                raise DerError(f"length not supported at offset {position}")
            length = int.from_bytes(data[start - size : start], "big")
        if start + length > end:
            raise DerError(f"element runs over its container at offset {position}")
        return tag, start, start + length

    def _is_end(self, at: int, limit: int, stop: int | None) -> bool:
        if stop is not None:
            return at == stop
        return self.data[at : min(at + 2, limit)] == b"\x00\x00"


def _piece(part: bytes) -> bytes:
    """The content of a rewritten OCTET STRING."""
    if part[0] != OCTET_STRING:
        raise DerError("an octet string holds a piece of another type")
    return part[2 + (part[1] & 0x7F if part[1] > 0x80 else 0) :]
