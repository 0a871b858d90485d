"""Block headers, from Frontier on (yellow paper, section 4.4; EIP-1559, EIP-4895, EIP-4844, EIP-4788, EIP-7685).

What a hash covers depends on the chain: Ethereum and Clique hash the header as it is; IBFT 2.0 and QBFT leave out what
may differ between validators, the round and the committed seals, which stand in the extra data (see `seals`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256

MAXIMUM_HEADER_BYTES = 65_536
MAXIMUM_FIELDS = 32
_FIRST_FIELDS = 15
_EXTRA_DATA = 12
_HEADER_ITEMS = 2048
"""Of the extra data, too: 255 validators and as many seals are far below it."""

_SIZES = {0: 32, 1: 32, 2: 20, 3: 32, 4: 32, 5: 32, 6: 256, 13: 32, 14: 8}
"""Fields of a fixed size in bytes: hashes, the beneficiary, the bloom, the mix hash and the nonce."""


class HeaderHash(enum.StrEnum):
    """What a block's hash covers."""

    ETHEREUM = "ethereum"
    CLIQUE = "clique"
    """Clique (EIP-225): hashed as it is; the seal stands in the extra data."""
    IBFT2 = "ibft2"
    QBFT = "qbft"
    STATED = "stated"
    """Not of Ethereum's form: the node states it, and nothing is computed (FISCO BCOS)."""


@dataclass(frozen=True)
class Header:
    """A header's fields, as far as they are looked at. Later forks append fields, which the hash covers."""

    encoded: bytes
    fields: Sequence[rlp.Item]
    parent_hash: bytes
    transactions_root: bytes
    receipts_root: bytes
    number: int
    timestamp: int
    """Seconds since the epoch."""
    extra_data: bytes

    def with_extra_data(self, extra_data: bytes) -> bytes:
        """The RLP of this header with other extra data: what seals and some hashes are made over."""
        fields = list(self.fields)
        fields[_EXTRA_DATA] = extra_data
        return rlp.encode(fields)

    def hash(self, rule: HeaderHash) -> bytes:
        """The block's hash, 32 bytes. Raises MalformedChainData when the extra data is not that of the rule."""
        match rule:
            case HeaderHash.ETHEREUM | HeaderHash.CLIQUE:
                return keccak256(self.encoded)
            case HeaderHash.IBFT2:
                return keccak256(self.with_extra_data(rlp.encode(read_validators_data(self.extra_data)[:3])))
            case HeaderHash.QBFT:
                kept: list[rlp.Encodable] = [*read_validators_data(self.extra_data)[:3], b"", []]
                return keccak256(self.with_extra_data(rlp.encode(kept)))
            case HeaderHash.STATED:
                raise MalformedChainData("the chain's headers are not of Ethereum's form")


def read_validators_data(extra_data: bytes) -> list[rlp.Item]:
    """The extra data of IBFT 2.0 and QBFT: vanity, validators, vote, round, seals. Raises MalformedChainData."""
    fields = rlp.decode_list(extra_data, _HEADER_ITEMS)
    if len(fields) != 5:
        raise MalformedChainData(f"the extra data of IBFT 2.0 and QBFT has 5 fields, not {len(fields)}")
    return fields


def read_header(encoded: bytes) -> Header:
    """A header. Raises MalformedChainData."""
    if len(encoded) > MAXIMUM_HEADER_BYTES:
        raise MalformedChainData(f"a header of {len(encoded)} bytes, at most {MAXIMUM_HEADER_BYTES} are taken")
    fields = rlp.decode_list(encoded, MAXIMUM_FIELDS + 1)
    if len(fields) < _FIRST_FIELDS:
        raise MalformedChainData(f"a header has {_FIRST_FIELDS} fields or more, not {len(fields)}")
    for place, size in _SIZES.items():
        rlp.as_bytes(fields[place], size)
    for field in fields[_FIRST_FIELDS:]:
        if len(rlp.as_bytes(field)) > 32:
            raise MalformedChainData("a field of a header that is longer than any fork has")
    rlp.as_integer(fields[7])
    rlp.as_integer(fields[9], 8)
    rlp.as_integer(fields[10], 8)
    return Header(
        encoded=encoded,
        fields=fields,
        parent_hash=rlp.as_bytes(fields[0]),
        transactions_root=rlp.as_bytes(fields[4]),
        receipts_root=rlp.as_bytes(fields[5]),
        number=rlp.as_integer(fields[8], 8),
        timestamp=rlp.as_integer(fields[11], 8),
        extra_data=rlp.as_bytes(fields[_EXTRA_DATA]),
    )
