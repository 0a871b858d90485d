"""Keys and certificates by scope: states, attributes, what is left of their time and number, and the next ceremony."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response

from appliance.ceremonies import BOX
from appliance.errors import CinnabarError, NotFound, Unavailable
from appliance.keymaster.answers import ShownCertificate, ShownKey
from mgmt_service.access import Access, Area
from mgmt_service.dispatch import Context, url_with
from mgmt_service.downloads import download
from mgmt_service.owners import OF_OWNER, owner_of, scope_of
from mgmt_service.roles import EVERYONE, OFFICERS

area = Area("keys")
DAY = 86_400
READ = Access(roles=EVERYONE, scope=OF_OWNER)
ENDED = frozenset({"destroyed", "retired"})


class Step(msgspec.Struct, frozen=True):
    """A ceremony that can follow: `what` is a name that the page has a word for."""

    what: str
    link: str
    at_once: bool = False
    """One officer's word is enough."""


class KeyLine(msgspec.Struct, frozen=True):
    """A key in the list."""

    name: str
    owner: str
    scope: str
    purpose: str
    scheme: str
    state: str
    in_use: bool
    days_left: int | None
    """Of its cryptoperiod."""
    signatures: int | None
    limit: int | None
    certificate_days: int | None
    certificate_state: str
    restored: bool


class Owner(msgspec.Struct, frozen=True):
    owner: str
    scope: str
    keys: list[KeyLine]
    may_make: bool
    make: str
    """Where a ceremony that makes a key begins."""


class Keys(msgspec.Struct, frozen=True):
    owners: list[Owner]
    now: int


class Key(msgspec.Struct, frozen=True):
    """One key."""

    key: ShownKey
    owner: str
    line: KeyLine
    attributes: dict[str, bool | None]
    """As the token tells them now; None: it does not tell."""
    weaknesses: list[str]
    token_error: str
    """Why the token told nothing; empty where it did."""
    chain: list[ChainLine]
    steps: list[Step]


class ChainLine(msgspec.Struct, frozen=True):
    certificate: ShownCertificate
    days_left: int
    steps: list[Step]


@area.read("/keys", access=Access(roles=EVERYONE), gives=Keys, template="keys/list.html")
def keys(context: Context) -> Keys:
    """The keys of the viewer's scopes: state, cryptoperiod, signatures, certificate."""
    scopes = sorted(context.viewer.scopes())
    found = _inventory(context, scopes)
    tokens = {tenant.name: tenant.token for tenant in context.services.settings().tenants}
    owners = []
    for scope in scopes:
        owner = owner_of(scope)
        lines = [_line(one) for one in found if one.scope == scope]
        make = (
            "/ceremonies/new/free?add=generate-key&add=create-authority"
            if scope == BOX
            else url_with("/ceremonies/new/seal-key", **{"shared.tenant": owner, "shared.token": tokens.get(owner, "")})
        )
        owners.append(Owner(owner, scope, lines, context.viewer.has(OFFICERS, scope), make))
    return Keys(owners, int(time.time()))


def _inventory(context: Context, scopes: list[str]) -> list[ShownKey]:
    told = context.services.desk.call(lambda client: client.inventory(scopes))
    return msgspec.convert(told, list[ShownKey])


