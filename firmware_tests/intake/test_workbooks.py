"""Workbooks that somebody broke by hand, or made to hurt: refused with the place named, or read for what they hold."""

from __future__ import annotations

import datetime
import io
import re
import zipfile

import openpyxl
import pytest

from appliance.intake import Form, IntakeRefused
from appliance.intake.workbook.archive import ENTRIES
from firmware_tests.intake.files import (
    HEADER,
    XLSX,
    all_rows,
    altered,
    cells,
    part,
    saved,
    with_shared_strings,
    workbook,
)

SHEET = "xl/worksheets/sheet1.xml"
INLINE = workbook([cells(at) for at in range(3)])
RIGHT = with_shared_strings(INLINE)
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def sheet(change: tuple[bytes, bytes]) -> bytes:
    """The right workbook with something in its sheet replaced."""
    old = part(RIGHT, SHEET)
    assert change[0] in old
    return altered(RIGHT, {SHEET: old.replace(*change, 1)})


HOSTILE = {
    "not a zip": (b"PK\x03\x04" + bytes(100), "no workbook"),
    "a part twice": (altered(RIGHT, {}, names=(SHEET,)), "twice"),
    "many parts": (altered(RIGHT, {f"x/{at}": b"" for at in range(ENTRIES)}), "parts, more than"),
    "macros": (altered(RIGHT, {"xl/vbaProject.bin": b"x"}), "macros"),
    "links to files": (altered(RIGHT, {"xl/externalLinks/externalLink1.xml": b"<x/>"}), "links to other files"),
    "files inside": (altered(RIGHT, {"xl/embeddings/a.bin": b"x"}), "other files inside"),
    "outside data": (altered(RIGHT, {"xl/connections.xml": b"<x/>"}), "outside data"),
    "no relations": (altered(RIGHT, {"xl/_rels/workbook.xml.rels": None}), "has no part"),
    "no sheet part": (altered(RIGHT, {SHEET: None}), "has no part"),
    "an outside relation": (
        altered(
            RIGHT,
            {
                "xl/_rels/workbook.xml.rels": part(RIGHT, "xl/_rels/workbook.xml.rels").replace(
                    b"<Relationship ", b'<Relationship TargetMode="External" ', 1
                )
            },
        ),
        "links to other files",
    ),
    "a document type": (
        altered(RIGHT, {SHEET: XML + b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + part(RIGHT, SHEET)}),
        "document type",
    ),
    "entities in strings": (
        altered(
            RIGHT,
            {
                "xl/sharedStrings.xml": XML
                + b'<!DOCTYPE x [<!ENTITY a "&#65;"><!ENTITY b "&a;&a;">]><sst><si><t>&b;</t></si></sst>'
            },
        ),
        "document type",
    ),
    "cut off": (altered(RIGHT, {SHEET: part(RIGHT, SHEET)[:-50]}), "the sheet is no XML"),
    "not UTF-8": (sheet((b"<v>0</v>", b"<v>\xff</v>")), "the sheet is no XML"),
    "merged cells": (
        sheet((b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="A2:A3"/></mergeCells>')),
        "A2:A3 are merged",
    ),
    "rows backwards": (sheet((b'<row r="3"', b'<row r="2"')), "rows come in their order"),
    "a row far below": (sheet((b'<row r="4"', b'<row r="1048577"')), "at most 1048576 rows"),
    "a row without end": (sheet((b'<row r="4"', b'<row r="99999999999"')), "rows come in their order"),
    "a cell elsewhere": (sheet((b'r="B3"', b'r="B9"')), "row 3: the cell 'B9' is out of its place"),
    "a cell before": (sheet((b'r="B3"', b'r="A3"')), "row 3: the cell 'A3' is out of its place"),
    "a column far right": (sheet((b'r="J4"', b'r="ZZZ4"')), "row 4: more than 16384 columns"),
    "no such string": (sheet((b"<v>0</v>", b"<v>99999</v>")), "no shared string 99999"),
    "strings by name": (sheet((b"<v>0</v>", b"<v>x</v>")), "names the shared string 'x'"),
    "no headers": (
        altered(RIGHT, {SHEET: re.sub(rb'<row r="1".*?</row>', b"", part(RIGHT, SHEET))}),
        "no headers",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused_and_says_why(what: str) -> None:
    content, said = HOSTILE[what]
    with pytest.raises(IntakeRefused, match=said):
        all_rows(XLSX, content)


def test_shared_strings_are_the_texts_that_they_were() -> None:
    assert all_rows(XLSX, RIGHT) == all_rows(XLSX, INLINE)
    assert all_rows(XLSX, RIGHT, most=1) == all_rows(XLSX, INLINE)


def test_a_sheet_is_chosen_by_name() -> None:
    book = openpyxl.load_workbook(io.BytesIO(INLINE))
    other = book.create_sheet("第二页")
    other.append(list(HEADER))
    other.append(cells(77))
    content = saved(book)
    assert [row.fields["number"] for row in all_rows(XLSX, content)] == [f"LY-{at:06d}" for at in range(3)]
    (row,) = all_rows(Form(format="xlsx", sheet="第二页"), content)
    assert row.fields["number"] == "LY-000077"
    with pytest.raises(IntakeRefused, match="no sheet '第三页'"):
        all_rows(Form(format="xlsx", sheet="第三页"), content)


def test_a_bomb_is_stopped_by_what_it_inflates_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.intake.workbook.opened.STRINGS_BYTES", 1 << 20)
    bomb = altered(RIGHT, {"xl/sharedStrings.xml": b"<sst><si><t>" + b"x" * (8 << 20) + b"</t></si></sst>"})
    assert len(bomb) < 40_000
    with pytest.raises(IntakeRefused, match="more than 1048576 bytes"):
        all_rows(XLSX, bomb)


def test_a_part_that_lies_about_its_size_is_damaged() -> None:
    content = bytearray(RIGHT)
    with zipfile.ZipFile(io.BytesIO(RIGHT)) as file:
        entry = file.getinfo(SHEET)
    central = content.rindex(SHEET.encode()) - 46
    assert content[central : central + 4] == b"PK\x01\x02"
    content[central + 24 : central + 28] = (entry.file_size // 2).to_bytes(4, "little")
    with pytest.raises(IntakeRefused):
        all_rows(XLSX, bytes(content))


def test_both_date_systems_and_hidden_formats_are_dates() -> None:
    for epoch in (openpyxl.utils.datetime.WINDOWS_EPOCH, openpyxl.utils.datetime.MAC_EPOCH):
        book = openpyxl.Workbook()
        book.epoch = epoch
        page = book.active
        assert page is not None
        page.append(list(HEADER))
        page.append(cells(1, 有效期至=datetime.date(2027, 12, 31)))
        page["J2"].number_format = 'yyyy"年"m"月"d"日"'
        (row,) = all_rows(XLSX, saved(book))
        assert row.fields["valid_until"] == "2027-12-31"


def test_a_number_with_letters_in_its_format_is_no_date() -> None:
    book = openpyxl.load_workbook(io.BytesIO(INLINE))
    page = book.active
    assert page is not None
    page["G2"] = 5000
    page["G2"].number_format = '#,##0.00" days"'
    assert all_rows(XLSX, saved(book))[0].fields["amount"]["amount"] == "5000.00"


def test_inline_strings_prefixes_and_missing_references_are_read() -> None:
    """What other programs than openpyxl write."""
    names = "".join(f'<x:c t="inlineStr"><x:is><x:t>{one}</x:t></x:is></x:c>' for one in HEADER)
    values = "".join(f'<x:c t="inlineStr"><x:is><x:r><x:t>{one}</x:t></x:r></x:is></x:c>' for one in cells(5))
    xml = (
        '<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData>'
        f"<x:row>{names}</x:row><x:row>{values}</x:row><x:row/><x:row>{values}</x:row></x:sheetData></x:worksheet>"
    )
    for most in (1, 10):
        rows = all_rows(XLSX, altered(RIGHT, {SHEET: xml.encode()}), most=most)
        assert [(row.number, row.fields["number"], row.fault) for row in rows] == [
            (2, "LY-000005", ""),
            (4, "LY-000005", ""),
        ]


def test_a_cell_beyond_the_headers_refuses_its_row() -> None:
    rows = all_rows(XLSX, workbook([cells(1), [*cells(2), "more"], cells(3)]))
    assert [row.fault for row in rows] == ["", "column 11 has no header", ""]
