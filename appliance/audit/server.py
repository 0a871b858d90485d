"""The audit socket: frames of msgpack, [ticket, method, arguments], then [ticket, true, value] or [.., false, problem].

SO_PEERCRED at accept: the management service's user and root. A caller names a person; that is the caller's word, and
is recorded as such. Requests of one connection are answered in their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from appliance.audit import pages
from appliance.audit.errors import FilterRefused
from appliance.audit.exporting import Exports
from appliance.audit.filters import read_filter
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.errors import CinnabarError
from appliance.log import NotYetIncluded
from appliance.recorder.frames import FrameReader, FrameTooLong, frame

REQUEST_LIMIT = 64 * 1024
PERSON_LIMIT = 200
CONNECTIONS = 64
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, str, list[Any]]).decode

log = structlog.get_logger("audit")


def problem(error: CinnabarError) -> dict[str, Any]:
    """As RFC 9457."""
    return {
        "type": f"urn:cinnabar:problem:{error.code}",
        "code": error.code,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "control": error.control,
        "retriable": error.retriable,
    }


class Methods:
    """What may be called. Every argument comes from outside."""

    def __init__(self, room: AuditRoom, exports: Exports, status: Callable[[], dict[str, Any]]) -> None:
        self._room = room
        self._exports = exports
        self._status = status
        self._table: dict[str, Callable[..., Awaitable[Any]]] = {
            "logs": self._logs,
            "entries": self._entries,
            "entry": self._entry,
            "counts": self._counts,
            "export_start": self._export_start,
            "export_progress": self._export_progress,
            "export_cancel": self._export_cancel,
            "export_part": self._export_part,
            "exports": self._export_list,
            "status": self._tell_status,
        }

    async def call(self, user: int, method: str, arguments: list[Any]) -> Any:
        """Raises CinnabarError."""
        found = self._table.get(method)
        if found is None:
            raise FilterRefused(f"there is no method {method[:64]!r}")
        try:
            return await found(user, *arguments)
        except (TypeError, msgspec.ValidationError) as error:
            raise FilterRefused(f"{method}: {error}") from None

    async def _logs(self, _user: int) -> list[dict[str, Any]]:
        shown = []
        for audited in list(self._room.logs.values()):
            size = await self._room.source.size(audited.name)
            shown.append(
                {
                    "log": audited.name,
                    "origin": audited.origin,
                    "size": size,
                    "indexed": self._room.index.size(audited.name),
                    "checkpoint": _head(audited),
                    **self._room.index.names(audited.name),
                }
            )
        return shown

    async def _entries(
        self, user: int, person: Any, log: Any, wanted: Any, newest: Any, cursor: Any, limit: Any
    ) -> pages.PageView:
        at = None if cursor is None else _number(cursor)
        return await pages.entries(
            self._room, _asker(user, person), self._room.log(log), read_filter(wanted),
            newest=bool(newest), cursor=at, limit=_number(limit),
        )  # fmt: skip

    async def _entry(self, user: int, person: Any, log: Any, which: Any) -> pages.EntryProof:
        if isinstance(which, bool) or not isinstance(which, int | str):
            raise FilterRefused("an entry is named by its index or its record id")
        return await pages.entry(self._room, _asker(user, person), self._room.log(log), which)

    async def _counts(self, _user: int, log: Any, since: Any, until: Any) -> list[list[Any]]:
        wanted = read_filter({"since": since, "until": until})
        return await pages.counts(self._room, self._room.log(log), wanted)

    async def _export_start(self, user: int, person: Any, log: Any, wanted: Any, form: Any) -> str:
        return await self._exports.start(_asker(user, person), self._room.log(log), read_filter(wanted), form)

    async def _export_progress(self, _user: int, name: Any) -> Any:
        return self._exports.view(name)

    async def _export_cancel(self, _user: int, name: Any) -> Any:
        return self._exports.cancel(name)

    async def _export_part(self, _user: int, name: Any, number: Any, offset: Any) -> bytes:
        return self._exports.part(name, number, offset)

    async def _export_list(self, _user: int) -> Any:
        return self._exports.views()

    async def _tell_status(self, _user: int) -> dict[str, Any]:
        return self._status()


def _head(audited: AuditedLog) -> str | None:
    """The newest published checkpoint, None before the first."""
    try:
        return audited.reader.checkpoint().decode()
    except NotYetIncluded:
        return None


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise FilterRefused("a number of 0 or more is meant")
    return value


def _asker(user: int, person: Any) -> Asker:
    if not isinstance(person, str) or len(person) > PERSON_LIMIT or not person.isprintable():
        raise FilterRefused(f"a person is named by a text of at most {PERSON_LIMIT} characters")
    return Asker(user, person)


class AuditServer:
    """Serves until cancelled."""

    def __init__(self, methods: Methods, users: frozenset[int]) -> None:
        self._methods = methods
        self._users = users
        self._open = 0

    async def listen(self, path: Path, mode: int) -> asyncio.AbstractServer:
        """Serve at `path`; an old socket is replaced. Whoever finds the path can connect."""
        hidden = path.with_name(f".{path.name}")
        hidden.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            listener.bind(str(hidden))
        finally:
            os.umask(old)
        hidden.chmod(mode)
        listener.setblocking(False)
        server = await asyncio.start_unix_server(self._serve, sock=listener)
        hidden.replace(path)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        process, user, _ = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        try:
            if user not in self._users or self._open >= CONNECTIONS:
                log.warning("peer-refused", user=user, process=process)
                return
            self._open += 1
            try:
                await self._talk(user, reader, writer)
            finally:
                self._open -= 1
        except (OSError, FrameTooLong, msgspec.MsgspecError) as error:
            log.warning("frame-refused", user=user, process=process, error=type(error).__name__)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, user: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader(REQUEST_LIMIT)
        while data := await reader.read(REQUEST_LIMIT):
            for payload in frames.take(data):
                ticket, method, arguments = _decode(payload)
                answer: list[Any]
                try:
                    answer = [ticket, True, await self._methods.call(user, method, arguments)]
                except CinnabarError as error:
                    answer = [ticket, False, problem(error)]
                writer.write(frame(_encode(answer)))
                await writer.drain()
