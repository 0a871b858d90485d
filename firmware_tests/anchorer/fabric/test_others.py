"""Hyperledger's own client library (npm) speaks to the tests' Gateway, and the judge takes what it anchored: so the
channel that the box is tested on answers as the published client expects."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_pb2

from appliance.anchors import Strength, commitment_of
from appliance.anchors.fabric.judge import judge, write_proof
from appliance.anchors.fabric.transactions import Call, place_of, prepared
from firmware_tests.anchorer.fabric.peer import Gateway, serving
from firmware_tests.anchors.fabric.made import ORIGIN, SIZE
from firmware_tests.anchors.fabric.network import CHAINCODE, CHANNEL, FUNCTION, Network
from firmware_tests.anchors.test_core import NOTE
from firmware_tests.others.npm import node

COMMITMENT = commitment_of(NOTE)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, dict[str, object]]:
    directory: Path = tmp_path_factory.mktemp("node")
    network = Network()
    assert network.client.key is not None
    private = network.client.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(private)
    (directory / "certificate.pem").write_bytes(network.client.pem)
    gateway = Gateway(network)
    with serving(gateway, directory) as address:
        files = [str(directory / name) for name in ("tls-ca.pem", "certificate.pem", "key.pem")]
        call = [network.client.msp, CHANNEL, CHAINCODE, FUNCTION, COMMITMENT.hex(), ORIGIN, str(SIZE)]
        made = node("fabric-client.mjs", address, *files, *call)
    assert gateway.calls == ["Endorse", "Submit", "CommitStatus", "Evaluate"]
    return network, made


def _bytes(made: dict[str, object], name: str) -> bytes:
    return base64.b64decode(str(made[name]))


def test_their_client_commits_on_the_tests_channel(shown: tuple[Network, dict[str, object]]) -> None:
    network, made = shown
    assert (made["successful"], made["code"], made["number"], made["transactions"]) == (True, 0, 1, 1)
    assert _bytes(made, "block") == network.blocks[1].SerializeToString()
    assert _bytes(made, "dataHash") == network.blocks[1].header.data_hash


def test_the_judge_takes_what_their_client_anchored(shown: tuple[Network, dict[str, object]]) -> None:
    network, made = shown
    block = _bytes(made, "block")
    found = judge(write_proof(block, place_of(block, str(made["transaction"]))), COMMITMENT, network.rules())
    assert found.strength is Strength.PROVEN
    assert str(made["transaction"]) in found.place


def test_the_boxs_proposal_and_transaction_are_byte_for_byte_those_of_their_client(
    shown: tuple[Network, dict[str, object]],
) -> None:
    network, made = shown
    proposed = gateway_pb2.ProposedTransaction.FromString(_bytes(made, "proposal"))
    theirs = proposed.proposal.proposal_bytes
    header = common_pb2.Header.FromString(proposal_pb2.Proposal.FromString(theirs).header)
    channel = common_pb2.ChannelHeader.FromString(header.channel_header)
    signer = common_pb2.SignatureHeader.FromString(header.signature_header)
    call = Call(
        CHANNEL,
        CHAINCODE,
        (FUNCTION.encode(), COMMITMENT.hex().encode(), ORIGIN.encode(), str(SIZE).encode()),
        network.client.serialized,
        signer.nonce,
        channel.timestamp.ToNanoseconds() // 1_000,
    )
    assert call.transaction_id == made["transaction"]
    assert call.proposal() == theirs
    envelope = gateway_pb2.PreparedTransaction.FromString(_bytes(made, "prepared")).envelope
    endorsed = prepared(envelope.payload)
    assert call.transaction(endorsed.payload, endorsed.endorsements) == envelope.payload
