"""Patterns over names: narrow, whole, and cheap to match whatever is tried."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

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
        "a{99", "|a", "()", "(?:)", "a()b", "()*", "(|a)", "(a|)", "(a||b)",
        "a{0}", "a{00}", "a{0,0}", "b(a){0}", "(a{2}){3}", "(a{2})*",
        "((a{99}){99}){99}", "(a{1,9}b){2}", "((a|b)c){2}",
        "a{5,2}", "[ab]*[ab]*[ab]*c", "a*a*a*", "a*[ab]*a*(a|a)c",
        "(?P<x>a)", "(a|b)(a|b)(a|b)(a|b)(a|b)", "a" * 201, "\x00", r"\p", "((a+))+", "a{3,2}", ".*",
    ],
)  # fmt: skip
def test_what_is_not_narrow_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        NamePattern(pattern)


ATOMS = st.sampled_from(
    ["a", "b", "[ab]", r"\w", "(a)", "(?:ab)", "(a|b)", "(?:aa|a|ab)", "(?:a(?:b))", "(a{2})", "()", "-"]
)
COUNTS = st.sampled_from(["", "", "*", "+", "?", "{0}", "{2}", "{0,9}", "{1,63}", "{3,}", "{84}", "{99}"])
BUILT = st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=1, max_size=9).map("".join)


@settings(max_examples=400)
@given(BUILT, st.text(alphabet="ab", max_size=9), st.integers(1, 253))
def test_whatever_is_built_is_refused_or_cheap(pattern: str, name: str, times: int) -> None:
    """Patterns that look like patterns, whole and as one group, over names that nearly match."""
    for text in (pattern, f"({pattern})c", f"(?:{pattern}){{2}}"):
        try:
            made = NamePattern(text)
        except PatternRefused:
            continue
        tried = ((name or "a") * times)[:252]
        for one in (tried, f"{tried}c", f"{tried}-"):
            assert (re.compile(text, re.ASCII).fullmatch(one) is not None) == made.matches(one)
            assert spent(lambda one=one, made=made: made.matches(one)) < 0.05, (text, one)


@settings(max_examples=300)
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


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a){0,9}(a){0,9}(a){0,9}(a){99}c",
        r"(\w\w\w){1,20}(\w\w\w){0,9}(\w\w\w){0,9}(a){40}c",
        r"a*[ab]*(a)(a)(a)c",
        r"[ab]{1,63}(a){1,63}(a){1,9}(a|a)(a|a)c",
        r"(a|a)(a|a)(a|a)(a|a)a*(?:a){1,20}c",
        r"(?:a){1,99}(?:a){1,99}(a){99}c",
    ],
)
def test_the_worst_that_is_taken_is_cheap(pattern: str) -> None:
    made = NamePattern(pattern)
    for name in ("a" * 253, "a" * 252 + "c", "a" * 150 + "b", "ab" * 126):
        assert spent(lambda name=name: made.matches(name)) < 0.05


def spent(work: Callable[[], object]) -> float:
    """Seconds of this thread's processor time: others are at work beside it."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
