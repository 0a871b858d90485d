"""Secret sharing: a published vector, an oracle that knows nothing of fields, and what shares do not tell."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.secret_sharing import combine, multiply, split


def plain_product(left: int, right: int) -> int:
    """The product as polynomials over GF(2), and then the remainder: schoolbook."""
    product = 0
    for shift in range(8):
        if right >> shift & 1:
            product ^= left << shift
    for degree in range(15, 7, -1):
        if product >> degree & 1:
            product ^= 0x11B << (degree - 8)
    return product


def test_products_are_those_of_the_field_of_aes() -> None:
    for left, right in itertools.product(range(256), repeat=2):
        assert multiply(left, right) == plain_product(left, right)
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197, section 4.2
    assert multiply(0x57, 0x13) == 0xFE


def test_the_vector_of_the_threshold_secret_sharing_draft() -> None:
    """draft-mcgrew-tss-03, section 9: the secret `test` and a zero byte, two of two."""
    shares = {1: bytes.fromhex("b9fa07e185"), 2: bytes.fromhex("f5409b4511")}
    assert combine(shares) == b"test\0"
    slope = bytes(a ^ b for a, b in zip(shares[1], b"test\0", strict=True))
    assert split(b"test\0", 2, 2, lambda _: slope) == shares


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=32), st.integers(1, 8), st.integers(0, 6), st.randoms(use_true_random=False))
def test_any_shares_of_the_threshold_give_the_secret(secret: bytes, threshold: int, more: int, chance: object) -> None:
    shares = split(secret, threshold, threshold + more)
    chosen = chance.sample(sorted(shares), threshold)  # type: ignore[attr-defined]
    assert combine({index: shares[index] for index in chosen}) == secret


def test_all_255_shares_and_the_last_ones() -> None:
    secret = bytes(range(32))
    shares = split(secret, 100, 255)
    assert len(set(shares.values())) == 255
    assert combine({index: shares[index] for index in range(156, 256)}) == secret


def test_fewer_shares_leave_every_secret_possible() -> None:
    """Two of three, one byte: over all slopes, one share is equally often each value, whatever the secret is."""
    for secret in (0, 1, 0x53, 255):
        seen = Counter(split(bytes([secret]), 2, 3, lambda _, slope=slope: bytes([slope]))[3] for slope in range(256))
        assert set(seen.values()) == {1}
        assert len(seen) == 256


def test_one_share_too_few_gives_something_else() -> None:
    secret = bytes(32)
    shares = split(secret, 3, 5)
    assert combine({1: shares[1], 2: shares[2]}) != secret


@pytest.mark.parametrize(("threshold", "count"), [(0, 1), (2, 1), (1, 256), (-1, 3)])
def test_impossible_splits_are_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="split among"):
        split(b"x", threshold, count)


@pytest.mark.parametrize("shares", [{}, {0: b"a"}, {256: b"a"}, {1: b"a", 2: b"ab"}])
def test_impossible_shares_are_refused(shares: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="share"):
        combine(shares)
