"""From an API worker to the keymaster: one call on one connection of its own; a certificate is not asked for often."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from appliance.calls.client import Answer
from appliance.calls.framing import FrameReader, frame
from appliance.enrolment.errors import (
    EnrolmentFull,
    EnrolmentRefused,
    EnrolmentUnavailable,
    RequestRefused,
    SecretRefused,
)
from appliance.errors import CinnabarError

PATIENCE_S: Final = 20.0
AT_ONCE: Final = 8
"""Calls of one worker that wait for the keymaster; more are refused as busy."""
_READ: Final = 64 * 1024
_KNOWN: Final = (SecretRefused, EnrolmentRefused, RequestRefused, EnrolmentFull, EnrolmentUnavailable)


class Enroller:
    """One worker's way to the keymaster. Everything raises the errors of appliance.enrolment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting = 0

    async def enrol(self, user: str, secret: str, request: bytes) -> bytes:
        """A certificate for whoever has the one-time secret, DER."""
        return await self._call("enrol", user, secret, request)

    async def renew(self, certificate: bytes, request: bytes) -> bytes:
        """A certificate that follows the caller's, DER. `certificate`: SHA-256 of the one that it came with."""
        return await self._call("renew", certificate, request)

    async def _call(self, method: str, *arguments: object) -> bytes:
        if self._waiting >= AT_ONCE:
            raise EnrolmentUnavailable("too many ask for certificates at once")
        self._waiting += 1
        try:
            # A task of its own: handlers are stepped without one, and a time limit needs it.
            return await asyncio.get_running_loop().create_task(self._converse(method, arguments))
        except (OSError, TimeoutError, EOFError, msgspec.MsgspecError):
            raise EnrolmentUnavailable("the keymaster does not answer") from None
        finally:
            self._waiting -= 1

    async def _converse(self, method: str, arguments: tuple[object, ...]) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(str(self._path))
            try:
                writer.write(frame(msgspec.msgpack.encode([1, method, list(arguments)])))
                await writer.drain()
                frames = FrameReader(1 << 20)
                while data := await reader.read(_READ):
                    for payload in frames.take(data):
                        return _value(msgspec.msgpack.decode(payload, type=Answer))
                raise EOFError
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


def _value(answer: Answer) -> bytes:
    if answer.good:
        return bytes(answer.value)
    if isinstance(answer.value, _KNOWN):
        raise answer.value
    if answer.value.retriable:
        raise EnrolmentUnavailable("the keymaster cannot issue now")
    raise CinnabarError("the keymaster met an error")
