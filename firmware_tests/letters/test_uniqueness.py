"""Uniqueness keys: one encoding, compared as people read, hashed by a key in a token."""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.letters.errors import FieldRefused
from appliance.letters.uniqueness import KEY_BYTES, LONGEST_VALUE, encoded, normalised, tenant_scope, uniqueness_key
from hsm import Pkcs11Uri
from hsm.mac import generate_mac_key
from hsm.testing.softhsm import SoftHsm

KEY = bytes(range(32))


def mac(message: bytes) -> bytes:
    return hmac.digest(KEY, message, "sha256")


VECTORS = [
    # (scope, name, values, HMAC-SHA-256 under the key 00 01 .. 1f), in docs/veil.md
    (
        "tenant/demo",
        "tender",
        ["TENDER-2026/001"],
        "1d53d2988407cb23236748fd01bc779c1e8cb8038c34f863c9a3c5f8fda8eada",
    ),
    (
        "@rehearsal",
        "invoice",
        ["044031900104", "12345678", "91110000710925002X"],
        "15622f9f1991fc12d05fe0df06a0aa5e761c446c49548b354ceba18004f76505",
    ),
    (
        "@rehearsal",
        "bidder",
        ["上海朱砂　科技有限公司 ", "ＴＥＮＤＥＲ－２０２６"],
        "350ecb22c23b41d06b1bc11a6b90cd91caf600c5d500aac1df7ecf2ff5a1f8a1",
    ),
]


@pytest.mark.parametrize(("scope", "name", "values", "expected"), VECTORS)
def test_vectors(scope: str, name: str, values: Sequence[str], expected: str) -> None:
    key = uniqueness_key(mac, scope, name, values)
    assert len(key) == KEY_BYTES
    assert key.hex() == expected


def test_the_encoding_byte_by_byte() -> None:
    assert encoded("@f", "n", ["A", "中"]) == (
        b"cinnabar uniqueness v1\n"
        + b"\0\0\0\2@f"
        + b"\0\0\0\1n"
        + b"\0\0\0\2"
        + b"\0\0\0\1a"
        + b"\0\0\0\3\xe4\xb8\xad"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("INV-1", "inv-1"),
        ("ＩＮＶ－１", "INV-1"),
        ("  a   b ", "a b"),
        ("a\u3000b", "a b"),
        ("a\tb\r\n", "a b"),
        ("Straße", "STRASSE"),
        ("ﬁ", "FI"),
        ("é", "e\u0301"),
        ("朱\ufe00砂", "朱砂"),
        ("神", "神"),  # the compatibility ideograph U+FA19
        ("①", "1"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_what_reads_alike_is_alike(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("0", "O"), ("a-b", "a–b"), ("朱砂", "硃砂"), ("a b", "ab"), ("国", "國")])
def test_what_reads_otherwise_stays_different(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    "value", ["", "   ", "\u3000", "\ufe0f", "a\u200bb", "\u202ea", "a\0", "\ud800", "\ue000", "\U0010ffff", "a\x85b"]
)
def test_what_nobody_sees_is_refused(value: str) -> None:
    with pytest.raises(FieldRefused):
        normalised(value)


def test_limits_and_names() -> None:
    assert normalised("a" * LONGEST_VALUE)
    # U+FDFA becomes 18 characters
    for value in ("a" * (LONGEST_VALUE + 1), "\ufdfa" * 100):
        with pytest.raises(FieldRefused):
            normalised(value)
    for scope in ("", "demo", "tenant/", "tenant/A", "@", "@A", "tenant/a\n", "@a/b"):
        with pytest.raises(FieldRefused):
            encoded(scope, "n", ["a"])
    for name in ("", "A", "a b", "a\n", "1"):
        with pytest.raises(FieldRefused):
            encoded("@f", name, ["a"])
    for values in ([], ["a"] * 17):
        with pytest.raises(FieldRefused):
            encoded("@f", "n", values)


visible = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn")), min_size=1, max_size=30).filter(
    lambda text: bool(unicodedata.normalize("NFKC", text).strip())
)


def kept(text: str) -> str | None:
    try:
        return normalised(text)
    except FieldRefused:
        return None


@settings(max_examples=1000)
@given(visible)
def test_normalisation_is_done_once_and_for_all(text: str) -> None:
    once = kept(text)
    if once is not None:
        assert normalised(once) == once
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            assert kept(unicodedata.normalize(form, text)) == once  # type: ignore[arg-type]
        assert kept(f" {text}\u3000") == once


@settings(max_examples=500)
@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_typed(text: str) -> None:
    found = kept(text)
    assert found is None or 1 <= len(found) <= LONGEST_VALUE


names = st.from_regex(r"\A[a-z][a-z0-9_-]{0,8}\Z")
claims = st.tuples(st.sampled_from(["tenant/a", "tenant/b", "@a"]), names, st.lists(visible, min_size=1, max_size=4))


@settings(max_examples=500)
@given(claims, claims)
def test_one_encoding_for_one_claim(one: tuple[str, str, list[str]], other: tuple[str, str, list[str]]) -> None:
    try:
        messages = [encoded(*one), encoded(*other)]
    except FieldRefused:
        return
    same = (*one[:2], [normalised(v) for v in one[2]]) == (*other[:2], [normalised(v) for v in other[2]])
    assert (messages[0] == messages[1]) is same


def test_the_key_stands_in_a_token(softhsm: SoftHsm) -> None:
    token = softhsm.token().open()
    first = token.mac_key(generate_mac_key(token, "demo-uniqueness"))
    second = token.mac_key(generate_mac_key(token, "rehearsal-uniqueness"))
    assert first.request.uri == Pkcs11Uri(object="demo-uniqueness", id=first.request.uri.id, type="secret-key")
    claim = (tenant_scope("demo"), "invoice", ["INV-1"])
    assert uniqueness_key(first.mac, *claim) == uniqueness_key(first.mac, tenant_scope("demo"), "invoice", [" inv-1"])
    assert uniqueness_key(first.mac, *claim) != uniqueness_key(second.mac, *claim)
    token.close()
