"""One transaction: many commands, each accepted or refused singly, then all on disk together (control RECORD).

This is the hot path of the writer. Rules are checked before anything is written, so that a refusal leaves no trace;
leaf indexes are given out per tenant as commands are accepted, sequence numbers when the rows are written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import BadRequest, CinnabarError, NotAuthorised
from appliance.recorder import errors, limits, rules
from appliance.recorder.counts import Counts
from appliance.recorder.drafts import draft_keep, draft_sign
from appliance.recorder.housekeeping import housekeeping
from appliance.recorder.intakes import intake_claim, intake_create, intake_move, intake_part, intake_slice
from appliance.recorder.jobs import ENTRIES_LIMIT, job_claim, job_create, job_slice
from appliance.recorder.letter_draft import Draft
from appliance.recorder.letter_limits import notice_entry
from appliance.recorder.letter_shapes import LETTER
from appliance.recorder.letters import Book, LetterGround
from appliance.recorder.limits import Limits, Taken
from appliance.recorder.log_places import LogPlaces
from appliance.recorder.messages import (
    Answer,
    Append,
    Committed,
    DraftKeep,
    DraftSign,
    Effect,
    Entry,
    Goodbye,
    Housekeeping,
    Idempotency,
    IntakeClaim,
    IntakeCreate,
    IntakeMove,
    IntakePart,
    IntakeSlice,
    JobClaim,
    JobCreate,
    JobSlice,
    Notice,
    Reading,
    Refused,
    Replayed,
    Result,
)
from appliance.recorder.partner_messages import MESSAGE, PartnerMessages
from appliance.recorder.readings import reading
from appliance.recorder.register import Caller, Callers
from appliance.store import keys, records, rows, usage
from appliance.store.records import LEAF_BITS, LEAF_LIMIT, Segment
from appliance.store.rows import RunRow, pack

RECORD_ID_BYTES = 22
PLAIN_KINDS = frozenset({"stamp", "seal", "batch-stamp", "pdf-seal", "court", "filing"})
SUBMITTED_KINDS = PLAIN_KINDS | {LETTER, MESSAGE}
"""Kinds of records that an application's signature leaves; what stands in clear in a log is never a worker's word.
Those of letters' events and of partners' messages come with their effects only."""


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

    def learn(self, counts: Counts | None) -> None:
        """Take over what its process counted."""
        self.signed, self.drops = Counts(self.signed, self.drops).newest(counts)

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
    logs: LogPlaces
    limits: Limits = field(default_factory=Limits)
    letters: LetterGround = field(default_factory=LetterGround)
    leases: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    """(run, end in seconds of the monotonic clock) of the claimed jobs."""
    served: dict[tuple[int, int], int] = field(default_factory=dict)
    """By (tenant, application), and (tenant, 0) for the tenant: the number of the claim that served it last."""
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
        self.served: dict[tuple[int, int], int] = {}
        self.ids: dict[bytes, tuple[int, int, bytes]] = {}
        self.bytes = 0
        self.taken = Taken(ground.limits, now_us)
        self.letters = Book(connection, ground.letters, now_us)
        self.messages = PartnerMessages(connection, now_us)
        self._counted: list[limits.Row] = []
        self._handlers: dict[type, Callable[..., Answer]] = {
            Housekeeping: housekeeping,
            Reading: reading,
            JobCreate: job_create,
            JobSlice: job_slice,
            JobClaim: job_claim,
            DraftKeep: draft_keep,
            DraftSign: draft_sign,
            IntakeCreate: intake_create,
            IntakePart: intake_part,
            IntakeMove: intake_move,
            IntakeSlice: intake_slice,
            IntakeClaim: intake_claim,
            Goodbye: Transaction._goodbye,
        }

    def apply(self, run: Run, command: object) -> Answer:
        """Accept or refuse one command. Raises NeedsCare, sqlite3.Error: then the transaction is lost."""
        try:
            if type(command) is Append:
                return self._append(run, command)
            return self._handlers[type(command)](self, run, command)
        except CinnabarError as error:
            return Refused(command.ticket, error.code, str(error), getattr(error, "left", 0))  # type: ignore[attr-defined]

    # Records

    def _append(self, run: Run, command: Append) -> Answer:
        entries = command.entries
        if not entries or len(entries) > ENTRIES_LIMIT:
            raise BadRequest(f"{len(entries)} entries")
        if self.careful:
            # Before the caller is judged: what is on disk is on disk, though its certificate was revoked since.
            tenant = self.ground.callers.tenants.get(command.tenant)
            found = None if tenant is None else self.already(tenant.number, entries)
            if found is not None:
                return Committed(command.ticket, found)
        caller = self.authorise(command.certificate, command.tenant, command.application)
        idempotency = command.idempotency
        if idempotency is not None:
            replay = self.replay(command.ticket, caller, idempotency)
            if replay is not None:
                return replay
        if self.refuse is not None:
            raise errors.ReadOnly(self.refuse)
        first, notices = self.take(caller, entries, command.effects)
        if idempotency is not None:
            self.remember(caller, idempotency, first, entries, None)
        if command.mark is not None:
            unit, time = command.mark
            if time > self.marks.get(unit, -1):
                self.marks[unit] = time
        self.row_counts[run.run] = self.row_counts.get(run.run, 0) + len(entries)
        return Committed(command.ticket, first, notices)

    def take(self, caller: Caller, entries: list[Entry], effects: Sequence[Effect] = ()) -> tuple[int, list[Notice]]:
        """Judge entries of a caller and what they do to letters, and take them in, all or none.

        Returns the first one's leaf index, and what is to be noticed."""
        tenant = caller.tenant_number
        self.check_entries(entries, caller, SUBMITTED_KINDS if effects else PLAIN_KINDS)
        messages = self.messages.judge(tenant, entries, effects) if effects else []
        draft = self._draft(caller, entries, effects) if effects else None
        if tenant in self.ground.limits.tenants:
            self.taken.take(caller, entries)
        first = self.add(tenant, caller.application_number, entries)
        if draft is None:
            return first, []
        self.letters.take(draft)
        self.messages.take(messages)
        return first, [notice for _, notice in draft.notices]

    def _draft(self, caller: Caller, entries: list[Entry], effects: Sequence[Effect]) -> Draft:
        try:
            return self.letters.draft(caller.tenant_number, entries, effects, caller.application)
        except CinnabarError as error:
            self.letters.refused(caller.tenant_number, effects, error)
            raise

    def authorise(self, certificate: bytes, tenant: str, application: str) -> Caller:
        caller = self.ground.callers.by_certificate.get(certificate)
        if (
            caller is None
            or caller.tenant != tenant
            or caller.application != application
            or not caller.not_before <= self.now_s <= caller.not_after
        ):
            raise NotAuthorised("the certificate is not in the register, or not as this application's")
        return caller

    def check_entries(self, entries: list[Entry], caller: Caller, kinds: frozenset[str] = PLAIN_KINDS) -> None:
        width = self.ground.logs.hashing(caller.tenant).size
        for entry in entries:
            record_id = entry.record_id
            if len(record_id) != RECORD_ID_BYTES or len(entry.commitment) != width:
                raise BadRequest(f"a record id has 22 bytes and a commitment {width}")
            self.check_id(record_id)
            if entry.kind not in kinds:
                if entry.kind == LETTER:
                    raise BadRequest("the record of a letter's event comes with what the event does to the letter")
                raise BadRequest("records of this kind are made by the recorder alone")
            if not caller.everything and entry.key not in caller.permissions:
                raise NotAuthorised("the application may not use this key")
            if record_id <= self.ground.sealed_last_id and not self.careful:
                raise errors.NeedsCare

    def check_id(self, record_id: bytes) -> None:
        if not self.lowest_id <= record_id < self.highest_id:
            raise BadRequest("a record id's time is not near the box's clock")

    def add(self, tenant: int, application: int, entries: list[Entry]) -> int:
        """Give the entries the tenant's next leaf indexes; returns the first."""
        first = self.next_leaf(tenant, len(entries))
        self.sizes[tenant] = first + len(entries)
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

    def next_leaf(self, tenant: int, count: int) -> int:
        """The tenant's next leaf index. Raises ReadOnly when there is no room for `count` leaves."""
        first = self.sizes.get(tenant, -1)
        if first < 0:
            first = self.ground.sizes.get(tenant, 0)
        if first + count >= LEAF_LIMIT:
            raise errors.ReadOnly("the log is full")
        return first

    def already(self, tenant: int, entries: list[Entry]) -> int | None:
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
        row = records.read_row(self.connection, found[0].number, found[1], body=False)
        return row.tenant, row.leaf, row.commitment

    # Idempotency

    def replay(self, ticket: int, caller: Caller, idempotency: Idempotency) -> Answer | None:
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

    def remember(
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
        for tenant, notice in self.letters.notices:
            hashing = self.ground.logs.hashing_of_number(tenant, self.ground.callers)
            self.add(tenant, 0, [notice_entry(notice, self.now_us, hashing)])
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
                raise errors.NeedsCare from error
            records.insert_leaves(connection, leaves)
            self.letters.write()
            self.messages.write()
            self.bytes = size + len(out) * limits.ROW_BYTES + self.letters.size
        else:
            self.letters.write()  # a refusal that is counted has no record
        self._counted = limits.counted(self.pending, self.taken.requests)
        if self._counted:
            usage.add_usage(connection, self.taken.day, self._counted)
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
        ground.served.update(self.served)
        limits.publish(ground.limits, self.taken.day, self._counted)
        self.letters.publish()
        for job_id, lease in self.leases.items():
            if lease[1] > self.monotonic:
                ground.leases[job_id] = lease
            else:
                ground.leases.pop(job_id, None)
        for run in runs:
            run.rows += self.row_counts.get(run.run, 0)
