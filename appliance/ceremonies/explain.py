"""A proposal in plain words, English and Simplified Chinese: what officers read before they sign. Pure.

Complete by construction: whatever member of an action its sentence does not name is listed below the sentence. Text
that somebody wrote is quoted, with every character that could mislead shown as its code point; certificates and keys,
which nobody reads, are shown by their SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import string
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from appliance.ceremonies.actions import (
    PARTY,
    Action,
    AmendConstitution,
    ApprovalTier,
    InstallAdapter,
    InstallKind,
    Quota,
    RegisterSeal,
    SetLetterTerms,
)
from appliance.ceremonies.constitution import BOX, TENANT, Constitution, Credential, Person, Scope
from appliance.ceremonies.explain_texts import EMPTY, LABELS, MEANINGS, SENTENCES, WORDS, Pair
from appliance.ceremonies.proposal import AuditHead, Proposal, ScopeQuorum, digest_words
from appliance.certificate_reading import read_certificate
from appliance.letter_limits import LimitsRefused, TariffFile, read_terms
from appliance.letter_limits.words import describe
from appliance.letters.errors import KindRefused
from appliance.letters.kind import Bilingual, read_kind
from appliance.letters.words import describe_event, describe_field, describe_rules
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


@dataclass(frozen=True)
class Part:
    """One sentence, and what belongs to it."""

    sentence: str
    facts: tuple[Fact, ...]
    rest: tuple[Fact, ...] = ()
    """What stays as it was, where an amendment's changes are told apart."""


@dataclass(frozen=True)
class Explanation:
    """A proposal in one language: who asks for what and who must approve, then each action, then what binds it."""

    language: Language
    summary: Part
    steps: tuple[Part, ...]
    binding: tuple[Fact, ...]

    def text(self) -> str:
        """All of it as lines of plain text."""
        lines: list[str] = [self.summary.sentence, *_lines(self.summary.facts)]
        for number, step in enumerate(self.steps, 1):
            lines += ["", f"{number}. {step.sentence}", *_lines(step.facts + step.rest)]
        return "\n".join([*lines, "", *_lines(self.binding)]) + "\n"


def _lines(facts: tuple[Fact, ...]) -> list[str]:
    return [f"   {fact.label}: {fact.value}" for fact in facts]


def explain(proposal: Proposal, language: Language, current: Constitution | None = None) -> Explanation:
    """The proposal in plain words. With the constitution that it was made under, persons have names, and an amendment
    says what it changes."""
    voice = _Voice(language)
    needed = "alone" if proposal.takes_away else "together"
    quorum = voice.join([voice.value("quorum", part) for part in proposal.quorum])
    mode = voice.fact("mode", voice.value("mode", proposal.mode))
    summary = Part(
        voice.say("ask", requester=voice.requester(proposal.requester, current), title=voice.quote(proposal.title)),
        (
            mode,
            voice.fact("reason", voice.quote(proposal.reason)),
            voice.fact("quorum", voice.say(needed, quorum=quorum)),
            voice.fact("expires", proposal.expires),
        ),
    )
    names = ("requester", "box", "made", "constitution", "audit", "nonce", "format")
    binding = tuple(voice.fact(name, voice.value(name, getattr(proposal, name))) for name in names)
    steps = tuple(_explain_action(voice, action, current) for action in proposal.actions)
    return Explanation(language, summary, steps, binding)


def explain_action(action: Action, language: Language, current: Constitution | None = None) -> Part:
    """One action in plain words."""
    return _explain_action(_Voice(language), action, current)


