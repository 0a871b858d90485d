"""Anchors on the tests' channel, and receipts of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_pb2

from appliance.anchors.fabric.judge import write_proof
from appliance.anchors.fabric.messages import Endorsement
from appliance.anchors.fabric.transactions import Call
from firmware_tests.anchors.fabric.network import CHAINCODE, CHANNEL, FUNCTION, Identity, Network

ORIGIN, SIZE = "log.example/rehearsal/box", 7


def call(
    network: Network,
    commitment: bytes,
    *,
    function: str = FUNCTION,
    nonce: bytes | None = None,
    time_us: int | None = None,
) -> Call:
    return Call(
        CHANNEL,
        CHAINCODE,
        (function.encode(), commitment.hex().encode(), ORIGIN.encode(), str(SIZE).encode()),
        network.client.serialized,
        secrets.token_bytes(24) if nonce is None else nonce,
        time.time_ns() // 1000 if time_us is None else time_us,
    )


@dataclass
class Anchored:
    call: Call
    response: bytes
    endorsements: list[Endorsement]
    envelope: common_pb2.Envelope
    block: common_pb2.Block
    place: int

    @property
    def proof(self) -> bytes:
        return write_proof(self.block.SerializeToString(), self.place)


def endorsed(network: Network, made: Call, peers: list[Identity] | None = None) -> tuple[bytes, list[Endorsement]]:
    signed = proposal_pb2.SignedProposal(proposal_bytes=made.proposal(), signature=network.client.sign(made.proposal()))
    response, _ = network.run(signed)
    return response, [Endorsement(one.endorser, one.signature) for one in network.endorse(response, peers)]


def envelope(network: Network, payload: bytes) -> common_pb2.Envelope:
    return common_pb2.Envelope(payload=payload, signature=network.client.sign(payload))


def anchored(
    network: Network,
    commitment: bytes,
    *,
    peers: list[Identity] | None = None,
    neighbours: int = 1,
    time_us: int | None = None,
) -> Anchored:
    """An anchor in a block with other transactions around it."""
    others = []
    for _ in range(2 * neighbours):
        another = call(network, secrets.token_bytes(32), time_us=time_us)
        others.append(envelope(network, another.transaction(*endorsed(network, another))))
    made = call(network, commitment, time_us=time_us)
    response, endorsements = endorsed(network, made, peers)
    own = envelope(network, made.transaction(response, endorsements))
    block = network.order(*others[:neighbours], own, *others[neighbours:])
    return Anchored(made, response, endorsements, own, block, neighbours)
