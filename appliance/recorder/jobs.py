"""Jobs inside a transaction: made once, claimed on a lease, worked slice by slice, each item exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from appliance.errors import BadRequest, NotAuthorised, NotFound
from appliance.recorder import errors
from appliance.recorder.messages import Answer, Committed, Entry, JobClaim, JobCreate, JobSlice, Result
from appliance.store import records, rows
from appliance.store.records import Row

if TYPE_CHECKING:
    from appliance.recorder.register import Caller, TenantState
    from appliance.recorder.transaction import Run, Transaction

ENTRIES_LIMIT = 20_000
"""Entries of one command: a slice of a bulk call."""
UNFINISHED_LIMIT = 16
"""Unfinished jobs of one application: what it asks beyond is refused as busy."""


def job_create(transaction: Transaction, _run: Run, command: JobCreate) -> Answer:
    """Make a job, or answer which one the Idempotency-Key made."""
    caller = transaction.authorise(command.certificate, command.tenant, command.application)
    known = rows.find_job(transaction.connection, command.job_id)
    if known is not None:
        mine = (known.application, known.kind, known.items, known.request)
        if mine == (caller.application_number, command.kind, command.items, command.request):
            return Committed(command.ticket, -1)
        raise errors.RecordIdTaken("a job of that id exists")
    replay = transaction.replay(command.ticket, caller, command.idempotency)
    if replay is not None:
        return replay
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    if command.items < 0 or not command.job_id:
        raise BadRequest("a job has an id and a number of items")
    tenant, application = caller.tenant_number, caller.application_number
    if rows.count_unfinished(transaction.connection, tenant, application) >= UNFINISHED_LIMIT:
        raise errors.Busy(f"the application has {UNFINISHED_LIMIT} unfinished jobs")
    transaction.taken.take_request(tenant, len(command.request))
    rows.add_job(
        transaction.connection,
        command.job_id,
        tenant,
        application,
        command.kind,
        command.items,
        transaction.now_us,
        command.request,
    )
    transaction.remember(caller, command.idempotency, -1, [], command.job_id)
    return Committed(command.ticket, -1)


def job_slice(transaction: Transaction, run: Run, command: JobSlice) -> Answer:
    """Entries, verdicts and progress together. Raises JobMoved."""
    job = rows.find_job(transaction.connection, command.job_id)
    if job is None:
        raise NotFound("there is no such job")
    verdicts = rows.pack(command.verdicts)
    if job.progress != command.start:
        # The same slice again, after a lost connection, is answered as it was the first time.
        before = rows.find_slice(transaction.connection, job.number, command.start)
        if before is not None and before[3] == verdicts and before[2] == len(command.entries):
            ids = {r.record_id for r in slice_rows(transaction, job, before)}
            if ids == {entry.record_id for entry in command.entries}:
                return Committed(command.ticket, before[1])
        raise errors.JobMoved(f"the job is at item {job.progress}")
    caller = _caller_of_slice(transaction, job, command, command.entries, len(command.verdicts))
    first = transaction.take(caller, command.entries)[0] if command.entries else -1
    _keep_slice(transaction, run, job, command.start, len(command.verdicts), first, len(command.entries), verdicts)
    return Committed(command.ticket, first)


def _caller_of_slice(
    transaction: Transaction, job: rows.JobRow, command: JobSlice, entries: list[Entry], items: int
) -> Caller:
    """Whose job it is, where the slice may be looked at. Raises ReadOnly, BadRequest, NotAuthorised, RecordIdTaken."""
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    if not items or command.start + items > job.items or len(entries) > ENTRIES_LIMIT:
        raise BadRequest("a slice has at least one verdict and ends within its job")
    caller = transaction.ground.callers.by_number.get(job.application)
    if caller is None:
        raise NotAuthorised("the job's application is suspended or revoked")
    if entries and command.certificate:
        caller = transaction.authorise(command.certificate, caller.tenant, caller.application)
    if entries and transaction.careful and transaction.already(job.tenant, entries) is not None:
        raise errors.RecordIdTaken("a record of that id exists")
    return caller


def _keep_slice(
    transaction: Transaction, run: Run, job: rows.JobRow, start: int, items: int, first: int, entries: int,
    verdicts: bytes,
) -> None:  # fmt: skip
    """Verdicts and progress, and the lease goes on."""
    end = start + items
    rows.add_slice(transaction.connection, job.number, start, items, first, entries, verdicts)
    rows.move_job(transaction.connection, job.number, end, transaction.now_us if end == job.items else None)
    held = _lease(transaction, job.job_id)
    if end == job.items:
        transaction.leases[job.job_id] = (run.run, 0.0)
    elif held is not None and held[0] == run.run:
        transaction.leases[job.job_id] = (run.run, max(held[1], transaction.monotonic + 30))
    transaction.row_counts[run.run] = transaction.row_counts.get(run.run, 0) + entries


def slice_rows(transaction: Transaction, job: rows.JobRow, stored: tuple[int, int, int, bytes]) -> list[Row]:
    if stored[2] == 0:
        return []
    return records.read_rows(transaction.connection, transaction.ground.segments, job.tenant, stored[1], stored[2])


def job_claim(transaction: Transaction, run: Run, command: JobClaim) -> Answer:
    """Lease a free job of the tenants to this run, in turn by tenant, then by application: see messages.JobClaim."""

    def waiting(tenant: int) -> list[tuple[int, bytes, int]]:
        return rows.unfinished_jobs(transaction.connection, tenant)

    chosen = next_in_turn(transaction, run, command.tenants, command.release, command.lease, waiting)
    if chosen is None:
        return Result(command.ticket, None)
    job = rows.find_job(transaction.connection, chosen.work)
    assert job is not None  # noqa: S101 - it was just listed
    found = [chosen.work, chosen.tenant, chosen.application, job.kind, job.items, job.progress, job.request]
    return Result(command.ticket, found)


class Turn(NamedTuple):
    """Work that was leased."""

    tenant: str
    application: str
    work: bytes
    """Its id."""
    alone: bool
    """Nothing else waits for anybody to take it."""


def next_in_turn(
    transaction: Transaction,
    run: Run,
    tenants: list[str],
    release: bytes,
    lease: int,
    waiting: Callable[[int], list[tuple[int, bytes, int]]],
) -> Turn | None:
    """The work that is leased to this run: of the tenant that was served least recently, of its applications likewise,
    the oldest. `waiting`: (number, id, application) of a tenant's work that is not done. What was held is released
    first."""
    ground = transaction.ground
    if release and (_lease(transaction, release) or ("", 0.0))[0] == run.run:
        transaction.leases[release] = (run.run, 0.0)
    free = _free(transaction, tenants, waiting)
    found = next(free, None)
    if found is None:
        return None
    tenant, application, caller, work = found
    turn = Turn(tenant.name, caller.application, work, next(free, None) is None)
    transaction.leases[work] = (run.run, transaction.monotonic + lease)
    turns = 1 + max([*ground.served.values(), *transaction.served.values()], default=0)
    transaction.served[(tenant.number, 0)] = transaction.served[(tenant.number, application)] = turns
    return turn


def _free(
    transaction: Transaction, tenants: list[str], waiting: Callable[[int], list[tuple[int, bytes, int]]]
) -> Iterator[tuple[TenantState, int, Caller, bytes]]:
    """(tenant, number of the application, the application, id) of work that nobody holds, in turn."""
    ground = transaction.ground

    def served(tenant: int, application: int = 0) -> int:
        place = (tenant, application)
        return transaction.served.get(place) or ground.served.get(place, 0)

    known = [ground.callers.tenants.get(name) for name in tenants]
    active = [tenant for tenant in known if tenant is not None and tenant.state == "active"]
    for tenant in sorted(active, key=lambda one: served(one.number)):
        for _, work, application in sorted(
            waiting(tenant.number), key=lambda one: (served(tenant.number, one[2]), one[0])
        ):
            held = _lease(transaction, work)
            caller = ground.callers.by_number.get(application)
            if caller is not None and (held is None or held[1] <= transaction.monotonic):
                yield tenant, application, caller, work


def _lease(transaction: Transaction, job_id: bytes) -> tuple[str, float] | None:
    return transaction.leases.get(job_id) or transaction.ground.leases.get(job_id)
