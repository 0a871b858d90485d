"""The receipt of an anchor that stands deep enough: what the node hands out, put together for the judge."""

from __future__ import annotations

import msgspec

from appliance.anchorer.bitcoin.chain import Chain
from appliance.anchorer.bitcoin.node import Node
from appliance.anchorer.ledger import LedgerUnavailable, Work
from appliance.anchors import Receipt, canonical
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.judge import MOST_DEPTH, Rules
from appliance.anchors.bitcoin.merkle import branch_of, root_of
from appliance.anchors.bitcoin.proof import BitcoinProof
from appliance.anchors.bitcoin.transaction import Transaction, parse_transaction


async def receipt_of(
    node: Node, chain: Chain, rules: Rules, ledger: str, work: Work, transaction: Transaction, height: int
) -> Receipt:
    """The receipt of a transaction that the chain has at this height. Raises LedgerUnavailable."""
    block = chain.block(height)
    listed = await node.transactions(block.header.hash)
    if root_of(listed) != block.header.root:
        raise LedgerUnavailable("the node lists other transactions than those of the block")
    try:
        coinbase = parse_transaction(await node.transaction_in(block.header.hash, listed[0]))
    except MalformedBitcoin as error:
        raise LedgerUnavailable(f"the node's first transaction of {shown(block.header.hash)}: {error}") from None
    index = block.places[transaction.txid]
    proof = BitcoinProof(
        branch=[one.hex() for one in branch_of(listed, index)],
        coinbase=coinbase.stripped().hex(),
        coinbase_branch=[one.hex() for one in branch_of(listed, 0)],
        count=len(listed),
        genesis=rules.genesis,
        headers=b"".join(one.encoded for one in chain.headers(height, MOST_DEPTH)).hex(),
        index=index,
        transaction=transaction.encode().hex(),
    )
    return Receipt(
        checkpoint=work.checkpoint.decode(),
        ledger=ledger,
        proof=msgspec.Raw(canonical.encode(proof)),
        type="bitcoin",
    )
