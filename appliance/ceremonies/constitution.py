"""The constitution: who the officers are, of which scope, and how many of them decide. A chain of documents.

Rules of succession (control QUORUM), held by `check_constitution`, `affected_scopes` and `newcomers`:

1. A document is whole: every officer of a scope is a person of it; nobody stands twice; a credential belongs to one
   person only, and so does a public key, however it is encoded or certified; a scope has at least one officer more than
   its threshold, for a requester never counts.
2. A version follows the one before by number and by digest; the box, and rehearsal, never change.
3. A scope's part changes only by that scope's quorum, and a person's entry only by the quorums of all scopes that the
   person serves: the box's officers cannot put another key into a tenant officer's hand.
4. The box's quorum adds scopes and changes the rules of approval; a scope is never taken away.
5. Whoever is new to a scope, has a credential that is new in any part of it, or another key for backup shares, has
   accepted the version that says so (`newcomers`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from appliance.ceremonies.canonical import Base64, Digest, Identifier, Instant, Name, Text, digest, encode
from appliance.ceremonies.cose import cose_public_key
from appliance.ceremonies.errors import DocumentRefused, StatementRefused, SuccessionRefused
from appliance.certificate_reading import CertificateUnreadable, certified_key

BOX = "box"
TENANT = "tenant/"
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN_CHARACTERS = 253
# The last label is no number, in whatever notation: browsers read such a name as an address (WHATWG URL, section 3.5).
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\Z){_LABEL}")
_ORIGIN = re.compile(rf"https://((?:{_LABEL}\.)*{_LABEL})(?::[1-9][0-9]{{0,4}})?")

ScopeName = Annotated[str, msgspec.Meta(pattern=r"\A(?:box|tenant/[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)\Z")]
"""`box`, or `tenant/NAME`."""
Count = Annotated[int, msgspec.Meta(ge=1, le=100)]
LONGEST_HOURS = 24 * 7


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Credential(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person approves with, and nothing else: a passkey of the approval origin, or a card's certificate."""

    kind: Literal["passkey", "card"]
    id: str
    """passkey: the credential id, base64url without padding; card: SHA-256 of the certificate, hexadecimal."""
    public_key: Base64
    """passkey: the COSE key; card: the X.509 certificate, DER."""
    model: str = ""
    """passkey: the authenticator's AAGUID in its text form; card: free text."""
    backup_eligible: bool = False
    """Whether the passkey may be copied to other devices (WebAuthn level 3, flag BE)."""
    rp_id: str = ""
    """passkey: the relying party id that it was made for."""


