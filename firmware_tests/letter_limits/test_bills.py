"""What a month came to is billed whatever its size: sums beyond any single amount, many lines, long names."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from appliance.api.limits import billing, reads
from appliance.api.limits.billing import LINES, WHOM
from appliance.api.limits.reads import METERED, OpenBill, open_bill
from appliance.api.limits.schemas import BillRequest, Usage
from appliance.api.limits.table import LIMITS
from appliance.api.messages import Request
from appliance.client.fee_check import Checked, describe
from appliance.errors import BadRequest
from appliance.letter_limits.bills import Key, Sums
from appliance.letters.money import MOST, parse_amount
from appliance.recorder.messages import Billed

TARIFF = b"""
format = "cinnabar-tariff/1"
version = 1
title = "Fees"
currency = "CNY"
rounding = "half-up"

[[fees]]
title = "Query"
kind = "query"
event = "ask"
each = "0.10"
"""


def row(application: str, amount: int, fee: int, *, billed: int = 0, whom: str = "") -> list[Any]:
    label = b"label" if whom else b""
    return ["query", "ask", application, whom, "CNY", 1, 5, amount, fee, label, billed, 0, 0]


def opened(rows: list[list[Any]], most: int | None = LINES) -> OpenBill:
    async def query(name: str, *arguments: Any) -> object:
        if name != "metered":
            return [["tariff", 1, 0, TARIFF]]
        _, _, after, limit = arguments
        return [one for one in rows if after is None or one[:6] > after][:limit]

    cipher = SimpleNamespace(open_bytes=lambda *_: b"x" * 900)
    worker: Any = SimpleNamespace(recorder=SimpleNamespace(query=query), cipher_of=lambda _: cipher)
    return asyncio.run(open_bill(worker, "demo", "2026-11", None, most))


def usage(rows: list[list[Any]], **query: str) -> Usage:
    async def answers(name: str, *arguments: Any) -> object:
        if name != "metered":
            return [["tariff", 1, 0, TARIFF]]
        _, _, after, limit = arguments
        return [one for one in rows if after is None or one[:6] > after][:limit]

    worker: Any = SimpleNamespace(recorder=SimpleNamespace(query=answers), cipher_of=lambda _: None)
    request = Request("applications", "GET", "/v1/usage", urlencode({"month": "2026-11"} | query), {})
    request.endpoint = next(one for one in LIMITS if one.path == "/v1/usage")
    request.caller = SimpleNamespace(tenant="demo")  # type: ignore[assignment]
    return msgspec.json.decode(asyncio.run(reads.usage(worker, request)).body, type=Usage)


def test_a_months_usage_is_answered_page_by_page() -> None:
    """A request reads and answers so many lines and no more, whatever the month came to."""
    many = [row(f"app-{number:04}", 100, 100) for number in range(METERED + 2)]
    first = usage(many)
    assert (len(first.lines), first.next is None) == (METERED, False)
    second = usage(many, after=first.next or "")
    assert [line.application for line in (*first.lines, *second.lines)] == [one[2] for one in many]
    assert second.next is None
    for wrong in ("AAAA", "WzFd", "bnVsbA", "x"):
        with pytest.raises(BadRequest):
            usage(many, after=wrong)


def charges(found: OpenBill) -> list[Billed]:
    made = [
        billing._charge(found.fees, line, *units) for line, units in zip(found.fees.lines, found.units, strict=True)
    ]
    return [one for one in made if isinstance(one, Billed)]


def fields(found: OpenBill) -> dict[str, Any]:
    asked = BillRequest(month="2026-11", number="ZD-1", payer={})
    return billing._letter(asked, found).fields


def test_a_sum_that_no_single_amount_may_be_is_charged_as_it_is() -> None:
    (charge,) = charges(opened([row("app", 3 * MOST + 100, 20_000)]))
    assert (charge.amount, charge.fee) == (3 * MOST + 100, 20_000)


def test_what_one_bill_cannot_hold_is_the_next_ones() -> None:
    many = [row(f"app-{number:04}", 100, 100) for number in range(LINES + 1)]
    first = opened(many)
    assert (len(first.fees.lines), first.later) == (LINES, False)
    assert fields(first)["period"] == "2026-11"
    rest = opened([*(row(f"app-{at:04}", 100, 100, billed=5) for at in range(LINES)), many[-1]])
    assert [line.application for line in rest.fees.lines] == [f"app-{LINES:04}"]
    assert fields(rest)["period"] == "2026-11 ZD-1"  # another period of the payer's, or it would be taken
    large = opened([row("a", 1, MOST - 100), row("b", 1, 200), row("c", 1, 50)])
    assert [line.application for line in large.fees.lines] == ["a", "c"]
    assert parse_amount(large.fees.total, "CNY") < MOST
    assert len(opened(many, None).fees.lines) == LINES + 1  # whoever looks sees all


def test_a_long_name_is_cut_as_the_bills_kind_has_it() -> None:
    found = opened([row("app", 100, 100, whom="ab")])
    assert len(fields(found)["lines"][0]["whom"]) == WHOM


def test_what_differs_and_what_nobody_could_check_is_told_in_money() -> None:
    wrong = Key("query", "ask", "app", "", "CNY", 1)
    apart = Key("retention-bond", "issue", "app", "银行", "CNY", 1)
    found = Checked(
        1, 2, [(wrong, Sums(2, 0, 800_000), Sums(3, 0, 1_200_000))], [(apart, Sums(1, 5, 1_000))], 1, {1: "CNY"}
    )
    assert describe(found) == [
        "WRONG query ask app: billed 3 for 120.00 CNY, records hold 2 for 80.00 CNY",
        "not checked: retention-bond issue app 银行: billed 1 for 0.10 CNY; give its kind's file (--kind)",
    ]
