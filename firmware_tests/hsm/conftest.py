"""Fixtures: books, tokens that are closed at the end, a token behind the forwarder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from firmware_tests.hsm.words import P256, Books, Faulty
from hsm import LaneSettings, Token, open_token
from hsm.keys import generate_key_pair
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm, ThrowawayToken


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def open_with(books: Books) -> Iterator[Callable[..., Token]]:
    """Opens tokens that are closed at the end of the test."""
    opened: list[Token] = []

    def open_one(throwaway: ThrowawayToken, lanes: LaneSettings | None = None, **named: object) -> Token:
        token = open_token(
            throwaway.uri,
            throwaway.pin,
            lanes or LaneSettings(timeout_ms=5000),
            count_call=books.call,
            count_drop=books.drop,
            **named,
        )
        opened.append(token)
        return token

    yield open_one
    for token in opened:
        token.close()


@pytest.fixture
def faulty(softhsm: SoftHsm, forwarder: Forwarder) -> Faulty:
    throwaway = softhsm.token(module=forwarder.module)
    token = throwaway.open()
    key = generate_key_pair(token, "k", P256)
    token.close()
    return Faulty(forwarder, throwaway, key)
