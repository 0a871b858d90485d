"""What an evidence record proves of digests: the hash chain alone, pure (RFC 4998, sections 4.3 and 5.3).

The tokens' signatures are for the caller: each token must have been valid at the time of the one after it, the last
at the time of verification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from appliance.evidence_records.errors import EvidenceMismatch
from appliance.evidence_records.record import ArchiveTimeStamp, EvidenceRecord


def verify_hash_chain(record: EvidenceRecord, digests: Mapping[str, bytes]) -> tuple[ArchiveTimeStamp, ...]:
    """Check that the record covers the data with these digests, through all its renewals.

    `digests` maps digest names (sha256 ...) to the data's digests; one per algorithm that a chain uses is needed. The
    answer is all archive time-stamps in order: the first one's time is that by which the data existed. Raises
    EvidenceMismatch.
    """
    return verify_group(record, [digests])


def verify_group(record: EvidenceRecord, group: Sequence[Mapping[str, bytes]]) -> tuple[ArchiveTimeStamp, ...]:
    """The same of several data objects at once, each with its digests; the trees are climbed once. Raises
    EvidenceMismatch where one of them is not covered."""
    verified: list[ArchiveTimeStamp] = []
    for number, chain in enumerate(record.chains):
        algorithm = chain[0].algorithm
        covered = _leaves(record, number, group)
        for stamp in chain:
            if stamp.algorithm != algorithm:
                raise EvidenceMismatch("the time-stamps of one chain use different digest algorithms")
            if verified and stamp.imprint.time_us < verified[-1].imprint.time_us:
                raise EvidenceMismatch("a renewal is older than what it renews")
            check_coverage(stamp, covered)
            verified.append(stamp)
            covered = {algorithm.digest(stamp.token)}
    return tuple(verified)


def verify_links(record: EvidenceRecord) -> tuple[ArchiveTimeStamp, ...]:
    """What can be said without the data: within each chain every time-stamp covers the one before it. Raises
    EvidenceMismatch."""
    for chain in record.chains:
        for before, stamp in pairwise(chain):
            if stamp.algorithm != before.algorithm:
                raise EvidenceMismatch("the time-stamps of one chain use different digest algorithms")
            if stamp.imprint.time_us < before.imprint.time_us:
                raise EvidenceMismatch("a renewal is older than what it renews")
            check_coverage(stamp, {before.algorithm.digest(before.token)})
    return tuple(stamp for chain in record.chains for stamp in chain)


def _leaves(record: EvidenceRecord, number: int, group: Sequence[Mapping[str, bytes]]) -> set[bytes]:
    """What the first time-stamp of a chain must cover: the data, with the hash of all chains before (section 5.2)."""
    algorithm = record.chains[number][0].algorithm
    leaves: set[bytes] = set()
    for digests in group:
        digest = digests.get(algorithm.name)
        if digest is None:
            raise EvidenceMismatch(f"the evidence record needs the data's {algorithm.name} digest")
        leaves.add(algorithm.digest(digest + record.older[number]) if number else digest)
    return leaves


def check_coverage(stamp: ArchiveTimeStamp, covered: set[bytes]) -> None:
    """Check that an archive time-stamp's reduced hash tree leads from `covered` to its token's imprint.

    Raises EvidenceMismatch.
    """
    if stamp.reduced_hash_tree:
        if not covered <= stamp.leaves:
            raise EvidenceMismatch("the evidence record does not hold this digest")
        root = stamp.root
    elif len(covered) == 1:
        (root,) = covered
    else:
        raise EvidenceMismatch("a time-stamp without a hash tree covers one digest")
    if root != stamp.imprint.digest:
        raise EvidenceMismatch("the hash tree does not lead to what the time-stamp covers")
