"""The plain version: RFC 4998's tree and structures with asn1crypto, written for reading; the oracle of the tests."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from asn1crypto import cms, core


def root_and_path(leaves: list[bytes], index: int, hash_name: str = "sha256") -> tuple[bytes, list[bytes]]:
    """The root over the leaves and the siblings of one of them, from below."""
    siblings = []
    level = leaves
    while len(level) > 1:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        groups = [sorted(level[i : i + 2]) for i in range(0, len(level), 2)]
        level = [hashlib.new(hash_name, b"".join(group)).digest() if len(group) == 2 else group[0] for group in groups]
        index //= 2
    return level[0], siblings


class AlgorithmIdentifier(core.Sequence):
    _fields: ClassVar = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]


class AlgorithmIdentifiers(core.SequenceOf):
    _child_spec = AlgorithmIdentifier


class PartialHashtree(core.SequenceOf):
    _child_spec = core.OctetString


class PartialHashtrees(core.SequenceOf):
    _child_spec = PartialHashtree


class ArchiveTimeStamp(core.Sequence):
    _fields: ClassVar = [
        ("digest_algorithm", AlgorithmIdentifier, {"implicit": 0, "optional": True}),
        ("attributes", cms.CMSAttributes, {"implicit": 1, "optional": True}),
        ("reduced_hashtree", PartialHashtrees, {"implicit": 2, "optional": True}),
        ("time_stamp", cms.ContentInfo),
    ]


class ArchiveTimeStampChain(core.SequenceOf):
    _child_spec = ArchiveTimeStamp


class ArchiveTimeStampSequence(core.SequenceOf):
    _child_spec = ArchiveTimeStampChain


class CryptoInfos(core.SequenceOf):
    _child_spec = cms.CMSAttribute


class EncryptionInfo(core.Sequence):
    _fields: ClassVar = [("type", core.ObjectIdentifier), ("value", core.Any)]


class EvidenceRecord(core.Sequence):
    _fields: ClassVar = [
        ("version", core.Integer),
        ("digest_algorithms", AlgorithmIdentifiers),
        ("crypto_infos", CryptoInfos, {"implicit": 0, "optional": True}),
        ("encryption_info", EncryptionInfo, {"implicit": 1, "optional": True}),
        ("archive_time_stamp_sequence", ArchiveTimeStampSequence),
    ]


OIDS = {
    name: f"2.16.840.1.101.3.4.2.{arc}"
    for name, arc in {"sha256": 1, "sha384": 2, "sha512": 3, "sha3-256": 8, "sha3-384": 9, "sha3-512": 10}.items()
}


def archive_timestamp(token: bytes, lists: list[list[bytes]]) -> ArchiveTimeStamp:
    fields: dict[str, object] = {"time_stamp": cms.ContentInfo.load(token)}
    if lists:
        fields["reduced_hashtree"] = PartialHashtrees([PartialHashtree(hashes) for hashes in lists])
    return ArchiveTimeStamp(fields)


def evidence_record(chains: list[list[ArchiveTimeStamp]], hash_names: list[str], **more: object) -> bytes:
    fields = {
        "version": 1,
        "digest_algorithms": [AlgorithmIdentifier({"algorithm": OIDS[name]}) for name in hash_names],
        "archive_time_stamp_sequence": [ArchiveTimeStampChain(chain) for chain in chains],
        **more,
    }
    return EvidenceRecord(fields).dump()
