"""The anchorer as a process asks it that serves many: on threads of its own, and not at all while it is silent.

A ledger that lies may keep the anchorer busy, and a stopped one says nothing. Whoever waits for it must not hold up
others, so at most a few wait at a time, all of them briefly. Once it was silent nobody waits for it until it has
answered a question of this module's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from appliance.anchorer.client import AnchorerClient, AnchorerUnavailable
from appliance.errors import CinnabarError

AT_ONCE: Final = 2
"""Calls that are under way."""
CALL_SECONDS: Final = 2.0
"""Of one call, from its connection to the last byte."""
SILENT_SECONDS: Final = 0.5
"""A call that failed after so long has waited; one that fails sooner, as where nothing listens, costs nobody time."""
AGAIN_SECONDS: Final = 1.0
"""How often a silent anchorer is asked whether it answers again."""

_Found = TypeVar("_Found")


class AnchorerAsking:
    """See the module. Used within one running loop."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._threads = ThreadPoolExecutor(AT_ONCE, "anchorer")
        self._silent = False
        self._trying: asyncio.Task[None] | None = None

    async def ask(self, ask: Callable[[AnchorerClient], _Found]) -> _Found:
        """What it answers. Raises AnchorerUnavailable, also where it is too slow for as many as ask; and what the call
        does."""
        latest = time.monotonic() + CALL_SECONDS
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._asked, ask, latest)
        finally:
            if self._silent and self._trying is None:
                self._trying = asyncio.create_task(self._until_it_answers())

    def _asked(self, ask: Callable[[AnchorerClient], _Found], latest: float) -> _Found:
        if time.monotonic() > latest:
            raise AnchorerUnavailable("others wait for its answers")
        if self._silent:  # as was found while this call waited for a thread, too
            raise AnchorerUnavailable("it did not answer a moment ago")
        return self._call(ask)

    def _call(self, ask: Callable[[AnchorerClient], _Found]) -> _Found:
        started = time.monotonic()
        try:
            with AnchorerClient(self._socket, CALL_SECONDS) as client:
                return ask(client)
        except AnchorerUnavailable:
            self._silent = time.monotonic() - started >= SILENT_SECONDS
            raise

    async def _until_it_answers(self) -> None:
        while self._silent:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._call, AnchorerClient.ledgers)
            except AnchorerUnavailable:
                continue
            except CinnabarError:
                pass  # it answers, whatever it says
            self._silent = False
        self._trying = None
