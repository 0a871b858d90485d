"""Streamed CMS: definite lengths for indefinite ones, nothing else changed."""

from __future__ import annotations

import contextlib

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from appliance import ber, der
from appliance.der import DerError

END = b"\x00\x00"
leaves = st.binary(max_size=300).map(der.octet_string) | st.integers().map(der.integer)
trees = st.recursive(
    leaves.map(lambda leaf: (leaf, leaf)),
    lambda inner: st.lists(inner, max_size=4).map(
        lambda members: (
            b"\x30\x80" + b"".join(streamed for streamed, _ in members) + END,
            der.sequence(*(plain for _, plain in members)),
        )
    ),
    max_leaves=12,
)


@given(trees)
def test_lengths(pair: tuple[bytes, bytes]) -> None:
    streamed, plain = pair
    assert ber.with_definite_lengths(streamed) == plain
    assert ber.with_definite_lengths(plain) == plain


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_octet_string_in_pieces(pieces: list[bytes]) -> None:
    expected = der.octet_string(b"".join(pieces))
    inner = b"".join(map(der.octet_string, pieces))
    assert ber.with_definite_lengths(b"\x24\x80" + inner + END) == expected
    assert ber.with_definite_lengths(der.tlv(0x24, inner)) == expected
    assert core.OctetString.load(b"\x24\x80" + inner + END).native == b"".join(pieces)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x30\x80\x00\x00\x00",
        b"\x04\x80\x00\x00",
        b"\x30\x80\x00\x01\x00\x00",
        b"\x1f\x01\x00",
        b"\x30\x05\x00",
        b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x24\x80\x02\x01\x01\x00\x00",
        b"\x24\x03\x02\x01\x01",
        b"\x30\x80" * 17 + END * 17,
        b"\x30\x80" * 100_000,
        b"\x24\x80" + b"\x04\x00" * 200_000 + END,
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(DerError):
        ber.with_definite_lengths(data)


@given(st.binary(max_size=80) | st.lists(st.sampled_from([b"\x30\x80", b"\x24\x80", END, b"\x04\x01a"])).map(b"".join))
def test_noise(data: bytes) -> None:
    with contextlib.suppress(DerError):
        assert len(ber.with_definite_lengths(data)) <= len(data) + 64
