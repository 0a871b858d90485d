"""The outbox: letters in a state that an adapter files go to the authority, and its receipt makes their next event.

A worker signs and judges; who speaks to the authority is the filer. Where the authority took a filing and gives its
receipt later, the letter is in another state of the adapter's, and is asked after.

The event that leads into the state puts a letter there, in the recorder's transaction: there is no second list that
could differ. Sent at least once, under a number that is always the same for the same filing; what the receipt causes
happens once, since it is compared with the letter's head (control ONCE). Each worker sends letters of its own share;
one that dies leaves them where they are, and so does a filer that dies, hangs or is away. Every signed message is a
record before it goes (control RECORD).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from appliance.api.background import Background
from appliance.api.callers import Caller
from appliance.api.filing.errands import ask_later, sign_filing, take_answer
from appliance.api.letters.views import open_view
from appliance.box.states import Work, permits
from appliance.errors import CinnabarError
from appliance.filer import Answer, Errand, run_errand
from appliance.filing import Adapter, LoadedAdapter, NotAnswered
from appliance.filing.adapter import Later
from appliance.filing.later import look_from, next_look
from appliance.letters.fields import moment
from appliance.letters.state import LetterState
from appliance.recorder.errors import HeadMoved
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

LOOK_SECONDS: Final = 1.0
PAGE: Final = 100
"""Letters of a kind in a state that are looked at in a round; the next round goes on from there."""
AT_ONCE: Final = 4
"""Filings of one tenant that a worker has under way. Each tenant has its own: an authority that answers slowly, or
never ends its answer, holds up nobody else's (control CHANNEL)."""
PUT_OFF_SECONDS: Final = 600.0
"""How long a letter that cannot be read is left alone."""
_REMEMBERED: Final = 10_000
"""Attempts of a tenant; whoever's oldest is forgotten is tried again at once."""

log = structlog.get_logger("api")


@dataclass
class _Attempt:
    again: float = 0.0
    wait: float = 0.0
    errand: Errand | None = None
    """Signed and on record; the next attempt sends it again, unless another adapter is in force by then."""
    adapter: str = ""
    """Digest of the one that it was made by."""


def _look_in(adapter: Adapter, letter: LetterState, look: Callable[[Later, int, int], int]) -> float:
    """When a filing that was taken is asked after, by the monotonic clock; 0: it is in the outbox."""
    if adapter.later is None or letter.state == adapter.state:
        return 0.0
    now_us = time.time_ns() // 1_000
    return time.monotonic() + (look(adapter.later, moment(letter.changed, "Z"), now_us) - now_us) / 1e6


