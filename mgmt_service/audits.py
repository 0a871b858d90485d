"""The audit process as the service uses it: one connection a thread, each call in the name of whoever is signed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from appliance.audit.client import AuditClient
from appliance.audit.errors import AuditUnavailable

Answer = TypeVar("Answer")


class Audit:
    """Calls to the audit process: `audit.call("ann", lambda client: client.entries("demo"))`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._local = threading.local()

    def call(self, person: str, ask: Callable[[AuditClient], Answer]) -> Answer:
        """Ask over this thread's connection, and once more over a new one if that was lost.

        Raises AuditUnavailable, and what the audit process refuses by."""
        kept: AuditClient | None = getattr(self._local, "client", None)
        if kept is not None:
            kept.person = person
            try:
                return ask(kept)
            except AuditUnavailable:
                self.close()
        self._local.client = AuditClient(self._socket, person)
        try:
            return ask(self._local.client)
        except AuditUnavailable:
            self.close()
            raise

    def file(self, person: str, export: str, number: int) -> Iterator[bytes]:
        """The bytes of an export's file over a connection of its own, which a slow reader may keep. The first part is
        read before this returns, so that what is not there is refused and not cut short."""
        client = AuditClient(self._socket, person)
        parts = client.export_file(export, number)
        try:
            first = next(parts, b"")
        except BaseException:
            client.close()
            raise

        def stream() -> Iterator[bytes]:
            try:
                yield first
                yield from parts
            finally:
                client.close()

        return stream()

    def close(self) -> None:
        """Close this thread's connection."""
        kept: AuditClient | None = getattr(self._local, "client", None)
        if kept is not None:
            kept.close()
            self._local.client = None
