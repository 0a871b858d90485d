"""The filer's socket: an errand comes, the authority is asked, the answer goes back.

Whoever sent an errand and is gone wants no answer: it is given up, so that nothing a worker left behind when it died
goes on. How many a tenant has under way is the workers' to say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.calls.framing import FrameTooLong, frame, read_frame
from appliance.calls.sockets import peer_of, private_listener
from appliance.filer.messages import ERRAND_BYTES, Answer, Errand, Failed
from appliance.filer.sending import send
from appliance.filing.errors import NotAnswered

ERRAND_SECONDS: Final = 10.0
"""How long an errand may take to come."""
NAMES_AT_ONCE: Final = 64
"""Names of hosts that are looked up at once, each in a thread that cannot be stopped: a name that nobody answers for
holds up none of another tenant's (control CHANNEL)."""

_decode = msgspec.msgpack.Decoder(Errand).decode
_encode = msgspec.msgpack.Encoder().encode

log = structlog.get_logger("filer")


class Filer:
    """Serves errands to the users that may connect. Make it inside a running loop."""

    def __init__(self, hosts: Collection[str], users: frozenset[int]) -> None:
        """`hosts`: HOST:PORT that it speaks to, and to nobody else."""
        self._hosts = frozenset(hosts)
        self._users = users
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        threads = ThreadPoolExecutor(NAMES_AT_ONCE, "names")
        asyncio.get_running_loop().set_default_executor(threads)

    async def start(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._accept, sock=private_listener(path))

    async def stop(self) -> None:
        """Give up what is under way: workers send it again."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._connections.add(task)
        try:
            if peer.user not in self._users:
                log.warning("peer-refused", user=peer.user, process=peer.process)
                return
            async with asyncio.timeout(ERRAND_SECONDS):
                payload = await read_frame(reader, ERRAND_BYTES)
            answer = await self._run(_decode(payload), reader) if payload else b""
            if answer is not None:
                writer.write(frame(answer))
                await writer.drain()
        except (FrameTooLong, msgspec.MsgspecError, TimeoutError) as error:
            log.warning("errand-refused", user=peer.user, error=type(error).__name__)
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _run(self, errand: Errand, reader: asyncio.StreamReader) -> bytes | None:
        """The answer, encoded; None: nobody waits for it any more."""
        sending = asyncio.ensure_future(send(errand, self._hosts))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                return None
            answer: Answer | Failed = sending.result()
        except NotAnswered as error:
            answer = Failed(str(error)[:200])
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
        return _encode(answer)
