"""How a tenant proves its log under the box's own: its opening of a box leaf, and that leaf's place in the box's log.

One anchor of the box's log, or one witness of it, so shows every record of every tenant that was there (see
appliance.log.box_leaf). A tenant is given its own openings and nobody else's (control CHANNEL).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from appliance.log import tree
from appliance.log.box_leaf import Opening, TenantStatement, parse_opening, verify_opening
from appliance.log.errors import LogDamaged, MalformedProof, NotYetIncluded, ProofInvalid
from appliance.log.openings import Line, Openings
from appliance.log.reader import LogReader
from appliance.tree_hash import TreeHash, hash_of


@dataclass(frozen=True)
class OpenedLeaf:
    """A tenant's opening of the box leaf at `index` of the box's log."""

    index: int
    opening: Opening
    statement: TenantStatement
    tlog_proof: bytes
    """Of the leaf, under the first cosigned head of the box's log that covers it, else under its latest checkpoint."""


@dataclass(frozen=True)
class BoxProof:
    """A record under the box's log."""

    path: tuple[bytes, ...]
    """The record's audit path in the tenant's log as it was when the leaf was made, leaf's sibling first."""
    leaf: OpenedLeaf


class BoxProofs:
    """Of the box whose own log is given. What is handed out has been folded to its signed roots."""

    def __init__(self, box: LogReader, cosigned: Callable[[int], bytes | None] = lambda _: None) -> None:
        """`cosigned` gives the first head of the box's log that witnesses cosigned and that has so many entries."""
        self._box = box
        self._cosigned = cosigned
        self._openings = Openings(box.directory)

    def from_index(self, tenant: str, origin: str, index: int) -> OpenedLeaf | None:
        """The first opening for the tenant, whose log has this origin, of a leaf at `index` or later, or None.

        Raises LogDamaged.
        """
        return self._opened(tenant, origin, lambda line: line.index >= index)

    def of_record(self, tenant: str, origin: str, log: LogReader, index: int, entry: bytes) -> BoxProof | None:
        """The first box leaf that covers a record, at `index` of the tenant's log; None before there is one.

        `entry`: the record's commitment. Raises LogDamaged.
        """
        leaf = self.covering(tenant, origin, index)
        if leaf is None:
            return None
        root = bytes.fromhex(leaf.statement.root)
        return BoxProof(tuple(log.audit_path(index, leaf.statement.size, root, entry)), leaf)

    def covering(self, tenant: str, origin: str, index: int) -> OpenedLeaf | None:
        """The first box leaf that covers the entry at `index` of the tenant's log; None before there is one. Raises
        LogDamaged."""
        return self._opened(tenant, origin, lambda line: self._statement(line.opening).size > index)

    def _opened(self, tenant: str, origin: str, holds: Callable[[Line], bool]) -> OpenedLeaf | None:
        try:
            line = self._openings.first(tenant, holds)
        except LogDamaged as error:
            self._box.damaged(str(error))
        if line is None:
            return None
        try:
            statement = verify_opening(line.opening, self._box.hashing)
        except (MalformedProof, ProofInvalid) as error:
            self._box.damaged(f"{self._box.directory}, opening of entry {line.index} for {tenant}: {error}")
        if not isinstance(statement, TenantStatement) or statement.origin != origin:
            self._box.damaged(f"{self._box.directory}, opening of entry {line.index} for {tenant}: it is another's")
        try:
            note = self._cosigned(line.index + 1)
            proof = self._box.tlog_proof(line.index, entry=line.opening.leaf.entry(self._box.hashing), note=note)
        except NotYetIncluded:
            return None
        return OpenedLeaf(line.index, line.opening, statement, proof)

    def _statement(self, opening: Opening) -> TenantStatement:
        try:
            return msgspec.json.decode(opening.statement, type=TenantStatement)
        except (ValueError, RecursionError) as error:
            self._box.damaged(f"{self._box.directory}, an opening's statement: {error}")


@dataclass(frozen=True)
class ShownLeaf:
    """What a box proof shows once its leaf is found in the box's log."""

    statement: TenantStatement
    entry: bytes
    """The leaf's entry in the box's log."""
    time_us: int
    """As the box claims."""


def verify_box_proof(
    opening: bytes, index: int, path: tuple[bytes, ...], entry: Callable[[TreeHash], bytes], hashing: TreeHash
) -> ShownLeaf:
    """Fold a record's commitment to the tenant's head, and that head to the box leaf, whose entry is given back.

    `entry` gives the commitment under the hash of the tenant's log; `hashing` is that of the box's.

    Raises MalformedProof or ProofInvalid. The entry must then be shown in the box's log.
    """
    opened = parse_opening(opening)
    statement = verify_opening(opened, hashing)
    if not isinstance(statement, TenantStatement):
        raise ProofInvalid("the opening is not a tenant's")
    try:
        root = bytes.fromhex(statement.root)
    except ValueError:
        raise MalformedProof("the statement's root is not hexadecimal") from None
    own = hash_of(statement.origin)
    tree.verify_inclusion(index, statement.size, tree.leaf_hash(entry(own), own), path, root, own)
    return ShownLeaf(statement, opened.leaf.entry(hashing), opened.leaf.time)
