"""What a verifier trusts about an EVM chain: the rules of its ledger profile."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from appliance.anchors.canonical import Hex32, Number
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.seals import MAXIMUM_VALIDATORS
from appliance.anchors.evm.shapes import Named, Shape, named_shape

Address = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{40}\Z")]
"""20 bytes, hexadecimal in lower case, without a prefix."""

SEALED = (HeaderHash.CLIQUE, HeaderHash.IBFT2, HeaderHash.QBFT)
"""Whose headers hold validators' seals."""


class ValidatorSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who validates from some block on, until the next set."""

    addresses: Annotated[tuple[Address, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_VALIDATORS)]
    from_block: Number

    def __post_init__(self) -> None:
        if len(set(self.addresses)) != len(self.addresses):
            raise ValueError("a validator is listed twice")

    @property
    def members(self) -> frozenset[bytes]:
        return frozenset(map(bytes.fromhex, self.addresses))


class Validators(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule", tag="validators"
):
    """Proven by the seals of listed validators."""

    sets: Annotated[tuple[ValidatorSet, ...], msgspec.Meta(min_length=1, max_length=1024)]

    def __post_init__(self) -> None:
        starts = [each.from_block for each in self.sets]
        if starts != sorted(set(starts)):
            raise ValueError("sets of validators stand in the order of the blocks from which they hold")

    def at(self, number: int) -> frozenset[bytes]:
        """The validators of this block; none where no set holds."""
        held = [each for each in self.sets if each.from_block <= number]
        return held[-1].members if held else frozenset()


class TrustedHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block that the verifier knows to be the chain's, from a source of its own."""

    hash: Hex32
    number: Number


class TrustedHeaders(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule", tag="trusted_headers"
):
    """Proven by a trusted header that is the anchor's block, or descends from it."""

    headers: Annotated[tuple[TrustedHeader, ...], msgspec.Meta(max_length=65_536)]

    def __post_init__(self) -> None:
        if len({each.number for each in self.headers}) != len(self.headers):
            raise ValueError("two trusted headers of one block")


class NodeAttests(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule", tag="node"):
    """Not proven: the node's word."""


Consensus: TypeAlias = Validators | TrustedHeaders | NodeAttests


class ContractRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where commitments go."""

    address: Address | None
    """The contract. Without one (`calldata`): the recipient, or null for the sender itself."""
    shape: Named | Shape

    def __post_init__(self) -> None:
        if self.address is None and self.described.calls:
            raise ValueError("a contract has an address")

    @property
    def described(self) -> Shape:
        """The shape, also where it is told by its name."""
        return self.shape if isinstance(self.shape, Shape) else named_shape(self.shape)


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a chain."""

    accounts: Annotated[tuple[Address, ...], msgspec.Meta(min_length=1, max_length=256)]
    """Whose transactions count."""
    chain_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    consensus: Consensus
    contract: ContractRules
    depth: Annotated[int, msgspec.Meta(ge=0, le=512)]
    """How many blocks must stand on the anchor's. Not asked for where a trusted header shows it."""
    genesis: Hex32
    """The hash of block 0."""
    header_hash: HeaderHash

    def __post_init__(self) -> None:
        if isinstance(self.consensus, Validators) and self.header_hash not in SEALED:
            raise ValueError(f"headers of {self.header_hash} hold no seals of validators")
        if isinstance(self.consensus, Validators) and self.header_hash is not HeaderHash.CLIQUE and self.depth:
            raise ValueError(f"a block of {self.header_hash} is final once it is sealed: its depth is 0")
        if self.header_hash is HeaderHash.STATED and not isinstance(self.consensus, NodeAttests):
            raise ValueError("what a node states about its headers, it alone attests")
