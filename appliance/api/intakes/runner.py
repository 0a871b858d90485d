"""Carries intake runs on: whichever worker holds one reads its file, decides its rows by slices, and gives it back.

A run's state, progress and place in its file are the recorder's, so that a worker that dies leaves nothing behind: its
lease ends and another one goes on at the first undecided row. A run is given back after a few seconds, so that other
tenants' runs, and other applications', have their turn (control CHANNEL); rows are sealed between single requests.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from appliance.api.background import Background
from appliance.api.intakes.file import Part, StoredFile, sweep
from appliance.api.intakes.schemas import IntakeRequest
from appliance.api.intakes.slices import ROWS, Halted, Known, RowMaker
from appliance.api.intakes.slices import Slice as MadeSlice
from appliance.api.intakes.views import close_fault, close_told, open_request
from appliance.documents import INTAKE_HEADER, INTAKE_SLICE, FileOfRows
from appliance.documents.errors import DocumentTooCostly
from appliance.errors import CinnabarError, Unavailable
from appliance.intake import MOST_ROWS, Form, IntakeRefused, Plan, RowKeys, make_plan
from appliance.intake.keys import basis
from appliance.intake.reading import ROWS_A_SLICE, WINDOW_BYTES, Place
from appliance.intake.reading import Slice as ReadSlice
from appliance.letters.errors import KindUnknown
from appliance.recorder.errors import IntakeMoved, OutcomeUnknown
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

COUNTED_ROWS: Final = 16_384
"""Rows that one task counts, as long as it does not read them."""
CLAIM_SECONDS: Final = 2.0
"""After so long it is another run's turn."""
ALONE_SECONDS: Final = 10.0
"""Likewise where none waited: each turn ends with a slice that nothing else is done beside."""
COMMITS: Final = 4
"""Slices on their way to the disk at once: so many that a disk which is slow for a moment holds up nothing."""
POLL_SECONDS: Final = 2.0
"""How often a worker looks for a run that another one left behind."""
PAUSE_SECONDS: Final = 0.5
"""After a failure that may pass."""
LEASE_SECONDS: Final = 90
"""Longer than the reading of a slice may take."""
SWEEP_SECONDS: Final = 3_600.0
"""How often parts that no run names are looked for."""
_FAILING: Final = (IntakeRefused, DocumentTooCostly, KindUnknown)
"""What no later try changes."""

log = structlog.get_logger("api")


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a run stands in its file: a slice's place, and how many rows come before it."""

    place: Place
    rows: int


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Cursor).decode


@dataclass
class _Held:
    """What a worker keeps of a run between its turns; all of it can be had again."""

    intake: bytes
    tenant: str
    asked: IntakeRequest
    certificate: bytes
    file: StoredFile
    form: Form
    begins: Place = field(default_factory=Place)
    plan: Plan | None = None
    read: tuple[Cursor, ReadSlice] | None = None
    coming: tuple[Cursor, asyncio.Task[ReadSlice]] | None = None


