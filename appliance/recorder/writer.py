"""The single writer: owns the writing connection, runs transactions, rolls segments, says when the disk is full."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from appliance.errors import CinnabarError
from appliance.recorder import administration, errors
from appliance.recorder.administration import CeremonyEntry, Change
from appliance.recorder.counts import Counts
from appliance.recorder.letter_limits import Terms
from appliance.recorder.letters import LetterGround
from appliance.recorder.limits import Limits, Quota, Used
from appliance.recorder.log_places import LogPlaces
from appliance.recorder.messages import BOX_LOG, Answer, Command, Committed, Entry, KeyEntry, Refused
from appliance.recorder.register import Callers, Certificate, TenantState
from appliance.recorder.transaction import Ground, Run, Transaction
from appliance.store import keys, records, rows, schema, usage

log = structlog.get_logger(__name__)

DAY_US = 86_400_000_000
WATCH_EVERY = 1024 * 1024
BYTES_KEPT_EVERY = 16 * 1024 * 1024


class WriterFailed(errors.OutcomeUnknown):
    """The database answered with an I/O error: what is on disk is unknown until the process starts anew."""


@dataclass(frozen=True)
class WriterSettings:
    """What the writer needs of the box's settings. Times in milliseconds, sizes in bytes."""

    window_ms: int
    logs: dict[str, str]
    """Tenant, or BOX_LOG, by origin."""
    bases: dict[str, int] = field(default_factory=dict)
    """By origin: number of a record less its index in the log; 0 where none is given."""
    segment_bytes: int = 4 * 1024**3
    segment_us: int = DAY_US


