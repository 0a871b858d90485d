"""Hidden fields: digests and disclosures as RFC 9901 has them; nothing is disclosed that the event does not hold."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.letters.errors import DisclosureRefused
from appliance.letters.hidden import (
    MOST_DIGESTS,
    check_digests,
    digest_of,
    disclosure_of,
    hide,
    read_disclosure,
    reveal,
    select,
)

# RFC 9901, sections 4.2.1 to 4.2.3 and 5.1: (digest, disclosure, salt, name, value)
RFC_9901 = [
    (
        "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
        "_26bc4LT-ac6q2KI6cBW5es",
        "family_name",
        "Möbius",
    ),
    (
        "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs",
        "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0",
        "lklxF5jMYlGTPUovMNIvCA",
        None,
        "FR",
    ),
    (
        "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
        "2GLC42sKQveCfGfryNRN9w",
        "given_name",
        "John",
    ),
    (
        "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
        "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
        "eluV5Og3gSNII8EYnsxA_A",
        "family_name",
        "Doe",
    ),
    (
        "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE",
        "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ",
        "6Ij7tM-a5iVPGboS5tmvVA",
        "email",
        "johndoe@example.com",
    ),
]


@pytest.mark.parametrize(("digest", "disclosure", "salt", "name", "value"), RFC_9901)
def test_the_vectors_of_the_rfc(digest: str, disclosure: str, salt: str, name: str | None, value: str) -> None:
    assert digest_of(disclosure) == digest
    found = read_disclosure(disclosure)
    assert (found.salt, found.name, found.value, found.digest) == (salt, name, value, digest)


def test_the_rfcs_disclosures_prove_their_fields() -> None:
    digests = [row[0] for row in RFC_9901]
    chosen = [row[1] for row in RFC_9901[2:]]
    assert reveal(digests, chosen) == {"given_name": "John", "family_name": "Doe", "email": "johndoe@example.com"}
    # The same field in another spelling has another digest (section 4.2.1).
    other = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTVx1MDBmNmJpdXMiXQ"
    assert read_disclosure(other).value == "Möbius"
    with pytest.raises(DisclosureRefused):
        reveal(digests, [other])


def test_a_disclosure_is_hashed_as_anybody_would() -> None:
    """In three lines of the standard library."""
    hidden = hide({"bidder": "上海朱砂"})
    raw = base64.urlsafe_b64decode(hidden.disclosures[0] + "==")
    assert json.loads(raw)[1:] == ["bidder", "上海朱砂"]
    digest = hashlib.sha256(hidden.disclosures[0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") in hidden.digests


def test_what_one_reader_is_to_see() -> None:
    hidden = hide({"bidder": "A", "price": "1.00", "note": None}, decoys=3)
    assert len(hidden.digests) == 6
    assert hidden.members() == {"_sd": sorted(hidden.digests), "_sd_alg": "sha-256"}
    check_digests(hidden.digests)
    assert reveal(hidden.digests, select(hidden.disclosures, ["note", "bidder"])) == {"note": None, "bidder": "A"}
    assert reveal(hidden.digests, []) == {}
    with pytest.raises(DisclosureRefused, match="deposit"):
        select(hidden.disclosures, ["deposit"])


def test_what_is_not_this_events_is_refused() -> None:
    hidden, other = hide({"a": 1, "b": 2}), hide({"a": 1})
    element = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0"
    twice = [disclosure_of("salt-1", "a", 1), disclosure_of("salt-2", "a", 2)]
    for digests, disclosures, named in (
        (hidden.digests, other.disclosures, {}),
        (hidden.digests, [hidden.disclosures[0]] * 2, {}),
        (hidden.digests, hidden.disclosures, {"clear": ["a"]}),
        (hidden.digests, hidden.disclosures, {"algorithm": "sha-512"}),
        ([digest_of(element)], [element], {}),
        ([digest_of(one) for one in twice], twice, {}),
        ([*hidden.digests, hidden.digests[0]], [], {}),
    ):
        with pytest.raises(DisclosureRefused):
            reveal(digests, disclosures, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
def test_names_that_the_rfc_keeps_to_itself(name: str) -> None:
    with pytest.raises(DisclosureRefused):
        hide({name: 1})
    text = base64.urlsafe_b64encode(json.dumps(["salt", name, 1]).encode()).decode().rstrip("=")
    with pytest.raises(DisclosureRefused):
        read_disclosure(text)


def spelled(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "é",
        spelled("{}"),
        spelled("[]"),
        spelled('["s"]'),
        spelled('["s","n",1,2]'),
        spelled('[1,"n",1]'),
        spelled('["s",1,1]'),
        spelled('["s","n",NaN]'),
        spelled('["s","n",{"a":1,"a":2}]'),
        spelled(b'["s","n","\xff"]'),
        spelled("[" * 100_000),
        spelled('["s","n",1]') + "=",
        spelled('["s","n",1]') + "\n",
        spelled('["s","n",12]')[:-1] + "B",
        "W" * 300_000,
    ],
)
def test_what_is_no_disclosure(text: str) -> None:
    with pytest.raises(DisclosureRefused):
        read_disclosure(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**60, b"a", object(), {1: 2}, "\ud800", {"a": {1, 2}}])
def test_what_json_cannot_say_is_not_hidden(value: Any) -> None:
    with pytest.raises(DisclosureRefused):
        hide({"a": value})


def test_a_list_of_digests_has_one_order_and_an_end() -> None:
    digests = list(hide({"a": 1, "b": 2}, decoys=2).digests)
    for wrong in (digests[::-1], [*digests, digests[-1]], ["a"], [*digests, "=" * 43], sorted([*digests, "é" * 43])):
        with pytest.raises(DisclosureRefused):
            check_digests(wrong)
    with pytest.raises(DisclosureRefused):
        hide({}, decoys=MOST_DIGESTS + 1)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**52), 2.0**52)  # beyond, one number of JSON is two of Python
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(
    lambda name: name not in {"_sd", "...", "_sd_alg"}
)


@settings(max_examples=300)
@given(st.dictionaries(names, json_values, max_size=6), st.integers(0, 4), st.data())
def test_any_choice_is_proved_and_nothing_else(values: dict[str, Any], decoys: int, data: st.DataObject) -> None:
    hidden = hide(values, decoys=decoys)
    check_digests(hidden.digests)
    assert len(hidden.digests) == len(values) + decoys
    chosen = data.draw(st.lists(st.sampled_from(sorted(values)), unique=True) if values else st.just([]))
    revealed = reveal(hidden.digests, select(hidden.disclosures, chosen))
    assert revealed == {name: values[name] for name in chosen}


@settings(max_examples=500)
@given(st.text(max_size=80) | st.binary(max_size=60).map(spelled))
def test_any_text_is_read_or_refused_typed(text: str) -> None:
    try:
        found = read_disclosure(text)
    except DisclosureRefused:
        return
    assert found.text == text
    assert isinstance(found.salt, str)