def _explain_action(voice: _Voice, action: Action, current: Constitution | None) -> Part:
    tag = str(action.__struct_config__.tag)
    template = voice.pick(SENTENCES.get(tag, (tag, tag)))
    members = {field.name: getattr(action, field.name) for field in msgspec.structs.fields(type(action))}
    if isinstance(action, AmendConstitution):
        sentence = template.format(version=action.constitution.version)
        return Part(sentence, *_amendment(voice, action, current))
    named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    if "owner" in named:
        named.add("tenant")
    shown = {name: voice.named(name, members[name]) for name in named & members.keys()}
    if "tenant" in members:
        shown["owner"] = voice.owner(members["tenant"])
    facts: list[Fact] = []
    for name, value in members.items():
        if isinstance(value, Quota):
            facts += voice.facts(value)
        elif isinstance(action, InstallKind) and name == "file":
            facts += voice.kind(value)
        elif isinstance(action, InstallAdapter):
            facts += voice.adapter(value) if name == "adapter" else []
        elif isinstance(action, SetLetterTerms) and name == "terms":
            facts += voice.terms(value)
        elif isinstance(action, RegisterSeal) and name == "image":
            facts += voice.image(value)
        elif name not in named:
            facts += [voice.fact(name, one) for one in voice.values(name, value)]
    return Part(template.format(**shown), tuple(facts))


def _amendment(
    voice: _Voice, action: AmendConstitution, current: Constitution | None
) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """What changes, where that is known, and the whole."""
    new = action.constitution
    whole = (voice.fact("recovery", voice.value("recovery", action.recovery)), *_whole(voice, new))
    if current is None:
        return whole, ()
    changes = _changes(voice, current, new) or [voice.say("nothing_changes")]
    return tuple(Fact(voice.say("changes"), change) for change in changes) + whole[:1], whole[1:]


def _whole(voice: _Voice, new: Constitution) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    for scope in new.scopes:
        facts += [Fact(voice.scope(scope.name), text) for text in voice.rosters(scope)]
    for person in new.persons:
        who = voice.say("person", name=voice.quote(person.name), id=person.id)
        facts += [Fact(who, voice.credential(credential)) for credential in person.credentials]
        facts.append(Fact(who, voice.pair("card_decryption", person.card_decryption)))
    facts += voice.facts(new.rules)
    names = ("version", "previous", "issued", "box", "rehearsal", "format")
    facts += [voice.fact(name, voice.value(name, getattr(new, name))) for name in names]
    return tuple(facts)


def _changes(voice: _Voice, old: Constitution, new: Constitution) -> list[str]:
    found: list[str] = []
    for identifier in sorted({one.id for one in (*old.persons, *new.persons)}):
        before, after = old.person(identifier), new.person(identifier)
        if after is None:
            found.append(voice.say("gone_person", person=voice.person(before)))
        elif before != after:
            word = "new_person" if before is None else "changed_person"
            found.append(voice.say(word, person=voice.person(after)))
            known = before.credentials if before is not None else []
            found += [voice.credential(one) for one in after.credentials if one not in known]
            gone = [one for one in known if one not in after.credentials]
            found += [voice.say("gone_credential", credential=voice.credential(one)) for one in gone]
    for scope in new.scopes:
        was = old.scope(scope.name)
        name = voice.scope(scope.name)
        if was is None:
            found.append(voice.say("new_scope", scope=name))
            found += voice.rosters(scope)
            continue
        found += _roster_changes(voice, name, was.officers, scope.officers, "")
        if was.threshold != scope.threshold:
            found.append(voice.say("threshold_changes", scope=name, before=was.threshold, after=scope.threshold))
        if was.recovery != scope.recovery:
            found.append(voice.say("recovery_changes", scope=name))
            pair = [part.officers if part else [] for part in (was.recovery, scope.recovery)]
            found += _roster_changes(voice, name, pair[0], pair[1], "_recovery")
            found += voice.rosters(scope)[1:]
    if old.rules != new.rules:
        found.append(voice.say("rules_change"))
        pairs = zip(voice.facts(old.rules), voice.facts(new.rules), strict=True)
        found += [
            voice.say("becomes", label=after.label, before=before.value, after=after.value)
            for before, after in pairs
            if before != after
        ]
    return found


def _roster_changes(voice: _Voice, scope: str, before: list[str], after: list[str], which: str) -> list[str]:
    leaving = [voice.say(f"leaves{which}", person=one, scope=scope) for one in before if one not in after]
    return [voice.say(f"joins{which}", person=one, scope=scope) for one in after if one not in before] + leaving