class Writer:
    """Everything that changes the database goes through here, in one thread."""

    def __init__(
        self,
        directory: Path,
        settings: WriterSettings,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.clock_us = clock_us
        self.monotonic = monotonic
        self.connection = schema.open_writer(directory)
        self.refuse: str | None = None
        """Why new work is refused, or None; set by the disk's watermarks."""
        self.disk_full = False
        self.transactions = 0
        self.appended = 0
        self.watch: Callable[[], None] = lambda: None
        """Called after every WATCH_EVERY bytes: a fast writer reaches a watermark between two looks at the clock."""
        self._unwatched = 0
        self.unchecked_bytes = 0
        """About how much of the write-ahead log is not in the database file yet."""
        self._bytes = 0
        self._bytes_kept = 0
        self.ground = self._find_ground()

    def close(self) -> None:
        self.connection.close()

    def adopt(self, settings: WriterSettings) -> None:
        """Other settings hold from the next transaction on."""
        self.settings = settings
        self.ground.logs, self.ground.window_ms = LogPlaces(settings.logs, settings.bases), settings.window_ms

    # Start

    def _find_ground(self) -> Ground:
        connection = self.connection
        with self._in_transaction():
            if rows.tenant_number(connection, BOX_LOG) is None:
                # The box's own log is tenant number 0 and never a caller's.
                connection.execute("INSERT INTO tenants (number, name, state) VALUES (0, ?, 'box')", (BOX_LOG,))
            known = records.segments(connection)
            if not known:
                known = [records.add_segment(connection, 1, self.clock_us(), 1)]
        callers = self.read_callers(self.clock_us())
        self._bytes = self._bytes_kept = known[-1].size
        ground = Ground(
            callers=callers,
            segments=known,
            next_sequence=records.last_sequence(connection, known[-1]) + 1,
            sizes={t.number: records.tree_size(connection, t.number) for t in callers.tenants.values()},
            hours=keys.hours(connection),
            window_ms=self.settings.window_ms,
            logs=LogPlaces(self.settings.logs, self.settings.bases),
            limits=self._counted_limits(),
            letters=LetterGround.read(connection),
        )
        ground.sealed_last_id = max((s.last_id for s in known if s.last_id is not None), default=b"")
        return ground

    def read_callers(self, version: int) -> Callers:
        """The register as the tables have it."""
        tenants = [TenantState(*row) for row in rows.read_tenants(self.connection)]
        certificates = [Certificate(*row) for row in rows.read_certificates(self.connection)]  # type: ignore[arg-type]
        said = [KeyEntry(*row[1:7]) for row in usage.read_key_states(self.connection)]  # type: ignore[arg-type]
        return Callers(version, tenants, certificates, said, rows.read_boxes(self.connection))

    def _counted_limits(self) -> Limits:
        limits = Limits(day=usage.last_day(self.connection), key_totals=usage.read_key_totals(self.connection))
        limits.used = {tenant: Used(*row) for tenant, row in usage.read_day(self.connection, limits.day).items()}
        self._read_limits(limits)
        return limits

    def _read_limits(self, limits: Limits) -> None:
        """What is said about tenants and keys, after a change of it; the counts stay."""
        said = usage.read_key_states(self.connection)
        limits.keys = {(row[0], row[2]): KeyEntry(*row[1:7]) for row in said}  # type: ignore[arg-type]
        limits.quotas = {tenant: Quota(*row) for tenant, row in usage.read_quotas(self.connection).items()}
        limits.tenants = frozenset(row[0] for row in said) | frozenset(limits.quotas)

    @contextlib.contextmanager
    def _in_transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    # Work

    def transact(self, work: Sequence[tuple[Run, Command]], *, careful: bool = False) -> list[Answer]:
        """Apply commands in one transaction and return their answers once it is on disk. Raises WriterFailed.

        `careful`: some were sent before, so look every one up first."""
        self._roll_segment()
        touched = list({id(run): run for run, _ in work}.values())
        states = [(run.state, run.ended) for run in touched]
        try:
            try:
                return self._attempt(work, touched, careful=careful)
            except errors.NeedsCare:
                return self._attempt(work, touched, careful=True)
        except errors.FAULTS:
            for run, (state, ended) in zip(touched, states, strict=True):
                run.state, run.ended = state, ended
            return self._one_by_one(work)
        except sqlite3.OperationalError as error:
            for run, (state, ended) in zip(touched, states, strict=True):
                run.state, run.ended = state, ended
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise WriterFailed(f"the database failed: {error.sqlite_errorname}") from error
            return self._when_full(work, touched)

    def _one_by_one(self, work: Sequence[tuple[Run, Command]]) -> list[Answer]:
        """Something that should not happen in some command: each in a transaction of its own, so that it alone fails.

        Whether it was recorded when it was sent before is looked up as always."""
        if len(work) > 1:
            return [answer for one in work for answer in self.transact([one], careful=True)]
        ((_, command),) = work
        return [_fault(command)]

    def _when_full(self, work: Sequence[tuple[Run, Command]], touched: list[Run]) -> list[Answer]:
        """The disk took nothing of a transaction: answer what needs no room, such as replays; refuse the rest."""
        try:
            answers = self._attempt(work, touched, careful=True, refuse="the disk is full")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise WriterFailed(f"the database failed: {error.sqlite_errorname}") from error
            code, detail = errors.ReadOnly.code, "the disk is full"
            answers = [Refused(command.ticket, code, detail) for _, command in work]
        self.disk_full = True
        return answers

    def _attempt(
        self, work: Sequence[tuple[Run, Command]], touched: list[Run], *, careful: bool, refuse: str | None = None
    ) -> list[Answer]:
        now_us = self.clock_us()
        transaction = Transaction(
            self.connection, self.ground, now_us, self.monotonic(), careful=careful, refuse=refuse or self.refuse
        )
        with self._in_transaction():
            apply = transaction.apply
            answers = [apply(run, command) for run, command in work]
            transaction.write(touched)
            self._keep_bytes(transaction.bytes)
        transaction.publish(touched)
        for run in transaction.ended:
            if run.state == "unbalanced":
                log.error(
                    "run-unbalanced", control="RECORD", run=run.run, signed=run.signed, rows=run.rows, drops=run.drops
                )
        if transaction.pending:
            self.disk_full = False
        self.transactions += 1
        self._bytes += transaction.bytes
        self.unchecked_bytes += transaction.bytes + 16_384
        self._unwatched += transaction.bytes + 16_384
        if self._unwatched >= WATCH_EVERY:
            self._unwatched = 0
            self.watch()
        self.appended += sum(map(len, transaction.pending.values()))
        return answers

    def _keep_bytes(self, added: int) -> None:
        # The size of the open segment is kept roughly: after a crash at most BYTES_KEPT_EVERY are not counted.
        if self._bytes + added - self._bytes_kept >= BYTES_KEPT_EVERY:
            self.connection.execute(
                "UPDATE segments SET size = ? WHERE number = ?", (self._bytes + added, self.ground.segments[-1].number)
            )
            self._bytes_kept = self._bytes + added

    def administer(self, change: Change, user: int, *, keymaster: bool = True) -> Answer:
        """Change the register and write the record of it; the register in memory follows. Raises WriterFailed.

        `keymaster`: whether the peer is the keymaster, from which alone a governed box takes power."""
        now_us = self.clock_us()

        def step(connection: sqlite3.Connection) -> None:
            administration.check_power(connection, change, keymaster=keymaster)
            log = administration.change_register(connection, change, now_us)
            if log is None:
                return
            number = rows.tenant_number(connection, log)
            entry = administration.administrative_entry(change, user, now_us, self.ground.logs.hashing(log))
            transaction.add(0 if number is None else number, 0, [entry])
            transaction.write([])

        transaction = Transaction(self.connection, self.ground, now_us, self.monotonic(), careful=True)
        try:
            self.change(step)
        except CinnabarError as error:
            if isinstance(error, WriterFailed):
                raise
            return Refused(change.ticket, error.code, str(error))
        except errors.FAULTS:
            return _fault(change)
        transaction.publish([])
        self._read_limits(self.ground.limits)
        self.ground.letters.terms = Terms.read(self.connection)
        self.ground.callers = self.read_callers(max(now_us, self.ground.callers.version + 1))
        return Committed(change.ticket, -1)

    def record_ceremony(self, command: CeremonyEntry) -> Answer:
        """Write what the keymaster puts on record, once, however often it asks. Raises WriterFailed."""
        transaction = Transaction(self.connection, self.ground, self.clock_us(), self.monotonic(), careful=True)
        leaf = -1

        def step(connection: sqlite3.Connection) -> None:
            nonlocal leaf
            number = rows.tenant_number(connection, command.log)
            if number is None:
                raise errors.Unknown(f"there is no log of {command.log}")
            entry = administration.ceremony_entry(command, self.ground.logs.hashing(command.log))
            found = transaction.already(number, [entry])
            if found is not None:
                leaf = found
                return
            leaf = transaction.add(number, 0, [entry])
            transaction.write([])

        try:
            self.change(step)
        except CinnabarError as error:
            if isinstance(error, WriterFailed):
                raise
            return Refused(command.ticket, error.code, str(error))
        except errors.FAULTS:
            return _fault(command)
        transaction.publish([])
        return Committed(command.ticket, leaf)

    def change(self, step: Callable[[sqlite3.Connection], None]) -> None:
        """Run one small change of the keeper's or the administrator's in a transaction of its own."""
        try:
            with self._in_transaction():
                step(self.connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise WriterFailed(f"the database failed: {error.sqlite_errorname}") from error
            self.disk_full = True
            raise errors.ReadOnly("the disk is full") from error

    # Runs

    def find_run(self, run: str, user: int, process: int) -> Run:
        """The run of that id, as recorded or new."""
        found = rows.read_run(self.connection, run)
        if found is None:
            return Run(run, user, process, self.clock_us())
        return Run(run, user, process, found.started, found.signed, found.rows, rows.unpack_counts(found.drops), "open")

    def settle_runs(self, counted: Callable[[str], Counts | None]) -> None:
        """At the start: every run that is still open has lost its connection; those that come back open again.

        `counted` reads a run's counter page."""

        def settle(connection: sqlite3.Connection) -> None:
            for row in rows.read_runs(connection, "open", 1_000_000):
                known = Counts(row.signed, rows.unpack_counts(row.drops)).newest(counted(row.run))
                settled = row._replace(state="lost", signed=known.signed, drops=rows.pack(known.drops))
                rows.write_run(connection, settled._replace(ended=self.clock_us()))

        self.change(settle)

    def lose_run(self, run: Run, counted: Counts | None) -> None:
        """A run's connection is gone without a goodbye. `counted`: its counter page's last values, if there is one."""
        self.give_back_leases(run.run)
        if run.state != "open":
            return
        run.state, run.ended = "lost", self.clock_us()
        run.learn(counted)
        with contextlib.suppress(errors.ReadOnly):
            self.change(lambda connection: rows.write_run(connection, run.row()))

    # Segments

    def _roll_segment(self) -> None:
        now = self.clock_us()
        open_segment = self.ground.segments[-1]
        empty = self.ground.next_sequence == open_segment.first_sequence
        aged = now - open_segment.opened >= self.settings.segment_us
        if (self._bytes < self.settings.segment_bytes and not aged) or empty or self.refuse is not None:
            return
        with contextlib.suppress(errors.ReadOnly):
            self.seal_segment(now)

    def seal_segment(self, now_us: int) -> None:
        """Close the open segment and open the next."""
        last = self.ground.next_sequence - 1
        current = self.ground.segments[-1]

        def seal(connection: sqlite3.Connection) -> None:
            first_id, last_id = records.id_bounds(connection, current.number)
            connection.execute(
                """UPDATE segments SET state = 'sealed', sealed = ?, last_sequence = ?, size = ?, first_id = ?,
                   last_id = ? WHERE number = ?""",
                (now_us, last, self._bytes, first_id, last_id, current.number),
            )
            records.add_segment(connection, current.number + 1, now_us, last + 1)

        self.change(seal)
        self._bytes = self._bytes_kept = 0
        self.refresh_segments()

    def refresh_segments(self) -> None:
        """Read the list of segments again after a change of it."""
        self.ground.segments = records.segments(self.connection)
        self.ground.sealed_last_id = max(
            (s.last_id for s in self.ground.segments if s.last_id is not None), default=b""
        )

    def lowest_hour(self) -> int:
        """The first hour whose idempotency keys are still inside the window."""
        return (self.clock_us() // 1000 - self.settings.window_ms) // keys.HOUR_MS

    def finish_checkpoint(self) -> None:
        """Copy what is left of the write-ahead log into the database, so that the next commit begins it anew.

        The keeper has copied nearly all of it beside the writer; only while nobody writes can the rest be copied."""
        try:
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise WriterFailed(f"the database failed: {error.sqlite_errorname}") from error
            # Nothing is lost: what is committed stands in the write-ahead log until there is room.
            self.disk_full = True
        else:
            self.unchecked_bytes = 0

    def note(self, entry: Entry, step: Callable[[sqlite3.Connection], None]) -> None:
        """A change of the keeper's together with a leaf of the box's own log that tells of it."""
        transaction = Transaction(self.connection, self.ground, self.clock_us(), self.monotonic(), careful=True)

        def both(connection: sqlite3.Connection) -> None:
            step(connection)
            transaction.add(0, 0, [entry])
            transaction.write([])

        self.change(both)
        transaction.publish([])
        self.refresh_segments()

    def give_back_leases(self, run: str) -> None:
        """Give back every job that a run holds: its connection is gone."""
        for job_id in [job for job, (holder, _) in self.ground.leases.items() if holder == run]:
            del self.ground.leases[job_id]


def _fault(command: Command | Change | CeremonyEntry) -> Refused:
    log.exception("command-failed", command=type(command).__name__)
    return Refused(command.ticket, CinnabarError.code, "the recorder met a fault with this command")
