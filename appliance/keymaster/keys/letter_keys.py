"""Keys of letters: those that make MACs (uniqueness), and those that open what was veiled.

They sign nothing; the ledger knows them as objects of their token, each by what it makes (hsm.inventory). One that is
gone, or was exchanged, is given up: it leaves the settings, and its letters are refused from then on rather than judged
by another key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

import hsm
from appliance.box.settings import BoxSettings
from appliance.keymaster.context import Room
from appliance.keymaster.keys.comparison import VALUE_DIFFERS, Difference


def is_exchanged(room: Room, token: str, difference: Difference) -> bool:
    """Whether another key of letters stands where one stood, alike in everything but what it makes."""
    if difference.what != "changed" or difference.details != (VALUE_DIFFERS,):
        return False
    if difference.kind == "secret-key":
        return True
    known = room.ledger.by_id(token, bytes.fromhex(difference.id))
    return difference.kind == "private-key" and (known is None or known.purpose == "release")


def objects_of(known: Mapping[bytes, Mapping[str, Any]], gone: Iterable[Difference]) -> list[bytes]:
    """The ledger's objects that stood where others stand now."""
    places = {(one.kind, one.label, one.id) for one in gone}
    return [fingerprint for fingerprint, told in known.items() if (told["kind"], told["label"], told["id"]) in places]


async def give_up(room: Room, token: str, gone: Iterable[Difference]) -> None:
    """Take lost keys out of the settings. Again changes nothing."""
    lost = {(one.label, one.id) for one in gone if one.kind in {"secret-key", "private-key"}}
    if lost and without(room.settings, token, lost) != room.settings:
        await room.change_settings(lambda settings: without(settings, token, lost))


def without(settings: BoxSettings, token: str, lost: Iterable[tuple[str, str]]) -> BoxSettings:
    """The settings without the keys of letters on a token that have these labels or ids (hexadecimal)."""
    labels, ids = {label for label, _ in lost if label}, {bytes.fromhex(one) for _, one in lost if one}

    def is_lost(where: str, uri: str | None) -> bool:
        if where != token or uri is None:
            return False
        named = hsm.Pkcs11Uri.parse(uri)
        return named.object in labels or (named.id is not None and named.id in ids)

    tenants = [
        msgspec.structs.replace(
            tenant,
            uniqueness_key=None if is_lost(tenant.token, tenant.uniqueness_key) else tenant.uniqueness_key,
            release_keys=[key for key in tenant.release_keys if not is_lost(key.token, key.key_uri)],
            message_keys=[key for key in tenant.message_keys if not is_lost(key.token, key.key_uri)],
        )
        for tenant in settings.tenants
    ]
    federations = [one for one in settings.federations if not is_lost(one.token, one.key_uri)]
    return msgspec.structs.replace(settings, tenants=tenants, federations=federations)
