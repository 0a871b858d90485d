"""The EvidenceRecord of RFC 4998: reading one strictly, and writing the first one of an item of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from appliance import der
from appliance.algorithms import DIGESTS_BY_OID, DigestAlgorithm
from appliance.der import DerError, Reader, context
from appliance.evidence_records.errors import EvidenceMismatch, EvidenceRejected
from appliance.evidence_records.hash_tree import climb
from appliance.token_imprint import TokenImprint, token_imprint

MAX_ARCHIVE_TIMESTAMPS = 256
MAX_LISTS = 64
MAX_LIST_HASHES = 4096
LARGEST_RECORD = 4 * 1024 * 1024
"""Bytes. Each chain hashes all before it, so what a hostile record costs grows with its size times its chains."""

_VERSION_1 = der.integer(1)


@dataclass(frozen=True)
class ArchiveTimeStamp:
    """One ArchiveTimeStamp: a reduced hash tree and the token over its root."""

    algorithm: DigestAlgorithm
    """Hash of the tree: its own field, or the token's where that is absent (RFC 4998, section 4.1)."""
    reduced_hash_tree: tuple[tuple[bytes, ...], ...]
    """Lists of hashes from the leaf upward; empty when the token covers the data's digest directly."""
    token: bytes
    """The RFC 3161 token, a DER ContentInfo."""
    imprint: TokenImprint
    """What the token says it covers, and when. Its signature is not checked here."""

    @cached_property
    def leaves(self) -> frozenset[bytes]:
        """The first list of the tree: what it leads from; nothing where there is no tree."""
        return frozenset(self.reduced_hash_tree[0]) if self.reduced_hash_tree else frozenset()

    @cached_property
    def root(self) -> bytes:
        """What a tree leads to, the same from each of its leaves, so that it is computed once: of a tree of 4 MiB that
        takes 50 ms, and every file given beside may be a leaf of it."""
        node: tuple[bytes, ...] = ()
        for hashes in self.reduced_hash_tree:
            group = sorted((*node, *hashes))
            # A leaf alone in its list is not hashed again: there was nothing to join it with.
            node = (group[0] if len(group) == 1 else self.algorithm.digest(b"".join(group)),)
        return node[0]


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """A parsed EvidenceRecord."""

    digest_algorithms: tuple[str, ...]
    """Dotted OIDs, as the record lists them."""
    chains: tuple[tuple[ArchiveTimeStamp, ...], ...]
    """The ArchiveTimeStampSequence: chains in order, each with its ArchiveTimeStamps in order."""
    older: tuple[bytes, ...]
    """For each chain the digest, under its own algorithm, of the sequence of all chains before it, as the renewal that
    began it covers them (section 5.2); of nothing for the first."""


def expand(digest: bytes, path: bytes, token: bytes) -> bytes:
    """The full EvidenceRecord, DER, of one item: its digest, its compact path, and the batch's token.

    The tree's hash is that of the token's message imprint. Raises EvidenceRejected, and EvidenceMismatch when the
    path does not lead from the digest to what the token covers.
    """
    imprint, algorithm = _read_token(token)
    if climb(digest, path, algorithm) != imprint.digest:
        raise EvidenceMismatch("the path does not lead from this digest to what the time-stamp covers")
    size = algorithm.size
    siblings = [path[start : start + size] for start in range(0, len(path), size)]
    reduced = b""
    if siblings:
        # The first list holds the item's own hash and its sibling; every further list one sibling (section 4.2.2).
        lists = [sorted((digest, siblings[0])), *([sibling] for sibling in siblings[1:])]
        reduced = der.tlv(context(2), b"".join(der.sequence(*map(der.octet_string, hashes)) for hashes in lists))
    chain = der.sequence(der.sequence(reduced, token))
    return der.sequence(_VERSION_1, der.sequence(algorithm.identifier), der.sequence(chain))


def parse_evidence_record(data: bytes) -> EvidenceRecord:
    """Read a DER EvidenceRecord of version 1 (RFC 4998, section 3.1). Raises EvidenceRejected.

    cryptoInfos and attributes are allowed and not interpreted; encryptionInfo is refused, because such a record is
    about the encrypted form of the data.
    """
    if len(data) > LARGEST_RECORD:
        raise EvidenceRejected(f"the evidence record has more than {LARGEST_RECORD} bytes")
    try:
        return _parse(data)
    except DerError as error:
        raise EvidenceRejected(f"the evidence record is not DER as expected: {error}") from None


