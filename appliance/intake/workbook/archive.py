"""The ZIP around a workbook: what it may hold, and its parts, inflated piece by piece under a limit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from appliance.intake.errors import IntakeRefused

ENTRIES: Final = 2_000
PIECE: Final = 256 * 1024
SMALL: Final = 8 * 1024 * 1024
"""Bytes of a part that describes the workbook."""
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, OverflowError, struct.error
)  # fmt: skip
"""What zipfile raises for what is no sound archive; NotImplementedError is a RuntimeError."""
_FORBIDDEN: Final = (
    ("xl/externallinks/", "it has links to other files"),
    ("xl/vbaproject", "it has macros"),
    ("xl/macrosheets/", "it has macros"),
    ("xl/embeddings/", "it has other files inside"),
    ("xl/connections", "it has connections to outside data"),
    ("xl/querytables/", "it has connections to outside data"),
)


class Archive:
    """The parts of a workbook by name. Raises IntakeRefused for what is no workbook, or may not be one."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            entries = self._zip.infolist()
        except _DAMAGED as error:
            raise IntakeRefused(f"the file is no workbook: {error}") from None
        if len(entries) > ENTRIES:
            raise IntakeRefused(f"the workbook has {len(entries)} parts, more than {ENTRIES}")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.casefold().lstrip("/")
            if name in self._entries:
                raise IntakeRefused(f"the workbook has the part {entry.filename[:80]!r} twice")
            if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
                raise IntakeRefused(f"the workbook's part {entry.filename[:80]!r} is encrypted, or packed unusually")
            for begin, why in _FORBIDDEN:
                if name.startswith(begin):
                    raise IntakeRefused(f"the workbook is refused: {why}")
            self._entries[name] = entry

    def __contains__(self, name: str) -> bool:
        return name.casefold().lstrip("/") in self._entries

    def pieces(self, name: str, limit: int) -> Iterator[bytes]:
        """A part, inflated, at most `limit` bytes of it: whatever it says of its own size."""
        entry = self._entries.get(name.casefold().lstrip("/"))
        if entry is None:
            raise IntakeRefused(f"the workbook has no part {name[:80]!r}")
        size = 0
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(PIECE):
                    size += len(piece)
                    if size > limit:
                        raise IntakeRefused(f"the workbook's part {name[:80]!r} has more than {limit} bytes")
                    yield piece
        except _DAMAGED as error:
            raise IntakeRefused(f"the workbook's part {name[:80]!r} is damaged: {error}") from None

    def small(self, name: str) -> bytes:
        """A part that describes the workbook, whole."""
        return b"".join(self.pieces(name, SMALL))
