"""Changes of the register, sent over the administrator's socket, and what they leave in the logs.

Each change of the register is one transaction: the register's tables and an administrative record, which is the next
leaf of the log it is about: the tenant's for applications, certificates, keys and quotas, the box's own (BOX_LOG) for
tenants. Its record has kind "administration" and its body is msgpack [salt, record, b""] in clear, for the recorder
holds no tenant's content key.

Once the box has officers it is governed: what gives power then comes from the keymaster alone, and names the proposal
that decided it (control QUORUM), and so does what takes power away for ever. What can be undone stays an
administrator's too.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Literal

import msgspec

from appliance.errors import BadRequest, Conflict
from appliance.letter_limits.files import digest
from appliance.record import RECORD_ID_BYTES, SALT_BYTES, commitment, new_record_id
from appliance.recorder.errors import Governed, Unknown
from appliance.recorder.messages import BOX_LOG, Count, Entry, KeyState, Query
from appliance.recorder.terms import SetIssuing, SetLetterTerms, set_issuing, set_terms
from appliance.store import rows, usage
from appliance.tree_hash import TreeHash

State = Literal["active", "suspended", "revoked"]
CertificateState = Literal["held", "revoked", "released"]
NAME_LIMIT = 64
GOVERNED = "governed"
"""The flag of a box that has officers."""
CEREMONY_LIMIT = 4 * 1024 * 1024
"""Largest record and artifact of a ceremony's entry, in bytes together."""


class EnrolTenant(msgspec.Struct, array_like=True, frozen=True, tag="enrol-tenant"):
    ticket: int
    tenant: str
    ceremony: str = ""
    """Digest of the proposal that decided it, hexadecimal; so too in the other changes."""


class EnrolApplication(msgspec.Struct, array_like=True, frozen=True, tag="enrol-application"):
    """Add an application, or give it other permissions."""

    ticket: int
    tenant: str
    application: str
    permissions: list[str]
    ceremony: str = ""


class EnrolCertificate(msgspec.Struct, array_like=True, frozen=True, tag="enrol-certificate"):
    ticket: int
    tenant: str
    application: str
    certificate: bytes
    """SHA-256 of the whole certificate."""
    not_before: Count
    not_after: Count
    """Seconds since the epoch."""
    ceremony: str = ""


class SetState(msgspec.Struct, array_like=True, frozen=True, tag="set-state"):
    """Suspend, resume or revoke a tenant, an application of it, or a certificate (the most exact one given)."""

    ticket: int
    state: State
    tenant: str
    application: str | None = None
    certificate: bytes | None = None
    ceremony: str = ""


class SetKeyState(msgspec.Struct, array_like=True, frozen=True, tag="set-key-state"):
    """What a tenant's key may do from now on, everywhere. The same again changes nothing and leaves no record.

    `until`, `limit` and `applications` are taken with state "active" only: a key that is stopped keeps what it had.
    A compromised key never comes back."""

    ticket: int
    tenant: str
    """Or BOX_LOG for a key of the box's own."""
    key: str
    """Name of a unit or seal key."""
    state: KeyState
    until: Count | None = None
    """Seconds since the epoch, inclusive: end of the cryptoperiod."""
    limit: Count | None = None
    """Signatures in all, those made before too."""
    applications: list[str] = []
    """Those that may use it; empty: every one that the register permits."""
    since: Count | None = None
    """Of a compromised key: seconds since the epoch."""
    ceremony: str = ""


class SetQuota(msgspec.Struct, array_like=True, frozen=True, tag="set-quota"):
    """A tenant's quota a day (UTC); None: no limit. What the day has seen counts. The same again changes nothing."""

    ticket: int
    tenant: str
    signatures: Count | None = None
    stamps: Count | None = None
    storage_bytes: Count | None = None
    ceremony: str = ""


class SetCertificate(msgspec.Struct, array_like=True, frozen=True, tag="set-certificate"):
    """Hold, revoke or release a certificate that one of the box's authorities issued, for the CRLs.

    Also gives the reason where the register has the certificate, whose state there SetState changes."""

    ticket: int
    tenant: str
    """Whose it is, or BOX_LOG."""
    certificate: bytes
    """SHA-256 of the whole certificate."""
    state: CertificateState
    reason: str = ""
    """A reason of appliance.ceremonies.actions.RevokeCertificate."""
    ceremony: str = ""


class Govern(msgspec.Struct, array_like=True, frozen=True, tag="govern"):
    """The box has officers from now on, for ever: see Governed. Safe to say again."""

    ticket: int
    ceremony: str = ""
    """Digest of the first constitution."""
    tenant: str = BOX_LOG


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


