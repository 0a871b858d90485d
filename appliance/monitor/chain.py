"""A tenant's chain of commitments in the box's own log: what the box told others of the tenant's log, leaf by leaf.

Each opening (docs/log.md) must lead to its leaf, the leaf stand in the box's log under a signed head, the statement
name the commitment before it, and the head in it lie on the tenant's own log. So the box cannot have committed, towards
those who anchor and witness its log, to another history than the one that the tenant sees; and a gap shows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.log.box_leaf import TenantStatement, no_commitment, parse_opening, verify_opening
from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.log.reader import SubtreeSource
from appliance.monitor.errors import ChainBroken
from appliance.monitor.extending import SignedHead, past_of
from appliance.monitor.state import ChainPoint
from appliance.tree_hash import hash_of

LARGEST_ANSWER: Final = 256 * 1024


class BoxOpening(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to GET /v1/log/openings."""

    origin: str
    """Of the box's log."""
    index: int
    opening: str
    tlog_proof: str


class CheckedOpening(msgspec.Struct, frozen=True, kw_only=True):
    """An opening that follows the one before it."""

    point: ChainPoint
    box_head: bytes
    """The signed head of the box's log that it was shown under, verbatim."""


def opening_origin(answer: bytes) -> str | None:
    """Of which log of a box an opening is said to be; None: it cannot be read."""
    try:
        return msgspec.json.decode(answer, type=BoxOpening).origin
    except (ValueError, RecursionError):
        return None


def check_opening(
    answer: bytes, before: ChainPoint | None, origin: str, box_origin: str, box_keys: tuple[LogKey, ...]
) -> CheckedOpening:
    """Check an opening by itself and against the one before it. Raises ChainBroken, with the answer as evidence."""
    try:
        return _check(answer, before, origin, box_origin, box_keys)
    except (MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid) as error:
        raise ChainBroken(str(error), answer) from None


def _check(
    answer: bytes, before: ChainPoint | None, origin: str, box_origin: str, box_keys: tuple[LogKey, ...]
) -> CheckedOpening:
    try:
        found = msgspec.json.decode(answer, type=BoxOpening)
    except (ValueError, RecursionError) as error:
        raise MalformedProof(f"not an opening: {error}") from None
    if found.origin != box_origin:
        raise ProofInvalid(f"it is of the box log {found.origin!r}")
    opening = parse_opening(found.opening.encode())
    hashing = hash_of(box_origin)
    statement = verify_opening(opening, hashing)
    if not isinstance(statement, TenantStatement) or statement.origin != origin:
        raise ProofInvalid("it opens another's commitment")
    proof = TlogProof.parse(found.tlog_proof.encode())
    if proof.index != found.index:
        raise ProofInvalid(f"its proof is of entry {proof.index}, not of {found.index}")
    verify_tlog_proof(proof, opening.leaf.entry(hashing), box_origin, box_keys)
    expected = no_commitment(hashing) if before is None else before.commitment
    _follows(found.index, statement, opening.leaf.time, before, expected)
    point = ChainPoint(
        index=found.index,
        commitment=opening.commitment(hashing).hex(),
        size=statement.size,
        root=statement.root,
        time_us=opening.leaf.time,
    )
    return CheckedOpening(point=point, box_head=proof.checkpoint)


def _follows(index: int, statement: TenantStatement, time_us: int, before: ChainPoint | None, expected: str) -> None:
    if statement.previous != expected:
        raise ProofInvalid("it does not follow the opening before it: one is missing, or there are two chains")
    if before is None:
        return
    if index <= before.index or time_us < before.time_us:
        raise ProofInvalid("it stands before the opening that it follows")
    if statement.size < before.size or (statement.size == before.size and statement.root != before.root):
        raise ProofInvalid(f"its head of {statement.size} entries does not extend the one of {before.size} before it")


def check_head_of(point: ChainPoint, head: SignedHead, tiles: SubtreeSource, answer: bytes) -> None:
    """Hold the head that the box committed to to the tenant's own log. `tiles`: of `head`, which is as large or larger.

    Raises ChainBroken; TilesWrong; and what reading tiles does.
    """
    if past_of(head.checkpoint, point.size, tiles).root.hex() != point.root:
        raise ChainBroken(
            f"the box committed to a head of {point.size} entries that is not on the history of the log", answer
        )
