"""What an evidence record proves of a digest: the hash chain alone, pure (RFC 4998, sections 4.3 and 5.3).

The tokens' signatures are for the caller: each token must have been valid at the time of the one after it, the last
at the time of verification.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.algorithms import DigestAlgorithm
from appliance.evidence_records.errors import EvidenceMismatch
from appliance.evidence_records.record import ArchiveTimeStamp, EvidenceRecord


def verify_hash_chain(record: EvidenceRecord, digests: Mapping[str, bytes]) -> tuple[ArchiveTimeStamp, ...]:
    """Check that the record covers the data with these digests, through all its renewals.

    `digests` maps digest names (sha256 ...) to the data's digests; one per algorithm that a chain uses is needed. The
    answer is all archive time-stamps in order: the first one's time is that by which the data existed. Raises
    EvidenceMismatch.
    """
    verified: list[ArchiveTimeStamp] = []
    for number, chain in enumerate(record.chains):
        algorithm = chain[0].algorithm
        digest = digests.get(algorithm.name)
        if digest is None:
            raise EvidenceMismatch(f"the evidence record needs the data's {algorithm.name} digest")
        covered = digest
        if number:
            covered = algorithm.digest(digest + record.older[number])
        for stamp in chain:
            if stamp.algorithm != algorithm:
                raise EvidenceMismatch("the time-stamps of one chain use different digest algorithms")
            if verified and stamp.imprint.time_us < verified[-1].imprint.time_us:
                raise EvidenceMismatch("a renewal is older than what it renews")
            check_coverage(stamp, covered)
            verified.append(stamp)
            covered = algorithm.digest(stamp.token)
    return tuple(verified)


def check_coverage(stamp: ArchiveTimeStamp, covered: bytes) -> None:
    """Check that an archive time-stamp's reduced hash tree leads from `covered` to its token's imprint.

    Raises EvidenceMismatch.
    """
    root = covered
    if stamp.reduced_hash_tree:
        if covered not in stamp.reduced_hash_tree[0]:
            raise EvidenceMismatch("the evidence record does not hold this digest")
        root = _root(stamp.reduced_hash_tree, stamp.algorithm)
    if root != stamp.imprint.digest:
        raise EvidenceMismatch("the hash tree does not lead to what the time-stamp covers")


def _root(lists: tuple[tuple[bytes, ...], ...], algorithm: DigestAlgorithm) -> bytes:
    node: tuple[bytes, ...] = ()
    for hashes in lists:
        group = sorted((*node, *hashes))
        # A leaf alone in its list is not hashed again: there was nothing to join it with.
        node = (group[0] if len(group) == 1 else algorithm.digest(b"".join(group)),)
    return node[0]
