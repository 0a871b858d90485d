"""A socket by which the supervisor sees that a process without metrics is not hung: an empty frame for an empty one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

import structlog

from appliance.calls.framing import FrameTooLong, frame, read_frame
from appliance.calls.sockets import peer_of, private_listener

BEAT_SECONDS: Final = 5.0
"""How long a question may take to come."""

log = structlog.get_logger("calls")


class Pulse:
    """Answers root and our own user, and nobody else."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Raises UnsafeSocketDirectory."""
        self._server = await asyncio.start_unix_server(self._beat, sock=private_listener(path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _beat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if peer.user not in {0, os.geteuid()}:
                log.warning("peer-refused", user=peer.user, process=peer.process)
                return
            async with asyncio.timeout(BEAT_SECONDS):
                await read_frame(reader, 0)
                writer.write(frame(b""))
                await writer.drain()
        except (OSError, EOFError, FrameTooLong, TimeoutError):
            pass  # who asks again is answered again
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
