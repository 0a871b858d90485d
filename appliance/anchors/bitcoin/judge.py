"""Judging a receipt of a chain of the Bitcoin family.

What is cheap comes first: a receipt that fails costs no scrypt. The order, each step with a reason of its own:

1. The proof is of its form, and names the profile's genesis block. That is a claim: headers bind a block to those
   before it, but no receipt holds the millions back to the genesis block. Work, or a trusted header, is what proves.
2. The transaction carries the commitment.
3. It stands in the tree of its block, and so does the block's first transaction, at the same depth.
4. The headers follow one another.
5. One of them is trusted; or all of the first 144 have their work, at the chain's targets, and together the profile's
   least work. Else the receipt is attested at most: headers of little work anybody can make.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from appliance.anchors import canonical
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.header import Header, WorkRule, target_of
from appliance.anchors.bitcoin.merkle import root_by
from appliance.anchors.bitcoin.proof import PROOF_BYTES, BitcoinProof, place_of
from appliance.anchors.bitcoin.scripts import commitments_of
from appliance.anchors.bitcoin.transaction import NODE_BYTES, Transaction
from appliance.anchors.canonical import Hex32
from appliance.anchors.judgement import NOTHING_KNOWN, AnchorRefused, Judgement, Known, Reason, Rule, Strength

MOST_DEPTH: Final = 144
"""Headers whose work is computed for one receipt: 144 of scrypt take less than 0.1 s."""

_RELIES_ON: Final = (("sha256", None),)
"""Its tree and the names of its blocks; of scrypt, which has no name in a trust bundle, the work is made."""


class BitcoinReason(enum.StrEnum):
    """Why a receipt of the Bitcoin family is refused."""

    WRONG_GENESIS = "wrong_genesis"
    """It names another first block than the profile's."""
    NO_COMMITMENT = "no_commitment"
    """The transaction carries none."""
    NOT_IN_BLOCK = "not_in_block"
    """The branch leads to another root than the header's."""
    AMBIGUOUS_TREE = "ambiguous_tree"
    """A node of the tree could pass for a transaction, or the tree for that of another block."""
    BROKEN_CHAIN = "broken_chain"
    """A header does not name the one before it."""
    WRONG_TARGET = "wrong_target"
    """A header's target is easier than any of the chain's, or none that a block can have."""
    NO_WORK = "no_work"
    """A header's hash is not below its target."""
    TOO_FEW_HEADERS = "too_few_headers"
    """There are fewer headers than the profile's depth."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a verifier trusts about a chain of the Bitcoin family. Hashes are as block explorers show them."""

    depth: Annotated[int, msgspec.Meta(ge=1, le=MOST_DEPTH)] = 6
    """Headers that must be there, the anchor's own block being the first."""
    easiest_bits: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}\Z")]
    """The easiest target of the chain, compact: 1d00ffff of Bitcoin, 1e0fffff of Litecoin."""
    genesis: Hex32
    """The chain's first block."""
    least_work: Annotated[str, msgspec.Meta(pattern=r"\A[1-9a-f][0-9a-f]{0,63}\Z")] | None = None
    """Hexadecimal: how many hashes the receipt's headers must have taken together to prove anything. None: no number of
    headers proves, as on a chain where anybody can make them (regtest, testnet)."""
    trusted_headers: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=10_000)] = ()
    """Blocks that the verifier believes to be in the chain: a receipt whose headers lead to one proves without work."""
    work: WorkRule
    """Which hash of a header is held against its target: sha256d of Bitcoin, scrypt of Litecoin."""


def judge(proof: bytes, commitment: bytes, rules: Rules, _known: Known = NOTHING_KNOWN) -> Judgement:
    """What a proof shows of a commitment (32 bytes). Raises AnchorRefused. Takes less than 0.2 s and 16 MiB."""
    try:
        read = canonical.decode(proof, BitcoinProof, PROOF_BYTES)
        anchor, first, chain = read.anchor(), read.first(), read.chain()
    except (canonical.NotCanonical, MalformedBitcoin) as error:
        raise AnchorRefused(Reason.MALFORMED, f"the proof is not of its form: {error}") from None
    if read.genesis != rules.genesis:
        raise AnchorRefused(BitcoinReason.WRONG_GENESIS, "the receipt is of a chain with another first block")
    _check_commitment(anchor, commitment)
    _check_place(read, anchor, first, chain[0])
    for before, after in itertools.pairwise(chain):
        if after.parent != before.hash:
            raise AnchorRefused(BitcoinReason.BROKEN_CHAIN, "a header on top does not name the one before it")
    strength, by, notes = _weigh(chain, rules)
    return Judgement(
        strength, by, chain[0].time * 1_000_000, place_of(chain[0], first), notes=notes, relies_on=_RELIES_ON
    )


