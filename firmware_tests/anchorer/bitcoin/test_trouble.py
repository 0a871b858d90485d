"""What befalls anchors on a real chain: crashes, reorganisations, transactions that are dropped, replaced or stay
behind, nodes that stop, lag, or are another one than before. Each head is anchored once, and ends final or covered."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from appliance.anchorer.bitcoin.chain import OtherChain
from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchors import State
from appliance.anchors.bitcoin.encoding import shown
from appliance.log.ledgers import RequestRefused
from firmware_tests.anchorer.bitcoin.stage import REGTEST, Stage, anchors_in
from firmware_tests.others.litecoin import LitecoinNode


@pytest.fixture
def peers(tmp_path: Path, node: LitecoinNode) -> Iterator[tuple[LitecoinNode, LitecoinNode]]:
    """Two more nodes of the same chain."""
    made = (LitecoinNode(tmp_path / "second"), LitecoinNode(tmp_path / "third"))
    for one in made:
        one.start()
    node.join(*made)
    yield made
    for one in made:
        one.stop()


def once(node: LitecoinNode, stage: Stage) -> bool:
    """No head stands in the chain twice."""
    return all(len(sent) == 1 for sent in anchors_in(node, stage).values())


@pytest.mark.parametrize("dies_before_storing", range(6))
def test_a_process_that_dies_in_any_step_anchors_once(
    node: LitecoinNode, stage: Stage, dies_before_storing: int
) -> None:
    number = stage.due()
    for step in range(8):
        stage.step(store=step != dies_before_storing)
        stage.crash()
        if step in (2, 4, 6):
            node.mine()
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert len(anchors_in(node, stage)[stage.work[number].commitment]) == 1


def test_a_reorganisation_takes_an_anchor_back_and_it_is_mined_again(
    node: LitecoinNode, peers: tuple[LitecoinNode, LitecoinNode], stage: Stage
) -> None:
    number = stage.due()
    stage.until(lambda: bool(node.cli("getrawmempool")))
    node.join(*peers)
    node.part()
    node.mine(2)
    stage.step()
    assert stage.state(number) is State.MINED
    [(_, before)] = anchors_in(node, stage).items()
    # The other part of the network does not have the transaction, and grows faster.
    for one in peers:
        one.cli("setnetworkactive", "false")
    peers[0].mine_without(4)
    node.join(*peers)
    stage.step()
    assert stage.state(number) is State.SUBMITTED
    assert "left the chain" in stage.told[number][-1][1]
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert list(anchors_in(node, stage).values()) == [before]


def test_a_reorganisation_in_which_another_box_took_the_coin(
    node: LitecoinNode, peers: tuple[LitecoinNode, LitecoinNode], make: Callable[..., Stage]
) -> None:
    """Two boxes on one account with one coin. The second one's anchor wins in the part that grows faster; the first is
    built anew once that is final, and neither head stands twice."""
    first = make(node)
    node.pay(first.address, ("1",))
    node.mine(3)
    node.join(*peers)
    second = make(peers[0])
    node.part()
    peers[0].cli("setnetworkactive", "false")
    one = first.due()
    first.until(lambda: first.state(one) is State.MINED, node.mine)
    other = second.due(1_000)
    second.until(lambda: second.state(other) is State.MINED, peers[0].mine)
    peers[0].mine(node.height - peers[0].height + 1)
    node.join(*peers)
    first.step()
    assert first.state(one) is State.SUBMITTED
    both = [(first, one), (second, other)]
    for _ in range(20):
        for stage, number in both:
            if stage.state(number) in (State.SUBMITTED, State.MINED, None):
                stage.step()
        if all(stage.state(number) is State.FINAL for stage, number in both):
            break
        node.mine()
        node.join(*peers)
    assert [stage.state(number) for stage, number in both] == [State.FINAL] * 2
    assert once(node, first)
    assert once(node, second)
    assert any("spent by others" in cause for _, cause in first.told[one])


def test_a_coin_that_somebody_else_spends_is_given_up_only_when_that_is_final(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    """The account's key is used elsewhere: another box spends the coin of a transaction that was not yet sent."""
    stage, thief = make(node), make(node)
    node.pay(stage.address, ("1",))
    node.mine(3)
    number = stage.due()
    stage.step()
    theft = thief.due(1_000)
    thief.step()
    thief.step()
    assert len(node.cli("getrawmempool")) == 1
    stage.step()
    assert "waits spends it" in stage.told[number][-1][1]
    for _ in range(3):
        node.mine()
        stage.step()
        assert len(stage.desk.signed) == 1
        assert "not final yet" in stage.told[number][-1][1]
    thief.until(lambda: thief.state(theft) is State.FINAL)
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert len(stage.desk.signed) == 2
    assert once(node, stage)


