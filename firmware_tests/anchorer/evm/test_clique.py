"""Anchors on a chain with Clique seals, whose three signers are processes: what is proven, and what forks do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.anchorer.evm.memory import read_memory
from appliance.anchors import AnchorRefused, Judgement, Rule, State, Strength, commitment_of, judge
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.rules import Validators, ValidatorSet
from appliance.box.ledgers.evm import EvmEndpoint
from firmware_tests.anchorer.evm.conftest import CLIQUE_KEY, place_on_clique
from firmware_tests.anchorer.evm.driving import Anchor, Place
from firmware_tests.others.evm_nodes import ClientChain, CliqueChain, CliqueNode, account_of

FAR_US = 4_000_000_000_000_000


def judged(anchor: Anchor, place: Place) -> Judgement:
    assert anchor.receipt is not None
    return judge(anchor.receipt, commitment_of(anchor.checkpoint), place.profile, now_us=FAR_US)


def with_nodes(place: Place, *nodes: CliqueNode) -> Place:
    """The same ledger, reached at these."""
    return place.changed(endpoints=[EvmEndpoint(url=node.url) for node in nodes])


def transactions_of(node: CliqueNode) -> int:
    return int(node("eth_getTransactionCount", account_of(CLIQUE_KEY), "latest"), 16)


def hash_of(anchor: Anchor) -> str:
    return "0x" + read_memory(anchor.memory).newest.hash.hex()


@pytest.mark.parametrize("kind", ["fee-market", "legacy"])
def test_an_anchor_is_proven_by_the_signers_seals(clique: CliqueChain, on_clique: Place, kind: str) -> None:
    async def run() -> None:
        driven = on_clique.changed(transactions=kind).driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
        assert anchor.states == [None, State.SUBMITTED, State.MINED, State.FINAL]
        found = judged(anchor, on_clique)
        assert (found.strength, found.by) == (Strength.PROVEN, Rule.VALIDATOR_SEALS)
        assert "3 signers" in found.notes[0]
        await driven.close()

    asyncio.run(run())


def test_one_signer_may_stop(clique: CliqueChain, on_clique: Place) -> None:
    async def run() -> None:
        driven = on_clique.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.SUBMITTED)
        clique.nodes[0].stop()  # the first endpoint, too
        left = clique.nodes[1:]
        await driven.until(lambda: anchor.state is State.FINAL, lambda: clique.seal(1, left), pause_s=0.05)
        assert "2 signers" in judged(anchor, on_clique).notes[0]
        await driven.close()

    asyncio.run(run())


def test_others_validators_prove_nothing(clique: CliqueChain, on_clique: Place) -> None:
    """A profile that lists somebody else: the anchor stays mined, and says why."""
    foreign = Validators(sets=(ValidatorSet(addresses=tuple(f"{one:040x}" for one in (1, 2, 3)), from_block=0),))

    async def run() -> None:
        driven = on_clique.ruled(consensus=foreign).driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.MINED, clique.seal)
        for _ in range(6):
            clique.seal()
            await driven.step()
        assert anchor.state is State.MINED
        assert EvmReason.FOREIGN_SEAL in anchor.history[-1][1]
        await driven.close()

    asyncio.run(run())


def test_a_branch_that_loses_takes_its_anchor_back(clique: CliqueChain, on_clique: Place, tmp_path: Path) -> None:
    """The network falls into two halves, of which the other wins; its signers had never heard of the transaction."""
    ours, theirs = clique.nodes[:2], [clique.nodes[2], clique.node(clique.keys[0])]
    place = with_nodes(on_clique.ruled(depth=6), ours[0])

    async def run() -> None:
        clique.join(*ours, *theirs)  # the fourth has the chain so far
        clique.join(*ours)
        clique.join(*theirs)
        driven = place.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.MINED, lambda: clique.seal(1, ours))
        clique.seal(2, ours)
        await driven.step()
        first = hash_of(anchor)
        clique.seal(9, theirs)
        clique.join(*ours, *theirs)
        assert ours[0]("eth_getTransactionReceipt", first) is None
        await driven.step()
        assert anchor.state is State.SUBMITTED
        assert "reorganisation" in anchor.history[-1][1]
        everyone = [*ours, *theirs]
        await driven.until(lambda: anchor.state is State.FINAL, lambda: clique.seal(1, everyone))
        assert anchor.states == [None, *[State.SUBMITTED, State.MINED] * 2, State.FINAL]
        assert hash_of(anchor) == first, "the same transaction was sent again"
        assert transactions_of(ours[0]) == 2  # the contract's, and the anchor's
        assert judged(anchor, place).strength is Strength.PROVEN
        await driven.close()

    asyncio.run(run())


def test_a_node_swapped_for_one_on_a_fork(clique: CliqueChain, on_clique: Place) -> None:
    """Behind the same ledger's name a node of another branch stands from one moment on, and later the first again."""
    ours, theirs = clique.nodes[:2], [clique.nodes[2], clique.node(clique.keys[0])]

    async def run() -> None:
        clique.join(*ours, *theirs)
        clique.join(*ours)
        clique.join(*theirs)
        one = with_nodes(on_clique.ruled(depth=5), ours[0]).driven()
        anchor = one.anchor()
        await one.until(lambda: anchor.state is State.MINED, lambda: clique.seal(1, ours))
        clique.seal(1, theirs)
        other = with_nodes(on_clique.ruled(depth=5), theirs[0]).driven()
        other.anchors = one.anchors
        await other.step()
        assert anchor.state is State.SUBMITTED
        await other.until(lambda: anchor.state is State.MINED, lambda: clique.seal(1, theirs))
        await one.step()
        assert anchor.state is State.MINED
        await one.until(lambda: anchor.state is State.FINAL, lambda: clique.seal(1, ours))
        # One transaction, whatever the branch: both have the same.
        assert len(read_memory(anchor.memory).attempts) == 1
        await one.close()
        await other.close()

    asyncio.run(run())


