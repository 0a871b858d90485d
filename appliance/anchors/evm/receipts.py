"""Receipts of transactions with their logs, as in a block's trie (yellow paper, section 4.4.1; EIP-658, EIP-2718)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.secp256k1 import ADDRESS_BYTES

BLOOM_BYTES = 256
MAXIMUM_RECEIPT_BYTES = 262_144
_RECEIPT_ITEMS = 8192
_TOPIC_BYTES = 32
_MAXIMUM_TOPICS = 4
_LARGEST_TYPE = 0x7F


@dataclass(frozen=True)
class Log:
    """What a contract emitted."""

    address: bytes
    """20 bytes: the contract."""
    topics: tuple[bytes, ...]
    """Up to four, of 32 bytes."""
    data: bytes


@dataclass(frozen=True)
class TransactionReceipt:
    """What became of a transaction. Only with a status (EIP-658): receipts of before Byzantium tell no success."""

    type: int
    """0: legacy; else the type of the transaction."""
    status: int
    """1: succeeded, 0: failed."""
    cumulative_gas: int
    """Of this transaction and all before it in the block."""
    logs: tuple[Log, ...]

    def encode(self) -> bytes:
        """As it stands in the trie of the block's receipts."""
        logs: list[rlp.Encodable] = [[log.address, list(log.topics), log.data] for log in self.logs]
        numbers = (rlp.integer(self.status), rlp.integer(self.cumulative_gas))
        body = rlp.encode([*numbers, bloom_of(self.logs), logs])
        return bytes([self.type]) + body if self.type else body


def bloom_of(logs: Sequence[Log]) -> bytes:
    """256 bytes: the filter over the logs' addresses and topics (yellow paper, section 4.4.1)."""
    bits = 0
    for log in logs:
        for entry in (log.address, *log.topics):
            digest = keccak256(entry)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 0x7FF)
    return bits.to_bytes(BLOOM_BYTES, "big")


def read_receipt(encoded: bytes) -> TransactionReceipt:
    """A receipt out of a block's trie; its bloom must be that of its logs. Raises MalformedChainData."""
    if not encoded:
        raise MalformedChainData("an empty receipt")
    if len(encoded) > MAXIMUM_RECEIPT_BYTES:
        raise MalformedChainData(f"a receipt of {len(encoded)} bytes, at most {MAXIMUM_RECEIPT_BYTES} are taken")
    kind, body = (encoded[0], encoded[1:]) if 0 < encoded[0] <= _LARGEST_TYPE else (0, encoded)
    fields = rlp.decode_list(body, _RECEIPT_ITEMS)
    if len(fields) != 4:
        raise MalformedChainData(f"a receipt has 4 fields, not {len(fields)}")
    status, gas, bloom, logs = fields
    receipt = TransactionReceipt(
        type=kind,
        status=_read_status(status),
        cumulative_gas=rlp.as_integer(gas),
        logs=tuple(map(_read_log, rlp.as_list(logs))),
    )
    if rlp.as_bytes(bloom, BLOOM_BYTES) != bloom_of(receipt.logs):
        raise MalformedChainData("the receipt's bloom is not that of its logs")
    return receipt


def _read_status(item: rlp.Item) -> int:
    status = rlp.as_bytes(item)
    if len(status) == 32:
        raise MalformedChainData("a receipt of before Byzantium, which has no status (EIP-658)")
    if status not in (b"", b"\x01"):
        raise MalformedChainData("a receipt's status is 0 or 1")
    return len(status)


def _read_log(item: rlp.Item) -> Log:
    fields = rlp.as_list(item)
    if len(fields) != 3:
        raise MalformedChainData("a log is address, topics, data")
    topics = rlp.as_list(fields[1])
    if len(topics) > _MAXIMUM_TOPICS:
        raise MalformedChainData("a log has at most four topics")
    return Log(
        rlp.as_bytes(fields[0], ADDRESS_BYTES),
        tuple(rlp.as_bytes(topic, _TOPIC_BYTES) for topic in topics),
        rlp.as_bytes(fields[2]),
    )
