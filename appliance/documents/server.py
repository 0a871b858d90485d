"""The keeper's loop: takes tasks from API workers, gives them to document workers in turn, and passes answers back.

The keeper never looks into a document or an answer: a request is a descriptor to it, an answer bytes with a tag. What
it reads itself is the box's own trust bundle.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from appliance.calls.framing import FrameReader, FrameTooLong, frame
from appliance.calls.sockets import peer_of
from appliance.documents.contracts import VERIFY
from appliance.documents.errors import DocumentsBusy, DocumentWorkerFailed
from appliance.documents.isolation import Limits
from appliance.documents.memory_files import is_sealed
from appliance.documents.messages import DETAIL_CHARACTERS, Answer, Ask, Done, Hello, Outcome, Refused
from appliance.documents.pool import Job, Pool, Worker
from appliance.documents.queue import Bounds, FairQueue
from appliance.documents.tasks import Task
from appliance.documents.trust import TrustKeeper
from appliance.errors import CinnabarError
from appliance.quoting import quote

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 256 * 1024
ASK_BYTES = 64 * 1024
"""Largest frame of a client: an Ask is a few hundred bytes."""
DESCRIPTORS = 64
"""Most that one read takes; an Ask brings one."""
TICK_SECONDS = 0.25
IN_A_ROW = 20
"""Tasks that a worker which goes on does for one tenant while others wait."""

READERS = "@pages"
"""No tenant can be called so."""

Handler = Callable[[object, int], None]
"""(what is ready, its mask)"""

_encode = msgspec.msgpack.Encoder().encode
_decode_ask = msgspec.msgpack.Decoder(Ask).decode
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


@dataclass(eq=False)
class Client:
    """One connection: of an API worker, the keymaster or the management service."""

    socket: socket.socket
    reader: bool = False
    """Whether it may have files verified, and nothing else."""
    frames: FrameReader = field(default_factory=lambda: FrameReader(ASK_BYTES))
    descriptors: deque[int] = field(default_factory=deque)
    unsent: deque[memoryview] = field(default_factory=deque)
    gone: bool = False


class Server:
    """Serves one listening socket until `stop`. `users` may connect; `readers` too, to have files verified alone, and
    they take turns as one tenant whatever they call themselves: they are trusted with nothing."""

    def __init__(
        self,
        listener: socket.socket,
        users: frozenset[int],
        tasks: Mapping[str, Task],
        trust: TrustKeeper,
        hello: Hello,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        patience: float = 30.0,
        readers: frozenset[int] = frozenset(),
    ) -> None:
        """`patience`: seconds that a task may wait for its turn."""
        self._listener = listener
        self._users = users
        self._readers = readers - users
        self._tasks = tasks
        self._trust = trust
        self._hello = frame(_encode(hello))
        self._patience = patience
        self._pool = Pool(tasks, limits or Limits(), hello.workers)
        self._most_a_tenant = max(1, hello.workers - 1)
        """One tenant leaves a worker to the others, where there are several."""
        self._queue: FairQueue[Job] = FairQueue(bounds or Bounds())
        self._clients: set[Client] = set()
        self._selector = selectors.DefaultSelector()
        self._running = True
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        listener.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def stop(self) -> None:
        """End the loop. May be called from a signal handler."""
        self._running = False
        with contextlib.suppress(BlockingIOError):
            self._wake_write.send(b"\0")

    def run(self) -> None:
        """Serve until stopped."""
        # What stands now is shared with all workers as long as nobody writes to it, and the collector would.
        for task in self._tasks.values():
            if task.load is not None:
                with contextlib.suppress(CinnabarError):  # who asks for the task is told
                    task.load()
        gc.collect()
        gc.freeze()
        try:
            self._trust.look()
            self._fill()
            while self._running:
                for key, mask in self._selector.select(TICK_SECONDS):
                    key.data(key.fileobj, mask)
                self._end_overdue()
                self._dispatch()
                self._fill()
        finally:
            self._close()

    # Workers

    def _fill(self) -> None:
        while self._pool.room > 0 and self._running:
            self._fork()

    def _fork(self) -> Worker:
        worker = self._pool.fork(self._trust.ground, self._trust.generation)
        self._selector.register(worker.channel, selectors.EVENT_READ, self._heard(worker))
        return worker

    def _dispatch(self) -> None:
        if not self._queue:
            return
        generation = self._trust.look()
        for worker in [one for one in self._pool.workers if one.job is None and one.generation != generation]:
            self._end(worker)
        self._fill()
        while idle := self._pool.idle(generation):
            working = self._pool.working_for
            held_back = {tenant for tenant in working if working.count(tenant) >= self._most_a_tenant}
            job = self._in_a_row(idle, held_back) or self._queue.next(held_back)
            if job is None:
                return
            fitting = self._pool.fitting(job, generation)
            if fitting is None:  # those that wait work for others
                self._end(idle[0])
            worker = fitting or self._fork()
            if not self._pool.begin(worker, job):  # it died while it waited
                self._end(worker)
                self._refuse(job, DocumentWorkerFailed("The document's worker ended unexpectedly."))

    def _in_a_row(self, idle: list[Worker], held_back: set[str]) -> Job | None:
        """A job that an idle worker may do for the tenant that it works for, a few before the others' turn: another
        tenant's needs another process, which costs as much as many letters."""
        for worker in idle:
            if worker.bound is None or worker.begun % IN_A_ROW == 0:
                continue
            task, tenant = worker.bound
            job = self._queue.first_of(tenant) if tenant not in held_back else None
            if job is not None and job.task == task:
                return self._queue.next_of(tenant)
        return None

    def _heard(self, worker: Worker) -> Handler:
        def heard(_channel: object, _mask: int) -> None:
            try:
                data = worker.channel.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            outcome: Outcome | None = None
            try:
                for payload in worker.frames.take(data):
                    outcome = _decode_outcome(payload)
            except (FrameTooLong, msgspec.DecodeError):
                data = b""
            if outcome is not None and worker.job is not None:
                worker.answered = True
                self._answer(worker.job, outcome)
                if isinstance(outcome, Done) and self._pool.goes_on(worker):
                    return
            elif data:
                return
            self._end(worker)

        return heard

    def _end(self, worker: Worker) -> None:
        self._selector.unregister(worker.channel)
        error = self._pool.end(worker)
        if error is not None and worker.job is not None:
            self._refuse(worker.job, error)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for worker in [one for one in self._pool.workers if now > one.deadline]:
            worker.overdue = True
            self._end(worker)
        if self._queue:
            late = self._queue.older_than(now - self._patience)
            self._queue.drop(set(late))
            for job in late:
                self._refuse(job, DocumentsBusy("The document's turn did not come in time."))

    # Clients

    def _accept(self, _listener: object, _mask: int) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        user = peer_of(accepted).user
        if user not in self._users | self._readers:
            log.warning("stranger-on-socket", control="CHANNEL", user=user)
            accepted.close()
            return
        accepted.setblocking(False)
        client = Client(accepted, user in self._readers)
        self._clients.add(client)
        self._selector.register(accepted, selectors.EVENT_READ, self._asked(client))
        self._send(client, self._hello)

    def _asked(self, client: Client) -> Handler:
        def asked(_socket: object, mask: int) -> None:
            if mask & selectors.EVENT_WRITE:
                self._flush(client)
            if mask & selectors.EVENT_READ and not client.gone:
                self._receive(client)

        return asked

    def _receive(self, client: Client) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(client.socket, RECEIVE_BYTES, DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.descriptors.extend(descriptors)
        if not data or flags & socket.MSG_CTRUNC:
            self._drop(client)
            return
        try:
            for payload in client.frames.take(data):
                self._take(client, _decode_ask(payload))
        except (CinnabarError, msgspec.DecodeError, IndexError) as error:
            log.warning("client-misbehaves", error=type(error).__name__)
            self._drop(client)

    def _take(self, client: Client, ask: Ask) -> None:
        descriptor = client.descriptors.popleft()
        job = Job(client, ask.ticket, ask.task, READERS if client.reader else ask.tenant, descriptor, 0)
        if client.reader and ask.task != VERIFY.name:
            log.warning("reader-asks-for-more", control="CHANNEL", task=quote(ask.task))
            self._refuse(job, DocumentWorkerFailed("There is no such task, or its request is none."))
            return
        if ask.task not in self._tasks or not is_sealed(descriptor):
            self._refuse(job, DocumentWorkerFailed("There is no such task, or its request is none."))
            return
        job.size = os.fstat(descriptor).st_size
        try:
            self._queue.add(job)
        except DocumentsBusy as error:
            self._refuse(job, error)

    def _refuse(self, job: Job, error: CinnabarError) -> None:
        self._answer(job, Refused(0, error.code, str(error)[:DETAIL_CHARACTERS]))

    def _answer(self, job: Job, outcome: Outcome) -> None:
        """The last that happens to a job. Worker processes do not know the ticket."""
        os.close(job.descriptor)
        client = job.owner
        assert isinstance(client, Client)  # noqa: S101 - jobs are made above
        if client.gone:
            return
        answer: Answer = (
            Done(job.ticket, outcome.answer)
            if isinstance(outcome, Done)
            else Refused(job.ticket, outcome.code, outcome.detail)
        )
        self._send(client, frame(_encode(answer)))

    def _send(self, client: Client, data: bytes) -> None:
        client.unsent.append(memoryview(data))
        if len(client.unsent) == 1:
            self._flush(client)

    def _flush(self, client: Client) -> None:
        unsent = client.unsent
        try:
            while unsent:
                sent = client.socket.send(unsent[0])
                if sent == len(unsent[0]):
                    unsent.popleft()
                else:
                    unsent[0] = unsent[0][sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0)
        if self._selector.get_key(client.socket).events != mask:
            self._selector.modify(client.socket, mask, self._asked(client))

    def _drop(self, client: Client) -> None:
        """Forget a client and what it waits for; what is at work for it is finished and thrown away."""
        if client.gone:
            return
        client.gone = True
        self._clients.discard(client)
        self._selector.unregister(client.socket)
        client.socket.close()
        unwanted = {job for job in self._queue if job.owner is client}
        self._queue.drop(unwanted)
        for descriptor in (*client.descriptors, *(job.descriptor for job in unwanted)):
            os.close(descriptor)
        client.descriptors.clear()

    # The end

    def _woken(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(1_024)

    def _close(self) -> None:
        for client in list(self._clients):
            self._drop(client)
        for job in self._pool.close():
            os.close(job.descriptor)
        self._listener.close()
        self._selector.close()
