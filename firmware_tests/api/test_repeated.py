"""A member that stands twice in one object of a JSON body is refused, however it is spelt and wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import repeated
from appliance.errors import BadRequest
from appliance.repeated import SMALL, refuse_repeated

DIGEST = "ab" * 32
BALLAST = '"ballast": "' + "x" * SMALL + '"'

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _has_twice(body: str) -> bool:
    """The plain version."""
    seen = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    json.loads(body, object_pairs_hook=look)
    return any(seen)


def _refused(body: bytes) -> bool:
    try:
        refuse_repeated(body)
    except BadRequest:
        return True
    return False


@pytest.mark.parametrize(
    "body",
    [
        '{"digest": "00", "digest": "11"}',
        '{"digest":"00","hash":"sha256","digest":"00"}',
        '{"digest": "00", "\\u0064igest": "11"}',
        '{"files": [{"name": "a", "content": "", "name": "b"}]}',
        '{"options": {"a": 1}, "options": {"a": 1}}',
        '{"a" \n:1, "b": {"a": 2}, "a"\t:3}',
    ],
)
def test_twice(body: str) -> None:
    for one in (body, body.replace("{", "{" + BALLAST + ", ", 1), body[:-1] + ", " + BALLAST + "}"):
        assert _has_twice(one)
        with pytest.raises(BadRequest, match="twice"):
            refuse_repeated(one.encode())


@pytest.mark.parametrize(
    "body",
    [
        '{"digest": "00"}',
        '{"files": [{"name": "a", "content": ""}, {"name": "a", "content": ""}]}',
        '{"a": {"a": {"a": 1}}, "b": ["a", "a", "a:", "{", "}"]}',
        '{"name": "\\": \\"name\\":", "b": "a:a:{}"}',
        "[]",
        '"a:b:c"',
    ],
)
def test_once(body: str) -> None:
    refuse_repeated(body.encode())
    if body[0] == "{":
        refuse_repeated((body[:-1] + ", " + BALLAST + "}").encode())


@given(value=JSON, escaped=st.booleans())
def test_what_has_no_member_twice_passes(value: Any, escaped: bool) -> None:
    body = json.dumps({"value": value, "more": value}, ensure_ascii=escaped)
    refuse_repeated(body.encode())
    if "\\" not in body:
        repeated._walk(body.encode())


@given(text=st.text(alphabet='{}[]:," ab\\\n1', max_size=40))
def test_both_ways_agree_with_the_plain_one(text: str) -> None:
    try:
        expected = _has_twice(text)
    except ValueError:
        return  # the check is made of JSON only
    assert _refused(text.encode()) is expected
    if "\\" not in text:
        try:
            repeated._walk(text.encode())
        except BadRequest:
            assert expected
        else:
            assert not expected
        if repeated._all_differ(text.encode()):
            assert not expected


@given(
    names=st.lists(st.sampled_from(["a", "b", "c", "ü"]), max_size=5), inner=st.lists(st.sampled_from("ab"), max_size=3)
)
def test_objects_of_few_names(names: list[str], inner: list[str]) -> None:
    held = "{" + ", ".join(f'"{name}": 1' for name in inner) + "}"
    body = "{" + ", ".join(f'"{name}": {held}' for name in names) + "}"
    assert _refused(body.encode()) is _has_twice(body)
    large = "{" + ", ".join([BALLAST, *(f'"{name}": {held}' for name in names)]) + "}"
    assert _refused(large.encode()) is _has_twice(large)


@pytest.mark.parametrize("path", ["/v1/stamps", "/v1/seals", "/v1/seals/prepare"])
def test_the_box_refuses_them(box, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"digest": "{DIGEST}", "digest": "{"cd" * 32}"}}'.encode()
    answer = box.request("POST", path, body, headers=headers)
    assert answer.status == 400, answer.body
    assert answer.json()["type"].endswith(":bad-request")
    assert "'digest' twice" in answer.json()["detail"]


def test_so_it_does_in_large_bodies(box) -> None:
    digests = ", ".join([f'"{DIGEST}"'] * 1_000)
    body = f'{{"digests": [{digests}], "hash": "sha256", "hash": "sha384"}}'.encode()
    for path in ("/v1/stamps/bulk", "/v1/seals/bulk"):
        answer = box.request("POST", path, body, headers={"Content-Type": "application/json"})
        assert answer.status == 400, answer.body
        assert "'hash' twice" in answer.json()["detail"]
