"""Whether a part still answers; of a worker, what it says of the clock and its keys: asked on its metrics socket.

A worker whose inline call into an HSM hangs holds its whole process and can tell nobody; only its silence shows it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from appliance.calls.framing import FrameTooLong, frame, read_frame

ASK_SECONDS = 4.0
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: supervisor\r\nConnection: close\r\n\r\n"
_LARGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True)
class Vitals:
    """What a worker said."""

    clock_shown: bool
    unusable_keys: tuple[str, ...]
    closed_tokens: tuple[str, ...] = ()
    """Those that do not open: the worker waits for them."""


class NoAnswer(Exception):
    """The part did not answer in time, or a worker not with its metrics."""


async def beat(socket_path: Path) -> None:
    """Whether a part answers an empty frame with another. Raises NoAnswer."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket_path))
            try:
                writer.write(frame(b""))
                await read_frame(reader, 0)
            finally:
                writer.close()
    except (OSError, EOFError, FrameTooLong) as error:
        raise NoAnswer(type(error).__name__) from error


async def ask(socket_path: Path) -> Vitals:
    """The vitals of the worker behind a metrics socket. Raises NoAnswer."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket_path), limit=_LARGEST_ANSWER)
            try:
                writer.write(_REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                body = bytearray()
                while more := await reader.read(_LARGEST_ANSWER):
                    body += more
                    if len(body) > _LARGEST_ANSWER:  # a worker that was taken over could fill our memory
                        raise NoAnswer(f"an answer of more than {_LARGEST_ANSWER} bytes")
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
        raise NoAnswer(type(error).__name__) from error
    if not head.startswith(b"HTTP/1.1 200 "):
        raise NoAnswer("an answer other than 200")
    return read_vitals(body.decode("utf-8", "replace"))


def read_vitals(metrics: str) -> Vitals:
    """Read a worker's exposition. Raises NoAnswer for one that cannot be read."""
    clock_shown, unusable, closed = True, [], []
    try:
        for family in text_string_to_metric_families(metrics):
            for sample in family.samples:
                if sample.name == "cinnabar_clock_shown" and not sample.value:
                    clock_shown = False
                elif sample.name == "cinnabar_key_usable" and not sample.value:
                    unusable.append(sample.labels.get("key", ""))
                elif sample.name == "cinnabar_token_open" and not sample.value:
                    closed.append(sample.labels.get("token", ""))
    except ValueError as error:
        raise NoAnswer("metrics that cannot be read") from error
    return Vitals(clock_shown, tuple(sorted(unusable)), tuple(sorted(closed)))
