"""Who sealed a block: the one signer of Clique (EIP-225), the committed seals of IBFT 2.0 and QBFT.

A seal is 65 bytes: r, s, and the parity of the point. A Clique seal is made over the header without it. A committed
seal of IBFT 2.0 is made over the header with vanity, validators, vote and round in its extra data; one of QBFT so, too,
with an empty list where the seals will stand.
"""

from __future__ import annotations

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.headers import Header, HeaderHash, read_validators_data
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.secp256k1 import ADDRESS_BYTES, recover

VANITY_BYTES = 32
SEAL_BYTES = 65
MAXIMUM_VALIDATORS = 255


def clique_signer(header: Header) -> bytes:
    """The address whose key sealed a Clique block. Raises MalformedChainData."""
    unsealed, seal = header.extra_data[:-SEAL_BYTES], header.extra_data[-SEAL_BYTES:]
    if len(seal) < SEAL_BYTES or len(unsealed) < VANITY_BYTES:
        raise MalformedChainData("a Clique header's extra data is 32 bytes of vanity, and the seal at its end")
    return _recover(keccak256(header.with_extra_data(unsealed)), seal)


def clique_signers_named(header: Header) -> frozenset[bytes]:
    """The signers that the header of an epoch names; of other headers none. Raises MalformedChainData."""
    named = header.extra_data[VANITY_BYTES:-SEAL_BYTES]
    if len(named) % ADDRESS_BYTES:
        raise MalformedChainData("the signers in a Clique header's extra data are addresses of 20 bytes")
    return frozenset(named[at : at + ADDRESS_BYTES] for at in range(0, len(named), ADDRESS_BYTES))


def committed_by(header: Header, rule: HeaderHash) -> frozenset[bytes]:
    """The addresses whose keys made the committed seals of an IBFT 2.0 or QBFT header. Raises MalformedChainData."""
    fields = read_validators_data(header.extra_data)
    kept: list[rlp.Encodable] = [*fields[:4]]
    if rule is HeaderHash.QBFT:
        kept.append([])
    digest = keccak256(header.with_extra_data(rlp.encode(kept)))
    seals = rlp.as_list(fields[4])
    if len(seals) > MAXIMUM_VALIDATORS:
        raise MalformedChainData(f"{len(seals)} committed seals, at most {MAXIMUM_VALIDATORS} are taken")
    return frozenset(_recover(digest, rlp.as_bytes(seal, SEAL_BYTES)) for seal in seals)


def validators_named(header: Header) -> frozenset[bytes]:
    """The validators that a header names; none where a contract has them (QBFT). Raises MalformedChainData."""
    named = rlp.as_list(read_validators_data(header.extra_data)[1])
    return frozenset(rlp.as_bytes(validator, ADDRESS_BYTES) for validator in named)


def _recover(digest: bytes, seal: bytes) -> bytes:
    return recover(digest, int.from_bytes(seal[:32], "big"), int.from_bytes(seal[32:64], "big"), seal[64])
