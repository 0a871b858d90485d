"""The CBOR (RFC 8949) that receipts are made of, read from strangers: one item, of few kinds, each in one spelling.

Only whole numbers below 2^64, byte strings, texts, arrays, maps, null and one tag are taken, of definite length and in
their shortest form. A general reader takes far more than COSE needs: numbers of any size, regular expressions that it
compiles, mails that it parses, values that hold themselves. Each of those costs whoever checks a small file dearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.log.errors import MalformedProof

DEEPEST: Final = 16
"""Items within items; a receipt has five."""
_NULL: Final = 0xF6
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)


@dataclass(frozen=True)
class Tagged:
    """An item with its tag."""

    tag: int
    value: object


def read_item(data: bytes) -> object:
    """The one item that these bytes are: int, bytes, str, list, dict, None or Tagged. Raises MalformedProof."""
    reader = _Reader(data)
    item = reader.item(0)
    if reader.at != len(data):
        raise MalformedProof("bytes after the CBOR item")
    return item


class _Reader:
    """Each item takes a byte or more, so that what is made is bounded by what was given."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def item(self, depth: int) -> object:
        if depth > DEEPEST:
            raise MalformedProof("CBOR that is nested too deeply")
        first = self._take(1)[0]
        if first == _NULL:
            return None
        kind, number = first >> 5, self._argument(first & 0x1F)
        match kind:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self._take(number)
            case 3:
                return self._text(number)
            case 4:
                self._check_count(number)
                return [self.item(depth + 1) for _ in range(number)]
            case 5:
                return self._map(number, depth + 1)
            case 6:
                return Tagged(number, self.item(depth + 1))
        raise MalformedProof("CBOR of a kind that no receipt has")

    def _argument(self, told: int) -> int:
        if told < 24:
            return told
        if told > 27:
            raise MalformedProof("CBOR of indefinite length, or of no form that there is")
        size = 1 << (told - 24)
        number = int.from_bytes(self._take(size), "big")
        if number < 24 or (size > 1 and not number >> (4 * size)):
            raise MalformedProof("a number in CBOR that is not in its shortest form")
        return number

    def _map(self, count: int, depth: int) -> dict[int | str, object]:
        self._check_count(count)
        found: dict[int | str, object] = {}
        for _ in range(count):
            key = self.item(depth)
            if not isinstance(key, int | str) or key in found:
                raise MalformedProof("a key of a CBOR map stands twice, or is neither number nor text")
            found[key] = self.item(depth)
        return found

    def _check_count(self, count: int) -> None:
        if count > len(self._data) - self.at:
            raise MalformedProof("CBOR that is cut short")

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise MalformedProof("a text in CBOR is not UTF-8") from None

    def _take(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise MalformedProof("CBOR that is cut short")
        self.at += length
        return self._data[self.at - length : self.at]
