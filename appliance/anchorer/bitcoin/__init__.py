"""Anchors in chains of the Bitcoin family, by a node's JSON-RPC (docs/anchors-bitcoin.md)."""

from appliance.anchorer.bitcoin.ledger import BitcoinLedger

__all__ = ["BitcoinLedger"]
