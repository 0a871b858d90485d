"""Files of rows for the tests: a kind, its columns, and the same rows in each form."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openpyxl

from appliance.intake import Form, Plan, Row, make_plan, read_header, read_slice
from appliance.letters.kind import Kind
from firmware_tests.letters.kinds import catalogue

KIND: Kind = catalogue("performance-bond").kind
HEADER = (
    "number",
    "合同编号",
    "Contractor",
    "contractor id",
    "受益人",
    "industry",
    "最高担保金额",
    "币种",
    "documents",
    "有效期至",
)
CSV, XLSX, NDJSON = Form(format="csv"), Form(format="xlsx"), Form(format="ndjson")


def cells(at: int, **changed: Any) -> list[Any]:
    """A row that is right, but for what is changed, by header."""
    right = (
        f"LY-{at:06d}", f"HT-{at:06d}", "佛山建工有限公司", "91440600MA4U000001", "佛山市住建局", "E47", "100000.00",
        "CNY", "招标文件", "2027-12-31",
    )  # fmt: skip
    row = dict(zip(HEADER, right, strict=True)) | changed
    return list(row.values())


def csv_file(rows: Iterable[Sequence[Any]], header: Sequence[str] = HEADER, **options: Any) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, **options)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def workbook(rows: Iterable[Sequence[Any]], header: Sequence[str] = HEADER) -> bytes:
    """As openpyxl makes it."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(header))
    for row in rows:
        sheet.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def altered(content: bytes, changes: Mapping[str, bytes | None], *, names: Sequence[str] = ()) -> bytes:
    """The workbook with parts replaced, added or (None) left out; `names`: of parts that stand there twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            part = changes.get(entry, old.read(entry))
            if part is not None:
                new.writestr(entry, part)
        for name, part in changes.items():
            if name not in old.namelist() and part is not None:
                new.writestr(name, part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile says that it is a duplicate
            for name in names:
                new.writestr(name, old.read(name))
    return made.getvalue()


def part(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return file.read(name)


def planned(form: Form, content: bytes, **options: Any) -> tuple[Plan, Any]:
    header, place = read_header(form, content, last=True)
    given: dict[str, Any] = {
        "mapping": {} if form.format == "ndjson" else {"币种": "fields.amount.currency"},
        "constants": {},
        "key": [],
    } | options
    event = given.pop("event", "apply")
    return make_plan(KIND, event, form, header, given["mapping"], given["constants"], given["key"]), place


def all_rows(form: Form, content: bytes, *, window: int = 1 << 22, most: int = 4_096, **options: Any) -> list[Row]:
    """Every row, slice by slice."""
    plan, place = planned(form, content, **options)
    rows: list[Row] = []
    while place is not None:
        if form.format == "xlsx":
            found = read_slice(form, plan, content, place, last=True, most=most)
        else:
            part = content[place.at : place.at + window]
            found = read_slice(form, plan, part, place, last=place.at + len(part) == len(content), most=most)
        assert found.count == len(found.rows)
        rows += found.rows
        assert found.next is None or found.next.at > place.at
        place = found.next
    return rows


def with_shared_strings(content: bytes) -> bytes:
    """The workbook as Excel writes it: texts once, in a part of their own, one of them in runs and with its reading."""
    texts: list[bytes] = []

    def numbered(found: re.Match[bytes]) -> bytes:
        if found[1] not in texts:
            texts.append(found[1])
        return b't="s"><v>%d</v></c>' % texts.index(found[1])

    name = "xl/worksheets/sheet1.xml"
    sheet = re.sub(rb't="inlineStr"><is><t>([^<]*)</t></is></c>', numbered, part(content, name))
    entries = [b"<si><t>%s</t></si>" % text for text in texts]
    entries[-1] = b'<si><r><t>%s</t></r><r><t/></r><rPh sb="0" eb="1"><t>du</t></rPh></si>' % texts[-1]
    relations = part(content, "xl/_rels/workbook.xml.rels")
    kind = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    more = b'<Relationship Type="%s" Target="sharedStrings.xml" Id="rId99"/></Relationships>' % kind
    return altered(
        content,
        {
            name: sheet,
            "xl/sharedStrings.xml": b"<sst>%s</sst>" % b"".join(entries),
            "xl/_rels/workbook.xml.rels": relations.replace(b"</Relationships>", more),
        },
    )
