"""The beginning of the ledger: what provisioning had made, written down as it was found, before there are officers.

It happens once a token, as long as the box has no constitution; afterwards nothing is taken over that no ceremony
explains. The record of what was found stands in the log of whose token it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

import hsm
from appliance.box.ledgers import account_of
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings
from appliance.ceremonies.records import CeremonyRecord
from appliance.evidence.bundle import TrustRefused
from appliance.keymaster.actions.certification import authority_role
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import FOUNDING, Activation
from appliance.keymaster.keys.ledger_watch import log_name
from appliance.keymaster.keys.release_keys import SCHEME as RELEASE_SCHEME
from appliance.keymaster.keys.release_keys import public_key_in
from appliance.log import VerifierKey
from hsm.inventory import TokenObject, list_objects
from hsm.public_keys import public_key_der

log = structlog.get_logger("keymaster")


ACCOUNT_SCHEME = "ecdsa-secp256k1-sha256"
"""Of a key that is an account on a chain: its curve; what is signed with it are digests of transactions."""


@dataclass(frozen=True)
class _Used:
    """A key that the settings use."""

    token: str
    label: str
    uri: str
    scheme: str
    purpose: str
    tenant: str | None
    certificate: str | None
    activation: Activation


async def begin_ledger(room: Room) -> None:
    """Begin the ledger of every token that has none, while the box has no constitution. Raises HsmError."""
    if room.constitutions.refusal is not None or room.constitutions.founded:
        return
    begun = room.ledger.tokens()
    for token in room.settings.tokens:
        if token.name not in begun:
            await _begin(room, token.name)


async def _begin(room: Room, name: str) -> None:
    wanted = [used for used in _used(room) if used.token == name]
    objects, found = await asyncio.to_thread(_ask, room, name, wanted)
    now = time.time_ns() // 1000
    subject = hashlib.sha256(f"cinnabar ledger v1\0{room.settings.box_id}\0{name}".encode()).hexdigest()
    facts = {
        "token": name,
        "objects": [one.described() for one in objects],
        "keys": [used.label for used, _, _ in found],
    }
    record = CeremonyRecord(event="ledger-begun", facts=facts, time=now)
    with room.journal.transaction():
        room.recording.keep_in(log_name(room, name), subject, now // 1000, "ledger-begun", record)
        room.ledger.begin(name, objects, now, origin=FOUNDING, step=None)
        for used, cka_id, public in found:
            chain = _chain(room, used)
            activation = used.activation
            if used.purpose == "log" and activation.entry:
                verifier = VerifierKey(str(activation.entry["origin"]), _raw(public))
                activation = Activation(entry={**activation.entry, "key": str(verifier)})
            room.ledger.add_key(
                token=name,
                cka_id=cka_id,
                label=used.label,
                purpose=used.purpose,
                scheme=used.scheme,
                tenant=used.tenant,
                public_key=public_key_der(public),
                made=now,
                state="active",
                certificates=chain,
                activation=activation,
            )
    await room.recording.send(subject)
    log.info("ledger-begun", token=name, objects=len(objects), keys=len(found))


def _ask(room: Room, name: str, wanted: list[_Used]) -> tuple[list[TokenObject], list[tuple[_Used, bytes, Any]]]:
    """Every object, and each used key's id and public key. Blocks."""
    token = room.user_token(name)
    objects = list_objects(token)
    found = []
    for used in wanted:
        uri = hsm.Pkcs11Uri.parse(used.uri)
        private = [
            one
            for one in objects
            if one.kind == "private-key"
            and (uri.id is None or one.id == uri.id)
            and (uri.object is None or one.label == uri.object)
        ]
        if len(private) == 1:
            found.append((used, private[0].id, public_key_in(token, uri, used.scheme)))
        else:
            log.warning("key-not-found", token=name, key=used.label)
    return objects, found


def _used(room: Room) -> list[_Used]:
    settings: BoxSettings = room.settings
    used = [
        _Used(key.token, key.name, key.key_uri, key.scheme, "seal", key.tenant, key.certificate, Activation())
        for key in settings.seal_keys
    ]
    for unit in settings.units:
        policies = list(dict.fromkeys([unit.default_policy, *unit.accepted_policies]))
        activation = Activation(policies=policies, public=unit.public)
        used.append(
            _Used(unit.token, unit.name, unit.key_uri, unit.scheme, "stamp", unit.tenant, unit.certificate, activation)
        )
    for authority in settings.authorities:
        activation = Activation(role=_role(room, authority))
        used.append(
            _Used(
                authority.token,
                authority.name,
                authority.key_uri,
                authority.scheme,
                "authority",
                None,
                authority.certificate,
                activation,
            )
        )
        if authority.responder is not None:
            used.append(
                _Used(
                    authority.responder.token,
                    hsm.Pkcs11Uri.parse(authority.responder.key_uri).object or f"{authority.name}-ocsp",
                    authority.responder.key_uri,
                    authority.responder.scheme,
                    "ocsp",
                    None,
                    authority.responder.certificate,
                    Activation(),
                )
            )
    for tenant in settings.tenants:
        used += [
            _Used(
                key.token, key.name, key.key_uri, RELEASE_SCHEME, "release", tenant.name, key.certificate, Activation()
            )
            for key in tenant.release_keys
        ]
    for ledger in settings.ledgers:
        account = account_of(ledger)
        if account is not None:
            label = hsm.Pkcs11Uri.parse(account.key_uri).object or f"{ledger.name}-account"
            used.append(
                _Used(account.token, label, account.key_uri, ACCOUNT_SCHEME, "account", None, None, Activation())
            )
    for entry in settings.logs:
        for number, log_key in enumerate(entry.keys, 1):
            uri = hsm.Pkcs11Uri.parse(log_key.key_uri)
            label = uri.object or f"{entry.tenant or 'box'}-log-{number}"
            told: dict[str, Any] = {"origin": entry.origin, "key": "", "first_size": log_key.from_size}
            if log_key.until_size is not None:
                told["last_size"] = log_key.until_size
            activation = Activation(entry=told)
            used.append(_Used(log_key.token, label, log_key.key_uri, "ed25519", "log", entry.tenant, None, activation))
    return used


def _role(room: Room, authority: CertificateAuthoritySettings) -> str:
    try:
        return authority_role(room, authority) or ""
    except (FileNotFoundError, TrustRefused):
        return ""


def _raw(public: object) -> bytes:
    return public.public_bytes_raw() if isinstance(public, Ed25519PublicKey) else b""


def _chain(room: Room, used: _Used) -> list[bytes]:
    if used.certificate is None:
        return []
    try:
        pem = (room.home.root / used.certificate).read_bytes()
    except FileNotFoundError:
        log.warning("certificate-not-found", key=used.label)
        return []
    return [certificate.public_bytes(Encoding.DER) for certificate in x509.load_pem_x509_certificates(pem)]