Change = (
    EnrolTenant | EnrolApplication | EnrolCertificate | SetState | SetKeyState | SetQuota | SetCertificate | Govern
    | SetLetterTerms | SetIssuing
)  # fmt: skip
AdminCommand = Change | CeremonyEntry | Query


class AdministrativeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a change leaves in a log, as canonical JSON: members in sorted order; ASCII, integers, null."""

    action: str
    """enrol-tenant, enrol-application, enrol-certificate, active, suspended, revoked, set-quota, govern; key- with
    active, suspended, deactivated or compromised; certificate- with held, revoked or released; set-letter-terms;
    issuing- with stopped or resumed."""
    application: str | msgspec.UnsetType = msgspec.UNSET
    applications: list[str] | msgspec.UnsetType = msgspec.UNSET
    ceremony: str | msgspec.UnsetType = msgspec.UNSET
    """Digest of the proposal that decided it."""
    certificate: str | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of the certificate, hexadecimal."""
    digest: str | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of a file of limits or tariffs, hexadecimal."""
    format: str = "cinnabar-administration/1"
    key: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    limit: int | msgspec.UnsetType | None = msgspec.UNSET
    not_after: int | msgspec.UnsetType = msgspec.UNSET
    not_before: int | msgspec.UnsetType = msgspec.UNSET
    permissions: list[str] | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    signatures: int | msgspec.UnsetType | None = msgspec.UNSET
    since: int | msgspec.UnsetType = msgspec.UNSET
    stamps: int | msgspec.UnsetType | None = msgspec.UNSET
    storage_bytes: int | msgspec.UnsetType | None = msgspec.UNSET
    tenant: str
    time: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    until: int | msgspec.UnsetType | None = msgspec.UNSET
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


def check_power(connection: sqlite3.Connection, change: Change, *, keymaster: bool) -> None:
    """Control QUORUM: a governed box takes power from the keymaster only, by a ceremony. Raises Governed."""
    if _gives_power(change) and usage.read_flag(connection, GOVERNED) and not (keymaster and change.ceremony):
        raise Governed("the box has officers: propose it to them")


def _gives_power(change: Change) -> bool:
    """Whether a change gives power, or takes it away for ever where that is the quorum's to decide."""
    if isinstance(change, SetState | SetKeyState):
        return change.state in {"active", "revoked", "compromised"}
    if isinstance(change, SetIssuing):
        return change.state == "resumed"
    return not (isinstance(change, Govern) or (isinstance(change, SetCertificate) and change.state == "held"))


def change_register(connection: sqlite3.Connection, change: Change, now_us: int) -> str | None:
    """Change the tables, in the caller's transaction; returns the log that the change belongs to, None where it changes
    nothing.

    Raises Unknown, Conflict, BadRequest; then nothing was changed."""
    if isinstance(change, Govern):
        if usage.read_flag(connection, GOVERNED):
            return None
        usage.set_flag(connection, GOVERNED, now_us)
        return BOX_LOG
    if isinstance(change, SetKeyState | SetCertificate) and change.tenant == BOX_LOG:
        tenant: int | None = 0
    else:
        _check_name(change.tenant)
        tenant = rows.tenant_number(connection, change.tenant)
    if isinstance(change, EnrolTenant):
        if tenant is not None:
            raise Conflict(f"tenant {change.tenant} is enrolled")
        made = connection.execute("INSERT INTO tenants (name, state) VALUES (?, 'active')", (change.tenant,))
        rows.add_box(connection, int(made.lastrowid or 0))
        return BOX_LOG
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
    if isinstance(change, SetKeyState):
        return _set_key_state(connection, tenant, change, now_us)
    if isinstance(change, SetQuota):
        wanted = (change.signatures, change.stamps, change.storage_bytes)
        if usage.read_quotas(connection).get(tenant, (None, None, None)) == wanted:
            return None
        usage.write_quota(connection, tenant, *wanted)
        return change.tenant
    if isinstance(change, SetCertificate):
        return _set_certificate(connection, tenant, change, now_us)
    if isinstance(change, SetLetterTerms):
        return change.tenant if set_terms(connection, tenant, change, now_us) else None
    if isinstance(change, SetIssuing):
        return change.tenant if set_issuing(connection, tenant, change, now_us) else None
    return _set_state(connection, tenant, change, now_us)


