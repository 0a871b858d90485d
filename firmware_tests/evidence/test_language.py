"""Reports in Simplified Chinese: every text has its translation, values come through, JSON stays as it is."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.evidence import language
from appliance.evidence.chinese import FRAME
from appliance.evidence.language import CHINESE, language_of, say, translated
from appliance.evidence.recognise import Kind
from firmware_tests.evidence.test_cli import Place, place

__all__ = ["place"]

ROOT: Final = Path(__file__).parents[2] / "appliance"
CJK: Final = re.compile("[\u4e00-\u9fff]")
SPEAKING: Final = {"passed": (0, 1), "note": (0, 1), "refuse": (0, 2), "expect": (1, 2, 4), "Refusal": (0, 2)}
"""Calls that make a check, and which of their arguments are its name and its texts."""
FAILED: Final = {"_failed": (0, 1), "failed": (0, 1)}
WORDS: Final = {
    "when": "“N” was revoked at T",
    "declared": "The trust bundle declares the key of “N” compromised since T",
    "span": "A to B",
    "wide": " (no accuracy stated)",
    "who": "",
    "policy": "",
    "again": "",
    "by": "you gave",
}


def _said(node: ast.expr) -> list[str]:
    """What an expression may say; X for what varies."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_said(node.body), *_said(node.orelse)]
    if isinstance(node, ast.BinOp):
        return [one + other for one in _said(node.left) for other in _said(node.right)]
    if isinstance(node, ast.JoinedStr):
        parts = [_said(one.value if isinstance(one, ast.FormattedValue) else one) for one in node.values]
        return ["".join(chosen) for chosen in itertools.product(*parts)]
    return [WORDS.get(node.id, "X")] if isinstance(node, ast.Name) else ["X"]


def _texts() -> Iterator[tuple[str, int, str]]:
    files = sorted((*(ROOT / "evidence").rglob("*.py"), *(ROOT / "ceremonies").glob("jud*.py")))
    for file in files:
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call):
                continue
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            for at in (SPEAKING | FAILED).get(called, ()):
                for text in _said(call.args[at]) if at < len(call.args) else ():
                    if re.sub(r"[X\W]", "", text):
                        yield file.name, call.lineno, text


TEXTS: Final = sorted(set(_texts()))


def test_there_are_texts_to_look_at() -> None:
    assert len(TEXTS) > 200


@pytest.mark.parametrize("file", sorted({file for file, _, _ in TEXTS}))
def test_every_name_and_text_of_a_check_has_its_translation(file: str) -> None:
    untold = [
        (line, text)
        for name, line, text in TEXTS
        if name == file and not CJK.search(translated(text, "zh-Hans")) and text not in NAMES_AS_THEY_ARE
    ]
    assert not untold


NAMES_AS_THEY_ARE: Final = {"content-type", "signing-time", "cms-algorithm-protection", "message-digest"}
"""Attributes, by their names in the standards."""


def test_kinds_and_what_stands_around_have_theirs() -> None:
    assert all(CJK.search(translated(kind.value, "zh-Hans")) for kind in Kind)
    frame = (ROOT / "evidence" / "text.py").read_text()
    for english in FRAME:
        assert f'"{english}"' in frame, "a text that is said no more"


def test_a_translation_has_the_values_of_its_text() -> None:
    for english, chinese in CHINESE.items():
        values = re.findall(r"\{\d\}", english)
        assert values == [f"{{{number}}}" for number in range(len(values))], english
        assert sorted(re.findall(r"\{\d\}", chinese)) == values, english


@given(st.sampled_from([english for english in CHINESE if "{0}" in english]), st.text("ab{}01%\\", max_size=12))
def test_values_come_through_whatever_they_are(english: str, value: str) -> None:
    count = len(re.findall(r"\{\d\}", english))
    for values in ([f"v{number}v" for number in range(count)], [value] * count):
        text = say("en", english, *values)
        shown = translated(text, "zh-Hans")
        assert all(one in shown or translated(one, "zh-Hans") in shown for one in values)
        assert translated(text, "en") == text


def test_what_is_in_no_catalogue_stays() -> None:
    assert translated("something else", "zh-Hans") == "something else"
    nested = "Contradiction: " * 10 + "x"
    assert translated(nested, "zh-Hans").count("矛盾") == language._DEEPEST


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-Hans"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_SG"}, "zh-Hans"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh-Hans"),
    ],
)
def test_the_language_of_the_terminal(environment: dict[str, str], expected: str) -> None:
    assert language_of(environment) == expected


def test_the_command_speaks_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [place.path(name) for name in ("bond.json", "bond.tst", "bond.p7s")]
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    place.run(*files)  # the first time says that the trust bundle's key is new
    english = place.run(*files)
    chinese = place.run("--language", "zh-Hans", *files)
    assert english.exit_code == chinese.exit_code == 0
    assert not CJK.search(english.output)
    assert "总体：TOTAL-PASSED  所检查的各项均成立。" in chinese.output
    latin = [line for line in chinese.output.splitlines() if re.search("[✓?✗·] ", line) and not CJK.search(line)]
    assert not latin
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert place.run(*files).output == chinese.output
    assert place.run("--language", "en", *files).output == english.output
    assert place.run("--json", *files).output == place.run("--json", "--language", "en", *files).output
