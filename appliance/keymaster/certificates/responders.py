"""The keys that answer for authorities (RFC 6960, section 4.2.2.2): put to use, found again, and taken out of use.

A responder's key is certified by the authority that it answers for; which one that is follows from its certificate.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

import hsm
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings, ResponderSettings
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.ownership import write_chain
from appliance.keymaster.keys.states import KeyStateRefused


def is_responder(responder: ResponderSettings | None, key: LedgerKey) -> bool:
    """Whether an authority's responder is this key, by id or by label."""
    if responder is None or responder.token != key.token:
        return False
    uri = hsm.Pkcs11Uri.parse(responder.key_uri)
    return (uri.id is not None and uri.id == key.cka_id) or (uri.id is None and uri.object == key.label)


def responder_key(room: Room, authority: CertificateAuthoritySettings) -> LedgerKey | None:
    """The ledger's key behind an authority's responder; None where it has none, or an older ledger does not know it."""
    keys = (key for key in room.ledger.keys(None) if key.purpose == "ocsp" and key.state != "destroyed")
    return next((key for key in keys if is_responder(authority.responder, key)), None)


def answered_for(room: Room, key: LedgerKey) -> CertificateAuthoritySettings:
    """The authority that certified a responder's key. Raises KeyStateRefused."""
    for encoded in key.certificates[:1]:
        own = x509.load_der_x509_certificate(encoded)
        for authority in room.settings.authorities:
            issuer = x509.load_pem_x509_certificate((room.home.root / authority.certificate).read_bytes())
            with contextlib.suppress(ValueError, TypeError, InvalidSignature):
                own.verify_directly_issued_by(issuer)
                return authority
    raise KeyStateRefused("the key has no certificate by an authority of the box yet")


def check_place(room: Room, authority: CertificateAuthoritySettings, *welcome: str | None) -> None:
    """An authority has one responder in use. `welcome`: the key that comes, and the one that it is rotated with.

    Raises KeyStateRefused."""
    present = responder_key(room, authority)
    if present is not None and present.state == "active" and present.label not in welcome:
        raise KeyStateRefused(f"{authority.name} has the responder {present.label} in use: rotate it")


async def answer_for(ctx: ExecutionContext, key: LedgerKey, instead_of: str | None) -> dict[str, str]:
    """Let a key answer for its authority; again changes nothing. Answers are made in the rounds that follow."""
    authority = answered_for(ctx.room, key)
    check_place(ctx.room, authority, key.label, instead_of)
    entry = ResponderSettings(
        token=key.token,
        key_uri=key.uri,
        scheme=key.scheme,
        certificate=write_chain(ctx.home, key.label, key.certificates),
    )
    await ctx.room.change_settings(lambda settings: _with(settings, lambda one: one.name == authority.name, entry))
    return {"authority": authority.name}


async def answer_no_more(room: Room, key: LedgerKey) -> None:
    """Take a responder out of the settings, and what it signed out of what is served; another one signs all anew."""
    own = [authority.name for authority in room.settings.authorities if is_responder(authority.responder, key)]
    if not own:
        return
    await room.change_settings(lambda settings: _with(settings, lambda one: is_responder(one.responder, key), None))
    for name in own:
        shutil.rmtree(room.home.ocsp / name, ignore_errors=True)


def _with(
    settings: BoxSettings, chosen: Callable[[CertificateAuthoritySettings], bool], responder: ResponderSettings | None
) -> BoxSettings:
    authorities = [
        msgspec.structs.replace(one, responder=responder) if chosen(one) else one for one in settings.authorities
    ]
    return msgspec.structs.replace(settings, authorities=authorities)
