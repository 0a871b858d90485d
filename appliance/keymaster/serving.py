"""Frames of calls over a private unix socket: [ticket, method, [arguments]] gets [ticket, true, value] or
[ticket, false, problem], in order. The peer's user is looked at when it connects (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import socket
import struct
import typing
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

import hsm
from appliance.errors import BadRequest, CinnabarError, NotFound, Unavailable
from appliance.recorder.frames import FrameReader, frame

FRAME_LIMIT = 8 * 1024 * 1024
CONNECTIONS = 64
_READ = 64 * 1024
_CREDENTIALS = struct.Struct("3i")

Method = Callable[..., Awaitable[Any]]

log = structlog.get_logger("keymaster")


class Call(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    ticket: int
    method: str
    arguments: list[Any]


_calls = msgspec.msgpack.Decoder(Call)


def problem(error: CinnabarError) -> dict[str, object]:
    """An error as RFC 9457 describes it, with `control` and `retriable`."""
    return {
        "type": f"urn:cinnabar:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": str(error) or error.title,
        "control": error.control,
        "retriable": error.retriable,
    }


class FrameServer:
    """Serves methods to the users it allows. Arguments are held to the annotations of each method."""

    def __init__(
        self,
        name: str,
        methods: Mapping[str, Method],
        users: frozenset[int],
        groups: frozenset[int] = frozenset(),
    ) -> None:
        """`groups`: processes whose own group is one of these are allowed too, whatever user they run under."""
        self._name = name
        self._users = users
        self._groups = groups
        self._methods = {key: (method, _parameters(method)) for key, method in methods.items()}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, path: Path, mode: int) -> None:
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(old)
        path.chmod(mode)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        _process, user, group = _CREDENTIALS.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if (user not in self._users and group not in self._groups) or len(self._connections) >= CONNECTIONS:
            log.warning("peer-refused", socket=self._name, user=user)
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as a task
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (CinnabarError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            log.warning("frame-refused", socket=self._name, user=user, error=type(error).__name__)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader(FRAME_LIMIT)
        while data := await reader.read(_READ):
            for payload in frames.take(data):
                call = _calls.decode(payload)
                writer.write(frame(msgspec.msgpack.encode(await self._answer(call))))
                await writer.drain()

    async def _answer(self, call: Call) -> list[object]:
        try:
            method, parameters = self._methods[call.method]
        except KeyError:
            return [call.ticket, False, problem(NotFound(f"there is no method {call.method[:64]!r}"))]
        try:
            return [call.ticket, True, await method(*_convert(parameters, call.arguments))]
        except CinnabarError as error:
            return [call.ticket, False, problem(error)]
        except hsm.HsmError as error:
            log.warning("token-failed", socket=self._name, method=call.method, error=type(error).__name__)
            return [call.ticket, False, problem(Unavailable("the token does not do this now"))]
        except Exception as error:
            log.exception("method-failed", socket=self._name, method=call.method, error=type(error).__name__)
            return [call.ticket, False, problem(CinnabarError("the keymaster met an internal error"))]


_Parameters = list[tuple[str, Any, bool]]


def _parameters(method: Method) -> _Parameters:
    """Name, type and whether it may be left out, of each parameter."""
    hints = typing.get_type_hints(method.func if isinstance(method, functools.partial) else method, include_extras=True)
    return [
        (name, hints.get(name, Any), one.default is not inspect.Parameter.empty)
        for name, one in inspect.signature(method).parameters.items()
    ]


def _convert(parameters: _Parameters, values: list[Any]) -> list[Any]:
    """The arguments, each of the type that its parameter asks for. Raises BadRequest."""
    required = sum(not optional for _, _, optional in parameters)
    if not required <= len(values) <= len(parameters):
        raise BadRequest(f"{required} to {len(parameters)} arguments are meant, not {len(values)}")
    converted = []
    for (name, wanted, _), value in zip(parameters, values, strict=False):
        try:
            converted.append(msgspec.convert(value, wanted))
        except msgspec.ValidationError as error:
            raise BadRequest(f"{name}: {error}") from None
    return converted