def test_a_chain_of_the_same_number_and_another_first_block_is_refused(
    clique: CliqueChain, on_clique: Place, tmp_path: Path
) -> None:
    twin = CliqueChain(tmp_path, [account_of(CLIQUE_KEY)], timestamp=1_700_000_000)

    async def run() -> None:
        assert twin.chain_id == clique.chain_id
        driven = with_nodes(on_clique, twin.nodes[0]).driven()
        driven.anchor()
        with pytest.raises(Exception, match="began with another block"):
            await driven.step()
        assert transactions_of(twin.nodes[0]) == 0
        await driven.close()
        # Beside a node of the right chain it is left alone.
        both = with_nodes(on_clique, twin.nodes[0], clique.nodes[0]).driven()
        anchor = both.anchor()
        await both.until(lambda: anchor.state is State.FINAL, clique.seal)
        assert not twin.nodes[0]("eth_getTransactionByHash", hash_of(anchor))
        await both.close()

    asyncio.run(run())
    twin.stop()


def test_a_receipt_of_the_twin_chain_does_not_hold(clique: CliqueChain, on_clique: Place, tmp_path: Path) -> None:
    """The same signers, contract and account on a chain that began with another block: only the genesis differs."""
    twin = CliqueChain(tmp_path, [account_of(CLIQUE_KEY)], timestamp=1_700_000_000)

    async def run() -> None:
        place = place_on_clique(twin, tmp_path)
        assert place.rules.contract == on_clique.rules.contract
        driven = place.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, twin.seal)
        with pytest.raises(AnchorRefused) as refused:
            judged(anchor, on_clique)
        assert refused.value.reason is EvmReason.WRONG_GENESIS
        await driven.close()

    asyncio.run(run())
    twin.stop()


def test_all_nodes_away_and_back(clique: CliqueChain, on_clique: Place) -> None:
    """A long outage: nothing is lost, and what was due is covered by one transaction."""

    async def run() -> None:
        driven = with_nodes(on_clique, clique.nodes[0]).driven()
        first = driven.anchor()
        await driven.until(lambda: first.state is State.FINAL, clique.seal)
        away = (
            with_nodes(on_clique, clique.nodes[0]).changed(endpoints=[EvmEndpoint(url="http://127.0.0.1:9")]).driven()
        )
        away.anchors = driven.anchors
        for _ in range(5):
            away.anchor()
            with pytest.raises(Exception, match="cannot be reached"):
                await away.step()
        await away.close()
        newest = driven.anchors[-1]
        await driven.until(lambda: newest.state is State.FINAL, clique.seal)
        assert [one.state for one in driven.anchors[1:-1]] == [None] * 4, "the outbox says superseded of these"
        assert transactions_of(clique.nodes[0]) == 3
        await driven.close()

    asyncio.run(run())


@pytest.fixture(params=["ours", "client"])
def by_itself(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliqueChain | ClientChain]:
    """A chain that seals by itself: of our nodes, or of @ethereumjs/client."""
    funded = [account_of(CLIQUE_KEY)]
    chain: CliqueChain | ClientChain
    chain = CliqueChain(tmp_path, funded, by_itself=True) if request.param == "ours" else ClientChain(tmp_path, funded)
    yield chain
    chain.stop()


def test_a_chain_that_seals_by_itself_goes_on_without_one_signer(
    by_itself: CliqueChain | ClientChain, tmp_path: Path
) -> None:
    # Whatever it is asked for, the receipt of the contract's transaction is waited for.
    place = place_on_clique(by_itself, tmp_path, seal=lambda: None)

    async def run() -> None:
        driven = place.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.SUBMITTED)
        by_itself.nodes[0].stop()  # the first endpoint, too
        await driven.until(lambda: anchor.state is State.FINAL, pause_s=0.2, steps=300)
        await driven.close()
        found = judged(anchor, place)
        assert (found.strength, found.by) == (Strength.PROVEN, Rule.VALIDATOR_SEALS)

    asyncio.run(run())


def test_agreeing_nodes(clique: CliqueChain, on_clique: Place) -> None:
    """Final only when two of the three show the block: one that was cut off does not count."""
    clique.join(*clique.nodes[:2])
    place = on_clique.changed(agreeing=3)

    async def run() -> None:
        driven = place.driven()
        anchor = driven.anchor()
        two = clique.nodes[:2]
        await driven.until(lambda: anchor.state is State.MINED, lambda: clique.seal(1, two))
        for _ in range(5):
            clique.seal(1, two)
            await driven.step()
        assert anchor.state is State.MINED
        assert "which 2 nodes have, and not 3" in anchor.history[-1][1]
        clique.join(*clique.nodes)
        await driven.until(lambda: anchor.state is State.FINAL)
        await driven.close()

    asyncio.run(run())


def test_the_receipt_is_small(clique: CliqueChain, on_clique: Place) -> None:
    async def run() -> None:
        driven = on_clique.ruled(depth=12).driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
        assert anchor.receipt is not None
        assert len(msgspec.json.encode(anchor.receipt)) < 40_000
        await driven.close()

    asyncio.run(run())
