"""One transaction: many commands, each accepted or refused singly, then all on disk together (control RECORD).

This is the hot path of the writer. Rules are checked before anything is written, so that a refusal leaves no trace;
leaf indexes are given out per tenant as commands are accepted, sequence numbers when the rows are written.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import BadRequest, CinnabarError, NotAuthorised, NotFound
from appliance.recorder import errors, rules
from appliance.recorder.messages import (
    BOX_LOG,
    Answer,
    Append,
    Committed,
    Entry,
    Goodbye,
    Housekeeping,
    Idempotency,
    JobClaim,
    JobCreate,
    JobSlice,
    Refused,
    Replayed,
    Result,
)
from appliance.recorder.register import Caller, Callers
from appliance.store import keys, records, rows
from appliance.store.records import LEAF_BITS, LEAF_LIMIT, Row, Segment
from appliance.store.rows import RunRow, pack

RECORD_ID_BYTES = 22
ENTRIES_LIMIT = 20_000
"""Entries of one command: a slice of a bulk call."""


class NeedsCare(Exception):  # not an error: the transaction is run again, looking every id up first
    """A record id is there already: something was submitted twice."""


@dataclass
class Run:
    """One life of a submitting process, as its frames and its socket say. `rows` counts signatures on disk."""

    run: str
    user: int
    process: int
    started: int
    signed: int = 0
    rows: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    state: str = "open"
    ended: int | None = None

    def row(self, added: int = 0) -> RunRow:
        return RunRow(
            self.run,
            self.user,
            self.process,
            self.started,
            self.ended,
            self.state,
            self.signed,
            self.rows + added,
            pack(self.drops),
        )


@dataclass
class Ground:
    """What outlives a transaction. A transaction reads it and, once on disk, `Transaction.publish` moves it forward."""

    callers: Callers
    segments: list[Segment]
    next_sequence: int
    sizes: dict[int, int]
    """Tree size by tenant number."""
    hours: set[int]
    window_ms: int
    logs: dict[str, str]
    """Tenant (or BOX_LOG) by log origin."""
    leases: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    """(run, end in seconds of the monotonic clock) of the claimed jobs."""
    sealed_last_id: bytes = b""
    """Largest record id in a sealed segment: only ids up to it may be in one."""


class Transaction:
    """Applies commands between BEGIN and COMMIT; the caller does both. `careful` looks every record id up first."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ground: Ground,
        now_us: int,
        monotonic: float,
        *,
        careful: bool = False,
        refuse: str | None = None,
    ) -> None:
        self.connection = connection
        self.ground = ground
        self.now_us = now_us
        self.now_s = now_us // 1_000_000
        self.now_ms = now_us // 1000
        self.monotonic = monotonic
        self.careful = careful
        self.refuse = refuse
        """Detail of a refusal of new work (read-only), or None."""
        self.lowest_id, self.highest_id = rules.id_bounds(self.now_ms)
        self.sizes: dict[int, int] = {}
        self.pending: dict[int, list[tuple[int, Entry]]] = {}
        self.keys: dict[tuple[bytes, int], keys.KeyRow] = {}
        self.key_entries: dict[tuple[bytes, int], list[Entry]] = {}
        self.marks: dict[str, int] = {}
        self.row_counts: dict[str, int] = {}
        self.ended: list[Run] = []
        self.leases: dict[bytes, tuple[str, float]] = {}
        self.ids: dict[bytes, tuple[int, int, bytes]] = {}
        self.bytes = 0
        self._caller: Caller | None = None
        self._handlers: dict[type, Callable[..., Answer]] = {
            Housekeeping: self._housekeeping,
            JobCreate: self._job_create,
            JobSlice: self._job_slice,
            JobClaim: self._job_claim,
            Goodbye: self._goodbye,
        }

    def apply(self, run: Run, command: object) -> Answer:
        """Accept or refuse one command. Raises NeedsCare, sqlite3.Error: then the transaction is lost."""
        try:
            if type(command) is Append:
                return self._append(run, command)
            return self._handlers[type(command)](run, command)
        except CinnabarError as error:
            return Refused(command.ticket, error.code, str(error))  # type: ignore[attr-defined]

    # Records

    def _append(self, run: Run, command: Append) -> Answer:
        caller = self._authorise(command.certificate, command.tenant, command.application)
        entries = command.entries
        if not entries or len(entries) > ENTRIES_LIMIT:
            raise BadRequest(f"{len(entries)} entries")
        if self.careful:
            found = self._already(caller.tenant_number, entries)
            if found is not None:
                return Committed(command.ticket, found)
        idempotency = command.idempotency
        if idempotency is not None:
            replay = self._replay(command.ticket, caller, idempotency)
            if replay is not None:
                return replay
        if self.refuse is not None:
            raise errors.ReadOnly(self.refuse)
        self._check_entries(entries, caller)
        first = self.add(caller.tenant_number, caller.application_number, entries)
        if idempotency is not None:
            self._remember(caller, idempotency, first, entries, None)
        if command.mark is not None:
            unit, time = command.mark
            if time > self.marks.get(unit, -1):
                self.marks[unit] = time
        self.row_counts[run.run] = self.row_counts.get(run.run, 0) + len(entries)
        return Committed(command.ticket, first)

    def _authorise(self, certificate: bytes, tenant: str, application: str) -> Caller:
        caller = self.ground.callers.by_certificate.get(certificate)
        if (
            caller is None
            or caller.tenant != tenant
            or caller.application != application
            or not caller.not_before <= self.now_s <= caller.not_after
        ):
            raise NotAuthorised("the certificate is not in the register, or not as this application's")
        return caller

    def _check_entries(self, entries: list[Entry], caller: Caller) -> None:
        for entry in entries:
            record_id = entry.record_id
            if len(record_id) != RECORD_ID_BYTES or len(entry.commitment) != records.COMMITMENT_BYTES:
                raise BadRequest("a record id has 22 bytes and a commitment 32")
            if not self.lowest_id <= record_id < self.highest_id:
                raise BadRequest("a record id's time is not near the box's clock")
            if not caller.everything and entry.key not in caller.permissions:
                raise NotAuthorised("the application may not use this key")
            if record_id <= self.ground.sealed_last_id and not self.careful:
                raise NeedsCare

    def add(self, tenant: int, application: int, entries: list[Entry]) -> int:
        """Give the entries the tenant's next leaf indexes; returns the first."""
        sizes = self.sizes
        first = sizes.get(tenant, -1)
        if first < 0:
            first = self.ground.sizes.get(tenant, 0)
        if first + len(entries) >= LEAF_LIMIT:
            raise errors.ReadOnly("the log is full")
        sizes[tenant] = first + len(entries)
        pending = self.pending.get(tenant)
        if pending is None:
            pending = self.pending[tenant] = []
        leaf = first
        for entry in entries:
            pending.append((application, entry))
            if self.careful:
                self.ids[entry.record_id] = (tenant, leaf, entry.commitment)
            leaf += 1
        return first

    def _already(self, tenant: int, entries: list[Entry]) -> int | None:
        """The first leaf index when exactly these entries are recorded; None when none of them is.

        Raises RecordIdTaken when an id is taken by something else."""
        places = [self._place(entry) for entry in entries]
        if all(place is None for place in places):
            if len({entry.record_id for entry in entries}) < len(entries):
                raise errors.RecordIdTaken("one record id stands twice in a command")
            return None
        first = places[0][1] if places[0] is not None else -1
        for offset, (entry, place) in enumerate(zip(entries, places, strict=True)):
            if place != (tenant, first + offset, entry.commitment):
                raise errors.RecordIdTaken("a record of that id exists with other content")
        return first

    def _place(self, entry: Entry) -> tuple[int, int, bytes] | None:
        here = self.ids.get(entry.record_id)
        if here is not None:
            return here
        found = records.find_sequence(self.connection, reversed(self.ground.segments), entry.record_id)
        if found is None:
            return None
        row = records.read_row(self.connection, found[0].number, found[1])
        return None if row is None else (row.tenant, row.leaf, row.commitment)

    # Idempotency

    def _replay(self, ticket: int, caller: Caller, idempotency: Idempotency) -> Answer | None:
        key = idempotency.key
        wrong = rules.check_key(key, self.now_ms, self.ground.window_ms)
        if wrong is not None:
            raise wrong(wrong.title)
        place = (key, caller.application_number)
        found = self.keys.get(place)
        if found is None:
            hour = keys.hour_of(key)
            if hour not in self.ground.hours:
                return None
            found = keys.find_key(self.connection, hour, key, caller.application_number)
            if found is None:
                return None
        if found.request_digest != idempotency.request_digest:
            raise errors.IdempotencyConflict("the Idempotency-Key was used with another request")
        if place in self.key_entries:
            entries = self.key_entries[place]
        else:
            stored = records.read_rows(
                self.connection, self.ground.segments, found.tenant, found.first_index, found.leaves
            )
            if len(stored) != found.leaves:
                raise errors.Archived("the records that this key made are archived")
            entries = [Entry(r.record_id, r.kind, r.key, r.time, r.commitment, r.body) for r in stored]
        return Replayed(ticket, found.first_index, entries, found.job_id)

    def _remember(
        self, caller: Caller, idempotency: Idempotency, first: int, entries: list[Entry], job_id: bytes | None
    ) -> None:
        place = (idempotency.key, caller.application_number)
        self.keys[place] = keys.KeyRow(
            idempotency.key,
            caller.application_number,
            idempotency.request_digest,
            caller.tenant_number,
            first,
            len(entries),
            job_id,
        )
        self.key_entries[place] = entries

    # Housekeeping

    def _housekeeping(self, run: Run, command: Housekeeping) -> Answer:
        if command.kind == "box-leaf":
            return self._box_leaf(command)
        content = (command.kind, command.key, command.time, command.subject, command.body, run.run)
        if self.careful and rows.find_housekeeping(self.connection, *content) is not None:
            return Committed(command.ticket, -1)
        head = None
        if command.kind == "checkpoint":
            head = self._check_head(command)
        number = rows.add_housekeeping(self.connection, *content)
        if head is not None:
            rows.write_head(self.connection, head.origin, head.size, head.root, head.time, number)
        self.row_counts[run.run] = self.row_counts.get(run.run, 0) + 1
        return Committed(command.ticket, -1)

    def _check_head(self, command: Housekeeping) -> rules.Head:
        offered = rules.read_checkpoint(command.body, command.time)
        tenant = self.ground.logs.get(offered.origin)
        if tenant is None or offered.origin != command.subject:
            raise BadRequest(f"{offered.origin} is not the origin of a log of this box")
        number = self.ground.callers.tenants[tenant].number if tenant in self.ground.callers.tenants else -1
        recorded = rows.read_head(self.connection, offered.origin)
        # Leaves of this very transaction do not count: a head covers what was on disk before it was signed.
        rules.check_checkpoint(
            None if recorded is None else rules.Head(offered.origin, *recorded[:3]),
            offered,
            self.ground.sizes.get(number, 0),
        )
        return offered

    def _box_leaf(self, command: Housekeeping) -> Answer:
        body = command.body
        commitment = body if len(body) == records.COMMITMENT_BYTES else hashlib.sha256(body).digest()
        # The id is made from the content, so that a leaf submitted again after a lost connection is found.
        identity = hashlib.sha256(command.subject.encode() + b"\n" + body).digest()[:16]
        entry = Entry(
            (command.time // 1000).to_bytes(6, "big") + identity,
            command.kind,
            command.key,
            command.time,
            commitment,
            body,
        )
        box = self.ground.callers.tenants[BOX_LOG].number
        if self.careful:
            found = self._already(box, [entry])
            if found is not None:
                return Committed(command.ticket, found)
        if entry.record_id <= self.ground.sealed_last_id and not self.careful:
            raise NeedsCare
        return Committed(command.ticket, self.add(box, 0, [entry]))

    # Jobs

    def _job_create(self, _run: Run, command: JobCreate) -> Answer:
        caller = self._authorise(command.certificate, command.tenant, command.application)
        known = rows.find_job(self.connection, command.job_id)
        if known is not None:
            mine = (known.application, known.kind, known.items, known.request)
            if mine == (caller.application_number, command.kind, command.items, command.request):
                return Committed(command.ticket, -1)
            raise errors.RecordIdTaken("a job of that id exists")
        replay = self._replay(command.ticket, caller, command.idempotency)
        if replay is not None:
            return replay
        if self.refuse is not None:
            raise errors.ReadOnly(self.refuse)
        if command.items < 0 or not command.job_id:
            raise BadRequest("a job has an id and a number of items")
        rows.add_job(
            self.connection,
            command.job_id,
            caller.tenant_number,
            caller.application_number,
            command.kind,
            command.items,
            self.now_us,
            command.request,
        )
        self._remember(caller, command.idempotency, -1, [], command.job_id)
        return Committed(command.ticket, -1)

    def _job_slice(self, run: Run, command: JobSlice) -> Answer:
        job = rows.find_job(self.connection, command.job_id)
        if job is None:
            raise NotFound("there is no such job")
        verdicts = rows.pack(command.verdicts)
        if job.progress != command.start:
            # The same slice again, after a lost connection, is answered as it was the first time.
            before = rows.find_slice(self.connection, job.number, command.start)
            if before is not None and before[3] == verdicts and before[2] == len(command.entries):
                ids = {r.record_id for r in self._slice_rows(job, before)}
                if ids == {entry.record_id for entry in command.entries}:
                    return Committed(command.ticket, before[1])
            raise errors.JobMoved(f"the job is at item {job.progress}")
        if self.refuse is not None:
            raise errors.ReadOnly(self.refuse)
        end = command.start + len(command.verdicts)
        if not command.verdicts or end > job.items or len(command.entries) > ENTRIES_LIMIT:
            raise BadRequest("a slice has at least one verdict and ends within its job")
        caller = self.ground.callers.by_number.get(job.application)
        if caller is None:
            raise NotAuthorised("the job's application is suspended or revoked")
        self._check_entries(command.entries, caller)
        if self.careful and self._already(job.tenant, command.entries) is not None and command.entries:
            raise errors.RecordIdTaken("a record of that id exists")
        first = self.add(job.tenant, job.application, command.entries) if command.entries else -1
        rows.add_slice(
            self.connection, job.number, command.start, len(command.verdicts), first, len(command.entries), verdicts
        )
        rows.move_job(self.connection, job.number, end, self.now_us if end == job.items else None)
        held = self.ground.leases.get(command.job_id)
        if held is not None and held[0] == run.run:
            self.leases[command.job_id] = (run.run, max(held[1], self.monotonic + 30))
        self.row_counts[run.run] = self.row_counts.get(run.run, 0) + len(command.entries)
        return Committed(command.ticket, first)

    def _slice_rows(self, job: rows.JobRow, stored: tuple[int, int, int, bytes]) -> list[Row]:
        if stored[2] == 0:
            return []
        return records.read_rows(self.connection, self.ground.segments, job.tenant, stored[1], stored[2])

    def _job_claim(self, run: Run, command: JobClaim) -> Answer:
        for name in command.tenants:
            tenant = self.ground.callers.tenants.get(name)
            if tenant is None or tenant.state != "active":
                continue
            for _, job_id, application in rows.unfinished_jobs(self.connection, tenant.number):
                held = self.leases.get(job_id) or self.ground.leases.get(job_id)
                if held is not None and held[1] > self.monotonic:
                    continue
                application_name = rows.application_name(self.connection, application) or ""
                if (name, application_name) not in self.ground.callers.applications:
                    continue
                job = rows.find_job(self.connection, job_id)
                if job is None:
                    continue
                self.leases[job_id] = (run.run, self.monotonic + command.lease)
                value = [job_id, name, application_name, job.kind, job.items, job.progress, job.request]
                return Result(command.ticket, value)
        return Result(command.ticket, None)

    # Runs

    def _goodbye(self, run: Run, command: Goodbye) -> Answer:
        total = run.rows + self.row_counts.get(run.run, 0)
        dropped = sum(run.drops.values())
        run.state = "clean" if run.signed == total + dropped else "unbalanced"
        run.ended = self.now_us
        self.ended.append(run)
        return Result(command.ticket, [run.signed, total, dropped])

    # The end

    def write(self, touched: list[Run]) -> None:
        """Write what was accepted; the caller commits."""
        connection, ground = self.connection, self.ground
        if self.pending:
            segment = ground.segments[-1].number
            sequence = ground.next_sequence
            leaves: list[tuple[int, int, int, bytes]] = []
            out: list[tuple[Any, ...]] = []
            # Plain tuples in the order of Row: made much faster than named ones.
            add = out.append
            size = 0
            for tenant, entries in self.pending.items():
                leaf = ground.sizes.get(tenant, 0)
                commitments = b"".join([entry.commitment for _, entry in entries])
                leaves.append(((tenant << LEAF_BITS) + leaf, len(entries), sequence, commitments))
                for application, e in entries:
                    body = e.body
                    size += len(body)
                    add(
                        (
                            sequence,
                            tenant,
                            leaf,
                            e.record_id,
                            application,
                            e.kind,
                            e.key,
                            e.time,
                            e.commitment,
                            body,
                        )
                    )
                    sequence += 1
                    leaf += 1
            try:
                records.insert_rows(connection, segment, out)
            except sqlite3.IntegrityError as error:
                if self.careful:
                    raise
                raise NeedsCare from error
            records.insert_leaves(connection, leaves)
            self.bytes = size + len(out) * 160
        if self.keys:
            self._write_keys()
        if self.marks:
            rows.raise_marks(connection, self.marks)
        for run in touched:
            added = self.row_counts.get(run.run, 0)
            if added or run in self.ended:
                rows.write_run(connection, run.row(added))

    def _write_keys(self) -> None:
        by_hour: dict[int, list[keys.KeyRow]] = {}
        for row in self.keys.values():
            by_hour.setdefault(keys.hour_of(row.key), []).append(row)
        for hour, some in by_hour.items():
            if hour not in self.ground.hours:
                keys.add_hour(self.connection, hour)
            keys.insert_keys(self.connection, hour, some)

    def publish(self, runs: list[Run]) -> None:
        """After the commit: move the ground forward."""
        ground = self.ground
        ground.sizes.update(self.sizes)
        ground.next_sequence += sum(map(len, self.pending.values()))
        ground.hours.update({keys.hour_of(row.key) for row in self.keys.values()})
        ground.leases.update(self.leases)
        for run in runs:
            run.rows += self.row_counts.get(run.run, 0)
