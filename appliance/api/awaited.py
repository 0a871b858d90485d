"""Units and seal keys whose token does not open: they refuse and wait, while everything else is served.

One tenant's wrong PIN file, or an HSM that does not answer, stops nobody else (control CHANNEL). What waits is tried
again by itself; a PIN that the token refused is not, until its file is written anew (hsm.pins).

A token that was not there when the module was started may be one that only a fresh start shows (hsm.presence). Where
the module cannot be started afresh, since it has another token open, the worker ends, and is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from appliance.errors import CinnabarError
from hsm import HsmError, Pkcs11Uri
from hsm.errors import TokenUnavailable
from hsm.presence import is_listed, is_listed_afresh

if TYPE_CHECKING:
    from appliance.api.startup import Opening
    from appliance.api.worker import Worker

TRY_AGAIN_S = 2.0
LOOK_AFRESH_EVERY = 3
"""Tries. A look takes a process."""

log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class AwaitedKey:
    """A unit or seal key that cannot sign before its token opens."""

    name: str
    tenant: str
    public: bool
    """A unit on the TSA listener."""
    not_after: int
    """End of the certificate's validity, seconds since the epoch; 0 where it cannot be read."""


@dataclass(frozen=True)
class Awaited:
    """What one worker waits for."""

    tokens: Mapping[str, str] = field(default_factory=dict)
    """Why each token does not open, by its name."""
    units: Mapping[str, AwaitedKey] = field(default_factory=dict)
    seal_keys: Mapping[str, AwaitedKey] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tokens or self.units or self.seal_keys)

    @property
    def keys(self) -> Iterable[AwaitedKey]:
        return (*self.units.values(), *self.seal_keys.values())


def not_open() -> TokenUnavailable:
    """What whoever asks for a key that waits is refused with; why is the log's to tell."""
    return TokenUnavailable("the token is not open")


class Reopening:
    """Opens what waits, when it can be."""

    def __init__(self, worker: Worker, opening: Opening) -> None:
        self._worker = worker
        self._opening = opening
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told: list[str] = []
        self._end: Callable[[], None] = lambda: None

    def start(self, end: Callable[[], None]) -> None:
        """`end`: ends this worker cleanly."""
        self._end = end
        if self._worker.awaited:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="reopening")

    async def stop(self) -> None:
        """Returns once nothing is being opened any more."""
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        tries = 0
        while self._worker.awaited:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), TRY_AGAIN_S)
            if self._stop.is_set():
                return
            tries += 1
            try:
                await self._open()
                # Not all workers of a box at once: while one starts, another serves.
                if tries % LOOK_AFRESH_EVERY == self._worker.number % LOOK_AFRESH_EVERY:
                    seen = await asyncio.to_thread(self._seen_only_afresh)
                    if seen is not None:
                        log.warning("worker-ends-for-token", token=seen)
                        self._end()
                        return
            except CinnabarError as error:
                log.warning("tokens-not-opened", code=error.code)
            except Exception:
                log.exception("tokens-not-opened")  # the loop outlives whatever it meets

    async def _open(self) -> None:
        marks = await self._worker.recorder.query("marks")
        waited = set(self._opening.closed)
        # Another thread, as when a lost token is connected anew: nobody waits for an HSM that does not answer.
        await asyncio.to_thread(self._opening.open_all, marks, 0.0)
        self._opening.publish(self._worker)
        for name in sorted(waited - set(self._opening.closed)):
            log.info("token-opened", token=name)
        if self._opening.faults != self._told:
            self._told = list(self._opening.faults)
            for fault in self._told:
                log.error("key-not-opened", detail=fault)

    def _seen_only_afresh(self) -> str | None:
        """A token that is closed because it came after this process's module had been started."""
        for token in self._worker.settings.tokens:
            if token.name in self._opening.closed:
                with contextlib.suppress(HsmError):
                    if not is_listed(Pkcs11Uri.parse(token.uri)) and is_listed_afresh(token.uri):
                        return token.name
        return None
