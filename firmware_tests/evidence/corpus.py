"""Containers that are hostile before anything in them is read: packed as no box packs them, out of a good one."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from typing import Final

from appliance.asic import event_names, read_container
from appliance.asic.names import ASIC_E, MIMETYPE

EVENT: Final = event_names(1).event
MANIFEST: Final = event_names(1).manifest
_LOCAL, _DIRECTORY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def _entries(content: bytes) -> list[tuple[str, bytes]]:
    return [(MIMETYPE, ASIC_E.encode()), *read_container(content).items()]


def packed(entries: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """As Python's own writer of ZIP files packs them, which takes one name twice."""
    made = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(made, "w", compression) as archive:
        for name, one in entries:
            archive.writestr(zipfile.ZipInfo(name), one, compression)
        archive.comment = comment
    return made.getvalue()


def _replaced(content: bytes, place: int, number: bytes) -> bytes:
    return content[:place] + number + content[place + len(number) :]


def _renamed_in_directory(content: bytes) -> bytes:
    """The directory calls the first event otherwise than its entry does: programs see one or the other."""
    at = content.index(EVENT.encode(), content.index(_DIRECTORY))
    return _replaced(content, at, b"event-0009.json")


def _claimed_larger(content: bytes) -> bytes:
    """The first entry says that it is as large as 4 GiB."""
    return _replaced(content, 18, struct.pack("<2L", 0xFFFFFFFF, 0xFFFFFFFF))


def _nested(content: bytes) -> bytes:
    """A second archive, whole, in front of the first one's directory."""
    at = content.index(_DIRECTORY)
    return content[:at] + content + content[at:]


PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "an entry twice": lambda content: packed([*_entries(content), (EVENT, b"{}")]),
    "an entry twice, of another case": lambda content: packed([*_entries(content), (EVENT.upper(), b"{}")]),
    "packed by another program": lambda content: packed(_entries(content)),
    "compressed": lambda content: packed(_entries(content), zipfile.ZIP_DEFLATED),
    "a bomb": lambda content: packed([*_entries(content), ("event-0001/bomb", bytes(1 << 26))], zipfile.ZIP_DEFLATED),
    "a bomb as the manifest": lambda content: packed(
        [(name, bytes(1 << 26) if name == MANIFEST else one) for name, one in _entries(content)], zipfile.ZIP_DEFLATED
    ),
    "a size that is claimed": _claimed_larger,
    "a comment": lambda content: packed(_entries(content), comment=b"pay me"),
    "content after the end": lambda content: content + b"pay me",
    "content after the last seal": lambda content: (
        content[: (at := content.index(_DIRECTORY))] + b"pay me" + content[at:]
    ),
    "content before the first entry": lambda content: b"pay me" + content,
    "another archive inside": _nested,
    "another archive behind": lambda content: content + content,
    "another name in the directory": _renamed_in_directory,
    "cut off": lambda content: content[:-1],
    "without its directory": lambda content: content[: content.index(_DIRECTORY)],
    "an end alone": lambda content: content[content.index(_END) :],
    "another media type": lambda content: content.replace(ASIC_E.encode(), b"application/vnd.etsi.asic-s+zip", 1),
    "entries without number": lambda content: _replaced(
        content, content.index(_END) + 8, struct.pack("<2H", 0xFFFF, 0xFFFF)
    ),
    "its first bytes alone": lambda _: _LOCAL + bytes(1 << 16) + EVENT.encode(),
}
