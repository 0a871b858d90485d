"""The outbox: letters in a state that an adapter files go to the authority, and its receipt makes their next event.

The event that leads into the state puts a letter there, in the recorder's transaction: there is no second list that
could differ. Sent at least once, under a number that is always the same for the same filing; what the receipt causes
happens once, since it is compared with the letter's head (control ONCE). Each worker sends letters of its own share;
one that dies leaves them where they are. Every signed message is a record before it goes (control RECORD).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.errors import NotPermitted
from appliance.api.letters.making import Wanted, make_event
from appliance.api.letters.schemas import EventRequest, ReceiptGiven
from appliance.api.letters.views import open_view
from appliance.box.states import Work, permits
from appliance.errors import CinnabarError
from appliance.filing import Adapter, AdapterRefused, LoadedAdapter, NotAnswered, prepare_filing, read_receipt
from appliance.filing.adapter import host_of
from appliance.filing.sending import send
from appliance.gateway import SCHEMES
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
FILING: Final = "filing"
"""Kind of the records of what was sent."""
_REMEMBERED: Final = 10_000

log = structlog.get_logger("api")


@dataclass
class _Attempt:
    again: float = 0.0
    wait: float = 0.0
    message: bytes = b""
    """Signed and on record; the next attempt sends it again."""


class Sender:
    """Files letters of the tenants that this worker serves."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._attempts: dict[str, _Attempt] = {}
        """By the filing's number."""
        self._under_way: dict[str, dict[str, asyncio.Task[None]]] = {}
        """By tenant, and the filing's number."""
        self._places: dict[tuple[str, str, str], bytes] = {}
        """From which letter a list that is longer than a page goes on."""

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="filing")

    async def stop(self) -> None:
        """Stop; whoever has not answered yet is left, and asked again by the next worker."""
        self._stop.set()
        under_way = [task for tasks in self._under_way.values() for task in tasks.values()]
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if permits(self._worker.state.state(), Work.SIGN):
                    await self._look()
            except (CinnabarError, HsmError) as error:
                log.warning("filing-failed", code=getattr(error, "code", type(error).__name__))
            except Exception:
                log.exception("filing-failed")  # the loop outlives whatever it meets
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    async def _look(self) -> None:
        worker = self._worker
        for tenant in sorted(worker.ciphers):
            caller = worker.callers.box_of(tenant)
            loaded = [] if caller is None else worker.adapters.of(tenant)
            for kind, state in sorted({(one.adapter.kind, one.adapter.state) for one in loaded}):
                for before in await self._waiting(tenant, kind, state):
                    adapter = next((one for one in loaded if one.files(kind, state, before.fields)), None)
                    if adapter is not None and caller is not None:
                        self._begin(caller, adapter, before)

    async def _waiting(self, tenant: str, kind: str, state: str) -> list[LetterState]:
        worker = self._worker
        place = (tenant, kind, state)
        found = await worker.recorder.query("letter_page", tenant, kind, state, PAGE, self._places.pop(place, b""))
        if len(found) == PAGE:
            self._places[place] = found[-1]["letter"]
        share = worker.number % worker.settings.workers
        mine = [one for one in found if one["letter"][0] % worker.settings.workers == share]
        return [open_view(worker.cipher_of(tenant), one["letter"], one["view"]) for one in mine]

    def _begin(self, caller: Caller, loaded: LoadedAdapter, before: LetterState) -> None:
        number = before.head
        under_way = self._under_way.setdefault(caller.tenant, {})
        if number in under_way or len(under_way) >= AT_ONCE or self._stop.is_set():
            return
        if len(self._attempts) >= _REMEMBERED:
            self._attempts.clear()
        attempt = self._attempts.setdefault(number, _Attempt())
        if time.monotonic() < attempt.again:
            return
        task = asyncio.get_running_loop().create_task(self._file(caller, loaded, before, attempt))
        under_way[number] = task
        task.add_done_callback(lambda _: under_way.pop(number, None))

    async def _file(self, caller: Caller, loaded: LoadedAdapter, before: LetterState, attempt: _Attempt) -> None:
        retry = loaded.adapter.retry
        attempt.wait = min(2 * attempt.wait, retry.most_s) if attempt.wait else retry.first_s
        attempt.again = time.monotonic() + attempt.wait
        told = {"tenant": caller.tenant, "letter": before.letter, "adapter": loaded.adapter.id}
        try:
            await self._attempt(caller, loaded, before, attempt)
        except HeadMoved:
            self._attempts.pop(before.head, None)  # answered already, or abandoned
        except (CinnabarError, HsmError) as error:
            code = getattr(error, "code", type(error).__name__)
            log.warning("filing-not-answered", code=code, detail=str(error), **told)
        except Exception:
            log.exception("filing-not-answered", **told)
        else:
            self._attempts.pop(before.head, None)
            log.info("filing-answered", **told)

    async def _attempt(self, caller: Caller, loaded: LoadedAdapter, before: LetterState, attempt: _Attempt) -> None:
        adapter, worker = loaded.adapter, self._worker
        if host_of(adapter) not in worker.settings.filing_hosts:
            raise AdapterRefused("authority.url: the box's settings allow the host no more")
        if not attempt.message:
            attempt.message = await self._signed(caller, loaded, before)
        raw = await self._sent(adapter, attempt.message, before.head)
        receipt = read_receipt(loaded, raw, before.head)
        given = ReceiptGiven(registry=adapter.receipt.registry, number=receipt.number, receipt=raw)
        asked = EventRequest(event=receipt.event, data=dict(receipt.data), receipts=[given], key=adapter.key)
        kind = worker.kinds.by_digest(caller.tenant, before.kind.digest)
        await make_event(worker, caller, Wanted(kind, before, before.letter, receipt.event, asked), None)

    async def _sent(self, adapter: Adapter, message: bytes, number: str) -> bytes:
        """What the authority answered, unless this worker stops first. Raises NotAnswered."""
        sending = asyncio.ensure_future(send(adapter, message, number))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((sending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise NotAnswered("the worker stops")
            return sending.result()
        finally:
            sending.cancel()
            stopping.cancel()

    async def _signed(self, caller: Caller, loaded: LoadedAdapter, before: LetterState) -> bytes:
        """The message, on record."""
        worker = self._worker
        key = worker.seal_key_for(caller, loaded.adapter.key)
        algorithm = SCHEMES.get(key.profile.scheme.name)
        if algorithm is None:
            raise NotPermitted("The key that the adapter names signs no messages.")
        await worker.gates.check_room(worker.recorder, caller, key.name)
        digest = key.profile.certificate_digest
        prepared = prepare_filing(loaded.adapter, before.fields, before.head, algorithm, digest)
        signature = await key.key.sign_async(prepared.to_be_signed)
        message = prepared.complete(signature)
        record = signing.record_signature(
            key.cipher, caller, key.name, FILING, artifact=message,
            content_digest=hashlib.sha256(prepared.payload).digest(), content_hash="sha256",
            time_us=worker.clock.read().time_us, to_be_signed=prepared.to_be_signed, signature=signature,
        )  # fmt: skip
        await signing.commit(worker, caller, [record])
        return message
