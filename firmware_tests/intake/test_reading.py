"""Files of rows in their three forms: the same rows come out, whatever the windows, and what is wrong is named."""

from __future__ import annotations

import datetime
import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.api.intakes.schemas import IntakeRequest
from appliance.intake import Form, IntakeRefused, read_header, read_slice
from appliance.intake.reading import Place
from firmware_tests.intake.files import CSV, HEADER, NDJSON, XLSX, all_rows, cells, csv_file, planned, workbook

WHOLE = {
    "number": "LY-000001", "contract_number": "HT-000001",
    "contractor": {"name": "佛山建工有限公司", "id": "91440600MA4U000001"}, "beneficiary": {"name": "佛山市住建局"},
    "industry": "E47", "amount": {"amount": "100000.00", "currency": "CNY"}, "documents": "招标文件",
    "valid_until": "2027-12-31",
}  # fmt: skip


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in objects)


def test_the_same_row_comes_out_of_each_form() -> None:
    for form, content, number in (
        (CSV, csv_file([cells(1)]), 2),
        (CSV, b"\xef\xbb\xbf" + csv_file([cells(1)]), 2),
        (XLSX, workbook([cells(1)]), 2),
        (NDJSON, lines(WHOLE), 1),
    ):
        (row,) = all_rows(form, content)
        assert (row.number, row.fields, row.data, row.fault) == (number, WHOLE, {}, "")


def test_other_encodings_and_delimiters_are_as_declared() -> None:
    text = csv_file([cells(1)], delimiter=";").decode()
    form = Form(format="csv", encoding="gb18030", delimiter=";")
    (row,) = all_rows(form, text.encode("gb18030"))
    assert row.fields == WHOLE
    with pytest.raises(IntakeRefused, match="row 1: not utf-8"):
        all_rows(Form(format="csv", delimiter=";"), text.encode("gb18030"))


ODD = st.text(st.sampled_from('ab"\n\r,; 金\t'), max_size=12)


@given(st.lists(st.tuples(ODD, ODD), min_size=1, max_size=12), st.integers(200, 600), st.integers(1, 5))
@settings(max_examples=150)
def test_windows_and_slices_change_nothing(odd: list[tuple[str, str]], window: int, most: int) -> None:
    """Cells with quotes, delimiters and line ends inside: the rows are those of one window."""
    content = csv_file([cells(at, documents=a, industry=b) for at, (a, b) in enumerate(odd)])
    header = content.index(b"\n") + 1
    if window < max(map(len, content[header:].split(b"LY-"))) + 20:
        window = len(content)
    assert all_rows(CSV, content, window=window, most=most) == all_rows(CSV, content)
    assert [row.number for row in all_rows(CSV, content)] == list(range(2, len(odd) + 2))


def test_slices_of_a_workbook_change_nothing() -> None:
    content = workbook([cells(at) for at in range(57)])
    whole = all_rows(XLSX, content)
    assert [row.fields["number"] for row in whole] == [f"LY-{at:06d}" for at in range(57)]
    for most in (1, 2, 3, 7):
        assert all_rows(XLSX, content, most=most) == whole


def test_counting_finds_as_many_rows_as_reading() -> None:
    for form, content in (
        (CSV, csv_file([cells(at) for at in range(40)])),
        (XLSX, workbook([cells(at) for at in range(40)])),
        (NDJSON, lines(*[WHOLE] * 40)),
    ):
        place: Place | None = read_header(form, content, last=True)[1]
        count = 0
        while place is not None:
            window = content if form.format == "xlsx" else content[place.at :]
            found = read_slice(form, None, window, place, last=True, most=3)
            assert not found.rows
            count, place = count + found.count, found.next
        assert count == 40


def test_blank_lines_are_no_rows_and_are_counted_in_numbers() -> None:
    content = csv_file([cells(1)]) + b"\r\n\r\n" + csv_file([cells(2)]).split(b"\r\n", 1)[1]
    assert [row.number for row in all_rows(CSV, content)] == [2, 5]
    assert [row.number for row in all_rows(NDJSON, b"\n" + lines(WHOLE) + b"\n\n" + lines(WHOLE))] == [2, 5]


def test_a_ragged_row_is_one_refused_row() -> None:
    rows = all_rows(CSV, csv_file([cells(1), cells(2)[:-1], [*cells(3), "x"], cells(4)]))
    assert [bool(row.fault) for row in rows] == [False, True, True, False]
    assert rows[1].fault == "it has 9 cells, and the file 10 columns"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[1]", "it is no JSON object"),
        (b"{", "it is no JSON object"),
        (b'{"number": "1", "number": "2"}', "the member 'number' twice"),
        (b'{"colour": "red"}', "no field is called so"),
        (b'{"number": "\xff"}', "it is no JSON object"),
        (b"[" * 100_000, "it is no JSON object"),
        (b'{"documents": "' + b"x" * 300_000 + b'"}', "a line has at most"),
        (b'{"amount": {"amount": 1.5, "currency": "CNY"}}', "a number that is not small and whole"),
        (
            b'{"amount": {"amount": 123456789012345678901234, "currency": "CNY"}}',
            "a number that is not small and whole",
        ),
    ],
)
def test_a_bad_line_of_ndjson_is_one_refused_row(line: bytes, said: str) -> None:
    rows = all_rows(NDJSON, lines(WHOLE) + line + b"\n" + lines(WHOLE))
    assert [bool(row.fault) for row in rows] == [False, True, False]
    assert said in rows[1].fault


