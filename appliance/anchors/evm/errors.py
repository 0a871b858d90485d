"""What can be wrong with a chain's own data."""

from __future__ import annotations


class MalformedChainData(ValueError):
    """RLP, a trie node, a transaction, a receipt or a header that is not of its format; the message says what.

    It reaches nobody outside: the judge refuses the receipt, and who speaks to a node asks another one.
    """
