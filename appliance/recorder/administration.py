"""Changes of the register, sent over the administrator's socket, and what they leave in the logs.

Each change of the register is one transaction: the register's tables and an administrative record, which is the next
leaf of the log it is about: the tenant's for applications and certificates, the box's own (BOX_LOG) for tenants. Its
record has kind "administration" and its body is msgpack [salt, record, b""] in clear, for the recorder holds no
tenant's content key.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Literal

import msgspec

from appliance.errors import BadRequest, Conflict
from appliance.record import RECORD_ID_BYTES, SALT_BYTES, commitment, new_record_id
from appliance.recorder.errors import Unknown
from appliance.recorder.messages import BOX_LOG, Count, Entry, Query
from appliance.store import rows

State = Literal["active", "suspended", "revoked"]
NAME_LIMIT = 64
CEREMONY_LIMIT = 4 * 1024 * 1024
"""Largest record and artifact of a ceremony's entry, in bytes together."""


class EnrolTenant(msgspec.Struct, array_like=True, frozen=True, tag="enrol-tenant"):
    ticket: int
    tenant: str


class EnrolApplication(msgspec.Struct, array_like=True, frozen=True, tag="enrol-application"):
    """Add an application, or give it other permissions."""

    ticket: int
    tenant: str
    application: str
    permissions: list[str]


class EnrolCertificate(msgspec.Struct, array_like=True, frozen=True, tag="enrol-certificate"):
    ticket: int
    tenant: str
    application: str
    certificate: bytes
    """SHA-256 of the whole certificate."""
    not_before: Count
    not_after: Count
    """Seconds since the epoch."""


class SetState(msgspec.Struct, array_like=True, frozen=True, tag="set-state"):
    """Suspend, resume or revoke a tenant, an application of it, or a certificate (the most exact one given)."""

    ticket: int
    state: State
    tenant: str
    application: str | None = None
    certificate: bytes | None = None


class CeremonyEntry(msgspec.Struct, array_like=True, frozen=True, tag="ceremony-entry"):
    """What the keymaster puts on record of a ceremony: the next leaf of a log, body msgpack [salt, record, artifact].

    Id, time and salt are the keymaster's own and the same whenever it asks again: an entry that is on record is found,
    not written twice, and another one under its id is refused (RecordIdTaken). Answered with its leaf index."""

    ticket: int
    log: str
    """A tenant, or BOX_LOG."""
    record_id: bytes
    """22 bytes, begins with milliseconds since the epoch as appliance.record.new_record_id's."""
    event: str
    """What happened, for people; the record says it exactly."""
    time: Count
    """Microseconds since the epoch."""
    salt: bytes
    record: bytes
    """Canonical JSON."""
    artifact: bytes = b""
    """The document that the record names by its digest, or nothing."""


Change = EnrolTenant | EnrolApplication | EnrolCertificate | SetState
AdminCommand = Change | CeremonyEntry | Query


class AdministrativeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a change leaves in a log, as canonical JSON: members in sorted order, ASCII texts and integers only."""

    action: str
    """enrol-tenant, enrol-application, enrol-certificate, active, suspended, revoked."""
    application: str | msgspec.UnsetType = msgspec.UNSET
    certificate: str | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of the certificate, hexadecimal."""
    format: str = "cinnabar-administration/1"
    not_after: int | msgspec.UnsetType = msgspec.UNSET
    not_before: int | msgspec.UnsetType = msgspec.UNSET
    permissions: list[str] | msgspec.UnsetType = msgspec.UNSET
    tenant: str
    time: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    user: int
    """Numeric user id of the process that asked, as the socket shows it."""


class SegmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the export of a sealed segment leaves in the box's own log, as canonical JSON."""

    action: Literal["segment-exported"] = "segment-exported"
    digest: str
    """SHA-256 of the segment's file, hexadecimal."""
    first_sequence: int
    format: str = "cinnabar-segment-record/1"
    last_sequence: int
    number: int
    time: int


def change_register(connection: sqlite3.Connection, change: Change, now_us: int) -> str:
    """Change the tables, in the caller's transaction; returns the log that the change belongs to.

    Raises Unknown, Conflict, BadRequest; then nothing was changed."""
    _check_name(change.tenant)
    if isinstance(change, EnrolTenant):
        if rows.tenant_number(connection, change.tenant) is not None:
            raise Conflict(f"tenant {change.tenant} is enrolled")
        connection.execute("INSERT INTO tenants (name, state) VALUES (?, 'active')", (change.tenant,))
        return BOX_LOG
    tenant = rows.tenant_number(connection, change.tenant)
    if tenant is None:
        raise Unknown(f"tenant {change.tenant} is not enrolled")
    if isinstance(change, EnrolApplication):
        _check_name(change.application)
        connection.execute(
            """INSERT INTO applications (tenant, name, permissions, state) VALUES (?,?,?,'active')
               ON CONFLICT (tenant, name) DO UPDATE SET permissions = excluded.permissions""",
            (tenant, change.application, rows.pack(sorted(set(change.permissions)))),
        )
        return change.tenant
    if isinstance(change, EnrolCertificate):
        return _enrol_certificate(connection, tenant, change, now_us)
    return _set_state(connection, tenant, change, now_us)


