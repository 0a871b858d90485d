"""What the box does by itself: events that a kind marks `automatic` happen when their time has come (K20).

Every worker looks, for letters of its own share; two that took the same one would race for its head, and one would win
(control ONCE). The box acts as the application `@box` of the tenant: officers who suspend that stop it. What cannot
happen yet, because a condition does not hold or a token is away, is tried again later and ever more seldom.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from appliance.api.background import Background
from appliance.api.letters.making import Wanted, make_event
from appliance.api.letters.schemas import EventRequest
from appliance.api.letters.views import read_letter
from appliance.box.states import Work, permits
from appliance.errors import CinnabarError
from appliance.letters.dues import dues
from appliance.recorder.errors import HeadMoved
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

LOOK_SECONDS: Final = 1.0
"""How often a worker looks for what is due."""
PAGE: Final = 16
"""Letters of a tenant at one look, so that no tenant's many wait before another's one."""
AGAIN_SECONDS: Final = 5.0
LATEST_SECONDS: Final = 3_600.0
"""After a failure it waits so long, and twice as long after each further one, up to an hour."""
_REMEMBERED: Final = 10_000

log = structlog.get_logger("api")


class Clockwork(Background):
    """Has automatic events happen to the letters of the tenants that this worker serves."""

    def __init__(self, worker: Worker) -> None:
        super().__init__("clockwork")
        self._worker = worker
        self._places: dict[str, tuple[int, int]] = {}
        """How far each tenant's list was looked through."""
        self._failed: dict[bytes, tuple[float, float]] = {}
        """(when to try again, wait after that), by letter."""

    async def _turn(self) -> float:
        more = permits(self._worker.state.state(), Work.SIGN) and await self._look()
        return 0.0 if more else LOOK_SECONDS

    async def _look(self) -> bool:
        """One look at every tenant's list. Whether there is more to be done at once."""
        worker = self._worker
        tenants = sorted(tenant for tenant in worker.ciphers if worker.callers.box_of(tenant) is not None)
        asked = [[tenant, *self._places.get(tenant, (0, 0))] for tenant in tenants]
        if not asked:
            return False
        found = await worker.recorder.query("letters_automatic", asked, worker.clock.read().time_us, PAGE)
        counts = dict.fromkeys(tenants, 0)
        for tenant, letter, at, number in found:
            counts[tenant] += 1
            self._places[tenant] = (at, number)
            if self._stopping:
                return False
            if letter[0] % worker.settings.workers == worker.number % worker.settings.workers:
                await self._try(tenant, letter)
        for tenant, count in counts.items():
            if count < PAGE:
                self._places.pop(tenant, None)
        return any(count == PAGE for count in counts.values())

    async def _try(self, tenant: str, letter: bytes) -> None:
        again, wait = self._failed.get(letter, (0.0, AGAIN_SECONDS))
        now = time.monotonic()
        if now < again:
            return
        try:
            await self._happen(tenant, letter.hex())
        except HeadMoved:
            return
        except (CinnabarError, HsmError) as error:
            self._put_off(letter, now, wait)
            code = getattr(error, "code", type(error).__name__)
            log.warning("automatic-event-refused", tenant=tenant, letter=letter.hex(), code=code)
        except Exception:
            self._put_off(letter, now, wait)
            log.exception("automatic-event-failed", tenant=tenant, letter=letter.hex())
        else:
            self._failed.pop(letter, None)

    def _put_off(self, letter: bytes, now: float, wait: float) -> None:
        if len(self._failed) >= _REMEMBERED:
            self._failed.clear()
        self._failed[letter] = (now + wait, min(2 * wait, LATEST_SECONDS))

    async def _happen(self, tenant: str, letter: str) -> None:
        worker = self._worker
        caller = worker.callers.box_of(tenant)
        before = await read_letter(worker, tenant, letter)
        loaded = worker.kinds.by_digest(tenant, before.kind.digest)
        now_us = worker.clock.read().time_us
        due = next((one for one in dues(loaded.kind, before) if one.automatic and one.at <= now_us), None)
        if due is not None and caller is not None:
            await make_event(
                worker, caller, Wanted(loaded, before, letter, due.event, EventRequest(event=due.event)), None
            )
