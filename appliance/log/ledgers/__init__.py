"""What the anchorer asks of the log follower's signing desk, and how the desk makes a transaction of it.

Each type of ledger that signs has a module here: a request Struct with the fields of its transaction, and the
TransactionMaker that builds the transaction from them and from box.json. `Request` is their union, told apart by
`type`.
"""

from collections.abc import Mapping
from typing import Final

from appliance.log.ledgers.bitcoin import BitcoinRequest, BitcoinTransactions
from appliance.log.ledgers.evm import EvmRequest, EvmTransactions
from appliance.log.ledgers.fabric import FabricMessages, FabricRequest
from appliance.log.ledgers.request import CheckedCheckpoint, RequestRefused, TransactionMaker

Request = BitcoinRequest | EvmRequest | FabricRequest

MAKERS: Final[Mapping[type, TransactionMaker]] = {
    BitcoinRequest: BitcoinTransactions(),
    EvmRequest: EvmTransactions(),
    FabricRequest: FabricMessages(),
}
"""By the type of the request."""

__all__ = [
    "MAKERS",
    "BitcoinRequest",
    "CheckedCheckpoint",
    "EvmRequest",
    "FabricRequest",
    "Request",
    "RequestRefused",
]
