"""Anchors on a real node: from due to final, and what a person with the node's own tools finds there."""

from __future__ import annotations

from appliance.anchors import Rule, State, Strength
from firmware_tests.anchorer.bitcoin.stage import Stage, anchors_in
from firmware_tests.others.litecoin import LitecoinNode


def test_an_anchor_goes_through_its_states_and_ends_final(node: LitecoinNode, stage: Stage) -> None:
    number = stage.due()
    stage.step()
    assert stage.state(number) is State.SUBMITTED
    assert node.cli("getrawmempool") == []  # signed and stored; nothing was sent in that step
    stage.step()
    sent = node.cli("getrawmempool")
    assert len(sent) == 1
    node.mine()
    stage.step()
    assert stage.state(number) is State.MINED
    node.mine(2)
    stage.step()
    assert stage.state(number) is State.FINAL
    found = stage.judge(number)
    assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)
    assert anchors_in(node, stage) == {stage.work[number].commitment: sent}
