"""Intake runs inside a transaction: a file of rows, each decided exactly once, whoever carries the run on.

A run's state, its progress and the verdict on every row are on disk with what the row made (control ONCE). A row is
known again by its key: what was accepted before, by this run or an earlier one, is a duplicate and is made no second
time. So a run that is killed anywhere goes on at its first undecided row, and the same file sent again completes what
was left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from appliance.errors import BadRequest, CinnabarError, NotAuthorised, NotFound
from appliance.recorder import errors
from appliance.recorder.jobs import ENTRIES_LIMIT, next_in_turn
from appliance.recorder.messages import (
    Answer,
    Committed,
    Entry,
    IntakeClaim,
    IntakeCreate,
    IntakeItem,
    IntakeMove,
    IntakePart,
    IntakeSlice,
    Result,
)
from appliance.store import intakes, rows
from appliance.store.intakes import IntakeRow, PageRow

if TYPE_CHECKING:
    from appliance.recorder.register import Caller
    from appliance.recorder.transaction import Run, Transaction

INTAKE_BYTES: Final = 16
KEY_BYTES: Final = 16
UNFINISHED_LIMIT: Final = 16
"""Unfinished runs of one application: what it asks beyond is refused as busy."""
UNFINISHED_BYTES: Final = 16 * 1024**3
"""Of all files of a tenant's runs that are not finished, as they were announced: beyond, a run is refused as busy."""
PART_BYTES: Final = 64 * 1024 * 1024
ACCEPTED, DUPLICATE, REFUSED = 0, 1, 2
"""Statuses of a row."""
DIFFERS: Final = "row-differs"
"""Code of a duplicate whose content is another one."""

WORKING: Final = frozenset({"received", "reading", "running"})
ENDED: Final = frozenset({"done", "failed"})
_STOPPABLE: Final = frozenset({"receiving", *WORKING})
_WORKERS: Final = frozenset(
    {
        ("received", "reading"),
        ("reading", "reading"),
        ("reading", "running"),
        ("received", "failed"),
        ("reading", "failed"),
        ("running", "failed"),
        ("received", "stopped"),
        ("reading", "stopped"),
        ("running", "stopped"),
    }
)
"""What a worker may do to a run. One that has ended, it sweeps: done to done, failed to failed."""
_STOPPING: Final = (errors.QuotaExceeded, errors.KeyUnusable, NotAuthorised, errors.ReadOnly)
"""What is no row's fault: the run stops, and can be resumed."""


def intake_create(transaction: Transaction, _run: Run, command: IntakeCreate) -> Answer:
    """Make a run, or answer which one the Idempotency-Key made."""
    caller = transaction.authorise(command.certificate, command.tenant, command.application)
    known = intakes.find_intake(transaction.connection, command.intake)
    if known is not None:
        if (known.application, known.request) == (caller.application_number, command.request):
            return Committed(command.ticket, -1)
        raise errors.RecordIdTaken("a run of that id exists")
    replay = transaction.replay(command.ticket, caller, command.idempotency)
    if replay is not None:
        return replay
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    if len(command.intake) != INTAKE_BYTES or not command.size:
        raise BadRequest("a run has an id of 16 bytes and a file")
    tenant, application = caller.tenant_number, caller.application_number
    if intakes.count_unfinished(transaction.connection, tenant, application) >= UNFINISHED_LIMIT:
        raise errors.Busy(f"the application has {UNFINISHED_LIMIT} unfinished runs")
    held = intakes.sum_sizes(transaction.connection, tenant)
    if held + command.size > UNFINISHED_BYTES:
        raise errors.Busy(f"the tenant's unfinished runs have {held} bytes of {UNFINISHED_BYTES}")
    transaction.taken.take_request(tenant, len(command.request))
    intakes.add_intake(
        transaction.connection, command.intake, tenant, application, command.kind, command.event, command.checks,
        transaction.now_us, command.size, command.request,
    )  # fmt: skip
    transaction.remember(caller, command.idempotency, -1, [], command.intake)
    return Committed(command.ticket, -1)


def intake_part(transaction: Transaction, _run: Run, command: IntakePart) -> Answer:
    """Raises NotFound, IntakeMoved, BadRequest."""
    caller = transaction.authorise(command.certificate, command.tenant, command.application)
    run = _run_of(transaction, caller.tenant_number, command.intake)
    if run.application != caller.application_number:
        raise NotAuthorised("another application's run")
    end = command.start + command.length
    part = (command.start, command.length, command.digest)
    if part in intakes.read_parts(transaction.connection, run.number):
        return Committed(command.ticket, run.received)
    if run.state != "receiving" or run.received != command.start:
        raise errors.IntakeMoved(f"the run is {run.state} and has {run.received} bytes")
    if not 0 < command.length <= PART_BYTES or end > run.size or len(command.digest) != 32:
        raise BadRequest("a part has bytes, and ends within its file")
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    transaction.taken.take_request(caller.tenant_number, command.length)
    intakes.add_part(transaction.connection, run.number, *part)
    state = "received" if end == run.size else "receiving"
    _write(transaction, run._replace(received=end, state=state))
    return Committed(command.ticket, end)


