"""The audit process as the service uses it: one connection a thread, each call in the name of whoever is signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from appliance.audit.client import AuditClient
from appliance.calls.client import Kept

Answer = TypeVar("Answer")


class Audit:
    """Calls to the audit process: `audit.call("ann", lambda client: client.entries("demo"))`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._kept = Kept(AuditClient, socket)

    def call(self, person: str, ask: Callable[[AuditClient], Answer]) -> Answer:
        """Ask in a person's name. Raises AuditUnavailable, and what the audit process refuses by."""

        def named(client: AuditClient) -> Answer:
            client.person = person
            return ask(client)

        return self._kept.call(named)

    def file(self, person: str, export: str, number: int) -> Iterator[bytes]:
        """The bytes of an export's file."""
        return self._stream(person, lambda client: client.export_file(export, number))

    def table(self, person: str, tenant: str, run: str) -> Iterator[bytes]:
        """Every verdict of an intake run as CSV."""
        return self._stream(person, lambda client: client.intake_table(tenant, run))

    def _stream(self, person: str, ask: Callable[[AuditClient], Iterator[bytes]]) -> Iterator[bytes]:
        """Over a connection of its own, which a slow reader may keep. The first part is read before this returns, so
        that what is not there is refused and not cut short."""
        client = AuditClient(self._socket, person)
        parts = ask(client)
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
