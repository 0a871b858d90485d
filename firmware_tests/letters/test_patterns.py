"""Patterns: what is kept means what Python means by it, and runs in linear time on hostile texts."""

from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.letters.patterns import PatternRefused, check_pattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+", "ambiguous-repeat"),
        ("(a*)*", "empty-repeated"),
        ("a*a*b", "ambiguous-repeat"),
        ("[0-9]*[0-9a-f]*", "ambiguous-repeat"),
        ("(a|a)*b", "ambiguous-choice"),
        ("(a|ab)(c|bcd)", "ambiguous-choice"),
        ("(x+|y)x", "ambiguous-repeat"),
        (".*a", "ambiguous-repeat"),
        (r"[^/]+\.pdf", "ambiguous-repeat"),
        ("(a?){50}", "empty-repeated"),
        ("(a{1,9}){1,9}", "ambiguous-repeat"),
        (r"\d+", "escape"),
        (r"(a)\1", "escape"),
        ("(?=a)a", "extension"),
        ("(?P<x>a)", "extension"),
        ("(?i:a)", "extension"),
        ("^a$", "anchor"),
        ("a+?", "twice-repeated"),
        ("a{2000}", "braces"),
        ("a{,3}", "braces"),
        ("a{3,2}", "braces"),
        ("a{²}", "braces"),
        ("[z-a]", "backwards"),
        ("[a||b]", "special"),
        ("[[:alpha:]]", "special"),
        ("(a", "unfinished"),
        ("a)", "unopened"),
        ("[a", "unfinished"),
        ("a\\", "unfinished"),
        ("*a", "special"),
        ("(" * 30 + ")" * 30, "too-deep"),
        ("a" * 300, "too-long"),
    ],
)
def test_what_could_run_for_ever_or_differently_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternRefused) as caught:
        check_pattern(pattern)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("pattern", "text", "not_text"),
    [
        ("[A-Za-z0-9-]+", "GD-2026-0412", "GD 2026"),
        ("[0-9A-HJ-NPQRTUWXY]{18}", "91440101MA5CUYJL1K", "91440101MA5CUYJLIK"),
        ("(GD|GZ)-[0-9]{4,8}", "GZ-20264", "GX-20264"),
        ("([0-9]{4}-)?[A-Z]+", "2026-AB", "2026AB"),
        ("[0-9]{1,3}(,[0-9]{3})*", "1,234,567", "1,23"),
        (r"[^/]+/[^/.]+\.pdf", "a/b.pdf", "a/b/c.pdf"),
        ("[粤京沪][A-Z][0-9A-Z]{5,6}", "粤A12345", "港A12345"),
    ],
)  # fmt: skip
def test_patterns_that_kinds_want_are_kept(pattern: str, text: str, not_text: str) -> None:
    check_pattern(pattern)
    assert re.fullmatch(pattern, text)
    assert not re.fullmatch(pattern, not_text)


_ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", "[b-d]", ".", r"\.", "é"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda options: f"({'|'.join(options)})")
        | st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{2,}", "{7,900}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        )
    ),
    max_leaves=10,
)


@settings(max_examples=600)
@given(_PATTERNS, st.sampled_from(["a", "b", "ab", "abc", "aab", "d"]), st.sampled_from(["", "!", "a", "c"]))
def test_what_is_kept_runs_in_linear_time(pattern: str, unit: str, end: str) -> None:
    try:
        check_pattern(pattern)
    except PatternRefused:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = re.compile(rf"(?:{pattern})\Z")
    text = unit * (20_000 // len(unit)) + end
    begin = time.process_time()
    compiled.match(text)
    assert time.process_time() - begin < 0.2, pattern


def test_the_time_is_not_for_want_of_hostile_texts() -> None:
    """The refused pattern really takes for ever: the measure above would see it."""
    begin = time.process_time()
    re.compile(r"(?:(a+)+)\Z").match("a" * 22 + "!")
    assert time.process_time() - begin > 0.05


@given(st.text(alphabet="ab(|)[]^-\\.*+?{}1,9", max_size=12))
def test_what_is_kept_compiles_without_a_warning(pattern: str) -> None:
    try:
        check_pattern(pattern)
    except PatternRefused:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.compile(rf"(?:{pattern})\Z")
