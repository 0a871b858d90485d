"""The calling side: a blocking connection, for one thread; or one kept for each."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

import msgspec

from appliance.calls.framing import FrameReader, FrameTooLong, frame
from appliance.calls.problems import Problem, error_of
from appliance.errors import BadRequest, Unavailable

_READ: Final = 1 << 18
_Found = TypeVar("_Found")


class Connection:
    """A connection to another process of the box; a context manager. One that has failed stays closed."""

    unavailable: ClassVar[type[Unavailable]] = Unavailable
    """Raised when the process does not answer: not there, gone, too slow, or speaking of something else."""

    patience: ClassVar[float] = 60.0
    """Seconds that it may be silent."""

    dripping: ClassVar[bool] = True
    """Whether an answer may take longer than that as long as something of it comes; False: it is whole by then."""

    def __init__(self, path: Path, patience: float | None = None) -> None:
        """Raises `unavailable`."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._patience = self.patience if patience is None else patience
        self._socket.settimeout(self._patience)
        self._frames = FrameReader()
        self._ticket = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise self.unavailable("nothing listens at its socket, or not for this user") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def next_ticket(self) -> int:
        self._ticket += 1
        return self._ticket

    def exchange(self, payload: bytes, find: Callable[[bytes], _Found | None]) -> _Found:
        """Send a frame, and give what `find` makes of the first frame in which it finds something."""
        try:
            self._socket.settimeout(self._patience)
            ends = time.monotonic() + self._patience
            self._socket.sendall(frame(payload))
            while data := self._socket.recv(_READ):
                if not self.dripping:
                    self._socket.settimeout(max(0.001, ends - time.monotonic()))
                for received in self._frames.take(data):
                    found = find(received)
                    if found is not None:
                        return found
        except (OSError, FrameTooLong, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self.close()
            raise self.unavailable(f"it gave no answer ({type(error).__name__})") from error
        self.close()
        raise self.unavailable("it closed the connection")


class Answer(msgspec.Struct, array_like=True):
    """`value`: what the method gave, or the exception that it was refused by."""

    ticket: int
    good: bool
    value: Any

    def __post_init__(self) -> None:
        if not self.good:
            self.value = error_of(msgspec.convert(self.value, Problem))


_answers = msgspec.msgpack.Decoder(Answer)


class CallClient(Connection):
    """Calls as appliance.calls.server answers them."""

    def call(self, method: str, *arguments: object) -> Any:
        """Any method by its name. Raises `unavailable`, and the problem that was answered as an exception of its own
        code, status, title and control; BadRequest where an argument is a number that no frame holds."""
        ticket = self.next_ticket()

        def find(payload: bytes) -> Answer | None:
            answer = _answers.decode(payload)
            return answer if answer.ticket == ticket else None

        try:
            payload = msgspec.msgpack.encode([ticket, method, arguments])
        except OverflowError:
            raise BadRequest("a number has more than 64 bits") from None
        answer = self.exchange(payload, find)
        if not answer.good:
            raise answer.value
        return answer.value


_Client = TypeVar("_Client", bound=Connection)


class Kept(Generic[_Client]):
    """One connection for each thread that calls, kept from call to call."""

    def __init__(self, kind: type[_Client], path: Path) -> None:
        self._kind = kind
        self._path = path
        self._local = threading.local()

    def call(self, ask: Callable[[_Client], _Found]) -> _Found:
        """Ask over this thread's connection, and once more over a new one if that was lost: no call may mind being
        made twice. Raises what the client does."""
        kept: _Client | None = getattr(self._local, "client", None)
        if kept is not None:
            try:
                return ask(kept)
            except self._kind.unavailable:
                self.close()
        self._local.client = self._kind(self._path)
        try:
            return ask(self._local.client)
        except self._kind.unavailable:
            self.close()
            raise

    def close(self) -> None:
        """Close this thread's connection."""
        kept: _Client | None = getattr(self._local, "client", None)
        if kept is not None:
            kept.close()
            self._local.client = None
