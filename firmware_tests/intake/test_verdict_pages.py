"""A page of verdicts costs what a page may cost, however long the run is and however few of its rows are asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from appliance.api.intakes import endpoints
from appliance.api.intakes.endpoints import SEARCHED
from appliance.store import rows

PAGE = 250


class Run:
    """A recorder that has one long run; row 60,000 alone is a duplicate. Counts the rows that it was asked for."""

    def __init__(self, count: int) -> None:
        self.count, self.read = count, 0

    async def query(self, _name: str, _tenant: str, _run: bytes, first: int, _refused: bool) -> list[dict[str, Any]]:
        pages = []
        for start in range(first - first % PAGE, min(self.count, first + 40 * PAGE), PAGE):
            decided = [(at + 2, int(at == 60_000), bytes(16), "", "") for at in range(start, start + PAGE)]
            pages.append({"start": start, "rows": PAGE, "told": b"", "verdicts": rows.pack(decided)})
            self.read += PAGE
        return pages


def test_one_page_looks_through_so_many_rows_and_the_next_goes_on() -> None:
    recorder = Run(100_000)
    worker: Any = SimpleNamespace(recorder=recorder, cipher_of=lambda _: None)
    caller: Any = SimpleNamespace(tenant="demo")
    found, asked = [], 0
    after: int | None = 0
    while after is not None:
        before = recorder.read
        page = endpoints._verdicts(worker, caller, bytes(16), after, "duplicate", 1_000)
        verdicts, following = asyncio.run(page)
        found += [one.row for one in verdicts]
        assert recorder.read - before <= SEARCHED + 40 * PAGE
        assert following is None or following > after
        after, asked = following, asked + 1
    assert found == [60_002]
    assert asked == 1 + 100_000 // SEARCHED
