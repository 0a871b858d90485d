"""A stamped batch at the client: the compact answer and the client's own digests make every item's evidence record."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.client.errors import NotUnderstood
from appliance.errors import CinnabarError
from appliance.evidence_records import CompactBatch, HashTree, distinct

MEDIA_DIGESTS = "application/vnd.cinnabar.digests"
MEDIA_BATCH = "application/vnd.cinnabar.batch"


class _Compact(msgspec.Struct, array_like=True, frozen=True):
    format: Literal["cinnabar-compact-stamp/1"]
    record: bytes
    unit: str
    time_us: int
    serial: str
    policy: str
    hash: str
    count: int
    root: bytes
    token: bytes


_decode = msgspec.msgpack.Decoder(_Compact).decode


class StampedBatch:
    """One token over many digests. Items are numbered as the digests were given; equal ones share a leaf."""

    def __init__(self, answer: _Compact, batch: CompactBatch, leaves: list[int]) -> None:
        self.record = answer.record.hex()
        self.unit = answer.unit
        self.time_us = answer.time_us
        """genTime, microseconds since the epoch."""
        self.serial = answer.serial
        self.policy = answer.policy
        self.token = answer.token
        """TimeStampToken over the tree's root, DER."""
        self._batch = batch
        self._leaves = leaves

    def __len__(self) -> int:
        return len(self._leaves)

    @property
    def root(self) -> bytes:
        return self._batch.tree.root

    def evidence_record(self, item: int) -> bytes:
        """The full EvidenceRecord of one item, DER (RFC 4998). Raises IndexError."""
        return self._batch.evidence_record(self._leaves[item])

    @classmethod
    def read(cls, body: bytes, digests: bytes, hash_name: str) -> StampedBatch:
        """The batch of these digests, whose tree is built here. Raises NotUnderstood where the token covers another."""
        try:
            answer = _decode(body)
            leaves, positions = distinct(digests, hash_name)
            tree = HashTree.build(leaves, hash_name)
            if answer.root != tree.root:
                raise NotUnderstood("the box stamped another tree than that of these digests")
            return cls(answer, CompactBatch(tree, answer.token), positions)
        except (msgspec.DecodeError, CinnabarError) as error:
            raise NotUnderstood(f"the answer is not a stamped batch: {error}") from None
