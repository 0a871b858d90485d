"""Canonical JSON: one meaning, one form; everything else is refused with its place."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.seals import JsonRejected, canonical_json


def test_form() -> None:
    # RFC 8785, section 3.2.3: members sort by UTF-16 code units.
    text = '{"\u20ac":1,"\\r":2,"\ufb33":3,"1":4,"\U0001f600":5,"\u0080":6,"\u00f6":7, "a" : [true, null, "/\\u0007"]}'
    expected = '{"\\r":2,"1":4,"a":[true,null,"/\\u0007"],"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    assert canonical_json(text.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a":1,"\\u0061":2}', "twice at /a"),
        (b'{"x":{"y/z~":[1,1.0]}}', "1.0 is not an integer .* at /x/y~1z~0/1"),
        (b"1e400", "1e400"),
        (b"-1E2", "-1E2"),
        (b"[NaN]", "NaN .* at /0"),
        (b"-Infinity", "Infinity"),
        (b"[9007199254740992]", "at /0"),
        (b"-9007199254740992", "at the top"),
        (b"9" * 1_000_000, "99999"),
        (b'{"a":["\\ud800"]}', "surrogate pair at /a/0"),
        (b'{"\\udc00":1}', r"surrogate pair at /\\udc00"),
        (b'{"\\u202e":1.5}', r"at /\\u202e"),
        (b"[" * 66 + b"]" * 66, "nested deeper than 64"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b'{"a":' * 100_000, "nested deeper than 64"),
        (b"[" + b"1," * 200_000 + b"1]", "more than 200000 values"),
        (b'{"a":1} x', "Extra data at line 1, column 9"),
        (b'{"a":1,}', "line 1, column 8"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "line 1"),
        (b"\x00{\x00}", "line 1"),
        (b"", "line 1"),
        (b'"a\nb"', "line 1"),
    ],
)
def test_refused(text: bytes, reason: str) -> None:
    with pytest.raises(JsonRejected, match=reason):
        canonical_json(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_same_value_same_form(value) -> None:
    compact = canonical_json(json.dumps(value).encode())
    assert json.loads(compact) == value
    assert canonical_json(json.dumps(value, indent=3, ensure_ascii=False).encode()) == compact
    assert canonical_json(compact) == compact


@given(st.binary(max_size=200) | st.text(st.sampled_from('{}[]",:\\u0123eE.-+ntf '), max_size=60).map(str.encode))
def test_fuzz(text: bytes) -> None:
    with contextlib.suppress(JsonRejected):
        assert canonical_json(canonical_json(text)) == canonical_json(text)
