"""The workers' side of the recorder: commands of one loop iteration travel as one frame, answers resolve futures.

When the connection is lost (the recorder died or restarts) the client connects again and sends everything that is in
flight again, marked as such. The recorder finds what was recorded by record id, by content, or by a job's progress, and
answers as it would have the first time, so that the outcome is exact. Only when no connection comes back in time is it
not known: a command that was sent fails with OutcomeUnknown, one that was not with RecorderUnavailable.

What is unknown to the caller may be on disk all the same, so it is no drop yet (control RECORD). The client keeps such
a command, sends it again when a connection stands, and reports its signatures as dropped only if it is then refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import msgspec

from appliance.calls.framing import FrameReader, frame
from appliance.errors import CinnabarError
from appliance.recorder.errors import Busy, OutcomeUnknown, RecorderUnavailable, from_code
from appliance.recorder.letter_shapes import check_effects, size_of_views
from appliance.recorder.messages import (
    Answer,
    Answers,
    Append,
    Batch,
    Command,
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
    IntakeItem,
    IntakeMove,
    IntakePart,
    IntakeSlice,
    JobClaim,
    JobCreate,
    JobSlice,
    Query,
    Reading,
    Refused,
    Register,
    Replayed,
    Result,
)

Counts = Callable[[], tuple[int, dict[str, int]]]
Dropped = Callable[[str, int], None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answers)
_RETRY_SECONDS = 0.05
LARGE_BYTES = 256 * 1024
"""Of bodies in one append: beyond, it travels by a connection of its own, so that no stamp waits behind it."""


class SliceDecided(NamedTuple):
    """What became of the rows of a slice."""

    rows: list[tuple[int, bytes, str, str]]
    """(status, letter, code, detail) of those that were decided, from the first."""
    halt: CinnabarError | None
    """What stopped the slice before the others."""

    @classmethod
    def of(cls, value: Any) -> SliceDecided:
        decided, halt = value
        return cls([tuple(one) for one in decided], None if halt is None else from_code(*halt))

    def dropped(self, items: Sequence[IntakeItem], stamp: Entry | None = None) -> dict[str, int]:
        """Signatures of the slice's rows that were not taken, by reason: those of entries with a body. And `stamp`,
        which was taken with the first row that was."""
        counts: dict[str, int] = {}
        if stamp is not None and all(status for status, _, _, _ in self.rows):
            counts["undecided" if self.halt is not None else "no-row-accepted"] = 1
        for place, item in enumerate(items):
            status, _, code, _ = self.rows[place] if place < len(self.rows) else (2, b"", "undecided", "")
            if status:
                reason = code or "duplicate"
                counts[reason] = counts.get(reason, 0) + sum(1 for entry in item.entries if entry.body)
        return {reason: count for reason, count in counts.items() if count}


class RecorderClient:
    """One process's connection to the recorder. Not for several threads. Make it with `connect`."""

    def __init__(
        self,
        path: Path,
        run: str,
        counts: Counts,
        in_flight: int,
        patience: float,
        on_dropped: Dropped | None,
        *,
        main: bool = True,
    ) -> None:
        self._path = path
        self._is_main = main
        self._run = run
        self._counts = counts
        self._on_dropped = on_dropped
        self._limit = in_flight
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._ticket = 0
        self._fresh: list[Command] = []
        self._flights: dict[int, tuple[asyncio.Future[Any], Command]] = {}
        self._unknown: dict[int, Command] = {}
        """Commands that nobody waits for any more and whose outcome is still to be learnt."""
        self._transport: asyncio.WriteTransport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._registered = self._loop.create_future()
        self._closed = False
        self._gave_up = False
        self._large: RecorderClient | None = None
        """Of the same run, for large appends and their answers; made when the first one comes."""
        self.register = Register(0, [], [])
        """The register of active callers as last pushed."""
        self.on_register: Callable[[Register], None] | None = None
        """Called in the loop at every push of the register."""

    @classmethod
    async def connect(
        cls,
        path: Path,
        run: str,
        counts: Counts,
        *,
        in_flight: int = 4_096,
        patience: float = 10.0,
        on_register: Callable[[Register], None] | None = None,
        on_dropped: Dropped | None = None,
    ) -> RecorderClient:
        """Connect to the submit socket at `path` and wait for the register.

        `run`: 32 hexadecimal digits, random, of this life of the process (counts.new_run_id). `counts`: C_Sign calls
        made so far and drops by reason, both cumulative. `in_flight`: commands after which Busy is raised. `patience`:
        seconds that commands wait for a lost connection to come back. `on_dropped`: called with the reason and the
        number of signatures when a command that had failed with OutcomeUnknown, or whose caller had gone, turns out
        not to be recorded; for every other refusal the caller counts. Raises RecorderUnavailable.
        """
        client = cls(path, run, counts, in_flight, patience, on_dropped)
        client.on_register = on_register
        client._connecting = client._loop.create_task(client._connect())
        try:
            await asyncio.wait_for(asyncio.shield(client._registered), patience)
        except TimeoutError:
            await client.close()
            raise RecorderUnavailable("the recorder does not answer") from None
        return client

    @property
    def connected(self) -> bool:
        """Whether a connection stands now."""
        return self._transport is not None

    @property
    def in_flight(self) -> int:
        """Commands that are not answered yet."""
        return len(self._flights) + (0 if self._large is None else len(self._large._flights))

    # Commands. Each returns a future at once; awaiting it raises the typed error of a refusal.

    def append(
        self,
        tenant: str,
        application: str,
        certificate: bytes,
        entries: list[Entry],
        idempotency: Idempotency | None = None,
        mark: tuple[str, int] | None = None,
        effects: list[Effect] | None = None,
    ) -> asyncio.Future[Committed | Replayed]:
        """Append entries, all or none: see messages.Append. Raises Busy, BadRequest at once, nothing sent."""
        size = 0
        for entry in entries:
            size += len(entry.body)
        if effects:
            check_effects(entries, effects)
            size += size_of_views(effects)
        if size > LARGE_BYTES and self._is_main:
            return self._beside().append(tenant, application, certificate, entries, idempotency, mark, effects)
        self._ticket = ticket = self._ticket + 1
        command = Append(ticket, tenant, application, certificate, entries, idempotency, mark, effects or [])
        return self._submit(command)

    def housekeeping(
        self,
        kind: Literal[
            "checkpoint", "receipt", "box-leaf", "chain-transaction", "crl", "self-test", "certificate", "ocsp"
        ],
        key: str,
        time: int,
        subject: str,
        body: bytes,
    ) -> asyncio.Future[Committed]:
        """A durable row for a signature of the box's own: see messages.Housekeeping. Raises Fork, Busy."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(Housekeeping(ticket, kind, key, time, subject, body))

    def reading(self, log: str, entry: Entry) -> asyncio.Future[Committed]:
        """The record of a read of content, on disk before anything is shown: see appliance.recorder.readings."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(Reading(ticket, log, entry))

    def job_create(
        self,
        tenant: str,
        application: str,
        certificate: bytes,
        job_id: bytes,
        kind: str,
        items: int,
        request: bytes,
        idempotency: Idempotency,
    ) -> asyncio.Future[Committed | Replayed]:
        """Make a job: see messages.JobCreate. Replayed.job_id is the earlier job's."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(
            JobCreate(ticket, tenant, application, certificate, job_id, kind, items, request, idempotency)
        )

    def job_slice(
        self, job_id: bytes, start: int, entries: list[Entry], verdicts: list[bytes], certificate: bytes = b""
    ) -> asyncio.Future[Committed]:
        """Entries and verdicts of a job's next items. Raises JobMoved when another worker was there first.

        With the `certificate` that made the job, entries are refused once it is not active: NotAuthorised."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(JobSlice(ticket, job_id, start, entries, verdicts, certificate))

    async def job_claim(self, tenants: list[str], lease: int = 30, release: bytes = b"") -> list[Any] | None:
        """[job_id, tenant, application, kind, items, progress, request] of a job to work on, or None.

        `release`: id of the job that was claimed before and is given back: see messages.JobClaim."""
        self._ticket = ticket = self._ticket + 1
        value: list[Any] | None = await self._submit(JobClaim(ticket, tenants, lease, release))
        return value

    def draft_keep(
        self,
        tenant: str,
        application: str,
        certificate: bytes,
        draft: bytes,
        revision: int,
        expires: int,
        content: bytes,
    ) -> asyncio.Future[Committed]:
        """Keep, change or drop a draft: see messages.DraftKeep. Raises DraftMoved, NotFound, Busy, BadRequest."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(DraftKeep(ticket, tenant, application, certificate, draft, revision, expires, content))

    def intake_create(
        self,
        tenant: str,
        application: str,
        certificate: bytes,
        intake: bytes,
        kind: str,
        event: str,
        size: int,
        request: bytes,
        idempotency: Idempotency,
        *,
        checks: bool = False,
    ) -> asyncio.Future[Committed | Replayed]:
        """Make an intake run: see messages.IntakeCreate. Replayed.job_id is the earlier run's."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(
            IntakeCreate(
                ticket, tenant, application, certificate, intake, kind, event, checks, size, request, idempotency
            )
        )

    def intake_part(
        self, tenant: str, application: str, certificate: bytes, intake: bytes, start: int, length: int, digest: bytes
    ) -> asyncio.Future[Committed]:
        """A part of a run's file is stored: see messages.IntakePart. `first_index`: bytes received. Raises
        IntakeMoved."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(IntakePart(ticket, tenant, application, certificate, intake, start, length, digest))

    async def intake_ask(self, tenant: str, application: str, certificate: bytes, intake: bytes, after: str) -> str:
        """Have a run stopped ("stopped") or resumed ("running"), for its application; its state then. Raises
        IntakeMoved, NotFound, NotAuthorised."""
        self._ticket = ticket = self._ticket + 1
        value = await self._submit(IntakeMove(ticket, tenant, intake, "", after, application, certificate))
        return str(value)

    async def intake_move(
        self,
        tenant: str,
        intake: bytes,
        before: str,
        after: str,
        *,
        at: bytes = b"",
        cursor: bytes = b"",
        rows: int = 0,
        fault: bytes = b"",
    ) -> str:
        """A worker's move of a run: see messages.IntakeMove; its state then. Raises IntakeMoved."""
        self._ticket = ticket = self._ticket + 1
        value = await self._submit(
            IntakeMove(ticket, tenant, intake, before, after, at=at, cursor=cursor, rows=rows, fault=fault)
        )
        return str(value)

    async def intake_slice(
        self,
        intake: bytes,
        start: int,
        token: bytes,
        items: list[IntakeItem],
        told: bytes,
        cursor: bytes,
        certificate: bytes,
        mark: tuple[str, int] | None,
        stamp: Entry | None = None,
    ) -> SliceDecided:
        """A run's next rows: see messages.IntakeSlice. Signatures of rows that were not accepted are the caller's to
        count as dropped. Raises IntakeMoved, BadRequest."""
        for item in items:
            check_effects(item.entries, item.effects)
        self._ticket = ticket = self._ticket + 1
        value = await self._submit(
            IntakeSlice(ticket, intake, start, token, items, told, cursor, certificate, mark, stamp)
        )
        return SliceDecided.of(value)

    async def intake_claim(self, tenants: list[str], lease: int = 30, release: bytes = b"") -> dict[str, Any] | None:
        """The intake run to work on, or None: see messages.IntakeClaim."""
        self._ticket = ticket = self._ticket + 1
        value: dict[str, Any] | None = await self._submit(IntakeClaim(ticket, tenants, lease, release))
        return value

    def draft_sign(self, tenant: str, draft: bytes, revision: int, content: bytes) -> asyncio.Future[Committed]:
        """Add a signature to a draft that waits: see messages.DraftSign. Raises DraftMoved, NotFound, BadRequest."""
        self._ticket = ticket = self._ticket + 1
        return self._submit(DraftSign(ticket, tenant, draft, revision, content))

    async def query(self, name: str, *arguments: object) -> Any:
        """A read: names and arguments are the query methods of appliance.recorder.reader."""
        self._ticket = ticket = self._ticket + 1
        return await self._submit(Query(ticket, name, list(arguments)))

    async def goodbye(self) -> tuple[int, int, int]:
        """The run ends cleanly: (signed, rows, dropped) as the recorder has them; they balance or it is on record.

        What is unknown is waited for, as long as commands wait for a connection."""
        if self._large is not None and self._large._flights:
            await asyncio.wait([future for future, _ in self._large._flights.values()])
        deadline = self._loop.time() + self._patience
        while self._unsettled and self._loop.time() < deadline:
            await asyncio.sleep(_RETRY_SECONDS)
        self._ticket = ticket = self._ticket + 1
        signed, rows, dropped = await self._submit(Goodbye(ticket))
        return signed, rows, dropped

    async def close(self) -> None:
        """Close the connection. Commands in flight fail with OutcomeUnknown."""
        if self._large is not None:
            await self._large.close()
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
        if self._transport is not None:
            self._transport.close()
        self._fail()
        await asyncio.sleep(0)

    @property
    def _unsettled(self) -> bool:
        return bool(self._unknown or (self._large is not None and self._large._unknown))

    # Travel

    def _beside(self) -> RecorderClient:
        if self._large is None:
            if self._closed:
                raise RecorderUnavailable("the recorder does not answer")
            large = RecorderClient(
                self._path, self._run, self._counts, self._limit, self._patience, self._on_dropped, main=False
            )
            large._connecting = self._loop.create_task(large._connect())
            self._large = large
        return self._large

    def _submit(self, command: Command) -> asyncio.Future[Any]:
        flights = self._flights
        if len(flights) >= self._limit:
            raise Busy("too many commands are in flight")
        if self._closed or self._gave_up:
            raise RecorderUnavailable("the recorder does not answer")
        future = self._loop.create_future()
        flights[command.ticket] = (future, command)
        fresh = self._fresh
        if not fresh:
            self._loop.call_soon(self._flush)
        fresh.append(command)
        return future

    def _flush(self) -> None:
        if self._transport is None or not self._fresh:
            return
        signed, drops = self._counts()
        try:
            payload = _encoder.encode(Batch(self._run, signed, drops, self._fresh))
        except (TypeError, ValueError, OverflowError):
            payload = _encoder.encode(Batch(self._run, signed, drops, self._encodable()))
        self._fresh = []
        self._transport.write(frame(payload))

    def _encodable(self) -> list[Command]:
        """Fresh commands without those that no frame can hold, which fail by themselves."""
        encodable = []
        for command in self._fresh:
            try:
                _encoder.encode(command)
            except (TypeError, ValueError, OverflowError) as error:
                future, _ = self._flights.pop(command.ticket)
                if not future.done():
                    future.set_exception(error)
            else:
                encodable.append(command)
        return encodable

    def _take(self, payload: bytes) -> None:
        message = _decoder.decode(payload)
        take = self._flights.pop
        for answer in message.answers:
            flight = take(answer.ticket, None)
            if flight is None:
                self._learn(answer)
                continue
            future = flight[0]
            if future.done():
                self._unknown[answer.ticket] = flight[1]
                self._learn(answer)
                continue
            if type(answer) is Committed or type(answer) is Replayed:
                future.set_result(answer)
            elif type(answer) is Refused:
                future.set_exception(from_code(answer.code, answer.detail, answer.left))
            elif type(answer) is Result:
                future.set_result(answer.value)
        if message.register is not None:
            self.register = message.register
            if not self._registered.done():
                self._registered.set_result(None)
            if self.on_register is not None:
                self.on_register(message.register)

    def _learn(self, answer: Answer) -> None:
        """What became of a command that nobody waits for any more."""
        command = self._unknown.get(answer.ticket)
        if command is None or (type(answer) is Refused and answer.code == Busy.code):
            return  # busy says nothing of an earlier time: it is sent once more with the next connection
        del self._unknown[answer.ticket]
        if type(answer) is Result and isinstance(command, IntakeSlice):
            for reason, count in SliceDecided.of(answer.value).dropped(command.items, command.stamp).items():
                if self._on_dropped is not None:
                    self._on_dropped(reason, count)
            return
        if type(answer) is not Committed and self._on_dropped is not None:
            reason = answer.code if type(answer) is Refused else "replayed"
            self._on_dropped(reason, _signatures(command))

    # Connection

    async def _connect(self) -> None:
        deadline = self._loop.time() + self._patience
        while True:
            try:
                await self._loop.create_unix_connection(lambda: _Link(self), str(self._path))
            except OSError:
                if self._loop.time() > deadline and not self._gave_up:
                    self._gave_up = True
                    self._fail()
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _linked(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._gave_up = False
        fresh = {command.ticket for command in self._fresh}
        again = list(self._unknown.values())
        again += [command for _, command in self._flights.values() if command.ticket not in fresh]
        if again:
            signed, drops = self._counts()
            transport.write(frame(_encoder.encode(Batch(self._run, signed, drops, again, again=True))))
        self._flush()

    def _unlinked(self) -> None:
        self._transport = None
        if not self._closed:
            self._connecting = self._loop.create_task(self._connect())

    def _fail(self) -> None:
        fresh = {command.ticket for command in self._fresh}
        self._fresh = []
        flights, self._flights = self._flights, {}
        for future, command in flights.values():
            error: CinnabarError
            if command.ticket in fresh:
                error = RecorderUnavailable("the recorder does not answer")
                if future.done() and self._on_dropped is not None:
                    self._on_dropped(error.code, _signatures(command))
            else:
                error = OutcomeUnknown("the recorder's answer was lost")
                if _signatures(command):
                    self._unknown[command.ticket] = command
            if not future.done():
                future.set_exception(error)


def _signatures(command: Command) -> int:
    """How many signatures a command would put on record."""
    if isinstance(command, Append | JobSlice):
        return len(command.entries)
    if isinstance(command, IntakeSlice):
        rows = sum(1 for item in command.items for entry in item.entries if entry.body)
        return rows + (command.stamp is not None)
    return int(isinstance(command, Housekeeping) and command.kind != "box-leaf")


class _Link(asyncio.Protocol):
    """One connection: frames in, end noticed."""

    def __init__(self, client: RecorderClient) -> None:
        self._client = client
        self._frames = FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's classes.
        self._client._linked(cast(asyncio.WriteTransport, transport))

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.take(data):
            self._client._take(payload)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._client._unlinked()
