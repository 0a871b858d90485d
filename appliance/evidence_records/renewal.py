"""Renewing evidence records (RFC 4998, section 5.2): what the next time-stamp must cover, and the record it makes.

One token renews many records: each asks for a node of a new hash tree, and gets its own way through it. A *time-stamp
renewal* covers the last token and stays in its chain, under that chain's hash. A *hash-tree renewal* covers the data
under a new hash, with the hash of all chains before, and begins a chain. Data objects that belong together are a group
(section 2.1): its hashes stand in the first list, and nothing else does.

All pure: whoever renews judges the record first, and asks an authority for the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from appliance import der
from appliance.algorithms import DigestAlgorithm, digest_algorithm
from appliance.der import Reader, context
from appliance.evidence_records.errors import BatchRejected, EvidenceMismatch, EvidenceRejected
from appliance.evidence_records.hash_tree import HashTree, distinct
from appliance.evidence_records.record import (
    LARGEST_RECORD,
    MAX_ARCHIVE_TIMESTAMPS,
    MAX_LIST_HASHES,
    EvidenceRecord,
    parse_evidence_record,
)
from appliance.token_imprint import token_imprint


@dataclass(frozen=True, slots=True)
class Renewal:
    """What one record asks of the next time-stamp."""

    algorithm: DigestAlgorithm
    """Of the new tree, and of the token's imprint."""
    hashes: tuple[bytes, ...]
    """The first list of the new archive time-stamp: one hash, or one for each object of a group; ascending."""
    record: bytes | None
    """The record that is renewed, DER; None: there is none yet, and the time-stamp is its first."""
    begins_chain: bool
    """Whether it begins a chain (a new record, or a renewal of the hash tree) or goes on in the last one."""

    @property
    def node(self) -> bytes:
        """Its node in the new tree: the hash itself, or that of the group (section 4.2.1)."""
        if len(self.hashes) == 1:
            return self.hashes[0]
        return self.algorithm.digest(b"".join(self.hashes))


def first_record(hash_name: str, digests: Sequence[bytes]) -> Renewal:
    """A record that is still to be made, of one data object or of a group, given by their digests. Raises
    EvidenceRejected, UnknownAlgorithm."""
    return _renewal(digest_algorithm(hash_name), digests, None, begins_chain=True)


def time_stamp_renewal(encoded: bytes) -> Renewal:
    """Stamp the record's last token, under the hash of its chain. Raises EvidenceRejected."""
    record = _renewable(encoded)
    last = record.chains[-1][-1]
    return _renewal(last.algorithm, [last.algorithm.digest(last.token)], encoded, begins_chain=False)


def hash_tree_renewal(encoded: bytes, hash_name: str, digests: Sequence[bytes]) -> Renewal:
    """Stamp the data and all chains of its record under another hash.

    `digests`: of the data object, or of every object of the group that the record is of, under the new hash. That they
    are of the data that the record is of is for the caller to have shown. Raises EvidenceRejected, UnknownAlgorithm.
    """
    _renewable(encoded)
    algorithm = digest_algorithm(hash_name)
    _check_lengths(algorithm, digests)
    older = algorithm.digest(_sequence_of(encoded))
    return _renewal(algorithm, [algorithm.digest(one + older) for one in digests], encoded, begins_chain=True)


