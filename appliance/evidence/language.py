"""Reports in the reader's language. Findings are made in English, which is what JSON holds; pages and terminals
translate a text by its English one, whose values stand where the catalogue has braces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from appliance.evidence.chinese import CHECKS, FRAME, KINDS, TEXTS
from appliance.evidence.chinese_anchors import ANCHORS
from appliance.evidence.chinese_ceremonies import CEREMONIES
from appliance.evidence.chinese_letters import LABELS, LETTERS
from appliance.evidence.chinese_renewal import RENEWAL

Language = Literal["en", "zh-Hans"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh-Hans")

CHINESE: Final[Mapping[str, str]] = LABELS | ANCHORS | LETTERS | CHECKS | KINDS | TEXTS | CEREMONIES | RENEWAL | FRAME
_BRACES: Final = re.compile(r"\{\d\}")
_DEEPEST: Final = 3
"""Texts within texts: a seal's time-stamp that does not verify, for an algorithm that is not accepted."""
_PATTERNS: Final = sorted(
    ((_BRACES.split(english), chinese) for english, chinese in CHINESE.items() if "{" in english),
    key=lambda pattern: -sum(map(len, pattern[0])),
)
"""Literal parts and translation; those that say more are tried first."""


def language_of(environment: Mapping[str, str]) -> Language:
    """The language of a terminal's user (POSIX, chapter 8.2): the first of LC_ALL, LC_MESSAGES and LANG that is set."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh-Hans" if locale.lower().startswith("zh") else "en"


def say(language: Language, english: str, *values: object) -> str:
    """A text of the catalogue with its values, in a language."""
    return (english if language == "en" else CHINESE[english]).format(*values)


def translated(text: str, language: Language) -> str:
    """A text that was made in English; as it is where the catalogue does not have it."""
    return text if language == "en" else _chinese(text, 0)


def _chinese(text: str, depth: int) -> str:
    if (known := CHINESE.get(text)) is not None:
        return known
    if depth >= _DEEPEST:
        return text
    for parts, chinese in _PATTERNS:
        values = _values(text, parts)
        if values is not None:
            return chinese.format(*(_chinese(value, depth + 1) for value in values))
    return text


def _values(text: str, parts: list[str]) -> list[str] | None:
    """What stands between the parts of a template, or None. Takes time in proportion to the text, whatever it says:
    the first and the last part are held to its ends, the others to where they come first."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return None
    at, end = len(first), len(text) - len(last)
    values = []
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return None
        values.append(text[at:found])
        at = found + len(part)
    return [*values, text[at:end]]
