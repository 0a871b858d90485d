"""The recorder's loop: one thread takes everything that has arrived, commits it together, and answers.

Between two commits it empties every socket once, so that batches grow with the load and one fdatasync serves all.
Back-pressure: what a client has waiting beyond its bound, and what waits in all beyond the recorder's, is answered
`busy` and not taken; a client that does not read its answers is not read from, and put off when it stays so.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from appliance.calls.framing import FrameReader, frame
from appliance.calls.sockets import Peer, peer_of
from appliance.errors import CinnabarError, NotAuthorised
from appliance.recorder import errors
from appliance.recorder.administration import AdminCommand, CeremonyEntry
from appliance.recorder.counts import Counts
from appliance.recorder.letter_shapes import size_of_views
from appliance.recorder.messages import Answer, Answers, Append, Batch, Command, IntakeSlice, Query, Refused
from appliance.recorder.powers import Peers, Powers, command_name
from appliance.recorder.reader import Reader
from appliance.recorder.transaction import Run
from appliance.recorder.writer import Writer

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 64 * 1024  # a larger one would be mapped and unmapped at every call
LARGE_BYTES = 4 * 1024 * 1024
"""Of bodies in one command: it gets a transaction of its own, between two of small ones. A job's slices are smaller."""
_batches = msgspec.msgpack.Decoder(Batch)
_admin_commands = msgspec.msgpack.Decoder(AdminCommand)
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True)
class Bounds:
    """How much may wait. Commands, bytes and seconds."""

    client_commands: int = 8_192
    all_commands: int = 32_768
    transaction_commands: int = 1_024
    crowd_commands: int = 4
    """A transaction of so many commands shows that many are at work: the next one gathers."""
    gather_commands: int = 256
    gather_seconds: float = 0.002
    """Between two transactions, while fewer than `gather_commands` wait: fewer and larger ones cost less of each."""
    transaction_bytes: int = 32 * 1024 * 1024
    unread_bytes: int = 8 * 1024 * 1024
    """Answers that a client has not read: beyond, it is not read from."""
    stalled_seconds: float = 30.0
    """How long a client may leave answers unread before it is put off."""


@dataclass(eq=False)
class Client:
    """One connection, its waiting commands and its unread answers."""

    socket: socket.socket
    admin: bool
    peer: Peer
    powers: Powers
    frames: FrameReader = field(default_factory=FrameReader)
    run: Run | None = None
    waiting: deque[Command] = field(default_factory=deque)
    careful: int = 0
    """How many of the waiting commands come from a frame that was sent again, counted from the front."""
    answers: list[Answer] = field(default_factory=list)
    unsent: bytearray = field(default_factory=bytearray)
    unread_since: float | None = None
    large_served: int = 0
    """When, counted in large commands, one of this client's was taken last."""
    mask: int = selectors.EVENT_READ
    gone: bool = False


