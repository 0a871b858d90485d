"""Anchors on anvil: a real node, whose blocks nobody seals."""

from __future__ import annotations

import asyncio

from appliance.anchors import Rule, State, Strength, commitment_of, judge
from firmware_tests.anchorer.evm.driving import Place
from firmware_tests.others.evm_nodes import Anvil

FAR_US = 4_000_000_000_000_000


def test_an_anchor_becomes_final_and_its_receipt_shows_it(anvil: Anvil, on_anvil: Place) -> None:
    async def run() -> None:
        driven = on_anvil.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, lambda: anvil("evm_mine"))
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert anchor.receipt is not None
        found = judge(anchor.receipt, commitment_of(anchor.checkpoint), on_anvil.profile, now_us=FAR_US)
        assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
        await driven.close()

    asyncio.run(run())
