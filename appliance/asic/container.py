"""The container: a ZIP file in one form, so that equal content gives equal bytes and there is no place to hide.

Entries are stored, not compressed, one after the other without a gap, with no time, no comment and no extra field;
names are ASCII; the central directory follows, and nothing follows that. `mimetype` is first (EN 319 162-1, annex A.1).
What is written in another form is refused on reading, however a program that unpacks ZIP files would take it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Final

from appliance.asic.errors import ContainerRefused, EvidenceNotBuildable
from appliance.asic.names import ASIC_E, MIMETYPE

LARGEST_CONTAINER: Final = 512 * 1024 * 1024
MOST_ENTRIES: Final = 65_534
"""One below where ZIP64 begins."""
FIRST_BYTES: Final = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION: Final = 20
_MADE_BY: Final = (3 << 8) | _VERSION
"""Unix."""
_MODE: Final = 0o100644 << 16
_DATE: Final = 0x21
"""1980-01-01, the first day that ZIP knows: a container tells no time by itself."""


def write_container(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """The container with these entries, in this order, after its media type. Raises EvidenceNotBuildable: a name twice,
    not ASCII, or more than fits (65,534 entries, 512 MiB), which is well below what ZIP without ZIP64 holds."""
    parts: list[bytes] = []
    central: list[bytes] = []
    seen: set[str] = set()
    at = 0
    for name, content in ((MIMETYPE, ASIC_E.encode()), *entries):
        encoded = name.encode()
        if name.lower() in seen or not encoded.isascii() or not encoded:
            raise EvidenceNotBuildable(f"an entry's name is there twice, or not plain: {name!r}")
        seen.add(name.lower())
        size, crc = len(content), zlib.crc32(content)
        parts += [
            _LOCAL.pack(FIRST_BYTES, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(encoded), 0),
            encoded,
            content,
        ]
        central += [
            _CENTRAL.pack(
                b"PK\x01\x02", _MADE_BY, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(encoded), 0, 0, 0, 0, _MODE, at
            ),
            encoded,
        ]
        at += _LOCAL.size + len(encoded) + size
        if at > LARGEST_CONTAINER or len(seen) > MOST_ENTRIES:
            raise EvidenceNotBuildable(
                f"an evidence file has at most {MOST_ENTRIES} entries and {LARGEST_CONTAINER} bytes"
            )
    length = sum(map(len, central))
    end = _END.pack(b"PK\x05\x06", 0, 0, len(seen), len(seen), length, at, 0)
    return b"".join((*parts, *central, end))


def read_container(data: bytes) -> dict[str, bytes]:
    """The entries by name, in their order, without the media type. Raises ContainerRefused for anything that
    `write_container` would have written otherwise: the bytes are then written once more and compared."""
    if len(data) > 2 * LARGEST_CONTAINER:
        raise ContainerRefused("it is larger than any evidence file")
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        raise ContainerRefused("it does not end where its directory says: something follows, or it is cut off")
    _, _, _, _, count, _, offset, _ = _END.unpack(data[-_END.size :])
    entries: dict[str, bytes] = {}
    at = 0
    for _ in range(count):
        name, content, at = _entry(data, at)
        if name in entries:
            raise ContainerRefused(f"the entry {name!r} is there twice")
        if not entries and (name, content) != (MIMETYPE, ASIC_E.encode()):
            raise ContainerRefused("its first entry is not the media type of ASiC-E")
        entries[name] = content
    if at != offset:
        raise ContainerRefused("there are bytes between its entries and its directory")
    if not entries:
        raise ContainerRefused("it is empty")
    del entries[MIMETYPE]
    try:
        again = write_container(entries.items())
    except EvidenceNotBuildable as error:
        raise ContainerRefused(str(error)) from None
    if again != data:
        raise ContainerRefused("its directory says other than its entries, or it was packed by another program")
    return entries


def _entry(data: bytes, at: int) -> tuple[str, bytes, int]:
    """Name, content and end of the entry at a place."""
    begin = at + _LOCAL.size
    if begin > len(data) or data[at : at + 4] != FIRST_BYTES:
        raise ContainerRefused("there are bytes between its entries, or an entry is missing")
    _, _, flags, method, _, _, _, packed, size, name_length, extra_length = _LOCAL.unpack(data[at:begin])
    end = begin + name_length + size
    if flags or method or extra_length or packed != size or end > len(data):
        raise ContainerRefused("an entry is compressed, encrypted, cut off, or has fields that hide something")
    try:
        name = data[begin : begin + name_length].decode("ascii")
    except UnicodeDecodeError:
        raise ContainerRefused("an entry's name is not ASCII") from None
    return name, data[begin + name_length : end], end
