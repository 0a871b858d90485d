"""What a verifier trusts about a channel of Fabric: the rules of its profile."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.anchors.canonical import Hex32

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
_Certificate = Annotated[bytes, msgspec.Meta(min_length=1, max_length=16_384)]


class Msp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation, by the certificates that its members' come from (Fabric's Membership Service Provider)."""

    intermediates: Annotated[list[_Certificate], msgspec.Meta(max_length=32)]
    """CA certificates below the roots, DER in base64."""
    name: _Name
    """MSP id, such as Org1MSP."""
    node_ous: bool
    """Whether the organisational unit of a certificate says what its holder is: then endorsements count of `peer`
    alone, and seals of `orderer` alone."""
    revoked: Annotated[list[Hex32], msgspec.Meta(max_length=10_000)]
    """SHA-256 of certificates that do not count any more."""
    roots: Annotated[list[_Certificate], msgspec.Meta(min_length=1, max_length=32)]
    """Root CA certificates, DER in base64."""


class Endorsement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who must have endorsed the transaction."""

    count: _Count
    """So many of the organisations, each once."""
    msps: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=256)]


class Consenter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An orderer that signs by a number (ordering with BFT, from Fabric 3)."""

    certificate: _Certificate
    """DER in base64."""
    id: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    msp: _Name


class Orderers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who must have signed the block."""

    consenters: Annotated[list[Consenter], msgspec.Meta(max_length=256)]
    """With ordering by BFT, all of them; empty with Raft, whose orderers sign with their certificates."""
    count: _Count
    """So many orderers, each once: 1 with Raft, whose leader alone signs; with BFT and n consenters of which f may
    lie, the smallest whole number from (n + f + 1) / 2 on."""
    msps: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=256)]

    def __post_init__(self) -> None:
        # Certificates do not tell how many orderers there are: one that was given a second one would be two.
        if self.count > 1 and not self.consenters:
            raise ValueError("several orderers count by their numbers alone: the consenters are missing")


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one channel and one chaincode."""

    argument: Annotated[int, msgspec.Meta(ge=0, le=63)]
    """Which argument after the function's name is the commitment, in hexadecimal; 0: the first."""
    chaincode: _Name
    channel: _Name
    endorsement: Endorsement
    function: _Name
    msps: Annotated[list[Msp], msgspec.Meta(min_length=1, max_length=256)]
    """All organisations that are named elsewhere here, and those whose members may anchor."""
    orderers: Orderers | None
    """None: no seal is asked for, and the block is a node's word."""
    time_window_s: Annotated[int, msgspec.Meta(ge=0, le=31_622_400)] | None
    """Each organisation of `endorsement` refuses proposals whose time lies further than this from its own clock: by
    its peers' filter TimeWindowCheck, or in the chaincode. None: nobody looks at the time, which is then the word of
    whoever anchored."""