def _set_key_state(connection: sqlite3.Connection, tenant: int, change: SetKeyState, now_us: int) -> str | None:
    if not 0 < len(change.key) <= NAME_LIMIT or not set(change.key) <= set(_NAME + "."):
        raise BadRequest("a key is named by 1 to 64 lower-case letters, digits, dots and hyphens")
    for name in change.applications:
        _check_name(name)
    until, limit, applications = change.until, change.limit, sorted(set(change.applications))
    since = change.since if change.state == "compromised" else None
    before = usage.read_key_state(connection, tenant, change.key)
    if before is not None and before[3] == "compromised" and change.state != "compromised":
        raise Conflict("a compromised key never comes back")
    if change.state != "active":
        until, limit, applications = before[4:7] if before is not None else (None, None, [])
    if before is not None and before[3:8] == (change.state, until, limit, applications, since):
        return None
    usage.write_key_state(connection, tenant, change.key, change.state, until, limit, applications, since, now_us)
    return change.tenant


def _set_certificate(connection: sqlite3.Connection, tenant: int, change: SetCertificate, now_us: int) -> str | None:
    if len(change.certificate) != 32 or len(change.reason) > NAME_LIMIT or not change.reason.isascii():
        raise BadRequest("a certificate is named by its SHA-256, and a reason by its name")
    before = usage.read_revocation(connection, change.certificate)
    if before is not None and before[0] != tenant:
        raise Conflict("the certificate is another tenant's")
    if before is not None and before[1] == "revoked" and change.state != "revoked":
        raise Conflict("a revoked certificate never comes back")
    if before is not None and (before[1] == change.state or before[1] == "revoked"):
        return None
    if before is None and change.state == "released":
        return None
    usage.write_revocation(connection, change.certificate, tenant, change.state, change.reason, now_us)
    return change.tenant


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


def administrative_entry(change: Change, user: int, now_us: int, hashing: TreeHash) -> Entry:
    """The log entry of a change, in a log of this hash."""
    used = change if isinstance(change, SetKeyState) and change.state == "active" else None
    record = AdministrativeRecord(
        action=_action(change),
        applications=msgspec.UNSET if used is None else sorted(set(used.applications)),
        ceremony=change.ceremony or msgspec.UNSET,
        digest=digest(change.document) if isinstance(change, SetLetterTerms) else msgspec.UNSET,
        key=getattr(change, "key", msgspec.UNSET),
        kind=getattr(change, "kind", msgspec.UNSET),
        limit=msgspec.UNSET if used is None else used.limit,
        reason=getattr(change, "reason", "") or msgspec.UNSET,
        signatures=getattr(change, "signatures", msgspec.UNSET),
        since=_or_unset(getattr(change, "since", None)),
        stamps=getattr(change, "stamps", msgspec.UNSET),
        storage_bytes=getattr(change, "storage_bytes", msgspec.UNSET),
        until=msgspec.UNSET if used is None else used.until,
        application=getattr(change, "application", None) or msgspec.UNSET,
        certificate=_hexadecimal(getattr(change, "certificate", None)),
        not_after=getattr(change, "not_after", msgspec.UNSET),
        not_before=getattr(change, "not_before", msgspec.UNSET),
        permissions=sorted(set(change.permissions)) if isinstance(change, EnrolApplication) else msgspec.UNSET,
        tenant=change.tenant,
        time=now_us,
        user=user,
    )
    return clear_entry(record, now_us, hashing)


def _action(change: Change) -> str:
    tag = str(change.__struct_config__.tag)
    prefix = {
        "set-state": "",
        "set-key-state": "key-",
        "set-certificate": "certificate-",
        "set-issuing": "issuing-",
    }.get(tag)
    return tag if prefix is None else f"{prefix}{change.state}"  # type: ignore[union-attr]


def ceremony_entry(command: CeremonyEntry, hashing: TreeHash) -> Entry:
    """The log entry of a ceremony's event, in a log of this hash. Raises BadRequest."""
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
        commitment(command.salt, command.record, hashing),
        body,
    )


def clear_entry(record: msgspec.Struct, now_us: int, hashing: TreeHash) -> Entry:
    """An entry whose body is in clear, msgpack [salt, record, b""], in a log of this hash."""
    canonical = msgspec.json.encode(record)
    salt = os.urandom(SALT_BYTES)
    body = msgspec.msgpack.encode([salt, canonical, b""])
    return Entry(new_record_id(now_us), "administration", "", now_us, commitment(salt, canonical, hashing), body)


def _or_unset(value: int | None) -> int | msgspec.UnsetType:
    return msgspec.UNSET if value is None else value


def _hexadecimal(value: bytes | None) -> str | msgspec.UnsetType:
    return msgspec.UNSET if value is None else value.hex()


_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-"


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_LIMIT or not set(name) <= set(_NAME):
        raise BadRequest("a name has 1 to 64 lower-case letters, digits and hyphens")
