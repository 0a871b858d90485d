"""Transactions: legacy ones with a chain id (EIP-155) and those with a fee market (EIP-1559, type 2).

Both ways: what is signed and sent, and what a raw transaction says and who signed it. Other types are refused: an
anchor is never one of them, and what others send stays opaque bytes to this room. A legacy transaction that names no
chain is refused, too, since it would count on any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.secp256k1 import ADDRESS_BYTES, ORDER, recover

FEE_MARKET_TYPE = 2
"""First byte of a raw EIP-1559 transaction."""

MAXIMUM_TRANSACTION_BYTES = 131_072
"""Larger ones are taken by no common node (go-ethereum's pool: 128 KiB)."""

_UINT64 = 8
_MAXIMUM_CHAIN_ID = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class LegacyTransaction:
    """A transaction without a type (EIP-155), not yet signed. Amounts in wei."""

    chain_id: int
    nonce: int
    gas_price: int
    gas: int
    to: bytes
    """20 bytes, or none for a contract's creation."""
    value: int = 0
    data: bytes = b""

    def _fields(self) -> list[rlp.Encodable]:
        numbers = (self.nonce, self.gas_price, self.gas)
        return [*map(rlp.integer, numbers), self.to, rlp.integer(self.value), self.data]

    def signing_hash(self) -> bytes:
        """The 32 bytes that the account's key signs (EIP-155)."""
        return keccak256(rlp.encode([*self._fields(), rlp.integer(self.chain_id), b"", b""]))

    def signed(self, r: int, s: int, parity: int) -> bytes:
        """The raw transaction, as it is sent. `s` is the lower one (`secp256k1.normalised`)."""
        v = self.chain_id * 2 + 35 + parity
        return rlp.encode([*self._fields(), *map(rlp.integer, (v, r, s))])


@dataclass(frozen=True, kw_only=True)
class FeeMarketTransaction:
    """An EIP-1559 transaction without an access list, not yet signed. Amounts in wei."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    """20 bytes, or none for a contract's creation."""
    value: int = 0
    data: bytes = b""

    def _fields(self) -> list[rlp.Encodable]:
        numbers = (self.chain_id, self.nonce, self.max_priority_fee_per_gas, self.max_fee_per_gas, self.gas)
        return [*map(rlp.integer, numbers), self.to, rlp.integer(self.value), self.data, []]

    def signing_hash(self) -> bytes:
        """The 32 bytes that the account's key signs (EIP-1559)."""
        return keccak256(bytes([FEE_MARKET_TYPE]) + rlp.encode(self._fields()))

    def signed(self, r: int, s: int, parity: int) -> bytes:
        """The raw transaction, as it is sent. `s` is the lower one (`secp256k1.normalised`)."""
        return bytes([FEE_MARKET_TYPE]) + rlp.encode([*self._fields(), *map(rlp.integer, (parity, r, s))])


Transaction: TypeAlias = LegacyTransaction | FeeMarketTransaction


@dataclass(frozen=True)
class SignedTransaction:
    """What a raw transaction says, and whose it is."""

    hash: bytes
    """32 bytes, by which nodes call it."""
    sender: bytes
    """20 bytes: recovered from the signature."""
    transaction: Transaction


def read_transaction(raw: bytes) -> SignedTransaction:
    """A raw transaction with its sender. Raises MalformedChainData."""
    if len(raw) > MAXIMUM_TRANSACTION_BYTES:
        raise MalformedChainData(f"a transaction of {len(raw)} bytes, at most {MAXIMUM_TRANSACTION_BYTES} are taken")
    if not raw:
        raise MalformedChainData("an empty transaction")
    if raw[0] >= 0xC0:
        transaction, (r, s, parity) = _read_legacy(rlp.decode_list(raw))
    elif raw[0] == FEE_MARKET_TYPE:
        transaction, (r, s, parity) = _read_fee_market(rlp.decode_list(raw[1:]))
    else:
        raise MalformedChainData(f"a transaction of type {raw[0]}, neither legacy nor of EIP-1559")
    if s > ORDER // 2:
        raise MalformedChainData("the transaction's s is not the lower one (EIP-2)")
    return SignedTransaction(keccak256(raw), recover(transaction.signing_hash(), r, s, parity), transaction)


def _read_legacy(fields: list[rlp.Item]) -> tuple[Transaction, tuple[int, int, int]]:
    if len(fields) != 9:
        raise MalformedChainData(f"a legacy transaction has 9 fields, not {len(fields)}")
    nonce, gas_price, gas, to, value, data, v, r, s = fields
    chain_id, parity = divmod(rlp.as_integer(v, _UINT64) - 35, 2)
    if not 0 < chain_id <= _MAXIMUM_CHAIN_ID:
        raise MalformedChainData("a legacy transaction that names no chain (EIP-155)")
    transaction = LegacyTransaction(
        chain_id=chain_id,
        nonce=rlp.as_integer(nonce, _UINT64),
        gas_price=rlp.as_integer(gas_price),
        gas=rlp.as_integer(gas, _UINT64),
        to=_recipient(to),
        value=rlp.as_integer(value),
        data=rlp.as_bytes(data),
    )
    return transaction, (rlp.as_integer(r), rlp.as_integer(s), parity)


def _read_fee_market(fields: list[rlp.Item]) -> tuple[Transaction, tuple[int, int, int]]:
    if len(fields) != 12:
        raise MalformedChainData(f"an EIP-1559 transaction has 12 fields, not {len(fields)}")
    chain_id, nonce, tip, fee, gas, to, value, data, access_list, parity, r, s = fields
    if rlp.as_list(access_list):
        raise MalformedChainData("a transaction with an access list, which no anchor has")
    transaction = FeeMarketTransaction(
        chain_id=rlp.as_integer(chain_id, _UINT64),
        nonce=rlp.as_integer(nonce, _UINT64),
        max_priority_fee_per_gas=rlp.as_integer(tip),
        max_fee_per_gas=rlp.as_integer(fee),
        gas=rlp.as_integer(gas, _UINT64),
        to=_recipient(to),
        value=rlp.as_integer(value),
        data=rlp.as_bytes(data),
    )
    return transaction, (rlp.as_integer(r), rlp.as_integer(s), rlp.as_integer(parity))


def _recipient(item: rlp.Item) -> bytes:
    to = rlp.as_bytes(item)
    if len(to) not in (0, ADDRESS_BYTES):
        raise MalformedChainData("a transaction's recipient is an address of 20 bytes, or none")
    return to
