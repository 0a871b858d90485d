"""A receipt's proof, made from what a node tells of a block: all its transactions and receipts, and the blocks on top.

Whatever the node leaves out or changes gives other roots or other hashes than the headers have, and is found here; what
the headers are worth, the judge says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.anchorer.evm.errors import NodeFailed, NodeRefused
from appliance.anchorer.evm.forms import BlockForm, Data, ReceiptForm, TransactionForm, data, number, shown
from appliance.anchorer.evm.nodes import ask, decoded
from appliance.anchorer.evm.rpc import Call, Node
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.headers import HeaderHash, read_header
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.proof import Proof, StatedBlock
from appliance.anchors.evm.rules import Rules, Validators
from appliance.anchors.evm.trie import Trie, index_key

_RAW_METHODS: Final = ("eth_getRawTransactionByHash", "debug_getRawTransaction")
"""How nodes are asked for a transaction of a type that is not known here."""


def blocks_on_top(rules: Rules, height: int) -> int:
    """How many blocks must stand on the anchor's before its receipt can hold: the profile's depth and, under Clique, as
    many as it takes for more than half of the signers to stand behind it."""
    if isinstance(rules.consensus, Validators) and rules.header_hash is HeaderHash.CLIQUE:
        return max(rules.depth, len(rules.consensus.at(height)) // 2)
    return rules.depth


async def prove(node: Node, rules: Rules, raw: bytes, block: bytes) -> Proof:
    """The proof that this transaction (raw) is in this block (by its hash), which has as many blocks on top as needed.
    Raises NodeFailed, NodeRefused."""
    form = await ask(node, BlockForm | None, "eth_getBlockByHash", shown(block), True)
    if form is None or data(form.hash) != block:
        raise NodeFailed(f"{node.name} no longer has the block {shown(block)}")
    receipts = await _receipts(node, form)
    if rules.header_hash is HeaderHash.STATED:
        return _stated(rules, raw, form, receipts)
    height = number(form.number)
    headers = await _headers(node, rules, height, blocks_on_top(rules, height))
    transactions = await _transactions(node, form)
    return await asyncio.to_thread(_proof, node, rules, raw, form, transactions, receipts, headers)


async def _headers(node: Node, rules: Rules, height: int, count: int) -> list[bytes]:
    """The headers on top of a block."""
    calls = [Call("eth_getBlockByNumber", (hex(height + 1 + more), False)) for more in range(count)]
    headers = []
    for call, result in zip(calls, await node.calls(calls), strict=True):
        if isinstance(result, NodeRefused):
            raise result
        form = decoded(node, BlockForm | None, call.method, result)
        if form is None:
            raise NodeFailed(f"{node.name} no longer has as many blocks as before")
        headers.append(_header(node, rules, form))
    return headers


def _header(node: Node, rules: Rules, form: BlockForm) -> bytes:
    """A block's header, whose hash is the block's."""
    encoded = form.header()
    try:
        found = read_header(encoded).hash(rules.header_hash)
    except MalformedChainData as error:
        raise NodeFailed(f"{node.name} tells of block {number(form.number)} what is no header: {error}") from None
    if found != data(form.hash):
        raise NodeFailed(f"{node.name} tells of block {number(form.number)} what does not give its hash")
    return encoded


async def _receipts(node: Node, block: BlockForm) -> list[ReceiptForm]:
    """All receipts of a block, in its order: at once, or one by one where the node does not know how."""
    found: list[ReceiptForm] | None
    try:
        found = await ask(node, list[ReceiptForm] | None, "eth_getBlockReceipts", block.number)
    except NodeRefused:
        found = None
    if found is None:
        forms = await asyncio.to_thread(_forms, node, block)
        calls = [Call("eth_getTransactionReceipt", (one.hash,)) for one in forms]
        found = []
        for call, result in zip(calls, await node.calls(calls), strict=True):
            if isinstance(result, NodeRefused):
                raise result
            found.append(decoded(node, ReceiptForm, call.method, result))
    found.sort(key=lambda one: number(one.transaction_index))
    in_order = [number(one.transaction_index) for one in found] == list(range(len(block.transactions)))
    if not in_order or any(one.block_hash != block.hash for one in found):
        raise NodeFailed(f"{node.name} gives receipts of something else than block {number(block.number)}")
    return found


def _forms(node: Node, block: BlockForm) -> list[TransactionForm]:
    try:
        return [msgspec.json.decode(one, type=TransactionForm) for one in block.transactions]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NodeFailed(f"{node.name} tells of a transaction in another form: {str(error)[:200]}") from None


async def _transactions(node: Node, block: BlockForm) -> list[bytes]:
    """All transactions of a block, raw."""
    # On a thread: of a block that a node made up to be large this takes seconds, and other ledgers go on meanwhile.
    made = await asyncio.to_thread(lambda: [(form, _made(form)) for form in _forms(node, block)])
    return [await _raw(node, form) if raw is None else raw for form, raw in made]


def _made(form: TransactionForm) -> bytes | None:
    """A transaction from what the node tells of it; None where that does not give its hash."""
    raw = form.raw()
    return raw if raw is not None and keccak256(raw) == data(form.hash) else None


async def _raw(node: Node, form: TransactionForm) -> bytes:
    """A transaction that cannot be made from what the node tells of it."""
    for method in _RAW_METHODS:
        try:
            raw = data(await ask(node, Data, method, form.hash))
        except NodeRefused:
            continue
        if keccak256(raw) == data(form.hash):
            return raw
    raise NodeFailed(f"{node.name} does not give the bytes of {form.hash}, a transaction of type {number(form.type)}")


def _proof(
    node: Node,
    rules: Rules,
    raw: bytes,
    block: BlockForm,
    transactions: Sequence[bytes],
    receipts: Sequence[ReceiptForm],
    headers: Sequence[bytes],
) -> Proof:
    if raw not in transactions:
        raise NodeFailed(f"{node.name} gives a block {number(block.number)} without the transaction")
    index = transactions.index(raw)
    encoded = [one.encoded() for one in receipts]
    whole = [one for one in encoded if one is not None]
    if len(whole) != len(encoded):
        raise NodeFailed(f"{node.name} gives receipts without a status (EIP-658)")
    of_transactions, of_receipts = Trie.of_list(transactions), Trie.of_list(whole)
    for said, made, told in (
        ("transactions", of_transactions, block.transactions_root),
        ("receipts", of_receipts, block.receipts_root),
    ):
        if made.root != data(told):
            raise NodeFailed(f"the {said} that {node.name} gives are not those of block {number(block.number)}")
    key = index_key(index)
    return Proof(
        block=_header(node, rules, block).hex(),
        contract=rules.contract,
        genesis=rules.genesis,
        headers=tuple(one.hex() for one in headers),
        index=index,
        receipt=whole[index].hex(),
        receipt_proof=tuple(one.hex() for one in of_receipts.proof(key)),
        transaction=raw.hex(),
        transaction_proof=tuple(one.hex() for one in of_transactions.proof(key)),
    )


def _stated(rules: Rules, raw: bytes, block: BlockForm, receipts: Sequence[ReceiptForm]) -> Proof:
    """What there is where the chain's headers are not of Ethereum's form: the node's word."""
    name = shown(keccak256(raw))
    own = [one for one in receipts if one.transaction_hash.lower() == name]
    encoded = own[0].encoded() if len(own) == 1 else None
    if encoded is None:
        raise NodeFailed(f"the node gives no receipt of {name}")
    stated = StatedBlock(hash=data(block.hash).hex(), number=number(block.number), timestamp=number(block.timestamp))
    return Proof(
        block=stated,
        contract=rules.contract,
        genesis=rules.genesis,
        headers=(),
        index=number(own[0].transaction_index),
        receipt=encoded.hex(),
        receipt_proof=(),
        transaction=raw.hex(),
        transaction_proof=(),
    )
