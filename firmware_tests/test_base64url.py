from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.base64url import from_base64url, to_base64url


@given(st.binary(max_size=80))
def test_it_is_the_librarys_without_padding_and_reads_back(data: bytes) -> None:
    text = to_base64url(data)
    assert base64.urlsafe_b64decode(text + "==") == data
    assert from_base64url(text) == data


@given(st.text("AQgw_-+/=\n é", max_size=8))
def test_no_two_texts_say_the_same(text: str) -> None:
    try:
        data = from_base64url(text)
    except ValueError:
        return
    assert to_base64url(data) == text


@pytest.mark.parametrize("text", ["AA==", "AB", "AAB", "A", "AAAAA", "+w", "_w=", "AA\n", " AA", "AA.AA", "é"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - callers say what it was of
        from_base64url(text)