def test_an_account_whose_only_coin_was_spent_elsewhere_waits_to_be_paid(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    """The other transaction leaves too little change for another anchor."""
    stage, thief = make(node, least_change=100_000_000), make(node)
    node.pay(stage.address, ("1.000005",))
    node.mine(3)
    number = stage.due()
    stage.step()
    theft = thief.due(1_000)
    thief.step()
    thief.step()
    thief.until(lambda: thief.state(theft) is State.FINAL, lambda: (node.mine(), stage.step()))
    stage.until(lambda: "has no coins" in stage.told[number][-1][1], node.mine)
    stage.step()
    assert stage.state(number) is State.SUBMITTED  # it was, so it is not due again
    node.pay(stage.address, ("2",))
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert once(node, stage)


def test_what_the_desk_refuses_keeps_nothing_else_from_becoming_final(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    stage = make(node)
    node.pay(stage.address, ("1", "1"))
    node.mine(3)
    first = stage.due()
    stage.until(lambda: stage.state(first) is State.MINED, node.mine)
    second = stage.due()

    async def refuses(_: object) -> bytes:
        raise RequestRefused("enough for this hour")

    stage.desk.sign = refuses  # type: ignore[method-assign]
    stage.until(lambda: stage.state(first) is State.FINAL, node.mine)
    assert stage.work[second].state is None
    assert stage.told[second][-1] == (None, "enough for this hour")


def test_a_transaction_that_stays_behind_is_replaced_with_a_higher_fee(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    stage = make(node, raise_after_s=0.05, most_fee=1_000)
    node.pay(stage.address, ("1", "1"))
    node.mine(3)
    number = stage.due()

    def fees() -> list[int]:
        return [100_000_000 - one.outputs[1].amount for one in stage.desk.signed]

    stage.until(lambda: "cannot be raised" in (stage.told[number] or [(None, "")])[-1][1])
    assert len(fees()) > 2
    assert fees() == sorted(set(fees()))
    assert fees()[-1] <= 1_000
    assert {one.inputs[0].spends for one in stage.desk.signed} == {stage.desk.signed[0].inputs[0].spends}
    assert node.cli("getrawmempool") == [shown(stage.desk.signed[-1].txid)]
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert once(node, stage)


def test_where_nodes_replace_nothing_the_first_transaction_goes_on_waiting(
    tmp_path: Path, make: Callable[..., Stage]
) -> None:
    node = LitecoinNode(tmp_path / "stubborn", replaces=False)
    node.start()
    try:
        node.mine(105)
        stage = make(node, raise_after_s=0.05)
        node.pay(stage.address, ("1", "1"))
        node.mine(3)
        number = stage.due()
        stage.until(lambda: "does not take its replacement" in (stage.told[number] or [(None, "")])[-1][1])
        assert node.cli("getrawmempool") == [shown(stage.desk.signed[0].txid)]
        stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
        assert len(stage.desk.signed) == 2
    finally:
        node.stop()


@pytest.mark.parametrize("mined", [0, 1])
def test_an_earlier_transaction_that_is_mined_after_all_counts(
    node: LitecoinNode, peers: tuple[LitecoinNode, LitecoinNode], make: Callable[..., Stage], mined: int
) -> None:
    """A miner takes the one that was replaced: it is found, and no other one follows."""
    stage = make(node, raise_after_s=0.05)
    node.pay(stage.address, ("1", "1"))
    node.mine(3)
    node.join(*peers)
    number = stage.due()
    stage.until(lambda: len(stage.desk.signed) == 2 and len(node.cli("getrawmempool")) == 1)
    stage.step()
    raw = stage.desk.signed[mined].encode().hex()
    peers[0].cli("generateblock", peers[0].cli("getnewaddress"), f'["{raw}"]')
    node.join(*peers)
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert anchors_in(node, stage) == {stage.work[number].commitment: [shown(stage.desk.signed[mined].txid)]}


def test_a_transaction_that_the_node_forgot_is_sent_again(node: LitecoinNode, stage: Stage) -> None:
    number = stage.due()
    stage.until(lambda: bool(node.cli("getrawmempool")))
    node.stop()
    (node.directory / "regtest" / "mempool.dat").unlink(missing_ok=True)
    with pytest.raises(LedgerUnavailable):
        stage.step()
    node.start()
    assert node.cli("getrawmempool") == []
    stage.until(lambda: bool(node.cli("getrawmempool")))
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert len(stage.desk.signed) == 1


def test_a_long_outage_is_caught_up_step_by_step(node: LitecoinNode, stage: Stage) -> None:
    number = stage.due()
    stage.until(lambda: bool(node.cli("getrawmempool")))
    stage.crash()
    node.mine(280)
    stage.step()
    assert stage.state(number) is State.SUBMITTED
    assert "followed" in stage.told[number][-1][1]
    stage.step()
    assert stage.state(number) is State.FINAL


def test_a_node_with_another_first_block_is_not_followed(node: LitecoinNode, make: Callable[..., Stage]) -> None:
    stage = make(node, rules=msgspec.structs.replace(REGTEST, genesis="11" * 32))
    stage.due()
    with pytest.raises(OtherChain, match="first block"):
        stage.step()


def test_a_node_without_the_profiles_trusted_block_is_not_followed(
    node: LitecoinNode, make: Callable[..., Stage]
) -> None:
    stage = make(node, rules=msgspec.structs.replace(REGTEST, trusted_headers=("11" * 32,)))
    stage.due()
    with pytest.raises(OtherChain, match="trusts"):
        stage.step()


def test_a_node_swapped_for_one_on_a_fork_is_not_followed_until_a_person_says_so(
    node: LitecoinNode, tmp_path: Path, stage: Stage, make: Callable[..., Stage]
) -> None:
    """The fork is longer, and lacks blocks that were final. Nothing is sent on it; when the first node is back, all
    goes on as if nothing had been."""
    number = stage.due()
    stage.until(lambda: stage.state(number) is State.MINED, node.mine)
    rpc = node.rpc
    node.stop()
    fork = LitecoinNode(tmp_path / "fork", rpc)
    fork.start()
    try:
        fork.mine(150)
        node.cookie.write_bytes(fork.cookie.read_bytes())
        for _ in range(3):
            with pytest.raises(OtherChain, match="no longer has block"):
                stage.step()
            stage.crash()
        # A person decides that the fork is the chain: a block of it is trusted.
        believing = make(node, rules=msgspec.structs.replace(REGTEST, trusted_headers=(fork.cli("getbestblockhash"),)))
        believing.work, believing.told = dict(stage.work), {1: []}
        believing.step()
        assert believing.state(number) is State.SUBMITTED
    finally:
        fork.stop()
    node.start()
    assert node.rpc == rpc
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert once(node, stage)


def test_a_node_that_begins_anew_is_waited_for(
    node: LitecoinNode, peers: tuple[LitecoinNode, LitecoinNode], stage: Stage
) -> None:
    """Its blocks are fetched again: until it has what was final before, it is behind, and not on another chain."""
    number = stage.due()
    stage.until(lambda: stage.state(number) is State.MINED, node.mine)
    node.join(*peers)
    node.stop()
    shutil.rmtree(node.directory / "regtest")
    node.start()
    with pytest.raises(LedgerUnavailable, match="behind") as told:
        stage.step()
    assert not isinstance(told.value, OtherChain)
    node.join(*peers)
    stage.until(lambda: stage.state(number) is State.FINAL, peers[0].mine)
    assert once(node, stage)


def test_a_node_that_lags_is_not_taken_for_one_that_lost_the_anchor(
    node: LitecoinNode, peers: tuple[LitecoinNode, LitecoinNode], make: Callable[..., Stage]
) -> None:
    """A second node of the same chain, some blocks behind: mined goes back to submitted, and forward again."""
    stage = make(node)
    node.pay(stage.address, ("1",))
    node.mine(3)
    node.join(*peers)
    number = stage.due()
    stage.until(lambda: bool(node.cli("getrawmempool")))
    peers[0].part()
    node.mine(2)
    stage.step()
    assert stage.state(number) is State.MINED
    behind = make(peers[0])
    behind.work, behind.told = dict(stage.work), {1: []}
    behind.step()
    assert behind.state(number) is State.SUBMITTED
    node.join(*peers)
    behind.until(lambda: behind.state(number) is State.FINAL, node.mine)
    assert behind.desk.signed == []
    assert once(node, behind)


def test_an_anchor_of_another_type_of_ledger_by_the_same_name_holds_up_no_other(
    node: LitecoinNode, stage: Stage
) -> None:
    """box.json gave the name to another ledger while an anchor was open: what that one remembered is no memory here."""
    left = stage.due()
    stage.work[left] = replace(stage.work[left], state=State.SUBMITTED, memory=b"\x93another ledger's")
    number = stage.due()
    stage.until(lambda: stage.state(number) is State.FINAL, node.mine)
    assert stage.state(left) is State.SUPERSEDED
    assert "no memory" in stage.told[left][0][1]
    stage.work[left] = replace(stage.work[left], state=State.SUBMITTED)
    (alone,) = stage.step()
    assert "no memory" in alone.cause


def test_a_clock_that_was_set_back_keeps_no_fee_from_being_raised(
    node: LitecoinNode, make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(node, raise_after_s=3_600.0)
    node.pay(stage.address, ("1", "1"))
    node.mine(3)
    true = time.time
    monkeypatch.setattr("appliance.anchorer.bitcoin.ledger.time.time", lambda: true() + 365 * 86_400)
    stage.due()
    stage.until(lambda: len(stage.desk.signed) == 1)
    stage.step()
    monkeypatch.setattr("appliance.anchorer.bitcoin.ledger.time.time", true)
    stage.until(lambda: len(stage.desk.signed) == 2)
