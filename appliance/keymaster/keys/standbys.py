"""Which token may stand by for which, and what it can do for it: rules over settings and the ledger, without I/O."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from appliance.box.settings import BoxSettings, TokenSettings
from appliance.errors import Conflict, NotFound
from appliance.keymaster.keys.ledger import KeyLedger, LedgerKey
from appliance.keymaster.keys.ownership import check_unused, first_of, is_boxs, owner_of


@dataclass(frozen=True)
class Pair:
    """A token and the one that stands by for it."""

    first: TokenSettings
    standby: TokenSettings


@dataclass(frozen=True)
class Holdings:
    """What the two of a pair hold."""

    shared: list[tuple[LedgerKey, LedgerKey]]
    """Keys of the first token, each with its copy in the standby."""
    first_only: list[LedgerKey]
    """Keys that wait for the first token while it is gone."""


def find_pair(settings: BoxSettings, tenant: str | None, token: str, standby: str) -> Pair:
    """Two tokens of the box, of which the first is the owner's. One of another owner and one that nobody has are
    refused alike (CHANNEL). Raises NotFound."""
    known = {entry.name: entry for entry in settings.tokens}
    mine = is_boxs(settings, token) if tenant is None else owner_of(settings, token) == tenant
    others = owner_of(settings, standby) not in {None, tenant} or (tenant is not None and is_boxs(settings, standby))
    if token not in known or standby not in known or not mine or others:
        raise NotFound("there is no such token")
    return Pair(known[token], known[standby])


def check_set(settings: BoxSettings, pair: Pair) -> None:
    """Whether the second may be made the standby of the first; again changes nothing. Raises Conflict."""
    first, standby = pair.first, pair.standby
    if first.standby_uri == standby.uri:
        return
    if first.name == standby.name:
        raise Conflict("a token does not stand by for itself")
    if first.standby_uri is not None:
        raise Conflict(f"another token stands by for {first.name}: it is taken out first")
    if first_of(settings, first.name) != first.name or standby.standby_uri is not None:
        raise Conflict("a token that stands by for another has no standby itself")
    check_unused(settings, standby.name)
    if {first.pin_source, standby.pin_source} != {"file"}:
        raise Conflict("the PINs of both tokens stand as files: one that is under lock opens its own token alone")


def check_end(pair: Pair) -> None:
    """Raises Conflict."""
    if pair.first.standby_uri != pair.standby.uri:
        raise Conflict(f"the token {pair.standby.name} does not stand by for {pair.first.name}")


def holdings(ledger: KeyLedger, tenant: str | None, pair: Pair) -> Holdings:
    """What the ledger says that the two hold. Raises NotFound where the second has another owner's keys; Conflict where
    it has no copy of a key of the first, or another key than the first under one name."""
    every = [key for key in ledger.keys(every=True) if key.state != "destroyed"]
    first = [key for key in every if key.token == pair.first.name]
    copies = {(key.cka_id, key.public_key): key for key in every if key.token == pair.standby.name}
    if any(key.tenant != tenant for key in copies.values()):
        raise NotFound("there is no such token")
    names = {key.label: key.public_key for key in first}
    if any(names.get(key.label, key.public_key) != key.public_key for key in copies.values()):
        raise Conflict(f"the token {pair.standby.name} has another key under the name of one of {pair.first.name}")
    shared = [(key, copies[key.cka_id, key.public_key]) for key in first if (key.cka_id, key.public_key) in copies]
    if not shared:
        raise Conflict(f"no key of {pair.first.name} was restored into {pair.standby.name}")
    alone = [key for key in first if (key.cka_id, key.public_key) not in copies]
    return Holdings(shared, alone)


def with_standby(settings: BoxSettings, token: str, standby: TokenSettings | None) -> BoxSettings:
    """The settings in which the token has this standby, or none."""
    uri, pin_file = (standby.uri, standby.pin_file) if standby is not None else (None, None)
    tokens = [
        msgspec.structs.replace(one, standby_uri=uri, standby_pin_file=pin_file) if one.name == token else one
        for one in settings.tokens
    ]
    return msgspec.structs.replace(settings, tokens=tokens)
