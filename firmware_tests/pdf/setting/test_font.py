"""The part of the font, against typst's own; and what the setter leaves to typst."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import pytest

from appliance.documents.inert import visible
from appliance.documents.setter import faces
from appliance.pdf.reader import Pdf
from appliance.pdf.setting import BeyondSetter
from appliance.pdf.setting.cff import Index, read_dictionary
from appliance.pdf.setting.charstrings import flattened
from appliance.pdf.setting.lines import broken
from firmware_tests.pdf.letters import bench_page
from firmware_tests.pdf.setting.pages import run, set_by_typst, set_here

CHARSTRINGS = 17


def outlines(pdf: bytes) -> list[set[bytes]]:
    """Of each font in a PDF, smallest first."""
    source, found = Pdf(pdf), []
    for number in filter(source.is_stream, range(1, source.size)):
        members, content = source.stream(number)
        if members.get(b"/Subtype") == b"/CIDFontType0C":
            font = zlib.decompress(content) if b"/Filter" in members else content
            glyphs = Index(font, read_dictionary(Index(font, Index(font, font[2]).end)[0])[CHARSTRINGS][0])
            found.append({glyphs[glyph] for glyph in range(len(glyphs))})
    return sorted(found, key=len)


def test_its_outlines_are_those_that_typst_writes() -> None:
    for ours, typsts in zip(outlines(set_here(bench_page(1))), outlines(set_by_typst(bench_page(1))), strict=True):
        # An apostrophe after a letter has another form in typst's.
        assert len(ours - typsts) <= 1


def test_every_part_of_the_font_can_be_taken(tmp_path: Path) -> None:
    """All dictionaries and deep subroutines: a glyph in every 97."""
    face = faces()[0]
    characters = [chr(code) for code in range(0x21, 0xFFFF, 97) if face.tables.glyph(code)]
    taken = [one for one in characters if _is_set(one)]
    assert len(taken) > 250
    (tmp_path / "part.cff").write_bytes(face.part(taken).font)
    assert "NotoSerifCJKsc-Regular" in run("fc-scan", tmp_path / "part.cff")


def _is_set(character: str) -> bool:
    try:
        faces()[0].show(character)
    except BeyondSetter:
        return False
    return True


def test_no_character_that_is_made_visible_is_set_as_it_is() -> None:
    hidden = [chr(code) for code in range(sys.maxunicode + 1) if visible(chr(code)) != chr(code)]
    assert len(hidden) > 6_000
    assert not [hex(ord(one)) for one in hidden if _is_set(one)]


@pytest.mark.parametrize("character", ["א", "ب", "\u0301", "\u1100", "ก", "\U00020000", "\u2003", "\n"])
def test_what_joins_runs_from_the_right_or_is_not_there_is_left_to_typst(character: str) -> None:
    assert not _is_set(character)


@pytest.mark.parametrize(
    ("text", "ems", "lines"),
    [
        ("我行应其请求，在此不可撤销地", 6.5, ["我行应其请求，", "在此不可撤销", "地"]),
        ("我行应其请求（甲）", 7, ["我行应其请求", "（甲）"]),
        ("甲乙丙丁戊。", 5, ["甲乙丙丁", "戊。"]),
        ("the well-known Guarantor", 6, ["the well-", "known", "Guarantor"]),
        ("金额CNY 1,234.56元", 5, ["金额CNY", "1,234.56", "元"]),
    ],
)
def test_where_lines_end(text: str, ems: float, lines: list[str]) -> None:
    assert broken(text, faces()[0], ems * 1000) == lines


def test_subroutines_are_put_in_and_what_is_none_is_refused() -> None:
    push, call, back, end, stems, mask = (139).to_bytes(1, "big"), b"\x0a", b"\x0b", b"\x0e", b"\x12", b"\x13"
    routines = [b""] * 107 + [push * 2 + stems + back]
    # Two hints, told by the subroutine and by the mask itself; then one byte that says which of them hold.
    assert flattened(push + call + push * 2 + mask + b"\xc0" + end, routines, []) == (
        push * 2 + stems + push * 2 + mask + b"\xc0" + end
    )
    for broken_outline in (push, push + call + end, b"\x0c\x0a" + end, b"\x1d" + end):
        with pytest.raises((ValueError, IndexError)):
            flattened(broken_outline, None, [])
    with pytest.raises(ValueError, match="deeply"):
        flattened(push + call, [b""] * 107 + [push + call], [])
