"""What a tenant's letters count: its own counters, and apart from them what it asked of shared registers."""

from __future__ import annotations

import asyncio
from typing import Any

from appliance.audit import usage

TALLIES = {
    "@federation/banks/asked": 4,
    "@federation/banks/refused": 3,
    "@federation/funds/asked": 1,
    "@questions/app/2026-11-22": 5,
    "@veiled/ab": 2,
    "bid-bond/issued/CNY/2026-11/": 9,
}


class Recorder:
    async def query(
        self, name: str, _tenant: str, prefix: str, after: str = "", limit: int = 4_096, *last: bool
    ) -> Any:
        assert name == "tallies"
        found = [[one, amount] for one, amount in sorted(TALLIES.items()) if one.startswith(prefix) and one > after]
        return (found[::-1] if last else found)[:limit]


def test_questions_to_a_register_are_told_apart_from_counters() -> None:
    recorder: Any = Recorder()
    told = asyncio.run(usage._registers(recorder, "demo"))
    assert [(one.federation, one.asked, one.refused) for one in told] == [("banks", 4, 3), ("funds", 1, 0)]
    assert asyncio.run(usage._newest_windows(recorder, "demo")) == {"bid-bond/issued/CNY": "2026-11"}
