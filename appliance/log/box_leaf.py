"""A leaf of the box's log: one root over a salted commitment per tenant, and how a tenant opens its own.

At every interval each tenant, idle or not, gets one commitment to the head of its log, which binds the commitment
before it. The commitments, one for the box's own summary, and random ones that fill up the tree, stand in random
order; the root is the leaf. A tenant that is given its opening can prove its head under the box's log, and learns
neither how many tenants there are nor anything of theirs (control CHANNEL).

    statement  = canonical JSON (RFC 8785)
    commitment = H("cinnabar box leaf v1\\n" || salt || statement)             salt: 32 random bytes
    root       = RFC 6962 root over the commitments as entries
    leaf       = canonical JSON of format, root and time
    log entry  = H(leaf)

H is the hash of the box's log (appliance.tree_hash): SHA-256 until that log is renewed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from appliance.log import tree
from appliance.log.errors import MalformedProof, ProofInvalid
from appliance.tree_hash import SHA256, TreeHash

COMMITMENT_PREFIX = b"cinnabar box leaf v1\n"
SALT_BYTES = 32
MINIMUM_WIDTH = 16
"""Commitments in the smallest tree. A wider one has the next power of two, so paths tell no more than that."""
NO_COMMITMENT = "0" * 64
"""What the first commitment binds, under a hash of 32 bytes."""
_MAXIMUM_OPENING = 65_536
_LATEST_US: Final = 253_402_300_799_999_999
"""The year 9999 ends: nobody can tell people a later time."""


class TenantStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the box commits to for a tenant. Members in sorted order; bytes in lower-case hex."""

    format: Literal["cinnabar-tenant-head/1"] = "cinnabar-tenant-head/1"
    origin: str
    previous: str
    """The tenant's commitment under the box leaf before this one; zeroes in the first under a box's log."""
    root: str
    size: int
    """Signed head of the tenant's log: 0 and the root of the empty tree before its first checkpoint."""


class BoxStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the box commits to for itself, opened to its officers and auditors only."""

    counts: dict[str, int]
    """Control RECORD, over all runs: signatures (C_Sign calls), rows (signatures on disk), drops."""
    format: Literal["cinnabar-box-summary/1"] = "cinnabar-box-summary/1"
    housekeeping: dict[str, int]
    """Rows by kind since the leaf before."""
    housekeeping_digest: str
    """Chain of hashes over those rows, in order, begun with zero bytes: see docs/log.md."""
    housekeeping_last: int
    """Number of the last row that is counted."""
    previous: str
    tenants: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Whose logs came under the leaf, sorted: one whose token did not open has no commitment in it, so that no opening
    of it is missing. Absent in leaves that were made before this was told."""


class Leaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leaf of the box's log. Members in sorted order."""

    format: Literal["cinnabar-box-leaf/1"] = "cinnabar-box-leaf/1"
    root: str
    time: Annotated[int, msgspec.Meta(ge=0, le=_LATEST_US)]
    """Microseconds since the epoch, as the box claims."""

    def canonical(self) -> bytes:
        return msgspec.json.encode(self)

    def entry(self, hashing: TreeHash = SHA256) -> bytes:
        """The log entry."""
        return hashing.digest(self.canonical())


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one tenant gets of a leaf. Bytes in lower-case hex."""

    format: Literal["cinnabar-box-opening/1"] = "cinnabar-box-opening/1"
    leaf: Leaf
    path: list[str]
    position: int
    salt: str
    statement: msgspec.Raw
    width: int

    def commitment(self, hashing: TreeHash = SHA256) -> bytes:
        return commitment(_unhex(self.salt, SALT_BYTES), bytes(self.statement), hashing)

    def encode(self) -> bytes:
        """As JSON in one line."""
        return msgspec.json.encode(self)


def no_commitment(hashing: TreeHash) -> str:
    """What the first commitment under a box's log binds."""
    return "00" * hashing.size


def commitment(salt: bytes, statement: bytes, hashing: TreeHash = SHA256) -> bytes:
    """Tells nothing about the statement to whoever lacks the salt."""
    return hashing.digest(COMMITMENT_PREFIX + salt + statement)


@dataclass(frozen=True)
class BoxLeaf:
    leaf: Leaf
    openings: dict[str, Opening]
    """By the name under which the statement was given."""


def make_box_leaf(
    statements: Mapping[str, TenantStatement | BoxStatement], time: int, hashing: TreeHash = SHA256
) -> BoxLeaf:
    """Commit to every statement under one fresh root. `time` in microseconds since the epoch."""
    width = max(MINIMUM_WIDTH, 1 << (len(statements) - 1).bit_length())
    positions = random.SystemRandom().sample(range(width), len(statements))
    leaves = [tree.leaf_hash(os.urandom(hashing.size), hashing) for _ in range(width)]
    opened: dict[str, tuple[int, bytes, bytes]] = {}
    for (name, statement), position in zip(statements.items(), positions, strict=True):
        salt, encoded = os.urandom(SALT_BYTES), msgspec.json.encode(statement, order="sorted")
        leaves[position] = tree.leaf_hash(commitment(salt, encoded, hashing), hashing)
        opened[name] = (position, salt, encoded)
    leaf = Leaf(root=tree.root(leaves, hashing).hex(), time=time)
    read = tree.subtree_reader(leaves, hashing)
    return BoxLeaf(
        leaf,
        {
            name: Opening(
                leaf=leaf,
                path=[step.hex() for step in tree.inclusion_proof(position, width, read, hashing)],
                position=position,
                salt=salt.hex(),
                statement=msgspec.Raw(encoded),
                width=width,
            )
            for name, (position, salt, encoded) in opened.items()
        },
    )


def parse_opening(data: bytes) -> Opening:
    """Read an opening. Raises MalformedProof."""
    if len(data) > _MAXIMUM_OPENING:
        raise MalformedProof(f"an opening of more than {_MAXIMUM_OPENING} bytes")
    try:
        return msgspec.json.decode(data, type=Opening)
    except (ValueError, RecursionError) as error:
        raise MalformedProof(f"not an opening of a box leaf: {error}") from None


def verify_opening(opening: Opening, hashing: TreeHash = SHA256) -> TenantStatement | BoxStatement:
    """The statement that the box committed to under `opening.leaf`, whose entry must then be shown in the box's log,
    of which `hashing` is.

    Raises MalformedProof or ProofInvalid.
    """
    if not MINIMUM_WIDTH <= opening.width <= 1 << 32 or opening.width & (opening.width - 1):
        raise ProofInvalid(f"a box leaf has a power of two of commitments, at least {MINIMUM_WIDTH}")
    leaf = tree.leaf_hash(opening.commitment(hashing), hashing)
    path = [_unhex(step, hashing.size) for step in opening.path]
    leaf_root = _unhex(opening.leaf.root, hashing.size)
    tree.verify_inclusion(opening.position, opening.width, leaf, path, leaf_root, hashing)
    forms: tuple[type[TenantStatement | BoxStatement], ...] = (TenantStatement, BoxStatement)
    for form in forms:
        try:
            statement = msgspec.json.decode(opening.statement, type=form)
        except (ValueError, RecursionError):
            continue
        # What is committed to are bytes: were a member there twice, readers could take it for different heads.
        if msgspec.json.encode(statement, order="sorted") != bytes(opening.statement):
            raise MalformedProof("the opened statement is not canonical JSON")
        return statement
    raise MalformedProof("the opened statement is of no known format")


def _unhex(text: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise MalformedProof("not hexadecimal") from None
    if len(data) != size or text != data.hex():
        raise MalformedProof(f"not {size} bytes in lower-case hexadecimal")
    return data
