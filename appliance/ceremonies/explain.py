"""A proposal in plain words, English and Simplified Chinese: what officers read before they sign. Pure.

Complete by construction: whatever member of an action its sentence does not name is listed below the sentence. Text
that somebody wrote is quoted, with every character that could mislead shown as its code point; certificates and keys,
which nobody reads, are shown by their SHA-256.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import msgspec

from appliance.ceremonies.actions import (
    Action,
    AmendConstitution,
    InstallAdapter,
    InstallKind,
    Quota,
    RegisterSeal,
    SetLetterTerms,
)
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.explain_files import adapter_facts, image_facts, kind_facts, terms_facts
from appliance.ceremonies.explain_texts import SENTENCES
from appliance.ceremonies.explain_voice import Fact, Language, Voice
from appliance.ceremonies.proposal import Proposal


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
    voice = Voice(language)
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
    return _explain_action(Voice(language), action, current)


def _explain_action(voice: Voice, action: Action, current: Constitution | None) -> Part:
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
            facts += kind_facts(voice, value)
        elif isinstance(action, InstallAdapter):
            facts += adapter_facts(voice, value) if name == "adapter" else []
        elif isinstance(action, SetLetterTerms) and name == "terms":
            facts += terms_facts(voice, value)
        elif isinstance(action, RegisterSeal) and name == "image":
            facts += image_facts(voice, value)
        elif name not in named:
            facts += [voice.fact(name, one) for one in voice.values(name, value)]
    return Part(template.format(**shown), tuple(facts))


def _amendment(
    voice: Voice, action: AmendConstitution, current: Constitution | None
) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """What changes, where that is known, and the whole."""
    new = action.constitution
    whole = (voice.fact("recovery", voice.value("recovery", action.recovery)), *_whole(voice, new))
    if current is None:
        return whole, ()
    changes = _changes(voice, current, new) or [voice.say("nothing_changes")]
    return tuple(Fact(voice.say("changes"), change) for change in changes) + whole[:1], whole[1:]


def _whole(voice: Voice, new: Constitution) -> tuple[Fact, ...]:
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


def _changes(voice: Voice, old: Constitution, new: Constitution) -> list[str]:
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


def _roster_changes(voice: Voice, scope: str, before: list[str], after: list[str], which: str) -> list[str]:
    leaving = [voice.say(f"leaves{which}", person=one, scope=scope) for one in before if one not in after]
    return [voice.say(f"joins{which}", person=one, scope=scope) for one in after if one not in before] + leaving
