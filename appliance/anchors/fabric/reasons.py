"""Why a receipt of Fabric is refused."""

from __future__ import annotations

import enum


class FabricReason(enum.StrEnum):
    """Beside those that all types of ledger have (appliance.anchors.Reason)."""

    DATA_HASH = "data_hash"
    """The block's transactions are not those of its header."""
    FOREIGN_SEAL = "foreign_seal"
    """Too few orderers that the profile lists have signed the block: others did."""
    TOO_FEW_SEALS = "too_few_seals"
    """Fewer signatures of orderers than the profile wants."""
    NO_TRANSACTION = "no_transaction"
    """The block has no transaction at that place, or one that calls no chaincode."""
    OTHER_CHANNEL = "other_channel"
    OTHER_CHAINCODE = "other_chaincode"
    OTHER_FUNCTION = "other_function"
    WRONG_TRANSACTION_ID = "wrong_transaction_id"
    """It is not made of the transaction's nonce and creator."""
    FOREIGN_CREATOR = "foreign_creator"
    """Who made the transaction belongs to no organisation of the profile."""
    CREATOR_SIGNATURE = "creator_signature"
    MIXED_UP = "mixed_up"
    """Parts of two transactions: what was endorsed is not what was proposed."""
    REFUSED_BY_CHAINCODE = "refused_by_chaincode"
    """The chaincode's answer is an error."""
    TOO_FEW_ENDORSEMENTS = "too_few_endorsements"
    """Fewer of the profile's organisations endorsed it than the profile wants."""
    FAILED_TRANSACTION = "failed_transaction"
    """Peers did not count the transaction as valid: nothing of it stands in the ledger's state."""
