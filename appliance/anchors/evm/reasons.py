"""Why a receipt of an EVM chain is refused, beside the causes that all ledgers share."""

from __future__ import annotations

import enum


class EvmReason(enum.StrEnum):
    """Each cause has its own value; what is not well formed is Reason.MALFORMED."""

    WRONG_GENESIS = "wrong_genesis"
    """The node that was asked called another block the first."""
    WRONG_CHAIN_ID = "wrong_chain_id"
    """The transaction was signed for another chain."""
    FOREIGN_ACCOUNT = "foreign_account"
    """The transaction is of an account that does not count."""
    TRANSACTION_NOT_IN_BLOCK = "transaction_not_in_block"
    RECEIPT_NOT_IN_BLOCK = "receipt_not_in_block"
    FAILED_TRANSACTION = "failed_transaction"
    """The transaction is in the block, and failed: nothing was anchored."""
    OTHER_CONTRACT = "other_contract"
    """The call or the event is of another contract than the profile's."""
    OTHER_EVENT = "other_event"
    """The contract emitted something else than the event that holds a commitment."""
    BROKEN_CHAIN = "broken_chain"
    """A header is not the child of the one before it."""
    NO_HEADER = "no_header"
    """The node states the block, where the profile asks for its header."""
    NOT_DEEP_ENOUGH = "not_deep_enough"
    """Fewer blocks stand on the anchor's than the profile asks for."""
    FOREIGN_SEAL = "foreign_seal"
    """A block is sealed by somebody who is no validator of it."""
    TOO_FEW_SEALS = "too_few_seals"
    REPEATED_SEAL = "repeated_seal"
    """A signer sealed again before its turn: no node of the chain would have taken that block."""
    NO_VALIDATORS = "no_validators"
    """The profile lists no validators for the block."""
    OTHER_VALIDATORS = "other_validators"
    """The header names other validators than the profile does for its block."""
    CONTRADICTS_TRUSTED_HEADER = "contradicts_trusted_header"
    """The chain has another block where the profile trusts one."""
