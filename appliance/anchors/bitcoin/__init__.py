"""Anchors in chains of the Bitcoin family: transactions, headers, proofs, and their judge. Pure
(docs/anchors-bitcoin.md).
"""
