"""What officers read of a kind before they install it: no rule of the file is left out of the words."""

from __future__ import annotations

import pytest

from appliance.ceremonies.explain_files import kind_facts
from appliance.ceremonies.explain_voice import Voice
from appliance.letters.kind import Kind, LoadedKind
from appliance.letters.shipped import shipped
from appliance.letters.words import describe
from firmware_tests.letters.changed_kinds import changed_kinds

_OTHER_LANGUAGE = {"en": "zh", "zh": "en"}
"""A text in the one language is not read in the other."""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_rule_of_a_kind_is_left_out_of_its_words(language: str) -> None:
    assert not {
        (kind.id, *path)
        for path, kind, other in changed_kinds()
        if path[-1] != _OTHER_LANGUAGE[language] and _read(other, language) == _read(kind, language)
    }


def test_the_term_of_a_date_is_read_by_those_who_approve_the_kind() -> None:
    said = [fact.value for fact in kind_facts(Voice("en"), shipped()["credit-voucher"].decode())]
    assert any(one.startswith("due; date") and "at most P1Y after it began" in one for one in said)


def _read(kind: Kind, language: str) -> str:
    """Without the file's digest, which tells every change and says none."""
    return describe(LoadedKind(kind=kind, digest="", source=b""), language)
