"""Control CHANNEL: one tenant's many documents do not keep another's from being read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.documents import DocumentsBusy, DocumentsClient, DocumentsUnavailable
from appliance.documents.queue import Bounds, FairQueue
from firmware_tests.documents.serving import MISDEED, Misdeed, Seen


@dataclass(frozen=True)
class Item:
    tenant: str
    number: int
    size: int = 1
    since: float = 0.0


@given(st.lists(st.sampled_from("abcd"), max_size=60))
def test_turns(tenants: list[str]) -> None:
    queue: FairQueue[Item] = FairQueue(Bounds(1_000, 10_000))
    items = [Item(tenant, number) for number, tenant in enumerate(tenants)]
    for item in items:
        queue.add(item)
    served: list[Item] = []
    while (item := queue.next()) is not None:
        served.append(item)
        assert len(queue) == len(items) - len(served)
    assert sorted(served, key=lambda one: one.number) == items
    for tenant in set(tenants):
        own = [one for one in served if one.tenant == tenant]
        assert own == sorted(own, key=lambda one: one.number)
        # Between two turns of a tenant, no other gets more than one.
        places = [served.index(one) for one in own]
        for before, after in pairwise(places):
            between = [one.tenant for one in served[before + 1 : after]]
            assert len(between) == len(set(between))


def test_bounds() -> None:
    queue: FairQueue[Item] = FairQueue(Bounds(8, 1_000))
    queue.add(Item("a", 0, 900))
    with pytest.raises(DocumentsBusy, match="this tenant"):
        queue.add(Item("a", 1, 50))
    with pytest.raises(DocumentsBusy, match="Too many documents wait"):
        queue.add(Item("b", 1, 200))
    queue.add(Item("b", 2, 50))
    queue.add(Item("b", 3, 1))
    with pytest.raises(DocumentsBusy, match="this tenant"):
        queue.add(Item("b", 4, 1))
    assert queue.next({"a"}) == Item("b", 2, 50)
    queue.drop({Item("a", 0, 900)})
    queue.add(Item("c", 5, 900))
    assert len(queue) == 2
    assert queue.older_than(1.0) == [Item("b", 3, 1), Item("c", 5, 900)]


def test_a_tenant_with_many_documents_leaves_room(keeper) -> None:
    running = keeper(workers=2)

    async def both() -> tuple[float, float]:
        client = DocumentsClient(running.socket)
        many = [asyncio.ensure_future(client.call(MISDEED, "many", Misdeed("wait", "0.3"))) for _ in range(12)]
        await asyncio.sleep(0.1)
        started = time.monotonic()
        for _ in range(3):
            assert isinstance(await client.call(MISDEED, "few", Misdeed("echo")), Seen)
        few = time.monotonic() - started
        await asyncio.gather(*many)
        await client.close()
        return few, time.monotonic() - started

    few, many = asyncio.run(both())
    assert few < 0.6
    assert many > 3.0


def test_more_than_may_wait_is_refused_at_once(keeper) -> None:
    running = keeper(workers=1, items=8, patience=0.6)

    async def crowd() -> list[object]:
        client = DocumentsClient(running.socket)
        try:
            tasks = [client.call(MISDEED, "many", Misdeed("wait", "0.8")) for _ in range(6)]
            return await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await client.close()

    answers = asyncio.run(crowd())
    busy = [str(one) for one in answers if isinstance(one, DocumentsBusy)]
    assert sum(isinstance(one, Seen) for one in answers) == 1
    assert any("of this tenant" in text for text in busy)
    assert any("turn did not come" in text for text in busy)
    assert all(one.retriable and one.status == 503 for one in answers if isinstance(one, DocumentsBusy))


def test_a_client_holds_no_more_than_it_may(keeper) -> None:
    running = keeper(workers=1)

    async def hold() -> None:
        client = DocumentsClient(running.socket, in_flight_bytes=1_000_000)
        waiting = asyncio.ensure_future(client.call(MISDEED, "a", Misdeed("wait", "0.5", bytes(400_000))))
        await asyncio.sleep(0.1)
        with pytest.raises(DocumentsBusy):
            await client.call(MISDEED, "a", Misdeed("echo", "", bytes(400_000)))
        theirs = await client.call(MISDEED, "b", Misdeed("echo", "", bytes(400_000)))
        assert theirs.bytes == 400_000
        assert (await waiting).bytes == 400_000
        assert (await client.call(MISDEED, "a", Misdeed("echo", "", bytes(900_000)))).bytes == 900_000
        await client.close()
        with pytest.raises(DocumentsUnavailable):
            await client.call(MISDEED, "a", Misdeed("echo"))

    asyncio.run(hold())


def test_nobody_there(tmp_path) -> None:
    async def call() -> None:
        client = DocumentsClient(tmp_path / "none.sock", patience=0.5)
        with pytest.raises(DocumentsUnavailable):
            await client.call(MISDEED, "a", Misdeed("echo"))
        await client.close()

    asyncio.run(call())