def test_a_quote_that_never_closes_ends_the_file() -> None:
    content = csv_file([cells(1), cells(2)]) + b'"LY-3,' + b"x" * 100
    with pytest.raises(IntakeRefused, match=r"row 4: it is not CSV"):
        all_rows(CSV, content)


def test_a_row_longer_than_a_window_is_refused() -> None:
    content = csv_file([cells(1, documents="x" * 5_000)])
    place = planned(CSV, content)[1]
    with pytest.raises(IntakeRefused, match="row 2: it has more than 1000 bytes"):
        read_slice(CSV, planned(CSV, content)[0], content[place.at : place.at + 1_000], place, last=False)


def test_dates_and_numbers_of_a_spreadsheet_are_values() -> None:
    row = cells(1, 最高担保金额=100_000.5, 有效期至=datetime.date(2027, 12, 31), industry=47)
    (found,) = all_rows(XLSX, workbook([row]))
    assert (found.fields["amount"], found.fields["valid_until"], found.fields["industry"]) == (
        {"amount": "100000.50", "currency": "CNY"}, "2027-12-31", "47",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("最高担保金额", 1234567890.1234567, "15 digits"),
        ("最高担保金额", 1.005, "more digits after the point than CNY"),
        ("number", 1.2e17, "15 digits"),
        ("number", 6222020200112233445, "15 digits"),
        ("number", 12.5, "a text is wanted"),
        ("number", True, "a text is wanted"),
        ("number", datetime.date(2027, 1, 1), "a text is wanted"),
        ("有效期至", 46_000, "not shown as a date"),
        ("有效期至", datetime.datetime(2027, 1, 1, 12, 30), "a date is wanted"),  # noqa: DTZ001 - as openpyxl takes it
        ("最高担保金额", "=1+1", "it is a formula"),
        ("documents", '=HYPERLINK("http://x")', "it is a formula"),
    ],
)
def test_what_may_not_be_what_was_typed_is_refused_with_its_column(header: str, value: object, said: str) -> None:
    (found,) = all_rows(XLSX, workbook([cells(1, **{header: value})]))
    assert (found.column, said in found.fault) == (header, True), found.fault


def test_rows_are_known_by_their_key_columns() -> None:
    one, two, other = all_rows(
        CSV, csv_file([cells(1), cells(1, documents="别的"), cells(2)]), key=["number", "contractor id"]
    )
    assert one.key == two.key != other.key
    (row,) = all_rows(CSV, csv_file([cells(1, number="")]), key=["number"])
    assert (row.column, row.fault) == ("number", "rows are known by it, and nothing stands there")


@given(st.binary(max_size=2_000))
@settings(max_examples=200)
def test_whatever_a_csv_or_ndjson_file_holds_it_is_read_or_refused(content: bytes) -> None:
    plan, _ = planned(CSV, csv_file([cells(1)]))
    for form in (CSV, NDJSON):
        place: Place | None = Place()
        try:
            while place is not None:
                found = read_slice(form, plan, content[place.at :], place, last=True, most=5)
                msgspec.msgpack.encode(found)
                place = found.next
        except IntakeRefused:
            continue


def test_damaged_files_of_each_form_are_read_or_refused() -> None:
    """Bytes flipped and cut in files that were right."""
    chance = random.Random(7)
    for form, right in (
        (CSV, csv_file([cells(at) for at in range(9)])),
        (XLSX, workbook([cells(at) for at in range(9)])),
        (NDJSON, lines(*[WHOLE] * 9)),
    ):
        for _ in range(150):
            content = bytearray(right)
            for _ in range(chance.randrange(1, 9)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            if chance.random() < 0.2:
                del content[chance.randrange(len(content)) :]
            try:
                all_rows(form, bytes(content))
            except IntakeRefused:
                continue


def test_headers_are_there_once_and_show() -> None:
    for header, said in (
        ((*HEADER[:-1], "number"), "column 10: the header 'number' stands there twice"),
        ((*HEADER[:-1], ""), "column 10: its header: it has 1 to"),
        ((*HEADER[:-1], "有效\u202e期至"), "U\\+202E"),
        (tuple(f"c{at}" for at in range(1_001)), "1 to 1000 columns"),
        ((*HEADER[:-1], "colour"), "column 'colour': no field is called so"),
        ((*HEADER[:-1], "Valid until", "valid_until"), "is the same value"),
        (HEADER[:-1], "no column is valid_until"),
    ):
        with pytest.raises(IntakeRefused, match=said):
            all_rows(CSV, csv_file([["x"] * len(header)], header))


@pytest.mark.parametrize(
    "value", ["10000000000000000000000", "-9223372036854775809", '[{"deep": 18446744073709551616}]']
)
def test_a_constant_that_cannot_be_kept_is_refused(value: str) -> None:
    asked = """{"kind": "x", "format": "csv", "size": 1, "sha256": "%s", "constants": {"fields.number": %s}}"""
    with pytest.raises(msgspec.ValidationError, match="64 bits"):
        msgspec.json.decode(asked % ("0" * 64, value), type=IntakeRequest)
    msgspec.json.decode(asked % ("0" * 64, "9223372036854775807"), type=IntakeRequest)
