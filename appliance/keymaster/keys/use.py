"""A key's way out of use: the register, which acts at once, and the settings, which the whole box goes over to."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from cryptography import x509

from appliance.box.settings import BoxSettings
from appliance.errors import Conflict
from appliance.keymaster.certificates.responders import answer_no_more
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import Activation, LedgerKey
from appliance.keymaster.keys.log_entries import is_entry_of
from appliance.keymaster.keys.log_keys import log_of, verifier_of
from appliance.keymaster.keys.release_keys import without_release_key
from appliance.keymaster.keys.states import KeyState
from appliance.recorder.admin import AdminClient
from appliance.recorder.messages import BOX_LOG, LOG_KEY

RegisteredState = Literal["active", "suspended", "deactivated", "compromised"]
REGISTERED: Final[dict[KeyState, RegisteredState]] = {
    "active": "active",
    "suspended": "suspended",
    "deactivated": "deactivated",
    "compromised": "compromised",
}
"""States that the recorder's register knows; a key in another one is in no settings."""


async def set_register(room: Room, key: LedgerKey, state: KeyState, ceremony: str) -> None:
    """Have recorder and workers hold a key to its state, its cryptoperiod, limit and applications."""
    told = REGISTERED.get(state)
    if told is None:
        return
    if key.purpose in {"authority", "ocsp"} or (key.purpose == "log" and state == "active"):
        await _set_housekeeping(room, key, told, ceremony)
        return
    if key.purpose not in {"seal", "stamp", "release"} or key.tenant is None:
        return  # the box's own processes use the others, by the settings; a log key first leaves those

    def change(admin: AdminClient) -> None:
        admin.set_key_state(
            key.tenant or BOX_LOG,
            key.label,
            told,
            until=None if key.until is None or state != "active" else key.until // 1_000_000,
            limit=key.signature_limit if state == "active" else None,
            applications=key.applications if state == "active" else None,
            since=None if key.compromised is None else key.compromised // 1_000_000,
            ceremony=ceremony,
        )

    await room.administer(change)


async def _set_housekeeping(room: Room, key: LedgerKey, state: RegisteredState, ceremony: str) -> None:
    """Have the recorder take or refuse rows that a key of an authority, a responder or a log signed."""
    name = key.label
    if key.purpose == "log":
        name = f"{LOG_KEY}{verifier_of(key, log_of(room.settings, key.tenant)).key_id.hex()}"
    since = None if key.compromised is None or state != "compromised" else key.compromised // 1_000_000
    await room.administer(lambda admin: admin.set_key_state(BOX_LOG, name, state, since=since, ceremony=ceremony))


def is_served(settings: BoxSettings, key: LedgerKey) -> bool:
    """Whether the settings name a unit or seal key in this very token: its copy in a standby is not what they name."""
    units = key.purpose == "stamp" and any(one.name == key.label and one.token == key.token for one in settings.units)
    seals = key.purpose == "seal" and any(
        one.name == key.label and one.token == key.token for one in settings.seal_keys
    )
    held = [one for tenant in settings.tenants for one in tenant.release_keys]
    releases = key.purpose == "release" and any((one.name, one.token) == (key.label, key.token) for one in held)
    return units or seals or releases


async def forget_in_settings(room: Room, key: LedgerKey) -> None:
    """Take a unit, seal key, responder or release key out of the settings, so that no process looks for it."""
    if key.purpose == "stamp":
        await room.change_settings(
            lambda s: msgspec.structs.replace(s, units=[unit for unit in s.units if unit.name != key.label])
        )
    elif key.purpose == "seal":
        await room.change_settings(
            lambda s: msgspec.structs.replace(s, seal_keys=[one for one in s.seal_keys if one.name != key.label])
        )
    elif key.purpose == "ocsp":
        await answer_no_more(room, key)
    elif key.purpose == "release":
        await room.change_settings(lambda settings: without_release_key(settings, key))


async def forget_authority(room: Room, key: LedgerKey) -> None:
    """Take an authority whose key is about to be destroyed out of the settings. One that is merely stopped stays there
    and makes CRLs; of this one the entry and the last CRL stay in the trust bundle."""
    await room.change_settings(
        lambda s: msgspec.structs.replace(s, authorities=[one for one in s.authorities if one.name != key.label])
    )


def is_fronts_authority(room: Room, key: LedgerKey) -> bool:
    """Whether an authority's key certifies the TLS front and the applications."""
    front = x509.load_pem_x509_certificate((room.home.trust / "box-ca.pem").read_bytes())
    return any(x509.load_der_x509_certificate(der) == front for der in key.certificates[:1])


def may_leave_log(room: Room, key: LedgerKey) -> bool:
    """Whether another key of the log goes on signing."""
    others = [one for one in room.ledger.keys(key.tenant) if one.purpose == "log" and one.number != key.number]
    return any(one.state == "active" for one in others)


async def leave_use(room: Room, key: LedgerKey) -> None:
    """Out of the settings; of a log key, from the head that is signed now on. Again changes nothing."""
    if key.purpose != "log":
        await forget_in_settings(room, key)
        return
    await _leave_log(room, key)
    # Only now: the follower goes on with the log's other keys, and this one's heads are taken no more.
    await _set_housekeeping(room, key, "deactivated", "")


async def _leave_log(room: Room, key: LedgerKey) -> None:
    if not may_leave_log(room, key):
        raise Conflict("the log has no other key: rotate it first")
    log_settings = next(one for one in room.settings.logs if one.tenant == key.tenant)
    mine = next((one for one in log_settings.keys if is_entry_of(one, key)), None)
    if mine is None or mine.until_size is not None:
        return
    head = await room.connected().query("head", log_settings.origin)
    size = 0 if head is None else int(head[0])

    def change(settings: BoxSettings) -> BoxSettings:
        logs = [
            msgspec.structs.replace(
                one,
                keys=[
                    msgspec.structs.replace(entry, until_size=size)
                    if is_entry_of(entry, key) and entry.until_size is None
                    else entry
                    for entry in one.keys
                ],
            )
            if one.tenant == key.tenant
            else one
            for one in settings.logs
        ]
        return msgspec.structs.replace(settings, logs=logs)

    await room.change_settings(change)
    if key.activation.entry.get("origin") == log_settings.origin:  # else the settings say it, of a log that was renewed
        room.ledger.set_activation(key, Activation(entry={**key.activation.entry, "last_size": size}))