class _Voice:
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
        text = _sha256(value) if value else self.value(name, value)
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
        digest = _sha256(credential.public_key)
        return self.say(
            credential.kind,
            id=escape(credential.id, longest=None),
            model=self.quote(credential.model) if credential.model else self.value("model", ""),
            rp_id=self.quote(credential.rp_id) if credential.rp_id else self.say("none"),
            copies=self.say("may_be_copied" if credential.backup_eligible else "is_not_copied"),
            digest=digest,
            certificate=self.certificate(credential.public_key) if credential.kind == "card" else "",
            words=digest_words(digest, _WORD_LISTS[self.language]),
        )

    def kind(self, file: str) -> list[Fact]:
        """What a kind is, what stands in its letters, what may happen to them, what holds for all of them, and the
        digest by which its file is known."""
        text = file.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(text).hexdigest()
        words = digest_words(digest, _WORD_LISTS[self.language])
        named = [Fact(self.say("kind_digest"), digest), Fact(self.say("kind_words"), words)]
        try:
            kind = read_kind(text).kind
        except KindRefused:
            broken = self.say("kind_broken") + self.say("colon") + self.quote(file)
            return [Fact(self.say("kind_of_letter"), broken), *named]
        language = "en" if self.language == "en" else "zh"

        def of(text: Bilingual) -> str:
            return self.quote(text.en if language == "en" else text.zh)

        shown = self.say("kind", id=kind.id, version=kind.version, title=of(kind.title))
        facts = [Fact(self.say("kind_of_letter"), shown), *named, Fact(self.say("kind_about"), of(kind.about))]
        for name, field in kind.fields.items():
            said = escape(f"{name}; {describe_field(field, language)}", longest=None)
            facts.append(Fact(self.say("kind_field", title=of(field.label)), said))
        for event in kind.events.values():
            said = escape("; ".join(describe_event(event, language, kind)), longest=None)
            facts.append(Fact(self.say("kind_event", title=of(event.title)), said))
        rules = describe_rules(kind, language)
        return facts + [Fact(self.say("kind_rule"), escape(rule, longest=None)) for rule in rules]

    def terms(self, file: str) -> list[Fact]:
        """What limits or a tariff say, line by line, and the digest by which the file is known."""
        text = file.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(text).hexdigest()
        words = digest_words(digest, _WORD_LISTS[self.language])
        named = [Fact(self.say("kind_digest"), digest), Fact(self.say("kind_words"), words)]
        label = self.pick(LABELS["terms"])
        try:
            found = read_terms(text)
        except LimitsRefused:
            broken = self.say("terms_broken") + self.say("colon") + self.quote(file)
            return [Fact(label, broken), *named]
        if isinstance(found, TariffFile):
            shown = self.say("terms_tariff", title=self.quote(found.title), version=found.version)
        else:
            shown = self.say("terms_limits", version=found.version)
        said = describe(found, "en" if self.language == "en" else "zh")
        lines = [Fact(self.say("terms_line"), escape(line, longest=None)) for line in said]
        return [Fact(label, shown), *named, *lines]

    def adapter(self, file: str) -> list[Fact]:
        """Every line of an adapter, and the digest by which it is known."""
        digest = hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()
        words = digest_words(digest, _WORD_LISTS[self.language])
        label = self.pick(LABELS["adapter"])
        lines = [Fact(label, escape(line, longest=None)) for line in file.splitlines() if line.strip()]
        return [Fact(self.say("kind_digest"), digest), Fact(self.say("kind_words"), words), *lines]

    def image(self, encoded: str) -> list[Fact]:
        """The digest by which a picture is known: whoever is to approve it compares it with that of the file."""
        digest = _sha256(encoded)
        words = digest_words(digest, _WORD_LISTS[self.language])
        return [self.fact("image", digest), Fact(self.say("image_words"), words)]

    def certificate(self, encoded: str) -> str:
        digest = _sha256(encoded)
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


def _sha256(encoded: str) -> str:
    """Of the bytes that the base64 text stands for; of the text itself where it is none."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = encoded.encode()
    return hashlib.sha256(data).hexdigest()