def _enrol_certificate(connection: sqlite3.Connection, tenant: int, change: EnrolCertificate, now_us: int) -> str:
    application = rows.application_number(connection, tenant, change.application)
    if application is None:
        raise Unknown(f"application {change.application} is not enrolled")
    if len(change.certificate) != 32 or change.not_before > change.not_after:
        raise BadRequest("a certificate is named by its SHA-256 and has a validity")
    # A certificate belongs to one application for ever: a revoked one never comes back under another name.
    if connection.execute("SELECT 1 FROM certificates WHERE digest = ?", (change.certificate,)).fetchone():
        raise Conflict("the certificate is enrolled")
    connection.execute(
        "INSERT INTO certificates VALUES (?,?,?,?,'active',?)",
        (change.certificate, application, change.not_before, change.not_after, now_us),
    )
    return change.tenant


def _set_state(connection: sqlite3.Connection, tenant: int, change: SetState, now_us: int) -> str:
    if change.certificate is not None:
        if change.application is None:
            raise BadRequest("a certificate is named together with its application")
        application = rows.application_number(connection, tenant, change.application)
        where: tuple[str, tuple[object, ...]] = (
            "certificates SET changed = ?, state = ? WHERE digest = ? AND application = ?",
            (now_us, change.state, change.certificate, application),
        )
    elif change.application is not None:
        where = (
            "applications SET state = ? WHERE tenant = ? AND name = ?",
            (change.state, tenant, change.application),
        )
    else:
        where = ("tenants SET state = ? WHERE number = ?", (change.state, tenant))
    statement, arguments = where
    # What is revoked stays revoked (and revoking it again changes nothing).
    changed = connection.execute(f"UPDATE {statement} AND state <> 'revoked'", arguments)
    if changed.rowcount == 0:
        raise Unknown("there is no such thing in the register, or it is revoked")
    return change.tenant if change.application is not None else BOX_LOG


def administrative_entry(change: Change, user: int, now_us: int) -> Entry:
    """The log entry of a change."""
    record = AdministrativeRecord(
        action=change.state if isinstance(change, SetState) else change.__struct_config__.tag,  # type: ignore[arg-type]
        application=getattr(change, "application", None) or msgspec.UNSET,
        certificate=_hexadecimal(getattr(change, "certificate", None)),
        not_after=getattr(change, "not_after", msgspec.UNSET),
        not_before=getattr(change, "not_before", msgspec.UNSET),
        permissions=sorted(set(change.permissions)) if isinstance(change, EnrolApplication) else msgspec.UNSET,
        tenant=change.tenant,
        time=now_us,
        user=user,
    )
    return clear_entry(record, now_us)


def ceremony_entry(command: CeremonyEntry) -> Entry:
    """The log entry of a ceremony's event. Raises BadRequest."""
    if len(command.record_id) != RECORD_ID_BYTES or len(command.salt) != SALT_BYTES or not command.record:
        raise BadRequest(f"a record id has {RECORD_ID_BYTES} bytes and a salt {SALT_BYTES}")
    if len(command.record) + len(command.artifact) > CEREMONY_LIMIT:
        raise BadRequest(f"an entry of a ceremony has at most {CEREMONY_LIMIT} bytes")
    body = msgspec.msgpack.encode([command.salt, command.record, command.artifact])
    return Entry(
        command.record_id,
        "ceremony",
        command.event[:NAME_LIMIT],
        command.time,
        commitment(command.salt, command.record),
        body,
    )


def clear_entry(record: AdministrativeRecord | SegmentRecord, now_us: int) -> Entry:
    """An entry whose body is in clear: msgpack [salt, record, b""]."""
    canonical = msgspec.json.encode(record)
    salt = os.urandom(SALT_BYTES)
    body = msgspec.msgpack.encode([salt, canonical, b""])
    return Entry(new_record_id(now_us), "administration", "", now_us, commitment(salt, canonical), body)


def _hexadecimal(value: bytes | None) -> str | msgspec.UnsetType:
    return msgspec.UNSET if value is None else value.hex()


def _check_name(name: str) -> None:
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789-"
    if not 0 < len(name) <= NAME_LIMIT or not set(name) <= set(allowed):
        raise BadRequest("a name has 1 to 64 lower-case letters, digits and hyphens")
