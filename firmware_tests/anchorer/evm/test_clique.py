"""Anchors on a chain with Clique seals, whose three signers are processes."""

from __future__ import annotations

import asyncio

from appliance.anchors import Rule, State, Strength, commitment_of, judge
from firmware_tests.anchorer.evm.driving import Place
from firmware_tests.others.evm_nodes import CliqueChain

FAR_US = 4_000_000_000_000_000


def test_an_anchor_is_proven_by_the_signers_seals(clique: CliqueChain, on_clique: Place) -> None:
    async def run() -> None:
        driven = on_clique.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        assert anchor.receipt is not None
        found = judge(anchor.receipt, commitment_of(anchor.checkpoint), on_clique.profile, now_us=FAR_US)
        assert (found.strength, found.by) == (Strength.PROVEN, Rule.VALIDATOR_SEALS)
        await driven.close()

    asyncio.run(run())
