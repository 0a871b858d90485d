"""What nodes answer (Ethereum's execution APIs, eth_*), and the bytes of the chain that it stands for. Pure.

Nodes tell blocks, transactions and receipts as JSON, member by member. What the chain's hashes cover is made from that
again; whether it is the same, the roots in a header whose hash is right then show. Members that are not looked at are
left alone: every client adds some of its own.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.anchors.evm import rlp
from appliance.anchors.evm.receipts import Log, TransactionReceipt

Quantity = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{1,64}\Z")]
BlockNumber = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{1,13}\Z")]
"""A QUANTITY below 2^52: no chain is as long."""
Data = Annotated[str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-fA-F]{2})*+\Z")]
Hash = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{64}\Z")]
Address = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{40}\Z")]

BLOB_TYPE: Final = 3
SET_CODE_TYPE: Final = 4


def number(quantity: str | None) -> int:
    """A QUANTITY; -1 where there is none."""
    return -1 if quantity is None else int(quantity, 16)


def data(text: str) -> bytes:
    """DATA."""
    return bytes.fromhex(text[2:])


def shown(value: bytes) -> str:
    """Bytes as nodes write them."""
    return "0x" + value.hex()


class _Form(msgspec.Struct, frozen=True, rename="camel"):
    pass


class BlockForm(_Form, frozen=True, rename="camel"):
    """A block as eth_getBlockByNumber gives it."""

    hash: Hash
    parent_hash: Hash
    sha3_uncles: Hash
    miner: Address
    state_root: Hash
    transactions_root: Hash
    receipts_root: Hash
    logs_bloom: Data
    difficulty: Quantity
    number: BlockNumber
    gas_limit: Quantity
    gas_used: Quantity
    timestamp: Quantity
    extra_data: Data
    mix_hash: Data = "0x" + "00" * 32
    nonce: Data = "0x" + "00" * 8
    base_fee_per_gas: Quantity | None = None
    withdrawals_root: Hash | None = None
    blob_gas_used: Quantity | None = None
    excess_blob_gas: Quantity | None = None
    parent_beacon_block_root: Hash | None = None
    requests_hash: Hash | None = None
    transactions: list[msgspec.Raw] = []

    def header(self) -> bytes:
        """The header's RLP, with the members of as many forks as the node tells."""
        fields = [
            *map(data, (self.parent_hash, self.sha3_uncles, self.miner, self.state_root)),
            *map(data, (self.transactions_root, self.receipts_root, self.logs_bloom)),
            *map(_integer, (self.difficulty, self.number, self.gas_limit, self.gas_used, self.timestamp)),
            *map(data, (self.extra_data, self.mix_hash, self.nonce)),
        ]
        later = (
            (self.base_fee_per_gas, _integer),
            (self.withdrawals_root, data),
            (self.blob_gas_used, _integer),
            (self.excess_blob_gas, _integer),
            (self.parent_beacon_block_root, data),
            (self.requests_hash, data),
        )
        for value, written in later:
            if value is None:
                break
            fields.append(written(value))
        return rlp.encode(fields)


class _Access(_Form, frozen=True, rename="camel"):
    address: Address
    storage_keys: list[Hash] = []


class _Authorization(_Form, frozen=True, rename="camel"):
    chain_id: Quantity
    address: Address
    nonce: Quantity
    r: Quantity
    s: Quantity
    y_parity: Quantity


class TransactionForm(_Form, frozen=True, rename="camel"):
    """A transaction of a block, whoever sent it."""

    hash: Hash
    nonce: Quantity
    gas: Quantity
    value: Quantity
    input: Data
    r: Quantity
    s: Quantity
    v: Quantity | None = None
    y_parity: Quantity | None = None
    to: Address | None = None
    type: Quantity = "0x0"
    chain_id: Quantity | None = None
    gas_price: Quantity | None = None
    max_fee_per_gas: Quantity | None = None
    max_priority_fee_per_gas: Quantity | None = None
    access_list: list[_Access] | None = None
    max_fee_per_blob_gas: Quantity | None = None
    blob_versioned_hashes: list[Hash] | None = None
    authorization_list: list[_Authorization] | None = None

    def raw(self) -> bytes | None:
        """The raw transaction (EIP-2718); None for a type that is not known here, or where a member is missing."""
        kind = number(self.type)
        recipient = b"" if self.to is None else data(self.to)
        parity = self.v if kind == 0 or self.y_parity is None else self.y_parity
        signature = [*map(_integer, (parity, self.r, self.s))]
        content: list[rlp.Encodable] = [recipient, _integer(self.value), data(self.input)]
        if kind == 0:
            return rlp.encode([*map(_integer, (self.nonce, self.gas_price, self.gas)), *content, *signature])
        fees = (self.gas_price,) if kind == 1 else (self.max_priority_fee_per_gas, self.max_fee_per_gas)
        numbers = (self.chain_id, self.nonce, *fees, self.gas)
        if any(one is None for one in numbers) or self.access_list is None:
            return None
        content.append([[data(one.address), [data(key) for key in one.storage_keys]] for one in self.access_list])
        if kind == BLOB_TYPE:
            if self.max_fee_per_blob_gas is None or self.blob_versioned_hashes is None:
                return None
            content += [_integer(self.max_fee_per_blob_gas), [data(one) for one in self.blob_versioned_hashes]]
        elif kind == SET_CODE_TYPE:
            if self.authorization_list is None:
                return None
            content.append([_authorized(one) for one in self.authorization_list])
        elif kind not in (1, 2):
            return None
        return bytes([kind]) + rlp.encode([*map(_integer, numbers), *content, *signature])


class _LogForm(_Form, frozen=True, rename="camel"):
    address: Address
    topics: list[Hash]
    data: Data


class ReceiptForm(_Form, frozen=True, rename="camel"):
    """A transaction's receipt."""

    transaction_hash: Hash
    transaction_index: Quantity | None
    block_hash: Hash | None
    """None: of a transaction that still waits, as some nodes tell."""
    block_number: BlockNumber | None
    cumulative_gas_used: Quantity
    logs: list[_LogForm]
    status: Quantity | None = None
    type: Quantity = "0x0"

    def encoded(self) -> bytes | None:
        """As it stands in the trie of the block's receipts; None for one of before Byzantium, which has no status."""
        if self.status is None or number(self.type) > 0x7F:
            return None
        logs = tuple(Log(data(one.address), tuple(map(data, one.topics)), data(one.data)) for one in self.logs)
        status, gas = number(self.status), number(self.cumulative_gas_used)
        return TransactionReceipt(number(self.type), status, gas, logs).encode()


def _authorized(one: _Authorization) -> list[rlp.Encodable]:
    signature = map(_integer, (one.y_parity, one.r, one.s))
    return [_integer(one.chain_id), data(one.address), _integer(one.nonce), *signature]


def _integer(quantity: str | None) -> bytes:
    return rlp.integer(0 if quantity is None else number(quantity))
