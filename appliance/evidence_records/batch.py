"""A stamped batch in compact form: one token, one packed tree; any item expands to a full evidence record."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from appliance.errors import CinnabarError
from appliance.evidence_records.errors import EvidenceMismatch, EvidenceRejected
from appliance.evidence_records.hash_tree import HashTree
from appliance.evidence_records.record import expand
from appliance.token_imprint import token_imprint


class CompactItem(NamedTuple):
    """What one item needs beside the batch's token."""

    digest: bytes
    path: bytes
    """The siblings from the leaf to the root, concatenated (see appliance.evidence_records.hash_tree)."""


class _Encoded(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-batch/1"]
    hash_name: str
    count: int
    packed: bytes
    token: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Encoded)


class CompactBatch:
    """A hash tree and the token over its root. Raises EvidenceMismatch when the token covers something else."""

    __slots__ = ("token", "tree")

    def __init__(self, tree: HashTree, token: bytes) -> None:
        try:
            imprint = token_imprint(token)
        except CinnabarError as error:
            raise EvidenceRejected(f"not an RFC 3161 token: {error}") from None
        if imprint.digest_algorithm != tree.algorithm.oid or imprint.digest != tree.root:
            raise EvidenceMismatch("the time-stamp does not cover the root of the tree")
        self.tree = tree
        self.token = token

    def encode(self) -> bytes:
        """For storage: a msgpack array of format, hash name, count, packed tree, token."""
        tree = self.tree
        return _encoder.encode(_Encoded("cinnabar-batch/1", tree.algorithm.name, tree.count, tree.packed, self.token))

    @classmethod
    def decode(cls, data: bytes) -> CompactBatch:
        """The batch that `encode` gave. Raises EvidenceRejected, EvidenceMismatch, UnknownAlgorithm."""
        try:
            parts = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):  # msgspec lets the latter through
            raise EvidenceRejected("not a compact batch") from None
        return cls(HashTree.unpack(parts.packed, parts.count, parts.hash_name), parts.token)

    def item(self, index: int) -> CompactItem:
        """The compact form of one item. Raises IndexError."""
        return CompactItem(self.tree.leaf(index), self.tree.path(index))

    def evidence_record(self, index: int) -> bytes:
        """The full EvidenceRecord of one item, DER. Raises IndexError."""
        digest, path = self.item(index)
        return expand(digest, path, self.token)
