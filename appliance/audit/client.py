"""The audit process as its callers, the management service and the command line, see it: one method each, blocking."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from appliance.audit.errors import AuditUnavailable
from appliance.audit.exporting import ExportView
from appliance.audit.filters import Filter
from appliance.audit.pages import EntryProof, PageView
from appliance.errors import CinnabarError
from appliance.recorder.frames import FrameReader, frame

_T = TypeVar("_T")


class AuditRefused(CinnabarError):
    """The audit process refused; its problem (RFC 9457) as it came. `problem["code"]` names the error."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.problem = problem
        self.code = str(problem.get("code", "internal"))  # type: ignore[misc]
        self.status = int(problem.get("status", 500))  # type: ignore[misc]
        self.title = str(problem.get("title", ""))  # type: ignore[misc]


class AuditClient:
    """One connection; a context manager, not for several threads. `person`: who asks, which goes on record as the
    caller's word. Every method raises AuditRefused and AuditUnavailable."""

    def __init__(self, path: Path, person: str = "", timeout: float = 60.0) -> None:
        self.person = person
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._frames = FrameReader()
        self._ticket = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise AuditUnavailable("the audit socket does not answer") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def logs(self) -> list[dict[str, Any]]:
        """log, origin, size, indexed, checkpoint (signed note or None), kinds, keys, applications of every log."""
        found: list[dict[str, Any]] = self._ask("logs")
        return found

    def entries(
        self,
        log: str,
        wanted: Filter | None = None,
        *,
        newest: bool = True,
        cursor: int | None = None,
        limit: int = 50,
    ) -> PageView:
        """A page of a log; `cursor` is `next` of the page before. Opened content is on record before it comes."""
        return msgspec.convert(
            self._ask("entries", self.person, log, wanted or Filter(), newest, cursor, limit), PageView
        )

    def entry(self, log: str, which: int | str) -> EntryProof:
        """One record by its leaf index or record id (hexadecimal), with its artifact and log proof."""
        return msgspec.convert(self._ask("entry", self.person, log, which), EntryProof)

    def counts(self, log: str, since: int | None = None, until: int | None = None) -> list[tuple[str, str, int]]:
        """(day, kind, records) of each UTC day that [since, until) touches; microseconds since the epoch."""
        return msgspec.convert(self._ask("counts", log, since, until), list[tuple[str, str, int]])

    def export_start(self, log: str, wanted: Filter | None = None, form: str = "asice") -> str:
        """Begin an export: asice, jsonl or csv. Returns its name."""
        name: str = self._ask("export_start", self.person, log, wanted or Filter(), form)
        return name

    def export_progress(self, name: str) -> ExportView:
        return msgspec.convert(self._ask("export_progress", name), ExportView)

    def export_cancel(self, name: str) -> ExportView:
        return msgspec.convert(self._ask("export_cancel", name), ExportView)

    def exports(self) -> list[ExportView]:
        """Exports of this life of the audit process, the newest first."""
        return msgspec.convert(self._ask("exports"), list[ExportView])

    def export_file(self, name: str, number: int = 0) -> Iterator[bytes]:
        """The bytes of a made export's file, in parts of at most 1 MiB."""
        offset = 0
        while part := self._ask("export_part", name, number, offset):
            yield part
            offset += len(part)

    def status(self) -> dict[str, Any]:
        """How far the index and the forwarding are."""
        found: dict[str, Any] = self._ask("status")
        return found

    def _ask(self, method: str, *arguments: object) -> Any:
        self._ticket += 1
        try:
            self._socket.sendall(frame(msgspec.msgpack.encode([self._ticket, method, list(arguments)])))
            while True:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise AuditUnavailable("the audit process closed the connection")
                for payload in self._frames.take(data):
                    ticket, made, value = msgspec.msgpack.decode(payload, type=tuple[int, bool, Any])
                    if ticket != self._ticket:
                        continue
                    if not made:
                        raise AuditRefused(value)
                    return value
        except OSError as error:
            raise AuditUnavailable("the audit process does not answer") from error
