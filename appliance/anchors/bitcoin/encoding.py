"""Bytes as the Bitcoin family writes them: little-endian integers, compact sizes, double SHA-256, hashes as they are
shown.

A hash is held in the order in which it is computed; people and RPC show it reversed (`shown`, `from_shown`).
"""

from __future__ import annotations

import hashlib

from appliance.anchors.bitcoin.errors import MalformedBitcoin


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256: 32 bytes."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def shown(digest: bytes) -> str:
    """A hash as block explorers and RPC show it: hexadecimal, last byte first."""
    return digest[::-1].hex()


def from_shown(text: str) -> bytes:
    """A hash out of its shown form: 64 lower-case hexadecimal digits. Raises MalformedBitcoin."""
    digest = unhex(text)[::-1]
    if len(digest) != 32:
        raise MalformedBitcoin("a hash has 64 hexadecimal digits")
    return digest


def unhex(text: str) -> bytes:
    """Lower-case hexadecimal, without spaces. Raises MalformedBitcoin."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise MalformedBitcoin("not hexadecimal") from None
    if data.hex() != text:
        raise MalformedBitcoin("hexadecimal in a form that is not canonical")
    return data


def compact_size(number: int) -> bytes:
    """A number below 2**64 in one, three, five or nine bytes."""
    if number < 0xFD:
        return bytes([number])
    for mark, size in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if number < 1 << (8 * size):
            return bytes([mark]) + number.to_bytes(size, "little")
    raise MalformedBitcoin("a compact size is below 2**64")


class Reader:
    """Reads bytes from the front and refuses what is cut short or not in its shortest form."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next bytes. Raises MalformedBitcoin where there are fewer."""
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise MalformedBitcoin("cut short")
        self._at += size
        return taken

    def number(self, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def compact_size(self, most: int) -> int:
        """A compact size of at most `most`, in its shortest form."""
        first = self.number(1)
        if first < 0xFD:
            found, least = first, 0
        else:
            size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
            found, least = self.number(size), {2: 0xFD, 4: 1 << 16, 8: 1 << 32}[size]
        if found < least:
            raise MalformedBitcoin("a compact size that is longer than it need be")
        if found > most:
            raise MalformedBitcoin(f"a count or size of more than {most}")
        return found

    def sized(self, most: int) -> bytes:
        """Bytes after their compact size."""
        return self.take(self.compact_size(most))

    @property
    def rest(self) -> int:
        """Bytes that were not read yet."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Raises MalformedBitcoin where something follows."""
        if self.rest:
            raise MalformedBitcoin("something follows the end")
