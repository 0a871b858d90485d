"""Lanes keep a slow token busy, and the forwarding module costs next to nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
import uvloop

from firmware_tests.hsm.words import P256, Books, Faulty
from firmware_tests.running import wait_until
from hsm import LaneSettings, Token
from hsm.public_keys import verify


@pytest.mark.parametrize("lanes", [4, 16])
def test_as_many_calls_are_under_way_as_there_are_lanes(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: int
) -> None:
    """What that comes to on a slow token is in the benchmarks."""
    token = open_with(faulty.throwaway, LaneSettings("threads", lanes, timeout_ms=20_000))
    key = token.signing_key(faulty.key, P256)
    before = faulty.forwarder.calls()
    faulty.forwarder.hang(times=None)

    async def main() -> None:
        asked = asyncio.gather(*(key.sign_async(b"m") for _ in range(3 * lanes)))
        await asyncio.to_thread(wait_until, lambda: faulty.forwarder.calls() == before + lanes)
        faulty.forwarder.release()
        await asked

    uvloop.run(main())
    assert faulty.forwarder.calls() == before + 3 * lanes
    assert books.balanced(3 * lanes)


def test_many_threads_and_an_event_loop_share_a_token(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    for settings in (LaneSettings(), LaneSettings("threads", 4)):
        token = open_with(faulty.throwaway, settings)
        key = token.signing_key(faulty.key, P256)
        signatures: list[bytes] = []

        def sign(key: object = key, signatures: list[bytes] = signatures) -> None:
            signatures.extend(key.sign(b"m") for _ in range(100))  # type: ignore[attr-defined]

        threads = [threading.Thread(target=sign) for _ in range(4)]
        for thread in threads:
            thread.start()

        async def main(key: object = key) -> list[bytes]:
            return [await key.sign_async(b"m") for _ in range(100)]  # type: ignore[attr-defined]

        signatures += asyncio.run(main())
        for thread in threads:
            thread.join()
        assert len(signatures) == 500
        for signature in signatures:
            verify(key.public_key, P256, b"m", signature)


def test_an_answer_that_is_late_for_one_does_not_hold_the_loop(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway, LaneSettings("threads", 2))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.delay(200)

    async def main() -> int:
        turns = 0
        asked = asyncio.ensure_future(key.sign_async(b"m"))
        while not asked.done():
            await asyncio.sleep(0.005)
            turns += 1
        return turns

    assert asyncio.run(main()) > 10
