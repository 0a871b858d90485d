"""The answering side: methods by name, for the users that may call them. Requests of one connection are answered in
their order; the peer is looked at when it connects."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket
import typing
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from appliance.calls.framing import FRAME_LIMIT, FrameReader, frame
from appliance.calls.pace import Pace
from appliance.calls.problems import problem_of
from appliance.calls.sockets import Peer, peer_of, unix_listener
from appliance.errors import BadRequest, CinnabarError, NotFound, Unavailable
from hsm.errors import HsmError

REQUEST_LIMIT: Final = 8 * 1024 * 1024
"""Of a call, in bytes."""
CONNECTIONS: Final = 64
_READ: Final = 64 * 1024

Method = Callable[..., Awaitable[Any]]

log = structlog.get_logger("calls")


class Call(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    ticket: int
    method: str
    arguments: list[Any]


class AnswerTooLong(CinnabarError):
    """An answer has more bytes than a frame holds."""

    code = "answer-too-long"
    title = "The answer is too long for one frame"


_calls = msgspec.msgpack.Decoder(Call)


class CallServer:
    """Serves methods to the users it allows. Arguments are held to the annotations of each method; a method whose first
    parameter is a Peer is told who calls."""

    def __init__(
        self,
        name: str,
        methods: Mapping[str, Method],
        users: frozenset[int],
        groups: frozenset[int] = frozenset(),
        request_limit: int = REQUEST_LIMIT,
        pace: Pace | None = None,
    ) -> None:
        """`groups`: processes whose own group is one of these are allowed too, whatever user they run under. `pace`:
        where callers may mean ill; a call too many is refused, and answered only when its turn has come."""
        self._name = name
        self._users = users
        self._groups = groups
        self._limit = request_limit
        self._pace = pace
        self._accepting: asyncio.Task[None] | None = None
        self._methods = {key: _Callable(method) for key, method in methods.items()}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, path: Path, mode: int) -> None:
        """Serve at `path`; an old socket there is replaced."""
        listener = unix_listener(path, mode)
        if self._pace is None:
            self._server = await asyncio.start_unix_server(self._accept, sock=listener)
        else:
            self._accepting = asyncio.create_task(self._accept_paced(listener, self._pace))

    async def stop(self) -> None:
        """Close every connection, whatever it waits for."""
        if self._server is not None:
            self._server.close()
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept_paced(self, listener: socket.socket, pace: Pace) -> None:
        """One connection after the other, each when it is paid for and there is room. Others wait in the kernel."""
        loop = asyncio.get_running_loop()
        with listener:
            listener.setblocking(False)
            while True:
                await asyncio.sleep(pace.take())
                while len(self._connections) >= CONNECTIONS:
                    await asyncio.wait(self._connections, return_when=asyncio.FIRST_COMPLETED)
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:  # such as of too many open files
                    log.error("not-accepted", socket=self._name, error=error.strerror)
                    continue
                await loop.connect_accepted_socket(
                    lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._accept), connection
                )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        if (peer.user not in self._users and peer.group not in self._groups) or len(self._connections) >= CONNECTIONS:
            log.warning("peer-refused", socket=self._name, user=peer.user, process=peer.process)
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._connections.add(task)
        try:
            await self._converse(peer, reader, writer)
        except (CinnabarError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            log.warning("frame-refused", socket=self._name, user=peer.user, error=type(error).__name__)
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            writer.transport.abort()  # whoever does not read its answers keeps nobody from stopping
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader(self._limit)
        while data := await reader.read(_READ):
            for payload in frames.take(data):
                writer.write(frame(await self._in_turn(peer, payload)))
                await writer.drain()

    async def _in_turn(self, peer: Peer, payload: bytes) -> bytes:
        """The answer's payload. An empty one asks for nothing but another: whether this process still answers."""
        wait = 0.0 if self._pace is None else self._pace.take()
        if not wait or self._pace is None:
            return await self._answer(peer, _calls.decode(payload)) if payload else b""
        await asyncio.sleep(wait)  # nothing more of this connection is read meanwhile
        refusal = problem_of(self._pace.refusal)
        return msgspec.msgpack.encode([_calls.decode(payload).ticket, False, refusal]) if payload else b""

    async def _answer(self, peer: Peer, call: Call) -> bytes:
        refusal: CinnabarError
        try:
            method = self._methods.get(call.method)
            if method is None:
                raise NotFound(f"there is no method {call.method[:64]!r}")
            answer = msgspec.msgpack.encode([call.ticket, True, await method(peer, call.arguments)])
            if len(answer) <= FRAME_LIMIT:
                return answer
            refusal = AnswerTooLong(f"{call.method} would answer with {len(answer)} bytes, at most {FRAME_LIMIT} go")
        except CinnabarError as error:
            refusal = error
        except HsmError as error:
            log.warning("token-failed", socket=self._name, method=call.method, error=type(error).__name__)
            refusal = Unavailable("the token does not do this now")
        except Exception as error:
            log.exception("method-failed", socket=self._name, method=call.method, error=type(error).__name__)
            refusal = CinnabarError("the process that was asked met an internal error")
        return msgspec.msgpack.encode([call.ticket, False, problem_of(refusal)])


class _Callable:
    """A method, and what its arguments must be."""

    def __init__(self, method: Method) -> None:
        function = method.func if isinstance(method, functools.partial) else method
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(method).parameters.values())
        self._method = method
        self._wants_peer = bool(parameters) and hints.get(parameters[0].name) is Peer
        meant = parameters[1:] if self._wants_peer else parameters
        self._types = [(one.name, hints.get(one.name, Any)) for one in meant]
        self._required = sum(one.default is inspect.Parameter.empty for one in meant)

    def __call__(self, peer: Peer, values: list[Any]) -> Awaitable[Any]:
        """Begin the call with the arguments, each of the type that its parameter asks for. Raises BadRequest."""
        if not self._required <= len(values) <= len(self._types):
            raise BadRequest(f"{self._required} to {len(self._types)} arguments are meant, not {len(values)}")
        arguments: list[Any] = [peer] if self._wants_peer else []
        for (name, wanted), value in zip(self._types, values, strict=False):
            try:
                arguments.append(msgspec.convert(value, wanted))
            except (msgspec.ValidationError, RecursionError) as error:
                raise BadRequest(f"{name}: {error}") from None
        return self._method(*arguments)
