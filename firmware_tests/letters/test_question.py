"""Questions to registers: answered as trying would be, whatever was used before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.letters.errors import FieldRefused
from appliance.letters.kind import Kind
from appliance.letters.question import Question, answer, read_question
from appliance.letters.uniqueness import Use
from firmware_tests.letters.kinds import catalogue

CUSTOMS = catalogue("customs-financing").kind
ASKED: dict[str, Any] = {
    "declaration": "123456789012345678", "declared": {"amount": "100.00", "currency": "USD"},
}  # fmt: skip


def money(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def test_what_is_shared_is_asked_for_by_amount() -> None:
    found = read_question(CUSTOMS, "declaration", ASKED, money("40.00"))
    assert found == Question(Use("@customs", "declaration", ("123456789012345678",), 400_000, 1_000_000), "USD")


def test_what_is_used_once_is_asked_for_without() -> None:
    found = read_question(CUSTOMS, "number", {"number": "RZ-1"}, None)
    assert found == Question(Use("", "number", ("RZ-1",), 1, 1), "")


@pytest.mark.parametrize(
    ("register", "fields", "amount", "said"),
    [
        ("colour", ASKED, None, "/register: customs-financing has no register colour"),
        ("number", {"number": "RZ-1"}, money("1.00"), "/amount: it is used once"),
        ("declaration", ASKED, None, "/amount: it is shared by amount"),
        ("declaration", ASKED, money("0.00"), "/amount: it is at least 0.01"),
        ("declaration", ASKED, money("1.00", "CNY"), "/amount: its currency is one of USD"),
        ("declaration", {"declaration": "1" * 18}, money("1.00"), "/fields/declared: it is required"),
        ("declaration", ASKED | {"declaration": "12"}, money("1.00"), "/fields/declaration: it does not have"),
        ("declaration", ASKED | {"exporter": {"name": "x"}}, money("1.00"), "/fields/exporter: this event does not"),
    ],
)
def test_a_question_that_no_letter_could_be_is_refused(
    register: str, fields: dict[str, Any], amount: Any, said: str
) -> None:
    with pytest.raises(FieldRefused, match=f"^{said}"):
        read_question(CUSTOMS, register, fields, amount)


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 100), st.integers(1, 100))
def test_the_answer_is_what_trying_would_be(amount: int, declared: int, used: int, capacity: int) -> None:
    used = min(used, capacity)
    question = Question(Use("", "x", ("v",), amount * 100, declared * 100), "CNY")
    available, left = answer(question, used * 100, capacity * 100 if used else 0)
    if used:
        assert available == (declared == capacity and used + amount <= capacity)
        assert left == {"amount": f"{(capacity - used) / 100:.2f}", "currency": "CNY"}
    else:
        assert available == (amount <= declared)
        assert left == {"amount": f"{declared / 100:.2f}", "currency": "CNY"}
    shared = question._replace(use=question.use._replace(scope="@f"))
    assert answer(shared, used * 100, capacity * 100 if used else 0) == (available, None)


@pytest.mark.parametrize("used", [0, 1])
def test_what_is_used_once_is_free_or_taken(used: int) -> None:
    assert answer(Question(Use("", "x", ("v",), 1, 1), ""), used, used) == (not used, None)
    assert isinstance(CUSTOMS, Kind)
