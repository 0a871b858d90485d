"""Lanes keep a slow token busy, and the forwarding module costs next to nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from firmware_tests.hsm.words import P256, Books, Faulty
from hsm import LaneSettings, Token
from hsm.public_keys import verify


@pytest.mark.parametrize(("lanes", "delay_ms"), [(4, 5), (16, 5), (16, 20)])
def test_delayed_calls_fill_the_lanes(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: int, delay_ms: int
) -> None:
    """The measure proper, 0.8, is in the benchmarks; here other tests may share the machine."""
    token = open_with(faulty.throwaway, LaneSettings("threads", lanes, timeout_ms=20_000))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.delay(delay_ms)
    count = lanes * 1000 // delay_ms // 2

    async def main() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(key.sign_async(b"m") for _ in range(count)))
        return time.perf_counter() - start

    passed = uvloop.run(main())
    # Ideally half a second; one lane alone takes as many halves as there are lanes.
    assert passed < lanes / 2 / 2
    assert books.balanced(count)


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
