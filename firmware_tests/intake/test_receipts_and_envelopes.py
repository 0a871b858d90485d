"""Rows that bring a registry's receipt, or a value that its sender encrypted: in base64, each in its column."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from appliance.intake import Form, IntakeRefused, Plan, Row, RowKeys, column_of, make_plan, read_header, read_slice
from appliance.letters.kind import Kind
from firmware_tests.intake.files import CSV, NDJSON, XLSX, csv_file, workbook
from firmware_tests.letters.kinds import catalogue

RECEIVABLE, DEPOSIT = catalogue("receivable").kind, catalogue("sealed-deposit").kind
RECEIPT, ENVELOPE = b"%PDF-1.7 \x00\xff", b"\x30\x82\x00\x01"
REGISTERED = {
    "invoice_code": "044001900111",
    "invoice_number": "12345678",
    "债权人": "中铁物贸",
    "债权人编号": "91440101MA5CXXXX1K",
    "Debtor": "中铁一局",
    "Debtor ID": "91440101MA5CXXXX2K",
    "amount": "1280000.00",
    "amount currency": "CNY",
    "登记到期日": "2027-05-30",
    "Zhongdeng number": "ZD-0001",
    "zhongdeng 回执": base64.b64encode(RECEIPT).decode(),
}


def rows_of(kind: Kind, event: str, form: Form, content: bytes, **more: Any) -> tuple[Plan, list[Row]]:
    header, place = read_header(form, content, last=True)
    plan = make_plan(kind, event, form, header, more.get("mapping", {}), more.get("constants", {}), [])
    assert place is not None
    part = content if form is XLSX else content[place.at :]
    return plan, read_slice(form, plan, part, place, last=True, most=100).rows


def registered(**changed: str) -> list[str]:
    return list((REGISTERED | changed).values())


@pytest.mark.parametrize("form", [CSV, XLSX])
def test_a_receipt_comes_in_two_columns(form: Form) -> None:
    content = (csv_file if form is CSV else workbook)([registered()], list(REGISTERED))
    plan, (row,) = rows_of(RECEIVABLE, "register", form, content)
    assert row.fault == ""
    assert row.receipts == {"zhongdeng": ("ZD-0001", RECEIPT)}
    assert row.fields["creditor"] == {"name": "中铁物贸", "id": "91440101MA5CXXXX1K"}
    assert column_of(plan, "/receipts/zhongdeng") == "Zhongdeng number"


def test_of_ndjson_likewise() -> None:
    line = {
        "invoice_code": "044001900111", "zhongdeng.number": "ZD-1",
        "zhongdeng.receipt": base64.b64encode(RECEIPT).decode(),
    }  # fmt: skip
    _, (row,) = rows_of(RECEIVABLE, "register", NDJSON, json.dumps(line).encode() + b"\n")
    assert row.receipts == {"zhongdeng": ("ZD-1", RECEIPT)}


@pytest.mark.parametrize(
    ("changed", "column", "said"),
    [
        ({"Zhongdeng number": ""}, "zhongdeng 回执", "one of them is missing"),
        ({"zhongdeng 回执": ""}, "zhongdeng 回执", "one of them is missing"),
        ({"zhongdeng 回执": "登记证明"}, "zhongdeng 回执", "not base64"),
        ({"zhongdeng 回执": "AAA"}, "zhongdeng 回执", "not base64"),
    ],
)
def test_half_a_receipt_is_a_refused_row(changed: dict[str, str], column: str, said: str) -> None:
    _, (row,) = rows_of(RECEIVABLE, "register", CSV, csv_file([registered(**changed)], list(REGISTERED)))
    assert row.column == column
    assert said in row.fault


def test_a_file_without_the_receipts_columns_is_refused() -> None:
    some = {name: value for name, value in REGISTERED.items() if name != "Zhongdeng number"}
    with pytest.raises(IntakeRefused, match="no column is the number of zhongdeng's receipt"):
        rows_of(RECEIVABLE, "register", CSV, csv_file([list(some.values())], list(some)))
    constants = {"receipts.zhongdeng.number": "ZD-1"}
    with pytest.raises(IntakeRefused, match=r"'receipts.zhongdeng.number' is no value that this event takes"):
        rows_of(RECEIVABLE, "register", CSV, csv_file([registered()], list(REGISTERED)), constants=constants)
    mapping = {"Zhongdeng number": "receipts.zhongdeng.number", "zhongdeng 回执": "receipts.zhongdeng.number"}
    with pytest.raises(IntakeRefused, match="is the same value"):
        rows_of(RECEIVABLE, "register", CSV, csv_file([registered()], list(REGISTERED)), mapping=mapping)


def test_what_its_sender_encrypted_comes_as_an_envelope() -> None:
    deposit = ["WS-1", "灵活用工", "ab" * 32, base64.b64encode(ENVELOPE).decode()]
    header = ["reference", "group", "content_digest", "内容"]
    plan, (row,) = rows_of(DEPOSIT, "deposit", CSV, csv_file([deposit], header))
    assert row.envelopes == {"content": ENVELOPE}
    assert "content" not in row.fields
    assert column_of(plan, "/envelopes/content") == column_of(plan, "/fields/content") == "内容"
    constants = {"fields.content": deposit[3]}
    with pytest.raises(IntakeRefused, match="encrypts it for each letter anew"):
        rows_of(DEPOSIT, "deposit", CSV, csv_file([deposit[:3]], header[:3]), constants=constants)
    with pytest.raises(IntakeRefused, match="no column is content"):
        rows_of(DEPOSIT, "deposit", CSV, csv_file([deposit[:3]], header[:3]))


def test_another_receipt_makes_it_another_row_and_what_was_kept_before_stays_the_same() -> None:
    """The digest of what stands in a row, by which a run tells whether it is the same: of rows without receipts and
    envelopes it is what it was before there were any."""
    keys = RowKeys(bytes(32))
    _, rows = rows_of(
        RECEIVABLE, "register", CSV,
        csv_file([registered(), registered(**{"Zhongdeng number": "ZD-0002"})], list(REGISTERED)),
    )  # fmt: skip
    assert keys.content(rows[0]) != keys.content(rows[1])
    assert keys.content(Row(2, "", "", {"a": "b"}, {})).hex() == "916fdf0446ade8f5"