def intake_move(transaction: Transaction, _run: Run, command: IntakeMove) -> Answer:
    """Raises NotFound, NotAuthorised, IntakeMoved."""
    if command.certificate:
        caller = transaction.authorise(command.certificate, command.tenant, command.application)
        run = _run_of(transaction, caller.tenant_number, command.intake)
        if run.application != caller.application_number:
            raise NotAuthorised("another application's run")
        return Result(command.ticket, _asked(transaction, run, command.after))
    tenant = transaction.ground.callers.tenants.get(command.tenant)
    if tenant is None:
        raise NotFound("there is no such run")
    run = _run_of(transaction, tenant.number, command.intake)
    if run.state == command.after and run.cursor == command.cursor and command.before != run.state:
        return Result(command.ticket, run.state)  # the same again
    if run.state != command.before or (command.after in WORKING and run.cursor != command.at):
        raise errors.IntakeMoved(f"the run is {run.state}")
    if run.state in ENDED and command.after == run.state:
        intakes.drop_parts(transaction.connection, run.number)
        _write(transaction, run, work=0)
        return Result(command.ticket, run.state)
    if (run.state, command.after) not in _WORKERS:
        raise BadRequest(f"a run does not go from {run.state} to {command.after}")
    after = command.after
    moved = run._replace(state=after, cursor=command.cursor if after in WORKING else run.cursor, fault=command.fault)
    if after == "running":
        moved = moved._replace(rows=command.rows, state="running" if command.rows > run.decided else "done")
    _write(transaction, moved)
    return Result(command.ticket, moved.state)


def _asked(transaction: Transaction, run: IntakeRow, after: str) -> str:
    if after == "stopped" and run.state in _STOPPABLE:
        _write(transaction, run._replace(state="stopped", fault=b""))
        return "stopped"
    if after == "running" and run.state == "stopped":
        state = "receiving" if run.received < run.size else "running" if run.rows else "received"
        cursor = run.cursor if run.rows else b""
        _write(transaction, run._replace(state=state, fault=b"", cursor=cursor))
        return state
    if (after == "stopped" and run.state == "stopped") or (after == "running" and run.state in _STOPPABLE):
        return run.state
    raise errors.IntakeMoved(f"the run is {run.state}")


def intake_slice(transaction: Transaction, worker: Run, command: IntakeSlice) -> Answer:
    """Decide rows one by one. Raises IntakeMoved, BadRequest, NotAuthorised."""
    run = intakes.find_intake(transaction.connection, command.intake)
    if run is None:
        raise NotFound("there is no such run")
    before = intakes.find_page(transaction.connection, run.number, command.start)
    if before is not None and before.token == command.token:
        return Result(command.ticket, [[one[1:] for one in rows.unpack_verdicts(before.verdicts)], None])
    if run.state != "running" or run.decided != command.start:
        raise errors.IntakeMoved(f"the run is {run.state} and has decided {run.decided} rows")
    if not command.items or run.decided + len(command.items) > run.rows or len(command.token) != 16:
        raise BadRequest("a slice has rows, and ends within its file")
    if sum([len(item.entries) for item in command.items]) > ENTRIES_LIMIT:
        raise BadRequest("too many entries")
    for item in command.items:
        whole = len(item.key) == KEY_BYTES and (len(item.letter) == INTAKE_BYTES or item.code)
        if not whole and (item.key or not item.code):
            raise BadRequest("a row has a key, and a letter, of 16 bytes each")
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    caller = transaction.ground.callers.by_number.get(run.application)
    if caller is None:
        raise NotAuthorised("the run's application is suspended or revoked")
    caller = transaction.authorise(command.certificate, caller.tenant, caller.application)
    if command.stamp is not None and (run.checks or not any(item.entries for item in command.items)):
        raise BadRequest("a time-stamp is over seals that go on record")
    entries = [entry for item in command.items for entry in item.entries]
    stamps = [] if command.stamp is None else [command.stamp]
    if entries and transaction.careful and transaction.already(run.tenant, [*entries, *stamps]) is not None:
        raise errors.RecordIdTaken("a record of that id exists")
    verdicts: list[tuple[int, int, bytes, str, str]] = []
    halt: tuple[str, str] | None = None
    keys = Keys(transaction, -run.number if run.checks else run.tenant)
    taken = 0
    for item in command.items:
        try:
            status, letter, code, detail = _decide(transaction, caller, run, item, keys, stamps)
        except _STOPPING as error:
            halt = (error.code, str(error))
            break
        verdicts.append((item.number, status, letter, code, detail))
        if status == ACCEPTED and not run.checks:
            taken += len(item.entries) + len(stamps)
            stamps = []  # on record now
    transaction.row_counts[worker.run] = transaction.row_counts.get(worker.run, 0) + taken
    if verdicts:
        keys.write()
        _keep(transaction, run, command, verdicts)
        if taken and command.mark is not None and command.mark[1] > transaction.marks.get(command.mark[0], -1):
            transaction.marks[command.mark[0]] = command.mark[1]
        _renew(transaction, worker, run.intake)
    return Result(command.ticket, [[one[1:] for one in verdicts], halt])


