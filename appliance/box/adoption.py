"""What may change of a running box's settings: rules without I/O.

Keys, units, logs, tenants, tokens and limits come and go while the box runs; who runs as whom, what the processes find
in their environment, which code they load and what the box is called never do. So whoever could make the keymaster ask
for other settings could still not make a process of another user load a library of his own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

import msgspec

import hsm
from appliance.box.settings import (
    BoxSettings,
    CertificateAuthoritySettings,
    LogKeySettings,
    ResponderSettings,
    SealKeySettings,
    TenantSettings,
    TokenSettings,
    UnitSettings,
)
from appliance.box.witnesses import WitnessesRefused, read_witnesses
from appliance.errors import BadRequest

CHANGEABLE: Final = frozenset(
    {"tokens", "tenants", "units", "seal_keys", "logs", "witnesses", "authorities", "federations", "limits", "records"},
)
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z")


class AdoptionRefused(BadRequest):
    """Settings that a running box does not take over."""

    code = "settings-refused"
    title = "The box does not take over these settings"


def check_adoption(current: BoxSettings, following: BoxSettings) -> None:
    """Whether a box with the settings `current` may go on with `following`. Raises AdoptionRefused."""
    for name in BoxSettings.__struct_fields__:
        if name not in CHANGEABLE and getattr(current, name) != getattr(following, name):
            raise AdoptionRefused(f"{name} never changes while the box runs")
    if current.records.archive != following.records.archive:
        raise AdoptionRefused("the archive of records stays where it is while the box runs")
    check_settings(following)
    known = {_module(uri) for token in current.tokens for uri in _uris(token)}
    for token in following.tokens:
        if {_module(uri) for uri in _uris(token)} - known:
            raise AdoptionRefused(f"token {token.name}: its module is none that the box uses already")
    _check_kept(current, following)


def _check_kept(current: BoxSettings, following: BoxSettings) -> None:
    """Whose key, token or log something is never changes: it goes, and another one comes."""
    tokens = {token.name: token.uri for token in current.tokens}
    for token in following.tokens:
        if tokens.get(token.name, token.uri) != token.uri:
            raise AdoptionRefused(f"token {token.name} is another one than before")
    tenants = {tenant.name: _held(tenant) for tenant in current.tenants}
    for tenant in following.tenants:
        if tenants.get(tenant.name, _held(tenant)) != _held(tenant):
            raise AdoptionRefused(f"tenant {tenant.name} is another one than before")
    named = {tenant.name for tenant in current.tenants if tenant.organisation is not None}
    if any(tenant.name in named and tenant.organisation is None for tenant in following.tenants):
        raise AdoptionRefused("a tenant that has a registered name keeps one")
    unique = _uniqueness_keys(current)
    for scope, key in _uniqueness_keys(following).items():
        if unique.get(scope, key) != key:
            # What was claimed under the key before would be found no more (control ONCE).
            raise AdoptionRefused(f"the uniqueness key of {scope} is another one than before")
    owners = {log.origin: log.tenant for log in current.logs}
    for log in following.logs:
        if owners.get(log.origin, log.tenant) != log.tenant:
            raise AdoptionRefused(f"the log {log.origin} is another tenant's")
    lines = {log.origin: (log.base, log.ended) for log in current.logs}
    for log in following.logs:
        if lines.get(log.origin, (0, [])) != (log.base, log.ended):
            raise AdoptionRefused(f"the log {log.origin} is renewed on a stopped box (cinnabar log renew)")
    missing = owners.keys() - {log.origin for log in following.logs}
    if missing or tenants.keys() - {tenant.name for tenant in following.tenants}:
        raise AdoptionRefused("a tenant and its log never go away")


def _uniqueness_keys(settings: BoxSettings) -> dict[str, tuple[str, str]]:
    """Token and URI by scope."""
    keys = {one.name: (one.token, one.uniqueness_key) for one in settings.tenants if one.uniqueness_key is not None}
    return keys | {f"@{one.name}": (one.token, one.key_uri) for one in settings.federations}


def _held(tenant: TenantSettings) -> tuple[str, str]:
    return tenant.token, tenant.data_key


def check_settings(settings: BoxSettings) -> None:
    """Whether the parts of the settings fit each other: names, references, paths. Raises AdoptionRefused."""
    tokens = _once((token.name for token in settings.tokens), "token")
    tenants = _once((tenant.name for tenant in settings.tenants), "tenant")
    named = [one.name for one in settings.units] + [one.name for one in settings.seal_keys]
    named += [key.name for tenant in settings.tenants for key in tenant.release_keys]
    _once(named, "unit, seal key or release key")
    _once((authority.name for authority in settings.authorities), "authority")
    _once((log.origin for log in settings.logs), "log")
    if not settings.authorities or sum(log.tenant is None for log in settings.logs) != 1:
        raise AdoptionRefused("a box has an authority, and one log of its own")
    every: list[UnitSettings | SealKeySettings] = [*settings.units, *settings.seal_keys]
    for owned in every:
        if owned.tenant not in tenants:
            raise AdoptionRefused(f"{owned.name}: its tenant {owned.tenant} is not in the settings")
    logged = [log.tenant for log in settings.logs if log.tenant is not None]
    if Counter(logged) != Counter(tenants):
        raise AdoptionRefused("every tenant has one log, and every log but the box's a tenant")
    log_keys = [key for log in settings.logs for key in log.keys]
    keyed: list[UnitSettings | SealKeySettings | CertificateAuthoritySettings | LogKeySettings | ResponderSettings]
    keyed = [*settings.units, *settings.seal_keys, *settings.authorities, *log_keys]
    responders = [authority.responder for authority in settings.authorities if authority.responder is not None]
    keyed += responders
    try:
        read_witnesses(settings)
    except WitnessesRefused as error:
        raise AdoptionRefused(str(error)) from None
    _check_letters(settings, tokens, {tenant.token for tenant in settings.tenants} | {key.token for key in keyed})
    for name in [tenant.token for tenant in settings.tenants] + [key.token for key in keyed]:
        if name not in tokens:
            raise AdoptionRefused(f"there is no token {name} in the settings")
    for key in keyed:
        _parse(key.key_uri)
    for path in _paths(settings):
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise AdoptionRefused(f"{path} does not stand in the home")


def _check_letters(settings: BoxSettings, tokens: set[str], used: set[str]) -> None:
    """Whether keys of letters stand on tokens that serve nothing else, and federations are of tenants of this box."""
    tenants = {tenant.name for tenant in settings.tenants}
    _once((federation.name for federation in settings.federations), "federation")
    taken: dict[str, str] = {}
    for owner, where in [
        *((one.name, key.token) for one in settings.tenants for key in one.agreement_keys),
        *(("@", federation.token) for federation in settings.federations),
    ]:
        if where not in tokens:
            raise AdoptionRefused(f"there is no token {where} in the settings")
        if where in used or taken.setdefault(where, owner) != owner:
            raise AdoptionRefused(f"the token {where} has keys of letters and of something else")
    for federation in settings.federations:
        for members in (federation.tenants, federation.institutions):
            if set(members) - tenants or len(set(members)) != len(members):
                raise AdoptionRefused(f"{federation.name}: its members are tenants of this box, each once")
    for _, uri in _uniqueness_keys(settings).values():
        _parse(uri)
    for tenant in settings.tenants:
        for key in tenant.agreement_keys:
            _parse(key.key_uri)


def _paths(settings: BoxSettings) -> Iterable[PurePosixPath]:
    for token in settings.tokens:
        yield PurePosixPath(token.pin_file)
        if token.standby_pin_file is not None:
            yield PurePosixPath(token.standby_pin_file)
    for tenant in settings.tenants:
        yield PurePosixPath(tenant.data_key)
    every: list[UnitSettings | SealKeySettings | CertificateAuthoritySettings]
    every = [*settings.units, *settings.seal_keys, *settings.authorities]
    for certified in every:
        yield PurePosixPath(certified.certificate)
    for tenant in settings.tenants:
        for key in tenant.release_keys:
            yield PurePosixPath(key.certificate)
    for authority in settings.authorities:
        yield PurePosixPath(authority.crl)
        if authority.responder is not None:
            yield PurePosixPath(authority.responder.certificate)


def _once(names: Iterable[str], what: str) -> set[str]:
    counted = Counter(names)
    for name, times in counted.items():
        if times > 1:
            raise AdoptionRefused(f"a {what} stands twice: {name}")
        if what not in {"log"} and not _NAME.match(name):
            raise AdoptionRefused(f"{name!r} is no name of a {what}")
    return set(counted)


def _uris(token: TokenSettings) -> list[str]:
    return [uri for uri in (token.uri, token.standby_uri) if uri is not None]


def _module(uri: str) -> str | None:
    return _parse(uri).module_path


def _parse(uri: str) -> hsm.Pkcs11Uri:
    try:
        return hsm.Pkcs11Uri.parse(uri)
    except hsm.UriError as error:
        raise AdoptionRefused(f"a PKCS#11 URI cannot be read: {error}") from None


def read_adoption(text: bytes) -> BoxSettings:
    """Settings as JSON. Raises AdoptionRefused."""
    try:
        return msgspec.json.decode(text, type=BoxSettings)
    except msgspec.MsgspecError as error:
        raise AdoptionRefused(f"the settings cannot be read: {error}") from None