class Server:
    """Serves two listening sockets until `stop`, each peer as far as `peers` says."""

    def __init__(
        self,
        writer: Writer,
        directory: Path,
        submit: socket.socket,
        admin: socket.socket,
        peers: Peers,
        bounds: Bounds | None = None,
        lost: Callable[[Run], Counts | None] = lambda _run: None,
    ) -> None:
        self.writer = writer
        self.bounds = bounds or Bounds()
        self._listeners = (submit, admin)
        self._admin_socket = admin
        self._peers = peers
        self._lost = lost
        self._clients: set[Client] = set()
        self._waiting = 0
        self._selector = selectors.DefaultSelector()
        self._done: deque[tuple[Client, Answer]] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        self._running = True
        self._committed = 0.0
        self._last_batch = 0
        self._large_next = False
        self._large_served = 0
        self.status: dict[str, object] = {}
        for listener in (submit, admin):
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, self._accept)
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._reader = Reader(directory, lambda: self.status, self._answered)

    @property
    def waiting(self) -> int:
        """Commands that wait for a transaction."""
        return self._waiting

    @property
    def clients(self) -> int:
        """Connections that stand now."""
        return len(self._clients)

    # From other threads

    def stop(self) -> None:
        """End the loop after what has been taken is on disk. May be called from a signal handler."""
        self._running = False
        self.wake()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_write.send(b"\0")

    def call(self, task: Callable[[], None]) -> None:
        """Run a small task in the writer's thread between two transactions."""
        self._tasks.append(task)
        self.wake()

    def _answered(self, client: object, answer: Answer) -> None:
        self._done.append((client, answer))  # type: ignore[arg-type]
        self.wake()

    # The loop

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while self._running:
                gathering = self._gathering() if self._waiting else 0.0
                if gathering:
                    # Asleep, not selecting: waking for each arrival would cost what gathering saves.
                    time.sleep(gathering)
                timeout = 0.0 if self._tasks or self._waiting else 1.0
                for key, mask in self._selector.select(timeout):
                    key.data(key.fileobj, mask)
                self._step()
            while self._waiting:
                self._step()
        finally:
            self._close()

    def _gathering(self) -> float:
        """Seconds to wait for more commands: none for a lone client, after a quiet moment, or with enough of them."""
        if self._waiting >= self.bounds.gather_commands or self._last_batch < self.bounds.crowd_commands:
            return 0.0
        return max(0.0, self._committed + self.bounds.gather_seconds - self.writer.monotonic())

    def _step(self) -> None:
        if self._waiting and not (self._running and self._gathering()):
            self._transact()
            self._committed = self.writer.monotonic()
        while self._done:
            client, answer = self._done.popleft()
            client.answers.append(answer)
            self._flush(client)
        if self._tasks:
            self._tasks.popleft()()
        now = self.writer.monotonic()
        for client in [c for c in self._clients if c.unread_since is not None]:
            if client.unread_since is not None and now - client.unread_since > self.bounds.stalled_seconds:
                log.warning("client-stalled", process=client.peer.process, unread=len(client.unsent))
                self._drop(client)

    def _transact(self) -> None:
        work: list[tuple[Run, Command]] = []
        owners: list[Client] = []
        size = 0
        careful = False
        busy = [client for client in self._clients if client.waiting]
        busy = self._turn(busy)
        share = max(1, self.bounds.transaction_commands // len(busy))
        for client in busy:
            run, waiting = client.run, client.waiting
            if run is None:
                continue
            for taken in range(min(share, len(waiting))):
                command = waiting[0]
                length = _size(command)
                if taken and length > LARGE_BYTES:
                    break
                waiting.popleft()
                work.append((run, command))
                owners.append(client)
                size += length
                if size > self.bounds.transaction_bytes:
                    break
            if client.careful:
                careful = True
                client.careful = min(client.careful, len(waiting))
        self._waiting -= len(work)
        self._last_batch = len(work)
        answers = self.writer.transact(work, careful=careful)
        for client, answer in zip(owners, answers, strict=True):
            client.answers.append(answer)
        for client in busy:
            self._flush(client)

    def _turn(self, busy: list[Client]) -> list[Client]:
        """Whose commands make the next transaction: at most every other one is a large command's."""
        large = [client for client in busy if _size(client.waiting[0]) > LARGE_BYTES]
        small = [client for client in busy if client not in large]
        if large and (self._large_next or not small):
            self._large_next = False
            self._large_served += 1
            chosen = min(large, key=lambda client: client.large_served)
            chosen.large_served = self._large_served
            return [chosen]
        self._large_next = True
        return small

    # Sockets

    def _accept(self, listener: socket.socket, _mask: int) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        peer, admin = peer_of(connection), listener is self._admin_socket
        powers = (self._peers.administering if admin else self._peers.submitting)(peer.user, peer.group)
        if powers is None:
            log.warning("peer-refused", user=peer.user, process=peer.process)
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection, admin, peer, powers)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, lambda _s, mask, c=client: self._ready(c, mask))
        if not client.admin:
            self._send(client, _encoder.encode(Answers([], self.writer.ground.callers.message())))

    def _woken(self, end: socket.socket, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while end.recv(4096):
                pass

    def _ready(self, client: Client, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush(client)
        if client.gone or not mask & selectors.EVENT_READ:
            return
        try:
            data = client.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        try:
            for payload in client.frames.take(data):
                if client.admin:
                    self._take_admin(client, payload)
                else:
                    self._take(client, payload)
        except (CinnabarError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            log.warning("frame-refused", process=client.peer.process, user=client.peer.user, error=type(error).__name__)
            self._drop(client)

    def _take(self, client: Client, payload: bytes) -> None:
        batch = _batches.decode(payload)
        run = client.run
        if run is None or run.run != batch.run:
            run = client.run = self._run_of(client, batch.run)
        # What comes by a run's second connection may be older than what came by its first.
        run.learn(Counts(batch.signed, batch.drops))
        room = min(self.bounds.client_commands - len(client.waiting), self.bounds.all_commands - self._waiting)
        for command in batch.commands:
            if not client.powers.permit(command):
                client.answers.append(self._not_permitted(client, command))
            elif type(command) is Query:
                answer = self._reader.ask(client, command)
                if answer is not None:
                    client.answers.append(answer)
            elif room > 0:
                room -= 1
                client.waiting.append(command)
                self._waiting += 1
            else:
                client.answers.append(Refused(command.ticket, errors.Busy.code, "too many commands wait"))
        if batch.again:
            client.careful = len(client.waiting)
        if client.answers and not client.waiting:
            self._flush(client)

    def _run_of(self, client: Client, run: str) -> Run:
        """A run has one state, however many connections its process holds."""
        for other in self._clients:
            if other.run is not None and other.run.run == run and other.peer.process == client.peer.process:
                return other.run
        return self.writer.find_run(run, client.peer.user, client.peer.process)

    def _take_admin(self, client: Client, payload: bytes) -> None:
        command = _admin_commands.decode(payload)
        answer: Answer | None
        if not client.powers.permit(command):
            answer = self._not_permitted(client, command)
        elif isinstance(command, Query):
            answer = self._reader.ask(client, command)
        elif isinstance(command, CeremonyEntry):
            answer = self.writer.record_ceremony(command)
        else:
            keymaster = self._peers.is_keymaster(client.peer.group)
            answer = self.writer.administer(command, client.peer.user, keymaster=keymaster)
            self._push_register()
        if answer is not None:
            client.answers.append(answer)
            self._flush(client)

    def _not_permitted(self, client: Client, command: Command | AdminCommand) -> Refused:
        """A sign that the process is not what it was: its own code asks for nothing that its kind may not."""
        name = command_name(command)
        log.error("command-not-permitted", command=name, process=client.peer.process, user=client.peer.user)
        return Refused(command.ticket, NotAuthorised.code, f"{name} is nothing that this process may ask for")

    def _push_register(self) -> None:
        message = _encoder.encode(Answers([], self.writer.ground.callers.message()))
        for client in list(self._clients):
            if not client.admin:
                self._send(client, message)

    def _flush(self, client: Client) -> None:
        if client.answers:
            payload = _encoder.encode(Answers(client.answers))
            client.answers = []
            self._send(client, payload)
        elif client.unsent:
            self._send(client, b"")

    def _send(self, client: Client, payload: bytes) -> None:
        if client.gone:
            return
        if payload:
            client.unsent += frame(payload)
        try:
            sent = client.socket.send(client.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.unsent[:sent]
        if client.unsent:
            if client.unread_since is None or sent:
                client.unread_since = self.writer.monotonic()
        else:
            client.unread_since = None
        mask = selectors.EVENT_READ if len(client.unsent) <= self.bounds.unread_bytes else 0
        if client.unsent:
            mask |= selectors.EVENT_WRITE
        if mask != client.mask:
            client.mask = mask
            key = self._selector.get_key(client.socket)
            self._selector.modify(client.socket, mask, key.data)

    def _drop(self, client: Client) -> None:
        """Forget a connection. What it had waiting was not taken: it is submitted again, exactly, or not."""
        if client.gone:
            return
        client.gone = True
        self._waiting -= len(client.waiting)
        client.waiting.clear()
        self._selector.unregister(client.socket)
        client.socket.close()
        self._clients.discard(client)
        if client.run is not None and all(other.run is not client.run for other in self._clients):
            self.writer.lose_run(client.run, self._lost(client.run))

    def _close(self) -> None:
        self._reader.close()
        while self._done:
            client, answer = self._done.popleft()
            client.answers.append(answer)
            self._flush(client)
        for client in list(self._clients):
            client.gone = True
            client.socket.close()
        for end in (*self._listeners, self._wake_read, self._wake_write):
            end.close()
        self._selector.close()


def _size(command: object) -> int:
    entries = getattr(command, "entries", None)
    if entries:
        size = sum([len(entry.body) for entry in entries])
        return size + size_of_views(command.effects) if type(command) is Append and command.effects else size
    if type(command) is IntakeSlice:
        rows = sum([sum([len(one.body) for one in row.entries]) + size_of_views(row.effects) for row in command.items])
        return rows + (0 if command.stamp is None else len(command.stamp.body))
    return len(getattr(command, "request", b"")) + len(getattr(command, "body", b""))
