"""What can be wrong with a chain's own data."""

from __future__ import annotations

from appliance.errors import BadRequest


class MalformedChainData(BadRequest):
    """RLP, a trie node, a transaction, a receipt or a header that is not of its format; the message says what."""

    code = "malformed-chain-data"
    title = "The chain's data is not well formed"
