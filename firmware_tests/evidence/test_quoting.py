"""Nothing that a file brings along can deceive whoever reads the report."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from appliance.evidence import Report
from appliance.evidence.text import print_report
from appliance.quoting import LONGEST, escape, quote
from firmware_tests.evidence.material import World, certify, seal, time_stamper, token

HOSTILE = {
    "bidi override": ("a\u202egpj.exe", "⟨U+202E⟩"),
    "isolate": ("\u2066x\u2069", "⟨U+2066⟩"),
    "escape sequence": ("\x1b[2J\x1b[31mTOTAL-PASSED", "⟨U+001B⟩"),
    "newline": ("x\nOverall: TOTAL-PASSED", "⟨U+000A⟩"),
    "carriage return": ("x\rOverall", "⟨U+000D⟩"),
    "line separator": ("x\u2028y", "⟨U+2028⟩"),
    "no-break space": ("x\u00a0y", "⟨U+00A0⟩"),
    "zero width": ("Ba\u200bnk", "⟨U+200B⟩"),
    "byte order mark": ("\ufeffx", "⟨U+FEFF⟩"),
    "hangul filler": ("x\u3164", "⟨U+3164⟩"),
    "variation selector": ("x\ufe0f", "⟨U+FE0F⟩"),
    "tag characters": ("x\U000e0041", "⟨U+E0041⟩"),
    "private use": ("\ue000", "⟨U+E000⟩"),
    "surrogate": ("\udcff", "⟨U+DCFF⟩"),
    "C1 control": ("\x9b31m", "⟨U+009B⟩"),
    "closing quote": ("x” is trusted by “y", "⟨U+201D⟩"),
    "our own bracket": ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
    "marks upon marks": ("a" + "\u0301" * 9, "⟨U+0301⟩"),
    "null": ("a\0b", "⟨U+0000⟩"),
}


def rendered(report: Report, *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, markup=False, emoji=False, highlight=False, width=100, force_terminal=terminal, no_color=True
    )
    print_report(report, console)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())  # rich's own styles


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_shown_as_code_points(name: str) -> None:
    text, expected = HOSTILE[name]
    assert expected in quote(text)
    assert quote(text).startswith("“")


@given(st.text(alphabet=st.characters(), max_size=300))
def test_what_is_shown_is_printable_and_bounded(text: str) -> None:
    shown = escape(text)
    assert all(unicodedata.category(one)[0] not in "C" and (one == " " or one.isprintable()) for one in shown)
    assert len(shown) <= LONGEST * 12 + 40
    assert escape(text[:50]) == escape(text[:50])


def test_chinese_and_accents_are_left_alone() -> None:
    assert quote("中国银行 – Société Générale e\u0301") == "“中国银行 – Société Générale e\u0301”"


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("surrogate", "null")])
def test_hostile_names_of_files_and_of_signers(world: World, name: str, terminal: bool) -> None:
    text, expected = HOSTILE[name]
    sealer = certify(text[:60], world.seal_ca)
    unit = time_stamper(text[:60], world.tsa_ca)
    report = world.verify((text, b"x"), ("a.p7s", seal(sealer, b"x")), ("a.tst", token(unit, b"x")))
    shown = rendered(report, terminal=terminal)
    assert expected.split("⟨")[1][:6] in shown
    forbidden = text if len(text) < 4 else text[:4]
    if name != "our own bracket" and (not forbidden.isascii() or not forbidden.isprintable()):
        assert forbidden not in shown
    assert not any(unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") for one in shown.replace("\n", ""))
    verdicts = [line for line in shown.splitlines() if line.startswith("Overall:")]
    assert len(verdicts) == 1, "the verdict stands there once, and is ours"


def test_names_that_x509_forbids_are_no_names(world: World) -> None:
    """Private-use and unassigned characters in a certificate's name (RFC 4518, section 2.4) are no surprise."""
    report = world.verify(("x", b"x"), ("x.p7s", seal(certify("\ue000", world.seal_ca), b"x")))
    assert report.exit_code == 2


def test_markup_in_names_is_text(world: World) -> None:
    assert "[red]x[/red]" in rendered(world.verify(("[red]x[/red]", b"x")), terminal=True)


def test_surrogates_in_names_do_not_break_the_report(world: World) -> None:
    import msgspec

    report = world.verify(("\udcff.pdf", b"x"))
    assert b"U+DCFF" in msgspec.json.encode(report)
