"""Frames on the box's unix sockets: four bytes of big-endian length and that many bytes of msgpack."""

from __future__ import annotations

import asyncio

from appliance.errors import BadRequest

LENGTH_BYTES = 4
FRAME_LIMIT = 64 * 1024 * 1024
"""Largest frame in bytes: a slice of a bulk seal is far below it. A longer one ends the connection."""


class FrameTooLong(BadRequest):
    """A frame announces more bytes than are taken."""

    code = "frame-too-long"


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


async def read_frame(reader: asyncio.StreamReader, limit: int = FRAME_LIMIT) -> bytes:
    """The next frame of a stream. Raises FrameTooLong, EOFError where the stream ends, OSError."""
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    if length > limit:
        raise FrameTooLong(f"a frame of {length} bytes, at most {limit} are taken")
    return await reader.readexactly(length)


class FrameReader:
    """Cuts a byte stream into frames. `take` yields each complete one and keeps the rest."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def take(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises FrameTooLong."""
        buffer = self._buffer
        if not buffer and len(data) >= LENGTH_BYTES:
            # The common case, a whole frame in one read, without a copy through the buffer.
            length = int.from_bytes(data[:LENGTH_BYTES], "big")
            if length == len(data) - LENGTH_BYTES <= self._limit:
                return [data[LENGTH_BYTES:]]
        buffer += data
        frames: list[bytes] = []
        at = 0
        while len(buffer) - at >= LENGTH_BYTES:
            length = int.from_bytes(buffer[at : at + LENGTH_BYTES], "big")
            if length > self._limit:
                raise FrameTooLong(f"a frame of {length} bytes, at most {self._limit} are taken")
            end = at + LENGTH_BYTES + length
            if len(buffer) < end:
                break
            frames.append(bytes(memoryview(buffer)[at + LENGTH_BYTES : end]))
            at = end
        if at:
            del buffer[:at]
        return frames
