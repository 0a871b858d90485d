"""What officers' pages are told of keys and certificates: the ledger, the settings, the register and the token, joined.

Public facts only. Whose pages may show what is the management service's to keep; power comes from none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import hsm
from appliance.box.settings import BoxSettings
from appliance.ceremonies import BOX, digest, tenant_scope
from appliance.errors import NotFound
from appliance.keymaster.context import Room
from appliance.keymaster.registry import answers
from appliance.recorder.messages import BOX_LOG
from hsm import constants as ck
from hsm.policy import KEY_ATTRIBUTES, weaknesses
from hsm.site import key_template

MICROSECONDS = 1_000_000
_TOLD = {
    "made_here": ck.CKA_LOCAL,
    "sensitive": ck.CKA_SENSITIVE,
    "always_sensitive": ck.CKA_ALWAYS_SENSITIVE,
    "extractable": ck.CKA_EXTRACTABLE,
    "never_extractable": ck.CKA_NEVER_EXTRACTABLE,
    "wrap_with_trusted": ck.CKA_WRAP_WITH_TRUSTED,
    "modifiable": ck.CKA_MODIFIABLE,
    "copyable": ck.CKA_COPYABLE,
}


class ShownCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of a chain. Times in seconds since the epoch."""

    digest: str
    """SHA-256 of the whole certificate, hexadecimal."""
    subject: str
    issuer: str
    serial: str
    not_before: int
    not_after: int
    state: str
    """in-force, held or revoked."""
    reason: str
    pem: str


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one scope. Times in seconds since the epoch; None: not said."""

    name: str
    scope: str
    token: str
    key_uri: str
    scheme: str
    purpose: str
    """seal, stamp, log, authority; what the ledger says where it is in no use yet."""
    state: str
    in_use: bool
    made: int | None
    until: int | None
    signatures: int | None
    """Made so far; None where nobody counts by key (logs, authorities)."""
    limit: int | None
    applications: list[str]
    for_backup: bool | None
    restored: bool | None
    compromised: int | None
    because: str
    public_key: str
    """SHA-256 of its SubjectPublicKeyInfo, hexadecimal; empty where neither certificate nor ledger tells it."""
    proposal: str
    chain: list[ShownCertificate]


@answers("inventory")
async def inventory(room: Room, scopes: list[str]) -> list[dict[str, Any]]:
    """The keys of these scopes with their certificates, by scope and name."""
    said = await room.administer(lambda admin: admin.query("key_states"))
    signed = {
        tenant.name: await _signatures(room, tenant.name)
        for tenant in room.settings.tenants
        if tenant_scope(tenant.name) in scopes
    }
    states = await room.administer(lambda admin: admin.query("certificate_states"))
    ledger = _ledger(room)
    register = {(row["tenant"], row["key"]): row for row in said}
    revoked = {bytes(one[0]).hex(): (str(one[2]), str(one[3])) for one in states}
    found = []
    for use in _uses(room.settings, ledger):
        if use["scope"] in scopes:
            owner = BOX_LOG if use["scope"] == BOX else use["scope"].partition("/")[2]
            row = ledger.get((use["scope"], use["name"]), {})
            found.append(_shown(room, use, row, register.get((owner, use["name"]), {}), signed.get(owner), revoked))
    return [msgspec.to_builtins(one) for one in sorted(found, key=lambda one: (one.scope, one.name))]


async def _signatures(room: Room, tenant: str) -> dict[str, int]:
    try:
        counted: dict[str, int] = await room.administer(lambda admin: admin.query("key_signatures", tenant))
    except NotFound:
        return {}
    return counted


def _ledger(room: Room) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest ledger row by scope and name."""
    rows = room.journal.connection.execute("SELECT * FROM keys ORDER BY number")
    names = [column[0] for column in rows.description]
    found = {}
    for row in rows:
        known = dict(zip(names, row, strict=True))
        scope = BOX if known["tenant"] is None else tenant_scope(known["tenant"])
        found[scope, known["label"]] = known
    return found