class Keys:
    """Which rows of a scope were accepted, also by what this transaction has decided already."""

    def __init__(self, transaction: Transaction, scope: int) -> None:
        self._transaction, self._scope = transaction, scope
        self._new: dict[bytes, tuple[bytes, bytes]] = {}

    def find(self, key: bytes) -> tuple[bytes, bytes] | None:
        """(letter, content)."""
        return self._new.get(key) or intakes.find_key(self._transaction.connection, self._scope, key)

    def add(self, item: IntakeItem) -> None:
        self._new[item.key] = (item.letter, item.content)

    def write(self) -> None:
        """Before any other slice of this transaction looks."""
        found = sorted((self._scope, key, letter, content) for key, (letter, content) in self._new.items())
        intakes.add_keys(self._transaction.connection, found)


def _decide(
    transaction: Transaction, caller: Caller, run: IntakeRow, item: IntakeItem, keys: Keys, stamps: list[Entry]
) -> tuple[int, bytes, str, str]:
    """(status, letter, code, detail). `stamps`: what goes on record with the first row that is accepted."""
    known = keys.find(item.key) if item.key else None
    if known is None and item.key and run.checks:
        known = intakes.find_key(transaction.connection, run.tenant, item.key)
    if known is not None:
        return DUPLICATE, known[0], "" if known[1] == item.content else DIFFERS, ""
    if item.code:
        return REFUSED, b"", item.code, ""
    try:
        if run.checks:
            transaction.letters.judge(caller.tenant_number, item.entries, item.effects, caller.application)
        else:
            transaction.take(caller, item.entries + stamps, item.effects)
    except _STOPPING:
        raise
    except CinnabarError as error:
        return REFUSED, b"", error.code, str(error)
    keys.add(item)
    return ACCEPTED, b"" if run.checks else item.letter, "", ""


def _keep(
    transaction: Transaction, run: IntakeRow, command: IntakeSlice, verdicts: list[tuple[int, int, bytes, str, str]]
) -> None:
    counts = [0, 0, 0]
    for _, status, _, _, _ in verdicts:
        counts[status] += 1
    end = run.decided + len(verdicts)
    packed = rows.pack(verdicts)
    page = PageRow(command.start, len(verdicts), counts[REFUSED], command.token, packed, command.told)
    intakes.add_page(transaction.connection, run.number, page)
    transaction.bytes += len(packed) + len(command.told)
    state = "done" if end == run.rows else "running"
    _write(
        transaction,
        run._replace(
            decided=end, accepted=run.accepted + counts[ACCEPTED], duplicate=run.duplicate + counts[DUPLICATE],
            refused=run.refused + counts[REFUSED], cursor=command.cursor, state=state,
        ),
    )  # fmt: skip


def _write(transaction: Transaction, run: IntakeRow, work: int | None = None) -> None:
    now = transaction.now_us
    ended = run.state in ENDED
    found = int(run.state in WORKING or ended) if work is None else work
    finished = (run.finished or now) if ended else None
    intakes.write_intake(transaction.connection, run._replace(changed=now, finished=finished, work=found))


def _run_of(transaction: Transaction, tenant: int, intake: bytes) -> IntakeRow:
    found = intakes.find_intake(transaction.connection, intake)
    if found is None or found.tenant != tenant:
        raise NotFound("there is no such run")
    return found


def _renew(transaction: Transaction, worker: Run, intake: bytes) -> None:
    held = transaction.leases.get(intake) or transaction.ground.leases.get(intake)
    if held is not None and held[0] == worker.run:
        transaction.leases[intake] = (worker.run, max(held[1], transaction.monotonic + 30))


def intake_claim(transaction: Transaction, worker: Run, command: IntakeClaim) -> Answer:
    """Lease a run with work to this worker, in turn by tenant, then by application."""

    def waiting(tenant: int) -> list[tuple[int, bytes, int]]:
        found = intakes.intakes_with_work(transaction.connection, tenant)
        return [(one.number, one.intake, one.application) for one in found]

    chosen = next_in_turn(transaction, worker, command.tenants, command.release, command.lease, waiting)
    if chosen is None:
        return Result(command.ticket, None)
    run = intakes.find_intake(transaction.connection, chosen.work)
    assert run is not None  # noqa: S101 - it was just listed
    parts = [list(part) for part in intakes.read_parts(transaction.connection, run.number)]
    found = shown(run, chosen.tenant, chosen.application)
    return Result(command.ticket, found | {"parts": parts, "alone": chosen.alone})


def shown(run: IntakeRow, tenant: str, application: str) -> dict[str, object]:
    """A run as queries show it."""
    found = run._asdict()
    return found | {"tenant": tenant, "application": application, "checks": bool(run.checks)}
