"""What shows that a block is the chain's: validators' seals, or a trusted header that descends from it.

A chain of headers proves one thing: that the later ones commit to the earlier. Which chain that is comes from outside,
from the profile: by its list of validators, or by a header's hash. Neither says by itself what block 0 was.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.anchors.evm.headers import Header, HeaderHash
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.rules import TrustedHeaders, Validators
from appliance.anchors.evm.seals import clique_signer, clique_signers_named, committed_by, validators_named
from appliance.anchors.judgement import AnchorRefused


def link(headers: Sequence[Header], rule: HeaderHash) -> list[bytes]:
    """The hashes of headers of which each is the child of the one before. Raises AnchorRefused (BROKEN_CHAIN)."""
    hashes: list[bytes] = []
    for at, header in enumerate(headers):
        if at and (header.parent_hash != hashes[-1] or header.number != headers[at - 1].number + 1):
            raise AnchorRefused(EvmReason.BROKEN_CHAIN, f"block {header.number} is no child of the block before it")
        # No node takes a block that is older than its parent. Some chains have several in one second.
        if at and header.timestamp < headers[at - 1].timestamp:
            raise AnchorRefused(EvmReason.BROKEN_CHAIN, f"block {header.number} is older than the block before it")
        hashes.append(header.hash(rule))
    return hashes


def check_clique(headers: Sequence[Header], validators: Validators) -> int:
    """Show by Clique seals that the first of linked headers is the chain's; how many signers stand behind it.

    A signer may seal one of N/2 + 1 blocks in a row (EIP-225), so as many blocks are by as many signers, which is more
    than half: no other chain of honest ones can grow past them. Raises AnchorRefused.
    """
    signers: list[bytes] = []
    needed = 0
    for header in headers:
        members = _members(validators, header.number)
        named = clique_signers_named(header)
        if named and named != members:
            raise _other_validators(header)
        half = len(members) // 2
        signer = clique_signer(header)
        if signer not in members:
            raise AnchorRefused(EvmReason.FOREIGN_SEAL, f"block {header.number} is sealed by {signer.hex()}")
        if signer in signers[max(0, len(signers) - half) :]:
            raise AnchorRefused(EvmReason.REPEATED_SEAL, f"{signer.hex()} sealed block {header.number} out of turn")
        signers.append(signer)
        needed = max(needed, half + 1)
    distinct = len(set(signers))
    if distinct < needed:
        raise AnchorRefused(EvmReason.TOO_FEW_SEALS, f"{distinct} signers stand behind the block, {needed} are needed")
    return distinct


def check_committed(header: Header, rule: HeaderHash, validators: Validators) -> int:
    """Show by committed seals (IBFT 2.0, QBFT) that a block is the chain's; how many validators committed to it.

    Two thirds of them, rounded up, commit to one block at a height. Raises AnchorRefused.
    """
    members = _members(validators, header.number)
    named = validators_named(header)
    if named and named != members:
        raise _other_validators(header)
    committed = committed_by(header, rule)
    foreign = committed - members
    if foreign:
        raise AnchorRefused(EvmReason.FOREIGN_SEAL, f"block {header.number} is sealed by {min(foreign).hex()}")
    needed = -(-2 * len(members) // 3)
    if len(committed) < needed:
        raise AnchorRefused(EvmReason.TOO_FEW_SEALS, f"{len(committed)} validators sealed the block, not {needed}")
    return len(committed)


def find_trusted(headers: Sequence[Header], hashes: Sequence[bytes], trusted: TrustedHeaders) -> int | None:
    """The number of a trusted block among linked headers; None: there is none.

    Raises AnchorRefused (CONTRADICTS_TRUSTED_HEADER) when another block stands in the place of one.
    """
    known = {each.number: bytes.fromhex(each.hash) for each in trusted.headers}
    found = None
    for header, digest in zip(headers, hashes, strict=True):
        expected = known.get(header.number)
        if expected is None:
            continue
        if expected != digest:
            raise AnchorRefused(
                EvmReason.CONTRADICTS_TRUSTED_HEADER, f"block {header.number} is {digest.hex()}, not {expected.hex()}"
            )
        found = header.number
    return found


def _members(validators: Validators, number: int) -> frozenset[bytes]:
    members = validators.at(number)
    if not members:
        raise AnchorRefused(EvmReason.NO_VALIDATORS, f"the profile lists no validators for block {number}")
    return members


def _other_validators(header: Header) -> AnchorRefused:
    return AnchorRefused(
        EvmReason.OTHER_VALIDATORS, f"block {header.number} names other validators than the profile lists for it"
    )