def _line(key: ShownKey) -> KeyLine:
    now = time.time()
    own = key.chain[0] if key.chain else None
    return KeyLine(
        name=key.name,
        owner=owner_of(key.scope),
        scope=key.scope,
        purpose=key.purpose,
        scheme=key.scheme,
        state=key.state,
        in_use=key.in_use,
        days_left=None if key.until is None else int((key.until - now) // DAY),
        signatures=key.signatures,
        limit=key.limit,
        certificate_days=None if own is None else int((own.not_after - now) // DAY),
        certificate_state=own.state if own is not None else "",
        restored=bool(key.restored),
    )


def _find(context: Context, owner: str, name: str) -> ShownKey:
    for key in _inventory(context, [scope_of(owner)]):
        if key.name == name:
            return key
    raise NotFound("there is no such key")


@area.read("/keys/<owner>/<key>", access=READ, gives=Key, template="keys/show.html")
def one_key(context: Context, owner: str, key: str) -> Key:
    """One key: its attributes as the token tells them now, its certificates, and what can follow."""
    found = _find(context, owner, key)
    attributes: dict[str, Any] = {}
    error = ""
    if found.state not in ENDED:
        try:
            attributes = context.services.desk.call(lambda client: client.key_attributes(found.token, found.key_uri))
        except Unavailable:
            raise
        except CinnabarError as refused:
            error = str(refused) or refused.title
    weaknesses = attributes.pop("weaknesses", [])
    deciding = context.viewer.has(OFFICERS, found.scope)
    now = time.time()
    return Key(
        key=found,
        owner=owner,
        line=_line(found),
        attributes=attributes,
        weaknesses=weaknesses,
        token_error=error,
        chain=[
            ChainLine(
                one,
                int((one.not_after - now) // DAY),
                certificate_steps(owner, one) if deciding and number == 0 else [],
            )
            for number, one in enumerate(found.chain)
        ],
        steps=key_steps(owner, found) if deciding else [],
    )


@area.read("/keys/<owner>/<key>/certificate", access=READ, gives=bytes)
def certificate(context: Context, owner: str, key: str) -> Response:
    """A key's certificate and its chain, PEM."""
    found = _find(context, owner, key)
    if not found.chain:
        raise NotFound("the key has no certificate")
    return download("".join(one.pem for one in found.chain).encode(), f"{found.name}.pem")


def free(tag: str, owner: str, **members: str) -> str:
    """Where a ceremony of one action begins, filled in."""
    tenant = "" if owner_of(BOX) == owner else owner
    return url_with(
        "/ceremonies/new/free",
        **{"add": tag, "actions.0.tenant": tenant, **{f"actions.0.{name}": value for name, value in members.items()}},
    )


def successor(name: str) -> str:
    """What a key's successor may be called: seal-1 after seal, seal-3 after seal-2."""
    found = re.fullmatch(r"(.*?)-([0-9]{1,6})", name)
    stem, number = (found[1], int(found[2]) + 1) if found else (name, 2)
    return f"{stem[:56]}-{number}"


def key_steps(owner: str, key: ShownKey) -> list[Step]:
    """What officers may do with a key in its state, the usual first. What counts is what the keymaster finds."""
    tenant = "" if owner == owner_of(BOX) else owner
    shared = {"shared.tenant": tenant, "shared.token": key.token, "shared.key": key.name}
    made = "active" if key.state == "active" and key.in_use else key.state
    steps: list[Step] = []
    if made == "active" and key.purpose in {"seal", "stamp"}:
        following = {"shared.successor": successor(key.name), "actions.0.purpose": key.purpose}
        following |= {"actions.0.scheme": key.scheme, "actions.1.authority": _authority(key)}
        steps.append(Step("rotate", url_with("/ceremonies/new/rotate-a-key", **shared, **following)))
    if made == "active" and key.purpose == "release":
        following = {"shared.successor": successor(key.name)}
        steps.append(Step("rotate", url_with("/ceremonies/new/rotate-a-release-key", **shared, **following)))
    if made == "active" and key.purpose == "log":
        given = {"actions.0.tenant": tenant, "actions.0.token": key.token, "actions.0.key": successor(key.name)}
        given |= {"actions.0.scheme": key.scheme, "actions.0.purpose": "log", "actions.1.tenant": tenant}
        given |= {"actions.1.key": key.name, "actions.1.successor": successor(key.name), "actions.1.overlap_hours": "1"}
        steps.append(Step("rotate", f"/ceremonies/new/free?add=generate-key&add=rotate-key&{urlencode(given)}"))
    if made == "active" and key.purpose == "authority":
        given = {"actions.0.token": key.token, "actions.0.purpose": "authority", "actions.0.scheme": key.scheme}
        given |= {"actions.0.key": successor(key.name), "actions.1.key": successor(key.name)}
        link = f"/ceremonies/new/free?add=generate-key&add=create-authority&{urlencode(given)}"
        steps.append(Step("another-authority", link))
    if key.state == "pre-active":
        steps.append(Step("certify", free("issue-certificate", owner, key=key.name)))
        if key.purpose != "release":
            steps.append(Step("request", free("request-certificate", owner, key=key.name)))
        steps.append(Step("import", free("import-certificate", owner, key=key.name)))
        steps.append(Step("activate", free("activate-key", owner, key=key.name)))
    if key.for_backup and key.state in {"active", "pre-active", "suspended"}:
        filled = {"actions.0.tenant": tenant, "actions.0.keys": key.name}
        steps.append(Step("back-up", url_with("/ceremonies/new/back-up-keys", **filled)))
    if key.state in {"suspended", "deactivated"}:
        steps.append(Step("resume", free("resume-key", owner, key=key.name)))
    if key.state == "active":
        link = url_with("/ceremonies/new/suspend-key", **{"actions.0.tenant": tenant, "actions.0.key": key.name})
        steps.append(Step("suspend", link, at_once=True))
    if key.state in {"active", "suspended", "pre-active"}:
        steps.append(Step("deactivate", free("deactivate-key", owner, key=key.name), at_once=True))
    if key.state in {"deactivated", "compromised"} and key.purpose == "release":
        named = {"actions.0.tenant": tenant, "actions.0.key": key.name, "actions.0.public_key": key.public_key}
        steps.append(Step("destroy", url_with("/ceremonies/new/destroy-a-release-key", **named)))
    elif key.state in {"deactivated", "compromised"}:
        steps.append(Step("destroy", free("destroy-key", owner, key=key.name, public_key=key.public_key)))
    if key.state in {"active", "suspended", "deactivated", "pre-active"}:
        steps.append(Step("compromised", free("declare-compromised", owner, key=key.name)))
    return steps


def _authority(key: ShownKey) -> str:
    return {"seal": "seal-ca", "stamp": "tsa-ca"}.get(key.purpose, "")


def certificate_steps(owner: str, shown: ShownCertificate) -> list[Step]:
    if shown.issuer == shown.subject:
        return []  # nobody is above a root: it is taken out of the trust bundle
    match shown.state:
        case "in-force":
            return [
                Step("hold", free("hold-certificate", owner, certificate=shown.digest), at_once=True),
                Step("revoke", free("revoke-certificate", owner, certificate=shown.digest)),
            ]
        case "held":
            return [
                Step("release", free("release-certificate", owner, certificate=shown.digest)),
                Step("revoke", free("revoke-certificate", owner, certificate=shown.digest)),
            ]
        case _:
            return []
