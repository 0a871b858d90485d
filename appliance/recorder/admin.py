"""The administrator's side: changes of the register over admin.sock, one at a time, blocking."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from appliance.recorder.administration import (
    AdminCommand,
    CeremonyEntry,
    CertificateState,
    EnrolApplication,
    EnrolCertificate,
    EnrolTenant,
    Govern,
    SetCertificate,
    SetKeyState,
    SetQuota,
    SetState,
    State,
)
from appliance.recorder.errors import RecorderUnavailable, from_code
from appliance.recorder.frames import FrameReader, frame
from appliance.recorder.messages import Answers, KeyState, Query, Refused, Result

_decoder = msgspec.msgpack.Decoder(Answers)


class AdminClient:
    """A connection to the recorder's admin socket; a context manager. Every call is on disk when it returns.

    `ceremony`: digest of the proposal that decided a change, hexadecimal. Where the box has officers, what gives power
    is refused without one (Governed), and from anybody but the keymaster."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._frames = FrameReader()
        self._ticket = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise RecorderUnavailable("the recorder's admin socket does not answer") from error

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def enrol_tenant(self, tenant: str, *, ceremony: str = "") -> None:
        """Raises Conflict when it is enrolled."""
        self._ask(EnrolTenant(self._next(), tenant, ceremony))

    def enrol_application(self, tenant: str, application: str, permissions: list[str], *, ceremony: str = "") -> None:
        """Add an application, or change its permissions: names of units and seal keys, "*" for all of its tenant."""
        self._ask(EnrolApplication(self._next(), tenant, application, permissions, ceremony))

    def enrol_certificate(
        self, tenant: str, application: str, certificate: bytes, not_before: int, not_after: int, *, ceremony: str = ""
    ) -> None:
        """`certificate`: SHA-256 of the whole certificate; times in seconds since the epoch."""
        self._ask(EnrolCertificate(self._next(), tenant, application, certificate, not_before, not_after, ceremony))

    def set_state(
        self,
        state: State,
        tenant: str,
        application: str | None = None,
        certificate: bytes | None = None,
        *,
        ceremony: str = "",
    ) -> None:
        """Suspend, resume ("active") or revoke a tenant, an application or a certificate, at once everywhere."""
        self._ask(SetState(self._next(), state, tenant, application, certificate, ceremony))

    def set_key_state(
        self,
        tenant: str,
        key: str,
        state: KeyState,
        *,
        until: int | None = None,
        limit: int | None = None,
        applications: list[str] | None = None,
        since: int | None = None,
        ceremony: str = "",
    ) -> None:
        """What a key may do from now on: see administration.SetKeyState. Times in seconds since the epoch.

        Raises Conflict for a compromised key that is to be another thing."""
        names = applications or []
        self._ask(SetKeyState(self._next(), tenant, key, state, until, limit, names, since, ceremony))

    def set_quota(
        self,
        tenant: str,
        *,
        signatures: int | None = None,
        stamps: int | None = None,
        storage_bytes: int | None = None,
        ceremony: str = "",
    ) -> None:
        """A tenant's quota a day (UTC); None: no limit."""
        self._ask(SetQuota(self._next(), tenant, signatures, stamps, storage_bytes, ceremony))

    def set_certificate(
        self, tenant: str, certificate: bytes, state: CertificateState, reason: str = "", *, ceremony: str = ""
    ) -> None:
        """Hold, revoke or release an issued certificate, for the CRLs: see administration.SetCertificate."""
        self._ask(SetCertificate(self._next(), tenant, certificate, state, reason, ceremony))

    def govern(self, constitution: str = "") -> None:
        """Say that the box has officers, for ever; `constitution`: digest of the first one."""
        self._ask(Govern(self._next(), constitution))

    def ceremony_entry(
        self, log: str, record_id: bytes, event: str, time: int, salt: bytes, record: bytes, artifact: bytes = b""
    ) -> int:
        """Put an event of a ceremony on record, once: see administration.CeremonyEntry. Returns its leaf index.

        Raises RecordIdTaken when something else is on record under its id."""
        leaf: int = self._ask(CeremonyEntry(self._next(), log, record_id, event, time, salt, record, artifact))
        return leaf

    def query(self, name: str, *arguments: object) -> Any:
        """A read, as RecorderClient.query."""
        return self._ask(Query(self._next(), name, list(arguments)))

    def _next(self) -> int:
        self._ticket += 1
        return self._ticket

    def _ask(self, command: AdminCommand) -> Any:
        try:
            self._socket.sendall(frame(msgspec.msgpack.encode(command)))
            while True:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise RecorderUnavailable("the recorder closed the connection")
                for payload in self._frames.take(data):
                    for answer in _decoder.decode(payload).answers:
                        if answer.ticket != command.ticket:
                            continue
                        if isinstance(answer, Refused):
                            raise from_code(answer.code, answer.detail)
                        return answer.value if isinstance(answer, Result) else getattr(answer, "first_index", None)
        except OSError as error:
            raise RecorderUnavailable("the recorder does not answer") from error
