"""Anchors on EVM chains, the pure half: a chain's formats, what an anchor's receipt proves, the shapes of contracts.

RLP, tries, headers and their seals, transactions, receipts and logs stand each in a module; `judge` puts them together.
No I/O and no key: whoever verifies a receipt offline needs this room alone.
"""
