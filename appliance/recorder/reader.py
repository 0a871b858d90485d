"""Reads, in a thread and on a connection of their own: the writer never waits for them.

Every query sees a snapshot at or after the last answered command. The names and arguments are the methods below whose
name begins with `query_`. Answers are bounded, so that a snapshot is short and the write-ahead log can be reset.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from appliance.errors import BadRequest, CinnabarError, NotFound
from appliance.recorder import errors
from appliance.recorder.administration import GOVERNED
from appliance.recorder.archive_queries import ArchiveQueries
from appliance.recorder.audit_queries import AuditQueries
from appliance.recorder.drafts import DraftQueries
from appliance.recorder.evidence_queries import EvidenceQueries
from appliance.recorder.intake_queries import IntakeQueries
from appliance.recorder.letter_queries import LetterQueries
from appliance.recorder.limit_queries import LimitQueries
from appliance.recorder.messages import Answer, Query, Refused, Result
from appliance.recorder.partner_messages import PartnerMessageQueries
from appliance.store import keys, limits, records, rows, schema, usage
from appliance.store.records import Row, Segment

LEAVES_LIMIT = 65_536
ROWS_LIMIT = 1_000
BYTES_LIMIT = 16 * 1024 * 1024
PART_LIMIT = 1024 * 1024
"""Bytes of one part of a large body: no commit's answer waits behind more of one read."""
VERDICTS_LIMIT = 20_000

log = structlog.get_logger(__name__)


