"""Shamir's secret sharing over GF(2^8), byte by byte: any `threshold` shares give the secret, fewer give nothing.

The field is that of AES (reduction polynomial x^8 + x^4 + x^3 + x + 1), the secret is the polynomial's value at 0 and
share i its value at i, as in draft-mcgrew-tss-03 and SLIP-0039. Secrets meet no table and no branch: products are made
by shifting and masking, whatever the values. Sources: A. Shamir, How to share a secret (CACM 22, 1979).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

MOST_SHARES = 255
_REDUCTION = 0x1B


def split(
    secret: bytes, threshold: int, count: int, random_bytes: Callable[[int], bytes] = os.urandom
) -> dict[int, bytes]:
    """Shares of a secret by index, 1 to `count`, each as long as the secret.

    Raises ValueError unless 1 <= threshold <= count <= 255 and the secret is not empty."""
    if not (1 <= threshold <= count <= MOST_SHARES) or not secret:
        raise ValueError("a secret is split among 1 to 255, and the threshold is at most their number")
    coefficients = [secret, *(random_bytes(len(secret)) for _ in range(threshold - 1))]
    return {index: _evaluate(coefficients, index) for index in range(1, count + 1)}


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret of exactly as many shares as the threshold was. Fewer, or wrong ones, give other bytes unnoticed.

    Raises ValueError for no shares, shares of several lengths, and indexes outside 1 to 255."""
    if not shares or len({len(value) for value in shares.values()}) != 1:
        raise ValueError("shares of one secret have one length")
    if not all(1 <= index <= MOST_SHARES for index in shares):
        raise ValueError("the index of a share is 1 to 255")
    secret = bytes(len(next(iter(shares.values()))))
    for index, value in shares.items():
        weight = _weight_at_zero(index, shares.keys() - {index})
        secret = bytes(a ^ multiply(b, weight) for a, b in zip(secret, value, strict=True))
    return secret


def multiply(left: int, right: int) -> int:
    """The product of two elements of the field, each 0 to 255."""
    product = 0
    for _ in range(8):
        product ^= -(right & 1) & left
        left = ((left << 1) ^ (-(left >> 7) & _REDUCTION)) & 0xFF
        right >>= 1
    return product


def _evaluate(coefficients: list[bytes], at: int) -> bytes:
    value = bytes(len(coefficients[0]))
    for coefficient in reversed(coefficients):  # Horner's rule
        value = bytes(multiply(a, at) ^ b for a, b in zip(value, coefficient, strict=True))
    return value


def _weight_at_zero(index: int, others: set[int]) -> int:
    """Lagrange's basis polynomial of `index` at 0: the product of j / (j - i); indexes are no secrets."""
    weight = 1
    for other in others:
        weight = multiply(weight, multiply(other, _inverse(other ^ index)))
    return weight


def _inverse(value: int) -> int:
    """value^254, which is 1/value in a field of 256 elements."""
    result, square = 1, value
    for _ in range(7):
        square = multiply(square, square)
        result = multiply(result, square)
    return result