def _check_commitment(anchor: Transaction, commitment: bytes) -> None:
    found = commitments_of(anchor)
    if not found:
        raise AnchorRefused(BitcoinReason.NO_COMMITMENT, "the transaction carries no commitment")
    if commitment not in found:
        raise AnchorRefused(Reason.OTHER_COMMITMENT, "the transaction carries another commitment")


def _check_place(read: BitcoinProof, anchor: Transaction, first: Transaction, block: Header) -> None:
    """Both transactions stand in the block's tree, and neither is a node of it."""
    if len(anchor.stripped()) == NODE_BYTES or len(first.stripped()) == NODE_BYTES:
        raise AnchorRefused(BitcoinReason.AMBIGUOUS_TREE, "a transaction of 64 bytes could be a node of the tree")
    if not first.is_coinbase:
        raise AnchorRefused(BitcoinReason.AMBIGUOUS_TREE, "what stands first in the block creates no coins")
    for what, transaction, index, branch in (
        ("the transaction", anchor, read.index, read.branch),
        ("the block's first transaction", first, 0, read.coinbase_branch),
    ):
        try:
            root = root_by(transaction.txid, index, read.count, [bytes.fromhex(one) for one in branch])
        except MalformedBitcoin as error:
            raise AnchorRefused(BitcoinReason.AMBIGUOUS_TREE, f"the branch of {what}: {error}") from None
        if root != block.root:
            raise AnchorRefused(BitcoinReason.NOT_IN_BLOCK, f"the branch of {what} leads to another root")


def _weigh(chain: Sequence[Header], rules: Rules) -> tuple[Strength, Rule, tuple[str, ...]]:
    trusted = frozenset(rules.trusted_headers)
    for header in chain:
        if shown(header.hash) in trusted:
            return Strength.PROVEN, Rule.TRUSTED_HEADER, (f"The block {shown(header.hash)} is trusted.",)
    if len(chain) < rules.depth:
        raise AnchorRefused(
            BitcoinReason.TOO_FEW_HEADERS, f"the receipt has {len(chain)} headers, the profile asks for {rules.depth}"
        )
    each = _work_of(chain[:MOST_DEPTH], rules)
    work = sum(each)
    took = f"Its headers took about 2^{work.bit_length() - 1} hashes"
    if rules.least_work is not None and _is_enough(each, int(rules.least_work, 16), rules.depth):
        return Strength.PROVEN, Rule.PROOF_OF_WORK, (f"{took}.",)
    if rules.least_work is None:
        why = "The profile lets no work prove: on this chain anybody can make blocks."
    elif work < int(rules.least_work, 16):
        why = f"{took}, fewer than the profile asks for."
    else:
        why = f"{took}, most of them in too few headers: luck proves nothing."
    return Strength.ATTESTED, Rule.NODE, (why,)


def _is_enough(each: Sequence[int], least: int, depth: int) -> bool:
    """Whether headers prove: no header counts for more than two of `depth` equal shares of the least work.

    What a header takes is an average. Where one alone could have all the work, whoever spends a hundredth of it has it
    in one of a hundred tries; with three of six headers to find, in one of some hundred thousand. Honest headers each
    have two shares, for the least work is half of theirs, or more, once the chain has become harder.
    """
    share = -(-2 * least // depth)
    return sum(min(one, share) for one in each) >= least


def _work_of(headers: Sequence[Header], rules: Rules) -> list[int]:
    """How many hashes each header took, on average. Raises AnchorRefused."""
    try:
        easiest = target_of(int(rules.easiest_bits, 16))
    except MalformedBitcoin as error:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"easiest_bits: {error}") from None
    each: list[int] = []
    for header in headers:
        try:
            target = header.target
        except MalformedBitcoin as error:
            raise AnchorRefused(BitcoinReason.WRONG_TARGET, f"a header has {error}") from None
        if target > easiest:
            raise AnchorRefused(BitcoinReason.WRONG_TARGET, "a header has an easier target than any of the chain")
        each.append(header.expected_work)
    for header in headers:
        if not header.has_work(rules.work):
            raise AnchorRefused(BitcoinReason.NO_WORK, "a header's hash is not below its target")
    return each