class Queries(
    ArchiveQueries,
    AuditQueries,
    LetterQueries,
    DraftQueries,
    IntakeQueries,
    EvidenceQueries,
    LimitQueries,
    PartnerMessageQueries,
):
    """The queries over one read-only connection."""

    def __init__(
        self, connection: sqlite3.Connection, status: Callable[[], Mapping[str, object]], directory: Path = Path()
    ) -> None:
        self.connection = connection
        self.status = status
        self.directory = directory

    def answer(self, query: Query) -> Answer:
        """Run one query in one snapshot."""
        method = getattr(self, f"query_{query.name}", None)
        try:
            if method is None:
                raise BadRequest(f"there is no query {query.name!r}")
            self.connection.execute("BEGIN")
            try:
                return Result(query.ticket, method(*query.arguments))
            finally:
                self.connection.execute("COMMIT")
        except CinnabarError as error:
            return Refused(query.ticket, error.code, str(error))
        except (TypeError, ValueError, OverflowError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            return Refused(query.ticket, BadRequest.code, f"{query.name}: {type(error).__name__}")

    def _tenant(self, name: str) -> int:
        number = rows.tenant_number(self.connection, _text(name))
        if number is None:
            raise NotFound("there is no such tenant")
        return number

    def _application(self, tenant: int, name: str) -> int:
        number = rows.application_number(self.connection, tenant, _text(name))
        if number is None:
            raise NotFound("there is no such application")
        return number

    # Logs and records

    def query_tenants(self) -> list[list[object]]:
        """[[name, state], ...], the box's own log among them with state "box"."""
        return [[name, state] for _, name, state in rows.read_tenants(self.connection)]

    def query_tree_size(self, tenant: str) -> int:
        """Number of leaves of a tenant's log on disk."""
        return records.tree_size(self.connection, self._tenant(tenant))

    def query_read_leaves(self, tenant: str, first: int, limit: int) -> bytes:
        """Packed commitments of one length, of leaves [first, first + limit), as many as there are, at most 65536."""
        return records.read_commitments(
            self.connection, self._tenant(tenant), _number(first), min(_number(limit), LEAVES_LIMIT)
        )

    def query_get_record(self, tenant: str, record_id: bytes, largest: int | None = None) -> list[object]:
        """[leaf index, record id, application, kind, key, time, commitment, body] of one record of that tenant.

        A body of more than `largest` bytes is not read: its length stands in its place, for `record_part`.
        Refused `not-found` (another tenant's alike, and in the same time) or `archived`."""
        segment, sequence = self._place(tenant, record_id)
        if largest is not None:
            size = records.body_size(self.connection, segment, sequence)
            if size > _number(largest):
                return [*self._shown(records.read_row(self.connection, segment, sequence, body=False))[:-1], size]
        return self._shown(records.read_row(self.connection, segment, sequence))

    def query_record_part(self, tenant: str, record_id: bytes, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length) of a record's body, as many as there are, at most 1 MiB."""
        segment, sequence = self._place(tenant, record_id)
        return records.read_body_part(
            self.connection, segment, sequence, _number(offset), min(_number(length), PART_LIMIT)
        )

    def _place(self, tenant: str, record_id: bytes) -> tuple[int, int]:
        """Segment and sequence number of a record of that tenant. Raises NotFound, Archived.

        Nothing of a record is read before it is known whose it is, and an id that nobody has takes the same steps as
        another tenant's: neither the answer nor its time tells them apart (control CHANNEL)."""
        number = self._tenant(tenant)
        known = records.segments(self.connection)
        found = records.find_sequence(self.connection, reversed(known), _blob(record_id))
        segment, sequence = (known[-1], 0) if found is None else found
        if records.owner(self.connection, segment.number, sequence) == number and found is not None:
            return segment.number, sequence
        if self._gone(number, record_id) is not None:
            raise errors.Archived("its segment is archived")
        raise NotFound("there is no such record")

    def _gone(self, tenant: int, record_id: bytes) -> records.Segment | None:
        """The segment of an archived record of a tenant; None where there is none, or it is another's."""
        for gone in records.segments(self.connection):
            if gone.state in records.GONE and _between(gone, _blob(record_id)):
                kept = records.find_kept_sequence(self.connection, gone, record_id)
                mine = records.has_sequence(self.connection, tenant, gone.first_sequence if kept is None else kept)
                if mine and kept is not None:
                    return gone
        return None

    def query_read_records(self, tenant: str, first: int, limit: int) -> list[list[object]]:
        """Records of leaves [first, first + limit) as get_record shows them; archived ones are absent.

        At most 1000, and at most 16 MiB of bodies but at least one."""
        found = records.read_rows(
            self.connection,
            records.segments(self.connection),
            self._tenant(tenant),
            _number(first),
            min(_number(limit), ROWS_LIMIT),
        )
        size = 0
        shown: list[list[object]] = []
        for row in found:
            size += len(row.body)
            if shown and size > BYTES_LIMIT:
                break
            shown.append(self._shown(row))
        return shown

    def _shown(self, row: Row) -> list[object]:
        application = "" if row.application == 0 else rows.application_name(self.connection, row.application)
        return [row.leaf, row.record_id, application, row.kind, row.key, row.time, row.commitment, row.body]

    # The register

    def query_revoked_certificates(self) -> list[tuple[bytes, int]]:
        """[[SHA-256 of the certificate, time of revocation in microseconds], ...]: what CRLs are made from."""
        return rows.read_revoked(self.connection)

    def query_register(self) -> list[dict[str, object]]:
        """Every certificate with its application and tenant and the state of each."""
        names = (
            "certificate", "state", "not_before", "not_after", "application", "application_state", "permissions",
            "tenant", "tenant_state",
        )  # fmt: skip
        return [
            dict(zip(names, (*row[:4], row[5], row[6], row[7], *row[9:]), strict=True))
            for row in rows.read_certificates(self.connection)
        ]

    def query_certificate_states(self) -> list[tuple[bytes, int, str, str]]:
        """[[SHA-256 of the certificate, time in microseconds, "held" or "revoked", reason], ...] for CRLs."""
        return usage.read_certificate_states(self.connection)

    def query_register_states(self) -> dict[str, object]:
        """{"tenants": [[name, state]], "applications": [[tenant, name, permissions, state]]}, without the box's log."""
        return {
            "tenants": [[name, state] for number, name, state in rows.read_tenants(self.connection) if number],
            "applications": rows.read_applications(self.connection),
        }

    def query_governed(self) -> bool:
        """Whether the box has officers, so that what gives power needs a ceremony."""
        return usage.read_flag(self.connection, GOVERNED)

    # Keys and quotas

    def query_key_states(self, tenant: str | None = None) -> list[dict[str, object]]:
        """Every key that something is said about, of one tenant or of all: tenant, key, state, until, limit,
        applications, since, changed, and how many signatures it has made."""
        totals = usage.read_key_totals(self.connection)
        names = ("tenant", "key", "state", "until", "limit", "applications", "since", "changed")
        return [
            {**dict(zip(names, row[1:], strict=True)), "signatures": totals.get((row[0], row[2]), 0)}
            for row in usage.read_key_states(self.connection)
            if tenant is None or row[1] == tenant
        ]

    def query_key_signatures(self, tenant: str) -> dict[str, int]:
        """Signatures that each key of a tenant has made."""
        number = self._tenant(tenant)
        totals = usage.read_key_totals(self.connection)
        return {key: count for (owner, key), count in totals.items() if owner == number and count}

    def query_quota(self, tenant: str) -> dict[str, object]:
        """{"day", "quota": [signatures, stamps, bytes] (None: no limit), "used": [...]} of a tenant; days since the
        epoch."""
        number = self._tenant(tenant)
        return {"day": self._day(), **self._quota(number)}

    def query_quotas(self) -> dict[str, dict[str, object]]:
        """As `quota`, of every tenant, by name. For the box's own people."""
        return {
            name: {"day": self._day(), **self._quota(number)}
            for number, name, _ in rows.read_tenants(self.connection)
            if number
        }

    def _day(self) -> int:
        return max(usage.last_day(self.connection), time.time_ns() // (86_400 * 1_000_000_000))

    def _quota(self, number: int) -> dict[str, object]:
        quota = usage.read_quotas(self.connection).get(number, (None, None, None))
        used = usage.read_day(self.connection, self._day()).get(number, (0, 0, 0))
        return {"quota": list(quota), "used": list(used)}

    def query_key_known(self, tenant: str, application: str, key: bytes) -> bool:
        """Whether an application's Idempotency-Key was used before."""
        number = self._application(self._tenant(tenant), application)
        hour = keys.hour_of(_blob(key))
        if hour not in keys.hours(self.connection):
            return False
        return keys.find_key(self.connection, hour, key, number) is not None

    def query_key_answer(self, tenant: str, application: str, key: bytes) -> list[object] | None:
        """[request digest, records as get_record shows them] of what an application's Idempotency-Key left; None where
        it was not used. Refused `archived` where one of them is in the archive only."""
        number = self._application(self._tenant(tenant), application)
        hour = keys.hour_of(_blob(key))
        if hour not in keys.hours(self.connection):
            return None
        found = keys.find_key(self.connection, hour, key, number)
        if found is None:
            return None
        segments = records.segments(self.connection)
        stored = records.read_rows(self.connection, segments, found.tenant, found.first_index, found.leaves)
        if len(stored) != found.leaves:
            raise errors.Archived("the records that this key made are archived")
        return [found.request_digest, [self._shown(row) for row in stored]]

    # Housekeeping

    def query_head(self, origin: str) -> list[object] | None:
        """[size, root, time, note] of the newest recorded checkpoint of a log, or None."""
        head = rows.read_head(self.connection, _text(origin))
        return None if head is None else list(head)

    def query_housekeeping(self, kind: str, subject: str, after: int, limit: int) -> list[list[object]]:
        """[[number, key, time, body], ...] of rows numbered above `after`, in order, at most 1000."""
        found = rows.read_housekeeping(
            self.connection, _text(kind), _text(subject), _number(after), min(_number(limit), ROWS_LIMIT)
        )
        return [list(row) for row in found]

    def query_housekeeping_after(self, after: int, limit: int) -> list[list[object]]:
        """[[number, kind, key, time, subject, body], ...] of all kinds, numbered above `after`, at most 1000."""
        found = rows.read_housekeeping_after(self.connection, _number(after), min(_number(limit), ROWS_LIMIT))
        return [list(row) for row in found]

    def query_totals(self) -> dict[str, int]:
        """Over all runs (control RECORD): signatures, rows and drops."""
        return rows.totals(self.connection)

    def query_marks(self) -> dict[str, int]:
        """The durable high-water mark of every unit, microseconds since the epoch."""
        return rows.read_marks(self.connection)

    # Counts and status

    def query_runs(self, state: str | None = None, limit: int = 100) -> list[dict[str, object]]:
        """Runs, the newest first: signed, rows and drops of each life of a process (control RECORD)."""
        found = rows.read_runs(self.connection, state, min(_number(limit), ROWS_LIMIT))
        return [{**row._asdict(), "drops": rows.unpack_counts(row.drops)} for row in found]

    def query_status(self) -> dict[str, object]:
        """What the recorder says of itself: disk, queue, log sizes in bytes, transactions."""
        return dict(self.status())

    def query_watch(self, logs: list[tuple[str, str]]) -> dict[str, object]:
        """What the box's own people watch: runs by state, unfinished work, how far each log is behind its records, and
        how many warnings of letters' limits there were (`letter_notices`, with `stopped`: kinds that are now).

        `logs`: [[origin, tenant or BOX_LOG], ...]; told as [[origin, leaves, leaves under the newest recorded head,
        time of that head in microseconds or None], ...]."""
        jobs, items = rows.unfinished_work(self.connection)
        behind: list[list[object]] = []
        for origin, tenant in logs:
            number = rows.tenant_number(self.connection, _text(tenant))
            size = 0 if number is None else records.tree_size(self.connection, number)
            head = rows.read_head(self.connection, _text(origin))
            behind.append([origin, size, 0, None] if head is None else [origin, size, head[0], head[2]])
        return {
            "runs": rows.run_states(self.connection),
            "jobs": jobs,
            "job_items": items,
            "logs": behind,
            "letter_notices": limits.count_notices(self.connection),
        }

    # Jobs

    def query_job(self, tenant: str, application: str, job_id: bytes) -> dict[str, object]:
        """kind, items, progress, created, finished (microseconds or None) of an application's job."""
        job = self._job(tenant, application, job_id)
        return {
            "job_id": job.job_id,
            "kind": job.kind,
            "items": job.items,
            "progress": job.progress,
            "created": job.created,
            "finished": job.finished,
        }

    def query_job_verdicts(
        self, tenant: str, application: str, job_id: bytes, first: int, limit: int
    ) -> list[list[object]]:
        """[[start, first leaf index, entries, [verdict, ...]], ...] of the slices that touch [first, first + limit).

        Whole slices, so that entries can be matched to verdicts; first leaf index is -1 where a slice has none."""
        job = self._job(tenant, application, job_id)
        found = rows.read_slices(
            self.connection, job.number, _number(first), _number(first) + min(_number(limit), VERDICTS_LIMIT)
        )
        return [
            [start, first_index, entries, rows.unpack_blobs(verdicts)]
            for start, items, first_index, entries, verdicts in found
            if start + items > first
        ]

    def query_jobs(
        self, tenant: str, application: str, limit: int = 100, before: int = (1 << 62)
    ) -> list[dict[str, object]]:
        """An application's jobs, the newest first; `number` of the last is `before` of the next page."""
        number = self._application(self._tenant(tenant), application)
        found = rows.list_jobs(self.connection, number, _number(before), min(_number(limit), ROWS_LIMIT))
        return [
            {k: v for k, v in job._asdict().items() if k not in {"request", "tenant", "application"}} for job in found
        ]

    def _job(self, tenant: str, application: str, job_id: bytes) -> rows.JobRow:
        number = self._application(self._tenant(tenant), application)
        job = rows.find_job(self.connection, _blob(job_id))
        if job is None or job.application != number:
            raise NotFound("there is no such job")
        return job


class Reader:
    """The reading thread: takes (token, query) and hands (token, answer) to `done`, from its own thread."""

    def __init__(
        self,
        directory: Path,
        status: Callable[[], Mapping[str, object]],
        done: Callable[[object, Answer], None],
        bound: int = 4_096,
    ) -> None:
        self._queries = Queries(schema.open_reader(directory), status, directory)
        self._done = done
        self._queue: queue.Queue[tuple[object, Query] | None] = queue.Queue(bound)
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)
        self._thread.start()

    def ask(self, token: object, query: Query) -> Answer | None:
        """Queue a query; at once `busy` when the queue is full."""
        try:
            self._queue.put_nowait((token, query))
        except queue.Full:
            return Refused(query.ticket, errors.Busy.code, "too many queries wait")
        return None

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._queries.connection.close()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            token, query = item
            try:
                answer = self._queries.answer(query)
            except sqlite3.Error as error:
                answer = Refused(query.ticket, CinnabarError.code, f"the database: {error.sqlite_errorname}")
            except errors.FAULTS:
                log.exception("query-failed", query=query.name)
                answer = Refused(query.ticket, CinnabarError.code, "the recorder met a fault with this query")
            self._done(token, answer)


def _between(segment: Segment, record_id: bytes) -> bool:
    first, last = segment.first_id, segment.last_id
    return first is not None and last is not None and first <= record_id <= last


def _number(value: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadRequest("a number of 0 to 2^63 - 1 is meant")
    return value


def _blob(value: bytes) -> bytes:
    if not isinstance(value, bytes):
        raise BadRequest("bytes are meant")
    return value


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise BadRequest("a text is meant")
    return value
