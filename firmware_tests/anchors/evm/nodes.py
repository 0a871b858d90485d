"""Anchors on nodes that really run, and their receipts' proofs, out of what any node answers."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from coincurve import PrivateKey

from appliance.anchors.evm import rlp
from appliance.anchors.evm.proof import Proof
from appliance.anchors.evm.receipts import Log, TransactionReceipt
from appliance.anchors.evm.rules import ContractRules
from appliance.anchors.evm.secp256k1 import address_of
from appliance.anchors.evm.transactions import FeeMarketTransaction, LegacyTransaction, Transaction
from appliance.anchors.evm.trie import Trie, index_key
from firmware_tests.others.evm_nodes import CliqueChain, CliqueNode, Node

_GAS, _GAS_TO_CREATE = 1_000_000, 3_000_000
_FEE = 10**10


def built(contract: str) -> bytes:
    """The committed bytecode that creates a contract."""
    text = resources.files("appliance.anchors.evm").joinpath("contracts", "built.json").read_text()
    return bytes.fromhex(json.loads(text)["contracts"][contract]["bytecode"])


class Account:
    """Sends transactions to a node that seals by command alone, each in a block before the next."""

    def __init__(self, key: PrivateKey, chain: Node | CliqueChain) -> None:
        self.address = self.address_of(key)
        self._key = key
        self._chain = chain
        self.node = chain if isinstance(chain, Node) else chain.nodes[0]
        self.chain_id = int(self.node("eth_chainId"), 16)

    @staticmethod
    def address_of(key: PrivateKey) -> bytes:
        """The address of a private key."""
        return address_of(key.public_key.format())

    @property
    def nonce(self) -> int:
        """The next one."""
        return int(self.node("eth_getTransactionCount", "0x" + self.address.hex(), "pending"), 16)

    def submit(self, to: bytes, data: bytes, legacy: bool = False) -> str:
        """The hash of a transaction that waits for a block."""
        gas = _GAS if to else _GAS_TO_CREATE
        common: dict[str, Any] = {"chain_id": self.chain_id, "nonce": self.nonce, "gas": gas, "to": to, "data": data}
        transaction: Transaction
        if legacy:
            transaction = LegacyTransaction(gas_price=_FEE, **common)
        else:
            transaction = FeeMarketTransaction(max_priority_fee_per_gas=10**9, max_fee_per_gas=_FEE, **common)
        signature = self._key.sign_recoverable(transaction.signing_hash(), hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = transaction.signed(r, s, signature[64])
        name: str = self.node("eth_sendRawTransaction", "0x" + raw.hex())
        return name

    def seal(self) -> None:
        """A block with what waits."""
        if isinstance(self._chain, CliqueChain):
            self._chain.seal()
        else:
            self.node("evm_mine")

    def send(self, to: bytes, data: bytes, legacy: bool = False) -> str:
        """The hash of a transaction that is in a block by now."""
        name = self.submit(to, data, legacy)
        self.seal()
        return name

    def deploy(self, bytecode: bytes, legacy: bool = False) -> bytes:
        """The address of a contract that was created."""
        found = self.node("eth_getTransactionReceipt", self.send(b"", bytecode, legacy))
        assert found["status"] == "0x1"
        return bytes.fromhex(found["contractAddress"][2:])

    def call(self, to: bytes, data: bytes) -> bytes:
        """What a contract answers."""
        answer: str = self.node("eth_call", {"to": "0x" + to.hex(), "data": "0x" + data.hex()}, "latest")
        return bytes.fromhex(answer[2:])


def _number(value: str) -> bytes:
    return rlp.integer(int(value, 16))


def _data(value: str) -> bytes:
    return bytes.fromhex(value[2:])


_FIELDS = (
    ("parentHash", _data),
    ("sha3Uncles", _data),
    ("miner", _data),
    ("stateRoot", _data),
    ("transactionsRoot", _data),
    ("receiptsRoot", _data),
    ("logsBloom", _data),
    ("difficulty", _number),
    ("number", _number),
    ("gasLimit", _number),
    ("gasUsed", _number),
    ("timestamp", _number),
    ("extraData", _data),
    ("mixHash", _data),
    ("nonce", _data),
    ("baseFeePerGas", _number),
    ("withdrawalsRoot", _data),
    ("blobGasUsed", _number),
    ("excessBlobGas", _number),
    ("parentBeaconBlockRoot", _data),
    ("requestsHash", _data),
)


def header_of(block: dict[str, Any]) -> bytes:
    """The RLP of a block's header."""
    return rlp.encode([read(block[name]) for name, read in _FIELDS if block.get(name) is not None])


def receipt_of(found: dict[str, Any]) -> bytes:
    """A receipt as it stands in its trie."""
    logs = tuple(
        Log(_data(log["address"]), tuple(map(_data, log["topics"])), _data(log["data"])) for log in found["logs"]
    )
    numbers = (int(found[name], 16) for name in ("type", "status", "cumulativeGasUsed"))
    return TransactionReceipt(*numbers, logs).encode()


def raw_transactions(node: Node, block: dict[str, Any]) -> list[bytes]:
    """A block's raw transactions, as the node itself writes them."""
    if not isinstance(node, CliqueNode):
        return [_data(node("eth_getRawTransactionByHash", name)) for name in block["transactions"]]
    (whole, *_) = node("test_blocks", int(block["number"], 16) - 1)
    listed = rlp.as_list(rlp.decode_list(_data(whole))[1])
    return [each if isinstance(each, bytes) else rlp.encode(each) for each in listed]


def receipts(node: Node, block: dict[str, Any]) -> list[bytes]:
    """A block's receipts, in their order, as they stand in their trie."""
    return [receipt_of(node("eth_getTransactionReceipt", name)) for name in block["transactions"]]


def make_proof(node: Node, name: str, contract: ContractRules, on_top: int) -> Proof:
    """The proof of the anchor that a transaction made, with so many blocks on top."""
    found = node("eth_getTransactionReceipt", name)
    block = node("eth_getBlockByHash", found["blockHash"], False)
    number, index = int(block["number"], 16), int(found["transactionIndex"], 16)
    raws, results = raw_transactions(node, block), receipts(node, block)
    tries = Trie.of_list(raws), Trie.of_list(results)
    headers = [
        header_of(node("eth_getBlockByNumber", hex(number + above), False)).hex() for above in range(1, on_top + 1)
    ]
    nodes = [tuple(each.hex() for each in trie.proof(index_key(index))) if trie.root else () for trie in tries]
    return Proof(
        block=header_of(block).hex(),
        contract=contract,
        genesis=node("eth_getBlockByNumber", "0x0", False)["hash"][2:],
        headers=tuple(headers),
        index=index,
        receipt=results[index].hex(),
        receipt_proof=nodes[1],
        transaction=raws[index].hex(),
        transaction_proof=nodes[0],
    )
