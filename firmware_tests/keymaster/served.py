"""A life of the keymaster in a thread's loop, with sockets that clients reach from outside of it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from appliance.calls.server import CallServer
from firmware_tests.keymaster.room import Bench, Life

Sockets = Mapping[Path, tuple[str, Mapping[str, Callable[..., Any]], int]]
"""Path to the name, the methods and the mode of what is served there."""
OWN = frozenset({0, os.geteuid()})
"""Who may call: root, and the user that runs the tests."""


class ServedLife:
    """One life, from the beginning of the block to its end."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.life: Life
        self.loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self.loop.run_until_complete(self._serve()))

    async def sockets(self, life: Life) -> Sockets:
        """What is served; called in the loop, when the life has begun."""
        raise NotImplementedError

    async def _serve(self) -> None:
        async with self.bench.life() as life:
            self.life = life
            servers = []
            for path, (name, methods, mode) in (await self.sockets(life)).items():
                server = CallServer(name, methods, OWN)
                path.parent.mkdir(parents=True, exist_ok=True)
                await server.start(path, mode)
                servers.append(server)
            self._ready.set()
            await self._stop.wait()
            for server in servers:
                await server.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.loop.close()