def _uses(settings: BoxSettings, ledger: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Every key that the settings use, and every other one of the ledger."""
    uses = [
        _use(tenant_scope(one.tenant), one.name, "stamp", one.token, one.key_uri, one.scheme, one.certificate)
        for one in settings.units
    ]
    uses += [
        _use(tenant_scope(one.tenant), one.name, "seal", one.token, one.key_uri, one.scheme, one.certificate)
        for one in settings.seal_keys
    ]
    uses += [
        _use(BOX, one.name, "authority", one.token, one.key_uri, one.scheme, one.certificate)
        for one in settings.authorities
    ]
    for log in settings.logs:
        scope = BOX if log.tenant is None else tenant_scope(log.tenant)
        for key in log.keys:
            label = hsm.Pkcs11Uri.parse(key.key_uri).object or key.name
            uses.append(_use(scope, label, "log", key.token, key.key_uri, "", "", live=key.until_size is None))
    known = {(use["scope"], use["name"]) for use in uses}
    for (scope, name), row in ledger.items():
        if (scope, name) not in known:
            uri = str(hsm.Pkcs11Uri(id=bytes(row["cka_id"])))
            uses.append(_use(scope, name, row["purpose"], row["token"], uri, row["scheme"], "", live=False))
    return uses


def _use(
    scope: str, name: str, purpose: str, token: str, uri: str, scheme: str, certificate: str, *, live: bool = True
) -> dict[str, Any]:
    return {
        "scope": scope, "name": name, "purpose": purpose, "token": token, "uri": uri, "scheme": scheme,
        "certificate": certificate, "live": live,
    }  # fmt: skip


def _shown(
    room: Room,
    use: dict[str, Any],
    row: dict[str, Any],
    said: dict[str, Any],
    signed: dict[str, int] | None,
    revoked: dict[str, tuple[str, str]],
) -> ShownKey:
    chain = _chain(room, use["certificate"], row)
    public = row.get("public_key")
    if public is None and chain:
        public = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    counted = use["purpose"] in {"seal", "stamp"}
    return ShownKey(
        name=use["name"],
        scope=use["scope"],
        token=use["token"],
        key_uri=use["uri"],
        scheme=use["scheme"] or row.get("scheme", ""),
        purpose=use["purpose"],
        state=str(row.get("state") or said.get("state") or ("active" if use["live"] else "retired")),
        in_use=use["live"],
        made=_seconds(row.get("made")),
        until=said.get("until") or _seconds(row.get("until")),
        signatures=(signed or {}).get(use["name"], 0) if counted and signed is not None else None,
        limit=said.get("limit") or row.get("signature_limit"),
        applications=list(said.get("applications") or msgspec.json.decode(row.get("applications") or b"[]")),
        for_backup=bool(row["for_backup"]) if row else None,
        restored=bool(row["restored"]) if row else None,
        compromised=said.get("since") or _seconds(row.get("compromised")),
        because=row.get("because") or "",
        public_key="" if public is None else digest(bytes(public)),
        proposal=row.get("proposal") or "",
        chain=[_certificate(one, revoked) for one in chain],
    )


def _seconds(value: int | None) -> int | None:
    return None if value is None else value // MICROSECONDS


def _chain(room: Room, path: str, row: dict[str, Any]) -> list[x509.Certificate]:
    """The certificates of the settings' file, else of the ledger; none where neither can be read."""
    try:
        if path:
            return _read_chain(room.home.root / path)
        packed = row.get("certificates")
        kept: list[bytes] = msgspec.json.decode(packed, type=list[bytes]) if packed else []
        return [x509.load_der_x509_certificate(one) for one in kept]
    except (OSError, ValueError, msgspec.MsgspecError):
        return []


_READ: dict[Path, tuple[tuple[int, int], list[x509.Certificate]]] = {}


def _read_chain(path: Path) -> list[x509.Certificate]:
    """Read once for as long as the file stays the same."""
    status = path.stat()
    found = _READ.get(path)
    if found is None or found[0] != (status.st_ino, status.st_mtime_ns):
        found = _READ[path] = (
            (status.st_ino, status.st_mtime_ns),
            x509.load_pem_x509_certificates(path.read_bytes()),
        )
    return found[1]


def _certificate(certificate: x509.Certificate, revoked: dict[str, tuple[str, str]]) -> ShownCertificate:
    name = digest(certificate.public_bytes(Encoding.DER))
    state, reason = revoked.get(name, ("in-force", ""))
    return ShownCertificate(
        digest=name,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        state=state,
        reason=reason,
        pem=certificate.public_bytes(Encoding.PEM).decode(),
    )


@answers("key_attributes")
async def key_attributes(room: Room, token: str, uri: str) -> dict[str, Any]:
    """What the token itself says of a key now: its attributes (None: the token does not tell) and weaknesses.

    Raises NotFound, HsmError."""
    opened = await asyncio.to_thread(room.user_token, token)
    return await asyncio.to_thread(_attributes, opened, hsm.Pkcs11Uri.parse(uri))


def _attributes(token: hsm.Token, uri: hsm.Pkcs11Uri) -> dict[str, Any]:
    with token.session() as (cryptoki, session):
        handles: Iterable[int] = cryptoki.find_objects(session, key_template(uri, ck.CKO_PRIVATE_KEY))
        found = list(handles)
        if len(found) != 1:
            raise NotFound("the token has no such key")
        told = cryptoki.get_attributes(session, found[0], KEY_ATTRIBUTES)
    return {
        **{name: told.get(number) for name, number in _TOLD.items()},
        "weaknesses": sorted(one.value for one in weaknesses(told)),
    }
