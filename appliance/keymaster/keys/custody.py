"""What backup and restore need of the key ledger: a key by its name and owner, and that one was restored."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from appliance.errors import NotFound
from appliance.keymaster.context import Room
from appliance.keymaster.keys.backups import BackedUpKey


class KeyRow(NamedTuple):
    token: str
    cka_id: bytes
    label: str
    purpose: str
    scheme: str
    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    state: str
    for_backup: bool


_COLUMNS = ", ".join(KeyRow._fields)


def find_key(room: Room, tenant: str | None, name: str) -> KeyRow:
    """The key of a tenant, or of the box, by its name. Raises NotFound."""
    found = room.journal.connection.execute(
        f"SELECT {_COLUMNS} FROM keys WHERE tenant IS ? AND label = ? ORDER BY state = 'destroyed', number",  # noqa: S608
        (tenant, name),
    ).fetchone()
    if found is None:
        raise NotFound(f"there is no key {name}")
    return KeyRow(*found)


_COMES_BACK_AS: Final = (
    "CASE WHEN state <> 'destroyed' THEN state WHEN compromised IS NULL THEN 'pre-active' ELSE 'compromised' END"
)


def note_restored(room: Room, tenant: str | None, token: str, key: BackedUpKey, public_key: bytes) -> None:
    """Mark a key as restored, its state kept; one that the ledger does not have yet, on this token, is added to it.

    A key that this box never had, or destroyed, comes without a state to keep: it is pre-active, and activated by a
    ceremony; one that was compromised before it was destroyed is compromised."""
    identifier = bytes.fromhex(key.id)
    with room.journal.transaction() as connection:
        changed = connection.execute(
            f"UPDATE keys SET restored = 1, state = {_COMES_BACK_AS} WHERE token = ? AND cka_id = ?",  # noqa: S608
            (token, identifier),
        ).rowcount
        if changed:
            return
        known = connection.execute(
            "INSERT INTO keys (token, cka_id, label, purpose, scheme, tenant, public_key, state, proposal, step, made,"
            " until, signature_limit, applications, for_backup, restored, certificates, compromised, because,"
            " activation, ends, changed)"
            " SELECT ?, cka_id, label, purpose, scheme, tenant, public_key, state, proposal, step, made, until,"
            " signature_limit, applications, for_backup, 1, certificates, compromised, because, activation, ends,"
            " changed FROM keys WHERE tenant IS ? AND cka_id = ? AND public_key = ?"
            " ORDER BY state = 'destroyed' LIMIT 1",
            (token, tenant, identifier, public_key),
        ).rowcount
        if known:
            return
        connection.execute(
            "INSERT INTO keys (token, cka_id, label, purpose, scheme, tenant, public_key, state, made, applications,"
            " for_backup, restored, certificates) VALUES (?, ?, ?, ?, ?, ?, ?, 'pre-active', ?, ?, 1, 1, ?)",
            (token, identifier, key.name, key.purpose, key.scheme, tenant, public_key, time.time_ns() // 1000,
             b"[]", b"[]"),
        )  # fmt: skip
