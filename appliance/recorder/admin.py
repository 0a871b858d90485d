"""The administrator's side: changes of the register over admin.sock, one at a time, blocking."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from appliance.calls.client import Connection
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
from appliance.recorder.messages import Answer, Answers, KeyState, Query, Refused, Result
from appliance.recorder.terms import SetIssuing, SetLetterTerms

_decoder = msgspec.msgpack.Decoder(Answers)


class AdminClient(Connection):
    """A connection to the recorder's admin socket; a context manager. Every call is on disk when it returns.

    `ceremony`: digest of the proposal that decided a change, hexadecimal. Where the box has officers, what gives power
    is refused without one (Governed), and from anybody but the keymaster."""

    unavailable = RecorderUnavailable
    patience = 30.0

    def enrol_tenant(self, tenant: str, *, ceremony: str = "") -> None:
        """Raises Conflict when it is enrolled."""
        self._ask(EnrolTenant(self.next_ticket(), tenant, ceremony))

    def enrol_application(self, tenant: str, application: str, permissions: list[str], *, ceremony: str = "") -> None:
        """Add an application, or change its permissions: names of units and seal keys, "*" for all of its tenant."""
        self._ask(EnrolApplication(self.next_ticket(), tenant, application, permissions, ceremony))

    def enrol_certificate(
        self, tenant: str, application: str, certificate: bytes, not_before: int, not_after: int, *, ceremony: str = ""
    ) -> None:
        """`certificate`: SHA-256 of the whole certificate; times in seconds since the epoch."""
        self._ask(
            EnrolCertificate(self.next_ticket(), tenant, application, certificate, not_before, not_after, ceremony)
        )

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
        self._ask(SetState(self.next_ticket(), state, tenant, application, certificate, ceremony))

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
        self._ask(SetKeyState(self.next_ticket(), tenant, key, state, until, limit, names, since, ceremony))

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
        self._ask(SetQuota(self.next_ticket(), tenant, signatures, stamps, storage_bytes, ceremony))

    def set_letter_terms(self, tenant: str, document: bytes, *, ceremony: str = "") -> None:
        """Put a file of limits or a tariff in force. Raises LimitsRefused, BadRequest."""
        self._ask(SetLetterTerms(self.next_ticket(), tenant, document, ceremony))

    def set_issuing(
        self, tenant: str, kind: str, state: Literal["stopped", "resumed"], reason: str = "", *, ceremony: str = ""
    ) -> None:
        """Stop the issuing of a kind of letters, or let it go on."""
        self._ask(SetIssuing(self.next_ticket(), tenant, kind, state, reason, ceremony))

    def set_certificate(
        self, tenant: str, certificate: bytes, state: CertificateState, reason: str = "", *, ceremony: str = ""
    ) -> None:
        """Hold, revoke or release an issued certificate, for the CRLs: see administration.SetCertificate."""
        self._ask(SetCertificate(self.next_ticket(), tenant, certificate, state, reason, ceremony))

    def govern(self, constitution: str = "") -> None:
        """Say that the box has officers, for ever; `constitution`: digest of the first one."""
        self._ask(Govern(self.next_ticket(), constitution))

    def ceremony_entry(
        self, log: str, record_id: bytes, event: str, time: int, salt: bytes, record: bytes, artifact: bytes = b""
    ) -> int:
        """Put an event of a ceremony on record, once: see administration.CeremonyEntry. Returns its leaf index.

        Raises RecordIdTaken when something else is on record under its id."""
        leaf: int = self._ask(CeremonyEntry(self.next_ticket(), log, record_id, event, time, salt, record, artifact))
        return leaf

    def query(self, name: str, *arguments: object) -> Any:
        """A read, as RecorderClient.query."""
        return self._ask(Query(self.next_ticket(), name, list(arguments)))

    def _ask(self, command: AdminCommand) -> Any:
        def find(payload: bytes) -> Answer | None:
            return next((one for one in _decoder.decode(payload).answers if one.ticket == command.ticket), None)

        answer = self.exchange(msgspec.msgpack.encode(command), find)
        if isinstance(answer, Refused):
            raise from_code(answer.code, answer.detail)
        return answer.value if isinstance(answer, Result) else getattr(answer, "first_index", None)
