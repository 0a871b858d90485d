"""A judge that is not ours, on Hyperledger's definitions for JavaScript and Node's cryptography, says the same of
honest and of damaged receipts."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2

from appliance.anchors import AnchorRefused, canonical, commitment_of
from appliance.anchors.fabric.judge import judge, write_proof
from appliance.anchors.fabric.rules import Rules
from firmware_tests.anchors.fabric.made import Anchored, anchored, call, endorsed, envelope
from firmware_tests.anchors.fabric.network import Network, Organisations
from firmware_tests.anchors.fabric.organisations import Organisation
from firmware_tests.anchors.test_core import NOTE
from firmware_tests.others.npm import node

COMMITMENT = commitment_of(NOTE)
Case = tuple[common_pb2.Block, int]


def _changed(made: Anchored, change: Callable[[Any], None]) -> Case:
    block = copy.deepcopy(made.block)
    change(block)
    return block, made.place


def _one_signature_fewer(block: Any) -> None:
    seals = common_pb2.Metadata.FromString(block.metadata.metadata[0])
    del seals.signatures[0]
    block.metadata.metadata[0] = seals.SerializeToString()


def _another_signature(block: Any) -> None:
    seals = common_pb2.Metadata.FromString(block.metadata.metadata[0])
    seals.signatures[0].signature = seals.signatures[-1].signature[:-1] + b"\0"
    block.metadata.metadata[0] = seals.SerializeToString()


def _ours(case: Case, rules: Rules) -> str:
    try:
        return str(judge(write_proof(case[0].SerializeToString(), case[1]), COMMITMENT, rules).strength)
    except AnchorRefused as error:
        return str(error.reason)


def _theirs(cases: list[Case], rules: Rules, file: Path) -> list[str]:
    told = [
        {"block": base64.b64encode(block.SerializeToString()).decode(), "place": place, "commitment": COMMITMENT.hex()}
        for block, place in cases
    ]
    file.write_text(json.dumps({"rules": json.loads(canonical.encode(rules)), "cases": told}))
    found: list[str] = node("check-fabric-receipts.mjs", str(file))
    return found


def _invalid(network: Network, peers: slice) -> Case:
    made = call(network, COMMITMENT)
    response, endorsements = endorsed(network, made, network.peers[peers])
    block = network.order(envelope(network, made.transaction(response, endorsements)))
    block.metadata.metadata[2] = b"\0"
    return block, 0


def _mixed_up(network: Network) -> Case:
    made, other = call(network, COMMITMENT), call(network, secrets.token_bytes(32))
    block = network.order(envelope(network, made.transaction(*endorsed(network, other))))
    block.metadata.metadata[2] = b"\0"
    return block, 0


@pytest.mark.parametrize("bft", [False, True], ids=["raft", "bft"])
def test_both_judges_say_the_same(bft: bool, tmp_path: Path) -> None:
    ordering = [Organisation(f"Orderer{at}MSP", intermediate=at == 0) for at in range(4)] if bft else None
    organisations = Organisations() if ordering is None else Organisations(ordering=ordering)
    network = Network(organisations, bft=bft)
    foreign = Network(bft=bft)
    honest = anchored(network, COMMITMENT)
    code = bytes([transaction_pb2.TxValidationCode.MVCC_READ_CONFLICT] * 3)
    cases = [
        (honest.block, honest.place),
        (honest.block, 0),
        (honest.block, 7),
        (anchored(foreign, COMMITMENT).block, 1),
        _changed(honest, lambda block: setattr(block.header, "number", 300)),
        _changed(honest, lambda block: setattr(block.header, "data_hash", bytes(32))),
        _changed(honest, lambda block: block.metadata.metadata.__setitem__(2, code)),
        _changed(honest, lambda block: block.metadata.metadata.__setitem__(0, b"")),
        _changed(honest, _one_signature_fewer),
        _changed(honest, _another_signature),
        _changed(honest, lambda block: block.ClearField("metadata")),
        _changed(honest, lambda block: block.ClearField("header")),
        _invalid(network, slice(1)),
        _invalid(network, slice(2)),
        _mixed_up(network),
    ]
    for rules in (network.rules(), network.rules(seals=None), network.rules(endorsements=3)):
        ours = [_ours(case, rules) for case in cases]
        assert _theirs(cases, rules, tmp_path / "cases.json") == ours
        if rules == network.rules():
            assert ours[0] == "proven"
            assert {"other_commitment", "no_transaction", "foreign_creator", "data_hash", "failed_transaction"} <= {
                *ours
            }
            assert {"too_few_endorsements", "mixed_up", "foreign_seal", "too_few_seals"} <= {*ours}
