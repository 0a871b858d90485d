"""Values of proposals in one language: how officers read names, numbers, keys and certificates. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from appliance.ceremonies.actions import PARTY, ApprovalTier
from appliance.ceremonies.constitution import BOX, TENANT, Constitution, Credential, Person, Scope
from appliance.ceremonies.explain_texts import EMPTY, LABELS, MEANINGS, WORDS, Pair
from appliance.ceremonies.proposal import AuditHead, ScopeQuorum, digest_words
from appliance.certificate_reading import read_certificate
from appliance.quoting import escape, quote

Language = Literal["en", "zh-Hans"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-Hans")

_WORD_LISTS: dict[Language, Literal["english", "chinese_simplified"]] = {
    "en": "english",
    "zh-Hans": "chinese_simplified",
}
_WRITTEN = frozenset(
    ("title", "reason", "common_name", "organisation", "because", "finding", "version", "common_name_pattern", "origin")
)
"""Members whose text a person wrote freely."""


_CERTIFICATES = frozenset(("chain", "attestation_roots", "sign_certificates", "witness_authorities"))
"""Members that are lists of certificates."""


@dataclass(frozen=True)
class Fact:
    """A member and its value."""

    label: str
    value: str


class Voice:
    """Values in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.index = LANGUAGES.index(language)

    def pick(self, pair: Pair) -> str:
        return pair[self.index]

    def say(self, word: str, **values: object) -> str:
        text = self.pick(WORDS[word])
        return text.format(**values) if values else text

    def quote(self, text: str) -> str:
        return quote(text, longest=None)

    def join(self, texts: list[str]) -> str:
        return self.say("separator").join(texts)

    def names(self, names: list[str]) -> str:
        return self.say("comma").join(names)

    def owner(self, tenant: str | None) -> str:
        return self.say("box") if tenant is None else self.say("tenant", name=self.quote(tenant))

    def scope(self, name: str) -> str:
        return self.owner(None if name == BOX else name.removeprefix(TENANT)).strip()

    def person(self, person: Person | None) -> str:
        return "" if person is None else self.say("person", name=self.quote(person.name), id=person.id)

    def requester(self, identifier: str, current: Constitution | None) -> str:
        person = current.person(identifier) if current is not None else None
        return identifier if person is None else self.say("requester", name=self.quote(person.name), id=identifier)

    def fact(self, name: str, value: str) -> Fact:
        return Fact(self.pick(LABELS.get(name, (name, name))), value)

    def facts(self, part: msgspec.Struct) -> list[Fact]:
        """Every member of a part, each a fact."""
        names = [field.name for field in msgspec.structs.fields(type(part))]
        return [self.fact(name, self.value(name, getattr(part, name))) for name in names]

    def named(self, name: str, value: Any) -> str:
        """A value inside a sentence: texts in quotation marks."""
        return self.quote(value) if isinstance(value, str) else self.value(name, value)

    def values(self, name: str, value: Any) -> list[str]:
        """A list of parts as one value each; anything else as one."""
        if isinstance(value, list) and value and (isinstance(value[0], msgspec.Struct) or name == "chain"):
            return [self.value("certificate" if name == "chain" else name, one) for one in value]
        return [self.value(name, value)]

    def value(self, name: str, value: Any) -> str:
        match value:
            case None:
                return self.say("first") if name == "previous" else self.say("unlimited")
            case bool():
                return self.say("yes" if value else "no")
            case int():
                return str(value)
            case [] | "":
                return self.pick(EMPTY.get(name, WORDS["none"]))
            case list() if name in _CERTIFICATES:
                return self.join([self.certificate(one) for one in value])
            case list():
                return self.names([self.value(name, one) for one in value])
            case ScopeQuorum():
                return self.say("approvals", scope=self.scope(value.scope), threshold=value.threshold)
            case AuditHead():
                return self.say("log", origin=self.quote(value.origin), size=value.size, root=value.root)
            case ApprovalTier():
                return self.tier(value)
            case str():
                return self.text(name, value)
        return self.quote(str(value))

    def text(self, name: str, value: str) -> str:
        if (name, value) in MEANINGS:
            return f"{value}{self.say('colon')}{self.pick(MEANINGS[name, value])}"
        if name == "permissions" and value.startswith(PARTY):
            party = value.removeprefix(PARTY)
            said = self.say("every_party") if party == "*" else self.say("one_party")
            return f"{value}{self.say('colon')}{said}"
        if name in {"certificate", "encrypt_certificate"} and len(value) != 64:
            return self.certificate(value)
        if name in _WRITTEN:
            return self.quote(value)
        return escape(value, longest=None)

    def pair(self, name: str, value: str) -> str:
        text = sha256_of(value) if value else self.value(name, value)
        return f"{self.pick(LABELS[name])}{self.say('colon')}{text}"

    def tier(self, tier: ApprovalTier) -> str:
        return self.say(
            "tier",
            up_to=self.value("up_to", tier.up_to),
            currency=tier.currency,
            threshold=tier.threshold,
            approvers=self.names(tier.approvers) or self.say("none"),
            order=self.say("in_order" if tier.in_order else "any_order"),
        )

    def rosters(self, scope: Scope) -> list[str]:
        first = self.say("roster", officers=self.names(scope.officers), threshold=scope.threshold)
        recovery = scope.recovery
        if recovery is None:
            return [first, self.say("no_recovery")]
        officers, hours = self.names(recovery.officers), recovery.waiting_hours
        return [first, self.say("recovery_roster", officers=officers, threshold=recovery.threshold, hours=hours)]

    def credential(self, credential: Credential) -> str:
        digest = sha256_of(credential.public_key)
        return self.say(
            credential.kind,
            id=escape(credential.id, longest=None),
            model=self.quote(credential.model) if credential.model else self.value("model", ""),
            rp_id=self.quote(credential.rp_id) if credential.rp_id else self.say("none"),
            copies=self.say("may_be_copied" if credential.backup_eligible else "is_not_copied"),
            digest=digest,
            certificate=self.certificate(credential.public_key) if credential.kind == "card" else "",
            words=self.digest_words(digest),
        )

    def digest_words(self, digest: str) -> str:
        """A digest as words that people compare."""
        return digest_words(digest, _WORD_LISTS[self.language])

    def certificate(self, encoded: str) -> str:
        """A certificate, DER as base64, by its subject, issuer, validity and SHA-256."""
        digest = sha256_of(encoded)
        try:
            found = read_certificate(base64.b64decode(encoded))
            return self.say(
                "certificate",
                subject=self.quote(found.subject.rfc4514_string()),
                issuer=self.quote(found.issuer.rfc4514_string()),
                begin=f"{found.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
                end=f"{found.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                digest=digest,
            )
        except ValueError:
            return self.say("unreadable", digest=digest)


def sha256_of(encoded: str) -> str:
    """Of the bytes that the base64 text stands for; of the text itself where it is none."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = encoded.encode()
    return hashlib.sha256(data).hexdigest()