class IntakeRunner(Background):
    """Carries on the runs of the tenants that this worker serves, in their turn."""

    def __init__(self, worker: Worker) -> None:
        super().__init__("intakes")
        self._worker = worker
        self._before = b""
        """The run to be given back, that another one may come first."""
        self._sweeping = 0.0
        self._held: _Held | None = None

    async def stop(self) -> None:
        """Finish the slice at hand and stop; the rest of the run is another worker's, or the next start's."""
        await super().stop()
        self._forget()

    async def _turn(self) -> float:
        worker, now = self._worker, time.monotonic()
        if worker.number == 0 and now >= self._sweeping:
            self._sweeping = now + SWEEP_SECONDS
            await sweep(worker.stored, worker.recorder)
        run = await worker.recorder.intake_claim(sorted(worker.ciphers), LEASE_SECONDS, self._before)
        self._before = b""
        if run is None:
            self._forget()
            return POLL_SECONDS
        await self._carry_on(run)
        self._before = run["intake"]
        return 0.0

    def _forget(self) -> None:
        held, self._held = self._held, None
        if held is not None and held.coming is not None:
            held.coming[1].cancel()

    async def _carry_on(self, run: dict[str, Any]) -> None:
        """Work on a claimed run for its turn."""
        try:
            held = self._hold(run)
            if run["state"] in ("done", "failed"):
                await held.file.remove()
                await self._move(run, run["state"])
                return
            await self._work(held, run)
        except IntakeMoved:
            log.info("intake-moved", intake=run["intake"].hex())
        except (Unavailable, HsmError, OutcomeUnknown) as error:
            log.warning("intake-waits", intake=run["intake"].hex(), reason=type(error).__name__)
            await self._pause(PAUSE_SECONDS)
        except CinnabarError as error:
            log.warning("intake-ended", intake=run["intake"].hex(), code=error.code)
            await self._end(run, error)
        except Exception:
            log.exception("intake-failed", intake=run["intake"].hex())
            self._forget()
            await self._end(run, CinnabarError("the box logged what happened"))

    async def _end(self, run: dict[str, Any], error: CinnabarError) -> None:
        """Nothing more can be done: failed, or stopped where somebody can help."""
        after = "failed" if isinstance(error, _FAILING) else "stopped"
        try:
            fault = close_fault(self._worker.cipher_of(run["tenant"]), run["intake"], error)
            now = await self._worker.recorder.query("intake", run["tenant"], run["intake"])
            await self._worker.recorder.intake_move(
                run["tenant"], run["intake"], now["state"], after, at=now["cursor"], fault=fault
            )
        except (CinnabarError, HsmError) as again:
            code = getattr(again, "code", type(again).__name__)
            log.warning("intake-not-ended", intake=run["intake"].hex(), code=code)
            await self._pause(PAUSE_SECONDS)
        except Exception:
            log.exception("intake-not-ended", intake=run["intake"].hex())
            await self._pause(POLL_SECONDS)

    def _hold(self, run: dict[str, Any]) -> _Held:
        held = self._held
        if held is not None and held.intake == run["intake"]:
            return held
        self._forget()
        cipher = self._worker.cipher_of(run["tenant"])
        kept = open_request(cipher, run["intake"], run["request"])
        asked = kept.asked
        form = Form(format=asked.format, encoding=asked.encoding, delimiter=asked.delimiter, sheet=asked.sheet)
        parts = [Part(*part) for part in run["parts"]]
        file = StoredFile(self._worker.stored, cipher, run["intake"], parts)
        self._held = held = _Held(run["intake"], run["tenant"], asked, kept.certificate, file, form)
        return held

    async def _work(self, held: _Held, run: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + (ALONE_SECONDS if run["alone"] else CLAIM_SECONDS)
        state, cursor = run["state"], run["cursor"]
        if held.plan is None:
            await self._look(held, run)
        if state == "received":
            if await held.file.digest() != held.asked.sha256:
                raise IntakeRefused("the file that came has not the SHA-256 that was announced")
            cursor = _pack(Cursor(held.begins, 0))
            state = await self._move(run, "reading", cursor=cursor)
        while state == "reading" and loop.time() < ends and not self._stopping:
            state, cursor = await self._count(held, run | {"state": state, "cursor": cursor})
        if state == "running":
            await self._decide(held, run, _unpack(cursor), ends)

    async def _look(self, held: _Held, run: dict[str, Any]) -> None:
        """Its headers, and what they are. Raises IntakeRefused, KindUnknown."""
        asked, form = held.asked, held.form
        loaded = self._worker.kinds.newest(held.tenant, asked.kind)
        whole = form.format == "xlsx"
        window = await (held.file.whole() if whole else held.file.window(0, WINDOW_BYTES))
        request = FileOfRows(form=form, window=window, last=len(window) == held.file.size)
        found = await self._worker.documents.call(INTAKE_HEADER, held.tenant, request)
        held.begins = found.place
        held.plan = make_plan(
            loaded.kind, run["event"], form, found.header, asked.mapping, asked.constants, asked.row_key
        )

    async def _count(self, held: _Held, run: dict[str, Any]) -> tuple[str, bytes]:
        """Read on, and count: (state, cursor) then."""
        cursor = _unpack(run["cursor"])
        found = await self._read(held, cursor.place, None, COUNTED_ROWS)
        rows = cursor.rows + found.count
        if rows > MOST_ROWS:
            raise IntakeRefused(f"the file has more than {MOST_ROWS} rows")
        if found.next is not None:
            after = _pack(Cursor(found.next, rows))
            return await self._move(run, "reading", cursor=after), after
        if not rows:
            raise IntakeRefused("the file has no rows")
        after = _pack(Cursor(held.begins, 0))
        return await self._move(run, "running", cursor=after, rows=rows), after

    async def _read(self, held: _Held, place: Place, plan: Plan | None, most: int) -> ReadSlice:
        form = held.form
        if form.format == "xlsx":
            window, last = await held.file.whole(), True
        else:
            window = await held.file.window(place.at, WINDOW_BYTES)
            last = place.at + len(window) == held.file.size
        request = FileOfRows(form=form, window=window, last=last, place=place, plan=plan, most=most)
        return await self._worker.documents.call(INTAKE_SLICE, held.tenant, request)

    async def _rows(self, held: _Held, cursor: Cursor, decided: int) -> tuple[Cursor, ReadSlice]:
        """The slice of the file in which the row after so many is; the one after it is being read meanwhile."""
        while True:
            if held.read is None or held.read[0] != cursor:
                coming, held.coming = held.coming, None
                if coming is not None and coming[0] == cursor:
                    held.read = cursor, await coming[1]
                else:
                    if coming is not None:
                        coming[1].cancel()
                    held.read = cursor, await self._read(held, cursor.place, held.plan, ROWS_A_SLICE)
            found = held.read[1]
            following = None if found.next is None else Cursor(found.next, cursor.rows + found.count)
            if following is not None and held.coming is None:
                task = asyncio.get_running_loop().create_task(
                    self._read(held, following.place, held.plan, ROWS_A_SLICE)
                )
                held.coming = following, task
            if decided < cursor.rows + found.count:
                return held.read
            if following is None:
                raise IntakeRefused("the file ends before its last row")
            cursor = following

    def _maker(self, held: _Held, run: dict[str, Any]) -> RowMaker:
        worker, asked = self._worker, held.asked
        caller = worker.callers.of_certificate(held.certificate)
        loaded = worker.kinds.newest(held.tenant, asked.kind)
        unit, key = worker.unit_for(caller, asked.unit), worker.seal_key_for(caller, asked.key)
        worker.gates.check(caller, unit.name)
        said = basis(run["application"], run["kind"], run["event"], asked.batch or asked.sha256)
        secret = worker.cipher_of(held.tenant).keyed_hash(said)
        assert held.plan is not None  # noqa: S101 - _work has looked
        return RowMaker(worker, caller, (key, unit), loaded, run["event"], held.plan, RowKeys(secret), asked.check)

    async def _decide(self, held: _Held, run: dict[str, Any], cursor: Cursor, ends: float) -> None:
        """Decide the next rows, as many as there is time for. While slices are on their way to the disk the next one is
        made, unless what its rows mean may depend on them; and the recorder is asked what it knows of the one after.
        The recorder takes slices in their order: after one that was not taken none is."""
        loop = asyncio.get_running_loop()
        maker, decided = self._maker(held, run), run["decided"]
        underway: deque[asyncio.Task[None]] = deque()
        coming: asyncio.Task[Known] | None = None

        async def settle(most: int) -> None:
            while len(underway) > most:
                await underway[0]
                underway.popleft()

        try:
            while decided < run["rows"] and loop.time() < ends and not self._stopping:
                cursor, found = await self._rows(held, cursor, decided)
                rest = found.rows[decided - cursor.rows :]
                rows, following = rest[:ROWS], rest[ROWS : 2 * ROWS]
                known = {} if coming is None else await coming
                if any(row.number not in known for row in rows):
                    known = await maker.known(rows)
                coming = loop.create_task(maker.known(following)) if following else None
                if maker.follows(rows):
                    await settle(0)
                try:
                    made = await maker.slice(rows, known)
                except Halted as halted:
                    raise halted.error from None
                try:
                    await settle(COMMITS - 1)
                except BaseException:
                    if made.signatures:
                        self._worker.counter.drop("intake-unfinished", made.signatures)
                    raise
                underway.append(loop.create_task(self._commit(held, made, decided, cursor)))
                decided += len(made.items)
            await settle(0)
        except BaseException:
            # The earliest slice that was not taken says why; each of the others counts what it loses.
            for lost in await asyncio.gather(*underway, return_exceptions=True):
                if isinstance(lost, BaseException):
                    raise lost from None
            raise
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _commit(self, held: _Held, made: MadeSlice, decided: int, at: Cursor) -> None:
        """Raises what stops the run; otherwise every row of the slice has its verdict."""
        worker = self._worker
        told = close_told(worker.cipher_of(held.tenant), held.intake, decided, made.told)
        try:
            answer = await worker.recorder.intake_slice(
                held.intake,
                decided,
                os.urandom(16),
                made.items,
                told,
                _pack(at),
                held.certificate,
                made.mark,
                made.stamp,
            )
        except OutcomeUnknown:
            raise  # the recorder's client learns it later, and counts
        except CinnabarError as error:
            if made.signatures:
                worker.counter.drop(error.code, made.signatures)
            raise
        for reason, count in answer.dropped(made.items, made.stamp).items():
            worker.counter.drop(reason, count)
        if answer.halt is not None:
            raise answer.halt

    async def _move(self, run: dict[str, Any], after: str, *, cursor: bytes = b"", rows: int = 0) -> str:
        return await self._worker.recorder.intake_move(
            run["tenant"], run["intake"], run["state"], after, at=run["cursor"], cursor=cursor, rows=rows
        )