class RenewalTree:
    """The hash tree over many renewals of one algorithm. `root` is what the token must cover."""

    def __init__(self, hash_name: str, nodes: bytes) -> None:
        """`nodes`: those of the renewals (`Renewal.node`), one after the other: what they are of need not be at hand.

        Raises BatchRejected where there are none or too many, UnknownAlgorithm."""
        # Two files with the same bytes and the same record ask for the same node, which then serves both.
        leaves, self._places = distinct(nodes, hash_name)
        self._tree = HashTree.build(leaves, hash_name)

    @classmethod
    def of(cls, renewals: Sequence[Renewal]) -> Self:
        """The tree over these. Raises BatchRejected where there is none, too many, or more than one algorithm."""
        names = {one.algorithm.name for one in renewals}
        if len(names) != 1:
            raise BatchRejected("the renewals of one tree have one digest algorithm")
        return cls(names.pop(), b"".join(one.node for one in renewals))

    @property
    def algorithm(self) -> DigestAlgorithm:
        """Of the tree and of the token's imprint."""
        return self._tree.algorithm

    @property
    def root(self) -> bytes:
        """What the token must cover."""
        return self._tree.root

    def renewed(self, index: int, renewal: Renewal, token: bytes) -> bytes:
        """The renewed record, DER, of the renewal at this position. Raises EvidenceMismatch where it is another one or
        the token covers something else, EvidenceRejected where the record would become larger than any may be,
        IndexError."""
        imprint = token_imprint(token)
        if imprint.digest_algorithm != self.algorithm.oid or imprint.digest != self.root:
            raise EvidenceMismatch("the time-stamp does not cover the root of the tree")
        if renewal.algorithm != self.algorithm or renewal.node != self._tree.leaf(self._places[index]):
            raise EvidenceMismatch("the tree has another renewal in this place")
        size = self.algorithm.size
        siblings = self._tree.path(self._places[index])
        lists = [renewal.hashes, *((siblings[at : at + size],) for at in range(0, len(siblings), size))]
        encoded = b"".join(der.sequence(*map(der.octet_string, hashes)) for hashes in lists)
        # A token over one hash needs no tree; a group has one even where it is alone.
        tree = der.tlv(context(2), encoded) if siblings or len(renewal.hashes) > 1 else b""
        renewed = _with(renewal, der.sequence(tree, token))
        if len(renewed) > LARGEST_RECORD:
            raise EvidenceRejected(f"the record would have more than {LARGEST_RECORD} bytes")
        return renewed


def _renewal(
    algorithm: DigestAlgorithm, digests: Sequence[bytes], record: bytes | None, *, begins_chain: bool
) -> Renewal:
    _check_lengths(algorithm, digests)
    hashes = tuple(sorted(set(digests)))
    if not 1 <= len(hashes) <= MAX_LIST_HASHES:
        raise EvidenceRejected(f"a group has 1 to {MAX_LIST_HASHES} data objects, not {len(hashes)}")
    return Renewal(algorithm, hashes, record, begins_chain)


def _check_lengths(algorithm: DigestAlgorithm, digests: Sequence[bytes]) -> None:
    if any(len(one) != algorithm.size for one in digests):
        raise EvidenceRejected(f"a {algorithm.name} digest has {algorithm.size} bytes")


def _renewable(encoded: bytes) -> EvidenceRecord:
    record = parse_evidence_record(encoded)
    if sum(map(len, record.chains)) >= MAX_ARCHIVE_TIMESTAMPS:
        raise EvidenceRejected(f"the record has {MAX_ARCHIVE_TIMESTAMPS} archive time-stamps, as many as one may have")
    return record


def _members(encoded: bytes) -> list[bytes]:
    """The members of a SEQUENCE, each encoded."""
    outer = Reader(encoded)
    inner = outer.enter()
    outer.finish()
    found: list[bytes] = []
    while inner:
        found.append(inner.raw())
    return found


def _sequence_of(record: bytes) -> bytes:
    """The ArchiveTimeStampSequence, encoded as it stands: the record's last member."""
    return _members(record)[-1]


def _with(renewal: Renewal, archive_time_stamp: bytes) -> bytes:
    if renewal.record is None:
        listed = der.sequence(renewal.algorithm.identifier)
        return der.sequence(der.integer(1), listed, der.sequence(der.sequence(archive_time_stamp)))
    version, listed, *others, sequence = _members(renewal.record)
    chains = _members(sequence)
    if renewal.begins_chain:
        chains.append(der.sequence(archive_time_stamp))
        if renewal.algorithm.oid not in parse_evidence_record(renewal.record).digest_algorithms:
            listed = der.sequence(*_members(listed), renewal.algorithm.identifier)
    else:
        chains[-1] = der.sequence(*_members(chains[-1]), archive_time_stamp)
    return der.sequence(version, listed, *others, der.sequence(*chains))
