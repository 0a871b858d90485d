"""Long work: bulk seals as jobs that any worker can carry on where another one stopped.

The recorder holds a job's request, its progress and its verdicts. A worker claims a job for a while, signs a few items
a turn of its loop, so that single requests pass between them (a stamp's 99th percentile stays low while one runs), and
submits slices: entries and verdicts in one transaction. After a few of them it gives the job back and claims again, so
that the recorder can let another tenant's job, or another application's, come first. When it dies, its claim ends and
another worker goes on at the last slice; signatures of a slice that was not committed are dropped with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from appliance.api.background import Background
from appliance.api.bulk_seals import KIND, BulkSealer, encode_problem
from appliance.errors import BadRequest, CinnabarError, NotAuthorised, Unavailable
from appliance.recorder.errors import JobMoved, KeyExhausted, KeyUnusable, OutcomeUnknown, QuotaExceeded
from appliance.recorder.messages import Entry
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

SLICE: Final = 128
"""Items that one transaction commits, at most."""
SLICE_SECONDS: Final = 0.25
"""A slice ends earlier when its items take so long: an HSM may be slow."""
CLAIM_SLICES: Final = 4
CLAIM_SECONDS: Final = 0.5
"""After so many slices, or so long, it is another job's turn."""
TURN_SECONDS: Final = 0.002
"""How long a job keeps the loop before everybody else has a turn."""
POLL_SECONDS: Final = 2.0
"""How often a worker looks for a job that another one left behind."""
PAUSE_SECONDS: Final = 0.5
"""After a failure that may pass: the HSM or the recorder is away."""
LEASE_SECONDS: Final = 30

log = structlog.get_logger("api")


class JobRunner(Background):
    """Carries on the jobs of the tenants that this worker serves, a few slices of each in its turn."""

    def __init__(self, worker: Worker) -> None:
        super().__init__("jobs")
        self._worker = worker
        self._before = b""
        """The job to be given back, that another one may come first."""
        self.running: bytes | None = None

    async def _turn(self) -> float:
        worker = self._worker
        claimed = await worker.recorder.job_claim(sorted(worker.ciphers), LEASE_SECONDS, self._before)
        self._before = b""
        if claimed is None:
            return POLL_SECONDS
        if await self._carry_on(*claimed):
            self._before = claimed[0]
        return 0.0

    async def _carry_on(
        self, job_id: bytes, tenant: str, application: str, kind: str, items: int, progress: int, request: bytes
    ) -> bool:
        """Work on a claimed job for its turn; whether it is to be given back, to go on when it is its turn again."""
        loop = asyncio.get_running_loop()
        turn_ends = loop.time() + CLAIM_SECONDS
        self.running = job_id
        try:
            if kind != KIND:
                raise BadRequest(f"there is no work of kind {kind}")
            sealer = BulkSealer.open(self._worker, tenant, application, request)
            for _ in range(CLAIM_SLICES):
                if progress >= items or self._stopping:
                    break
                try:
                    progress = await self._slice(sealer, job_id, progress, items)
                except (NotAuthorised, KeyUnusable, QuotaExceeded) as error:
                    # Its certificate or its permission is gone for good, its key stopped, its quota used up: the rest
                    # of the job is refused. Where the whole application is suspended, the recorder refuses this as
                    # well, and the job waits.
                    progress = await self._refuse(job_id, progress, items, error)
                if loop.time() > turn_ends:
                    break
            return progress < items
        except JobMoved:
            log.info("job-moved", job=job_id.hex())
        except (Unavailable, HsmError) as error:
            # The claim runs out by itself; until then this worker is the one to try again.
            log.warning("job-waits", job=job_id.hex(), reason=type(error).__name__)
            await self._pause(PAUSE_SECONDS)
        except CinnabarError as error:
            log.error("job-refused", job=job_id.hex(), code=error.code)
            await self._pause(POLL_SECONDS)
        except Exception:
            log.exception("job-failed", job=job_id.hex())
            await self._pause(POLL_SECONDS)
        finally:
            self.running = None
        return False

    async def _refuse(self, job_id: bytes, start: int, items: int, error: CinnabarError) -> int:
        """The same verdict on a slice's items, and no record; where the job stands then."""
        count = min(SLICE * CLAIM_SLICES, items - start)
        await self._worker.recorder.job_slice(job_id, start, [], [encode_problem(error)] * count)
        return start + count

    async def _slice(self, sealer: BulkSealer, job_id: bytes, start: int, items: int) -> int:
        """Seal and commit the next items; where the job stands then."""
        loop = asyncio.get_running_loop()
        entries: list[Entry] = []
        verdicts: list[bytes] = []
        slice_ends = loop.time() + SLICE_SECONDS
        turn_ends = loop.time() + TURN_SECONDS
        try:
            for item in range(start, min(start + SLICE, items)):
                try:
                    entry = await sealer.seal(item)
                except Unavailable:
                    raise
                except CinnabarError as error:
                    verdicts.append(encode_problem(error))
                else:
                    entries.append(entry)
                    verdicts.append(entry.record_id)
                if loop.time() > turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = loop.time() + TURN_SECONDS
                if loop.time() > slice_ends:
                    break
            await self._commit(sealer, job_id, start, entries, verdicts)
        except OutcomeUnknown:
            raise  # the recorder's client learns it later, and counts
        except BaseException as error:
            self._worker.counter.drop(error.code if isinstance(error, CinnabarError) else "failed", len(entries))
            raise
        return start + len(verdicts)

    async def _commit(
        self, sealer: BulkSealer, job_id: bytes, start: int, entries: list[Entry], verdicts: list[bytes]
    ) -> None:
        """Commit a slice, or as much of it from its begin as limit and quota have room for; both lists are cut."""
        while True:
            try:
                await self._worker.recorder.job_slice(job_id, start, entries, verdicts, sealer.certificate)
            except (KeyExhausted, QuotaExceeded) as error:
                sealer.learn(entries, error)
                if not error.left:
                    raise
                self._worker.counter.drop(error.code, len(entries) - error.left)
                beyond = entries[error.left].record_id
                del entries[error.left :], verdicts[verdicts.index(beyond) :]
            else:
                return