class Person(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Name
    name: Text
    credentials: list[Credential]
    card_decryption: Base64 = ""
    """SubjectPublicKeyInfo (RSA) that backup shares for this person are encrypted to; empty: shown on the console."""


class Recovery(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second roster for when the quorum is lost; what it decides waits in public, and the quorum can stop it."""

    officers: list[Name]
    threshold: Count
    waiting_hours: Annotated[int, msgspec.Meta(ge=24, le=24 * 90)]


class Scope(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ScopeName
    officers: list[Name]
    threshold: Count
    """Distinct officers of this scope, beside the requester, that must approve."""
    recovery: Recovery | None = None


class ApprovalRules(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What approvals must look like, for the whole box."""

    rp_id: str
    """The WebAuthn relying party id: a domain name, approve.<box name>."""
    origins: list[str]
    """Origins that an assertion may come from, exactly."""
    models: list[str] = []
    """AAGUIDs that may be enrolled; empty: any, in rehearsal only."""
    attestation_roots: list[Base64] = []
    """Certificates (DER) of makers of authenticators. Where any stand here, a passkey is enrolled only if its maker's
    attestation leads to one; else a model is the browser's word, in rehearsal only."""
    backup_eligible: bool = False
    """Whether passkeys that can be copied are taken; in rehearsal only."""
    longest_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = LONGEST_HOURS
    """Longest time from a proposal's making to its expiry."""


class Constitution(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-constitution/1"] = "cinnabar-constitution/1"
    box: Identifier
    rehearsal: bool
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    previous: Digest | None
    """Of the version before; None in version 1."""
    issued: Instant
    rules: ApprovalRules
    persons: list[Person]
    scopes: list[Scope]

    @property
    def digest(self) -> str:
        return digest(encode(self))

    def scope(self, name: str) -> Scope | None:
        return next((scope for scope in self.scopes if scope.name == name), None)

    def person(self, identifier: str) -> Person | None:
        return next((person for person in self.persons if person.id == identifier), None)


def key_digest(credential: Credential) -> str:
    """SHA-256, hexadecimal, of the key itself (SubjectPublicKeyInfo, DER), however it is encoded or certified: one key
    is one person's. Of the bytes as they stand where they hold no key that counts; nobody can sign by those."""
    try:
        data = base64.b64decode(credential.public_key, validate=True)
    except (binascii.Error, ValueError):
        data = credential.public_key.encode()
    with contextlib.suppress(StatementRefused, CertificateUnreadable):
        data = cose_public_key(data) if credential.kind == "passkey" else certified_key(data)
    return hashlib.sha256(data).hexdigest()


def tenant_scope(tenant: str) -> str:
    return f"{TENANT}{tenant}"


def check_constitution(document: Constitution) -> None:
    """Rule 1, and that production is strict. Raises DocumentRefused."""
    _once([person.id for person in document.persons], "person")
    credentials = [credential for person in document.persons for credential in person.credentials]
    _once([credential.id for credential in credentials], "credential")
    _once([key_digest(credential) for credential in credentials], "public key")
    _once([scope.name for scope in document.scopes], "scope")
    known = {person.id for person in document.persons}
    for scope in document.scopes:
        _once(scope.officers, f"officer of {scope.name}")
        _check_roster(scope.name, scope.officers, known)
        if scope.threshold >= len(scope.officers):
            raise DocumentRefused(f"{scope.name}: the requester never counts, so {scope.threshold} approvals need more")
        if scope.recovery is not None:
            _once(scope.recovery.officers, f"recovery officer of {scope.name}")
            _check_roster(scope.name, scope.recovery.officers, known)
            if scope.recovery.threshold >= len(scope.recovery.officers):
                raise DocumentRefused(f"{scope.name}: the recovery roster is smaller than its threshold needs")
    if document.scope(BOX) is None:
        raise DocumentRefused("the box has no officers")
    for person in document.persons:
        if not person.credentials:
            raise DocumentRefused(f"{person.id} has no credential")
    if (document.version == 1) is not (document.previous is None):
        raise DocumentRefused("the first version, and no other, follows none")
    _check_rules(document, credentials)


def _check_roster(scope: str, officers: list[str], known: set[str]) -> None:
    strangers = sorted(set(officers) - known)
    if strangers:
        raise DocumentRefused(f"{scope} names {', '.join(strangers)}, who is no person of this constitution")


def check_rules(rules: ApprovalRules, rehearsal: bool) -> None:
    """Whether rules can hold on a box; production is strict. Raises DocumentRefused."""
    if not rules.origins or _DOMAIN.fullmatch(rules.rp_id) is None or len(rules.rp_id) > _DOMAIN_CHARACTERS:
        raise DocumentRefused("approvals need a domain name as relying party, and an origin")
    for origin in rules.origins:
        host = _ORIGIN.fullmatch(origin)
        if host is None or not f".{host[1]}".endswith(f".{rules.rp_id}"):
            raise DocumentRefused(
                "an origin is https://NAME or https://NAME:PORT, its name the relying party's or below"
            )
    if not rehearsal and (rules.backup_eligible or not rules.models or not rules.attestation_roots):
        raise DocumentRefused("outside rehearsal, models and their makers are listed and copyable passkeys refused")


def _check_rules(document: Constitution, credentials: list[Credential]) -> None:
    rules = document.rules
    check_rules(rules, document.rehearsal)
    for credential in credentials:
        if credential.kind != "passkey":
            continue
        if credential.rp_id != rules.rp_id:
            raise DocumentRefused("a passkey was made for another relying party")
        if rules.models and credential.model not in rules.models:
            raise DocumentRefused(f"authenticators of model {credential.model} are not permitted")
        if credential.backup_eligible and not rules.backup_eligible:
            raise DocumentRefused("passkeys that can be copied are not permitted")


def _once(values: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise DocumentRefused(f"a {what} stands twice: {value[:80]}")
        seen.add(value)


def affected_scopes(current: Constitution, following: Constitution) -> frozenset[str]:
    """The scopes whose quorums must all approve this succession (rules 2 to 4).

    Raises SuccessionRefused, DocumentRefused where no quorum could."""
    check_constitution(following)
    if following.version != current.version + 1 or following.previous != current.digest:
        raise SuccessionRefused("it does not follow the version in force")
    if (following.box, following.rehearsal) != (current.box, current.rehearsal):
        raise SuccessionRefused("the box and rehearsal never change")
    before = {part.name: part for part in current.scopes}
    after = {part.name: part for part in following.scopes}
    if before.keys() - after.keys():
        raise SuccessionRefused("a scope is never taken away")
    found = {name for name in before if after[name] != before[name]}
    for identifier in {person.id for person in (*current.persons, *following.persons)}:
        if current.person(identifier) != following.person(identifier):
            found |= {part.name for part in current.scopes if identifier in everyone(part)}
    if not found or after.keys() - before.keys() or following.rules != current.rules:
        found.add(BOX)
    return frozenset(found)


def newcomers(current: Constitution | None, following: Constitution) -> frozenset[str]:
    """Rule 5: persons who must themselves have signed: new to a scope, or with a new credential or key for shares."""
    found: set[str] = set()
    for scope in following.scopes:
        before = current.scope(scope.name) if current is not None else None
        found |= everyone(scope) - (everyone(before) if before is not None else frozenset())
    for person in following.persons:
        known = current.person(person.id) if current is not None else None
        # The whole credential: an authenticator chooses its ids, and can choose another's.
        if (
            known is None
            or set(person.credentials) - set(known.credentials)
            or person.card_decryption != known.card_decryption
        ):
            found.add(person.id)
    return frozenset(found)


def everyone(scope: Scope) -> frozenset[str]:
    """Officers of both rosters of a scope."""
    return frozenset(scope.officers) | frozenset(scope.recovery.officers if scope.recovery else ())
