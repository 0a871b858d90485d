"""What the anchorer asks of the log follower's signing desk, and how the desk makes a transaction of it.

Each type of ledger that signs has a module here: a request Struct with the fields of its transaction, and the
TransactionMaker that builds the transaction from them and from box.json. `Request` is their union, told apart by
`type`.
"""

from appliance.log.ledgers.fabric import FabricRequest
from appliance.log.ledgers.request import (
    CheckedCheckpoint,
    RequestCommon,
    RequestRefused,
    TransactionMaker,
    UnsignedTransaction,
)

Request = FabricRequest

__all__ = [
    "CheckedCheckpoint",
    "FabricRequest",
    "Request",
    "RequestCommon",
    "RequestRefused",
    "TransactionMaker",
    "UnsignedTransaction",
]
