"""Anchoring on EVM chains over JSON-RPC: nodes, nonces, fees, and what a receipt's proof is made from.

Nothing that a node says is believed: a receipt is proved from the block's own data, and the pure judge
(appliance.anchors.evm) has the last word before an anchor is called final. docs/anchors-evm.md explains.
"""