def _parse(data: bytes) -> EvidenceRecord:
    outer = Reader(data)
    record = outer.enter()
    outer.finish()
    if record.integer() != 1:
        raise EvidenceRejected("the evidence record has not version 1")
    algorithms: list[str] = []
    listed = record.enter()
    while listed:
        if len(algorithms) == MAX_LISTS:
            raise EvidenceRejected("too many digest algorithms")
        algorithms.append(_algorithm_oid(listed))
    record.raw_optional(context(0))
    if record.peek() == context(1):
        raise EvidenceRejected("the evidence record is about encrypted data, which is not supported")
    sequence = record.enter()
    record.finish()
    chains: list[tuple[ArchiveTimeStamp, ...]] = []
    encoded: list[bytes] = []
    total = 0
    while sequence:
        raw = sequence.raw(der.SEQUENCE)
        chain: list[ArchiveTimeStamp] = []
        members = Reader(raw).enter()
        while members:
            total += 1
            if total > MAX_ARCHIVE_TIMESTAMPS:
                raise EvidenceRejected(f"more than {MAX_ARCHIVE_TIMESTAMPS} archive time-stamps")
            chain.append(_archive_timestamp(members.enter()))
        if not chain:
            raise EvidenceRejected("a chain without archive time-stamps")
        chains.append(tuple(chain))
        encoded.append(raw)
    if not chains:
        raise EvidenceRejected("the evidence record has no archive time-stamp")
    for chain_of in chains:
        for stamp in chain_of:
            if stamp.algorithm.oid not in algorithms:
                raise EvidenceRejected("an archive time-stamp uses a digest algorithm that the record does not list")
    older = [chains[0][0].algorithm.digest(b"")]
    for number in range(1, len(chains)):
        sequence_before = der.tlv(der.SEQUENCE, b"".join(encoded[:number]))
        older.append(chains[number][0].algorithm.digest(sequence_before))
    return EvidenceRecord(tuple(algorithms), tuple(chains), tuple(older))


def _archive_timestamp(reader: Reader) -> ArchiveTimeStamp:
    stated: str | None = None
    if field := reader.enter_optional(context(0)):
        stated = _algorithm_body(field)
    reader.raw_optional(context(1))
    lists: list[tuple[bytes, ...]] = []
    if tree := reader.enter_optional(context(2)):
        while tree:
            if len(lists) == MAX_LISTS:
                raise EvidenceRejected(f"a reduced hash tree of more than {MAX_LISTS} levels")
            lists.append(_hash_list(tree.enter()))
        if not lists:
            raise EvidenceRejected("an empty reduced hash tree")
    token = reader.raw(der.SEQUENCE)
    reader.finish()
    imprint, algorithm = _read_token(token)
    if stated is not None and stated != algorithm.oid:
        # The tree's root is the token's imprint itself, so both have one algorithm whatever the field says.
        raise EvidenceRejected("an archive time-stamp names another digest algorithm than its token")
    if any(len(value) != algorithm.size for hashes in lists for value in hashes):
        raise EvidenceRejected("a hash has not the length of the tree's algorithm")
    return ArchiveTimeStamp(algorithm, tuple(lists), token, imprint)


def _hash_list(reader: Reader) -> tuple[bytes, ...]:
    hashes: list[bytes] = []
    while reader:
        if len(hashes) == MAX_LIST_HASHES:
            raise EvidenceRejected(f"a list of more than {MAX_LIST_HASHES} hashes")
        hashes.append(reader.octet_string())
    if not hashes:
        raise EvidenceRejected("an empty list of hashes")
    return tuple(hashes)


def _algorithm_oid(reader: Reader) -> str:
    return _algorithm_body(reader.enter())


def _algorithm_body(reader: Reader) -> str:
    dotted = reader.oid()
    if reader:
        reader.null()
    reader.finish()
    return dotted


def _read_token(token: bytes) -> tuple[TokenImprint, DigestAlgorithm]:
    try:
        imprint = token_imprint(token)
    except DerError as error:
        raise EvidenceRejected(f"not an RFC 3161 token: {error}") from None
    algorithm = DIGESTS_BY_OID.get(imprint.digest_algorithm)
    if algorithm is None or len(imprint.digest) != algorithm.size:
        raise EvidenceRejected(f"the token's imprint is not of a digest algorithm of ours: {imprint.digest_algorithm}")
    return imprint, algorithm