class Sender(Background):
    """Files letters of the tenants that this worker serves."""

    def __init__(self, worker: Worker) -> None:
        super().__init__("filing")
        self._worker = worker
        self._stop = asyncio.Event()
        self._attempts: dict[str, dict[str, _Attempt]] = {}
        """Of what was sent or asked after: by tenant, so that none has another's forgotten (control CHANNEL), and the
        filing's number."""
        self._under_way: dict[str, dict[str, asyncio.Task[None]]] = {}
        """By tenant, and the filing's number."""
        self._places: dict[tuple[str, str, str], bytes] = {}
        """From which letter a list that is longer than a page goes on."""
        self._unread: dict[bytes, float] = {}
        """Letters that could not be read, and from when they are looked at again."""

    async def stop(self) -> None:
        """Stop; whoever has not answered yet is left, and asked again by the next worker."""
        self._stop.set()
        under_way = [task for tasks in self._under_way.values() for task in tasks.values()]
        await asyncio.gather(*under_way, return_exceptions=True)
        await super().stop()

    async def _turn(self) -> float:
        if permits(self._worker.state.state(), Work.SIGN):
            await self._look()
        return LOOK_SECONDS

    async def _look(self) -> None:
        worker = self._worker
        for tenant in sorted(worker.ciphers):
            caller = worker.callers.box_of(tenant)
            loaded = [] if caller is None else worker.adapters.of(tenant)
            for kind, state in sorted({(one.adapter.kind, state) for one in loaded for state in one.adapter.states}):
                for row in await self._waiting(tenant, kind, state):
                    before = self._opened(tenant, row)
                    if before is None or caller is None:
                        continue
                    adapter = next((one for one in loaded if one.files(kind, state, before.fields)), None)
                    if adapter is not None:
                        self._begin(caller, adapter, before)

    async def _waiting(self, tenant: str, kind: str, state: str) -> list[dict[str, Any]]:
        worker = self._worker
        place = (tenant, kind, state)
        found = await worker.recorder.query("letter_page", tenant, kind, state, PAGE, self._places.pop(place, b""))
        if len(found) == PAGE:
            self._places[place] = found[-1]["letter"]
        share = worker.number % worker.settings.workers
        return [one for one in found if one["letter"][0] % worker.settings.workers == share]

    def _opened(self, tenant: str, row: dict[str, Any]) -> LetterState | None:
        """The letter; None where it cannot be read: it is put off, and the round goes on with the others."""
        letter, now = row["letter"], time.monotonic()
        if now < self._unread.get(letter, 0.0):
            return None
        try:
            return open_view(self._worker.cipher_of(tenant), letter, row["view"])
        except Exception:
            if len(self._unread) >= _REMEMBERED:
                self._unread.clear()
            self._unread[letter] = now + PUT_OFF_SECONDS
            log.exception("filing-unreadable", tenant=tenant, letter=letter.hex())
            return None

    def _begin(self, caller: Caller, loaded: LoadedAdapter, before: LetterState) -> None:
        number = before.head
        under_way = self._under_way.setdefault(caller.tenant, {})
        if number in under_way or len(under_way) >= AT_ONCE or self._stop.is_set():
            return
        attempts = self._attempts.setdefault(caller.tenant, {})
        attempt = attempts.get(number) or _Attempt(again=_look_in(loaded.adapter, before, look_from))
        if time.monotonic() < attempt.again:
            return
        if number not in attempts and len(attempts) >= _REMEMBERED:
            attempts.pop(next(iter(attempts)))
        attempts[number] = attempt
        task = asyncio.get_running_loop().create_task(self._file(caller, loaded, before, attempt))
        under_way[number] = task
        task.add_done_callback(lambda _: under_way.pop(number, None))

    async def _file(self, caller: Caller, loaded: LoadedAdapter, before: LetterState, attempt: _Attempt) -> None:
        retry = loaded.adapter.retry
        attempt.wait = min(2 * attempt.wait, retry.most_s) if attempt.wait else retry.first_s
        attempt.again = _look_in(loaded.adapter, before, next_look) or time.monotonic() + attempt.wait
        told = {"tenant": caller.tenant, "letter": before.letter, "adapter": loaded.adapter.id}
        try:
            made = await self._attempt(caller, loaded, before, attempt)
        except HeadMoved:
            self._attempts[caller.tenant].pop(before.head, None)  # answered already, or abandoned
        except (CinnabarError, HsmError) as error:
            code = getattr(error, "code", type(error).__name__)
            log.warning("filing-not-answered", code=code, detail=str(error), **told)
        except Exception:
            log.exception("filing-not-answered", **told)
        else:
            if made is None:
                log.info("filing-pending", **told)
                return
            self._attempts[caller.tenant].pop(before.head, None)
            log.info("filing-answered", made=made, **told)

    async def _attempt(
        self, caller: Caller, loaded: LoadedAdapter, before: LetterState, attempt: _Attempt
    ) -> str | None:
        """The event that it made; None: the receipt is to come yet."""
        worker = self._worker
        if attempt.errand is None or attempt.adapter != loaded.digest:
            attempt.adapter = loaded.digest
            prepare = sign_filing if before.state == loaded.adapter.state else ask_later
            attempt.errand = await prepare(worker, caller, loaded, before)
        answer = await self._sent(attempt.errand)
        return await take_answer(worker, caller, loaded, before, attempt.errand.number, answer)

    async def _sent(self, errand: Errand) -> Answer:
        """What the authority answered, unless this worker stops first. Raises NotAnswered."""
        sending = asyncio.ensure_future(run_errand(self._worker.home.filer_socket, errand))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((sending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise NotAnswered("the worker stops")
            return sending.result()
        finally:
            sending.cancel()
            stopping.cancel()
