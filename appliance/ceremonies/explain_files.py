"""Files that stand in an action whole (kinds, limits and tariffs, adapters, pictures), as officers read them. Pure.

Each is named by its SHA-256, in hexadecimal and in words, so that whoever has the file can compare.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Sequence

from appliance.ceremonies.explain_texts import LABELS
from appliance.ceremonies.explain_voice import Fact, Voice, sha256_of
from appliance.certificate_reading import read_certificate
from appliance.letter_limits import LimitsRefused, TariffFile, read_terms
from appliance.letter_limits.words import describe
from appliance.letters.errors import KindRefused
from appliance.letters.kind import Bilingual, read_kind
from appliance.letters.words import describe_event, describe_field, describe_rules
from appliance.quoting import escape

_PEM_BEGIN, _PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_MOST_PEM_LINES = 300
"""Of a certificate of 14 kB; a longer one is shown as it stands."""


def kind_facts(voice: Voice, file: str) -> list[Fact]:
    """What a kind is, what stands in its letters, what may happen to them, what holds for all of them, and the
    digest by which its file is known."""
    text = file.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(text).hexdigest()
    words = voice.digest_words(digest)
    named = [Fact(voice.say("kind_digest"), digest), Fact(voice.say("kind_words"), words)]
    try:
        kind = read_kind(text).kind
    except KindRefused:
        broken = voice.say("kind_broken") + voice.say("colon") + voice.quote(file)
        return [Fact(voice.say("kind_of_letter"), broken), *named]
    language = "en" if voice.language == "en" else "zh"

    def of(text: Bilingual) -> str:
        return voice.quote(text.en if language == "en" else text.zh)

    shown = voice.say("kind", id=kind.id, version=kind.version, title=of(kind.title))
    facts = [Fact(voice.say("kind_of_letter"), shown), *named, Fact(voice.say("kind_about"), of(kind.about))]
    for name, field in kind.fields.items():
        said = escape(f"{name}; {describe_field(field, language)}", longest=None)
        facts.append(Fact(voice.say("kind_field", title=of(field.label)), said))
    for event in kind.events.values():
        said = escape("; ".join(describe_event(event, language, kind)), longest=None)
        facts.append(Fact(voice.say("kind_event", title=of(event.title)), said))
    rules = describe_rules(kind, language)
    return facts + [Fact(voice.say("kind_rule"), escape(rule, longest=None)) for rule in rules]


def terms_facts(voice: Voice, file: str) -> list[Fact]:
    """What limits or a tariff say, line by line, and the digest by which the file is known."""
    text = file.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(text).hexdigest()
    words = voice.digest_words(digest)
    named = [Fact(voice.say("kind_digest"), digest), Fact(voice.say("kind_words"), words)]
    label = voice.pick(LABELS["terms"])
    try:
        found = read_terms(text)
    except LimitsRefused:
        broken = voice.say("terms_broken") + voice.say("colon") + voice.quote(file)
        return [Fact(label, broken), *named]
    if isinstance(found, TariffFile):
        shown = voice.say("terms_tariff", title=voice.quote(found.title), version=found.version)
    else:
        shown = voice.say("terms_limits", version=found.version)
    said = describe(found, "en" if voice.language == "en" else "zh")
    lines = [Fact(voice.say("terms_line"), escape(line, longest=None)) for line in said]
    return [Fact(label, shown), *named, *lines]


def adapter_facts(voice: Voice, file: str) -> list[Fact]:
    """Every line of an adapter, its certificates as people know them, and the digest by which it is known."""
    digest = hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()
    words = voice.digest_words(digest)
    label = voice.pick(LABELS["adapter"])
    facts = [Fact(voice.say("kind_digest"), digest), Fact(voice.say("kind_words"), words)]
    lines = [line for line in file.splitlines() if line.strip()]
    place = 0
    while place < len(lines):
        encoded, after = _certificate_at(lines, place)
        shown = voice.certificate(encoded) if encoded else escape(lines[place], longest=None)
        facts.append(Fact(label, shown))
        place = after
    return facts


def image_facts(voice: Voice, encoded: str) -> list[Fact]:
    """The digest by which a picture is known: whoever is to approve it compares it with that of the file."""
    digest = sha256_of(encoded)
    words = voice.digest_words(digest)
    return [voice.fact("image", digest), Fact(voice.say("image_words"), words)]


def _certificate_at(lines: Sequence[str], place: int) -> tuple[str, int]:
    """The certificate in PEM (RFC 7468) that begins at a line, as base64, and the line after it; empty, and the next
    line, where none begins there that can be read."""
    if lines[place].strip() == _PEM_BEGIN:
        told = [line.strip() for line in lines[place + 1 : place + _MOST_PEM_LINES]]
        encoded = "".join(told[: told.index(_PEM_END)]) if _PEM_END in told else ""
        with contextlib.suppress(ValueError):
            read_certificate(base64.b64decode(encoded, validate=True))
            return encoded, place + 2 + told.index(_PEM_END)
    return "", place + 1
