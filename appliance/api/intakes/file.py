"""The file of a run, as it stands encrypted in the store of documents: parts come in, windows go out."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from appliance.store import Documents

if TYPE_CHECKING:
    from appliance.api.bodies import BodyCipher
    from appliance.recorder import RecorderClient


UNNAMED_SECONDS: Final = 3_600
"""Longer than a part that is on disk can wait until its run names it."""


class Part(NamedTuple):
    """A part of a file: where it begins, how long it is, and which document holds it."""

    start: int
    length: int
    digest: bytes


async def store_part(documents: Documents, cipher: BodyCipher, intake: bytes, start: int, data: bytes) -> bytes:
    """The digest of the document that holds a part. It is on disk when this returns. Raises OSError."""
    sealed = cipher.close_bytes(_label(intake, start), data)
    return await asyncio.to_thread(documents.put, sealed)


async def sweep(documents: Documents, recorder: RecorderClient) -> int:
    """Remove the parts that no run names: its worker died, or its answer was lost. Returns how many."""
    before = time.time() - UNNAMED_SECONDS
    named: set[bytes] = set()
    after: tuple[int, int] | None = (0, -1)
    while after is not None:
        found = await recorder.query("intake_parts", *after)
        named.update(digest for _, _, digest in found)
        after = (found[-1][0], found[-1][1]) if found else None
    return await asyncio.to_thread(documents.sweep, named, before)


class StoredFile:
    """Reads a run's file. The part that was read last is at hand; a whole workbook is, as long as this is."""

    def __init__(self, documents: Documents, cipher: BodyCipher, intake: bytes, parts: Sequence[Part]) -> None:
        self._documents, self._cipher, self._intake, self._parts = documents, cipher, intake, parts
        self._held: tuple[Part, bytes] | None = None
        self._whole: bytes | None = None
        self.size = sum(part.length for part in parts)

    async def window(self, at: int, length: int) -> bytes:
        """The bytes [at, at + length) of the file, as many as there are. Raises DocumentMissing, BodyDamaged."""
        return await asyncio.to_thread(self._window, at, length)

    async def whole(self) -> bytes:
        """All of it. Raises DocumentMissing, BodyDamaged."""
        if self._whole is None:
            self._whole = await self.window(0, self.size)
        return self._whole

    async def digest(self) -> str:
        """Its SHA-256, in hexadecimal."""
        return await asyncio.to_thread(self._digest)

    async def remove(self) -> None:
        """Forget it."""
        for part in self._parts:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._documents.remove, part.digest)

    def _window(self, at: int, length: int) -> bytes:
        found = []
        for part in self._parts:
            first, end = max(at, part.start), min(at + length, part.start + part.length)
            if first < end:
                found.append(self._open(part)[first - part.start : end - part.start])
        return found[0] if len(found) == 1 else b"".join(found)

    def _open(self, part: Part) -> bytes:
        if self._held is None or self._held[0] != part:
            sealed = self._documents.read(part.digest)
            self._held = part, self._cipher.open_bytes(_label(self._intake, part.start), sealed)
        return self._held[1]

    def _digest(self) -> str:
        hasher = hashlib.sha256()
        for part in self._parts:
            hasher.update(self._open(part))
        return hasher.hexdigest()


def _label(intake: bytes, start: int) -> bytes:
    return b"intake file|%s|%d" % (intake, start)
