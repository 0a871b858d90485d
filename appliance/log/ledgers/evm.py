"""Transactions of EVM chains as the desk makes them: to the contract of box.json, the commitment in the call, no value.

What the anchorer may choose is the nonce and, within the settings, the gas and its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from appliance.anchors.evm.secp256k1 import address_of, normalised
from appliance.anchors.evm.transactions import FeeMarketTransaction, LegacyTransaction, Transaction
from appliance.box.ledgers.evm import EvmLedgerSettings
from appliance.log.ledgers.request import CheckedCheckpoint, RequestCommon, RequestRefused

Amount = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class EvmRequest(RequestCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evm"):
    """One transaction of an anchor."""

    nonce: Amount
    gas: Amount
    """Most gas that it may take."""
    fee: Amount
    """Most wei for one gas; the gas price of a legacy transaction."""
    tip: Amount
    """Of it for whoever makes the block; 0 in a legacy transaction."""
    step: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    """Which of the calls that one anchor takes, from 0."""


@dataclass(frozen=True)
class UnsignedEvmTransaction:
    """A transaction that keeps to every bound."""

    transaction: Transaction
    sender: bytes

    @property
    def digests(self) -> Sequence[bytes]:
        """The one digest that is signed."""
        return (self.transaction.signing_hash(),)

    def signed(self, signatures: Sequence[bytes]) -> bytes:
        """The raw transaction. Raises MalformedChainData where the signature is not the account's."""
        (signature,) = signatures
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return self.transaction.signed(*normalised(self.digests[0], r, s, self.sender))


class EvmTransactions:
    """Builds them."""

    def make(
        self, request: EvmRequest, checkpoint: CheckedCheckpoint, settings: EvmLedgerSettings, public_key: bytes
    ) -> UnsignedEvmTransaction:
        """Raises RequestRefused for what the settings do not allow."""
        shape = settings.contract.described
        if request.step >= shape.steps:
            raise RequestRefused(f"an anchor on {settings.name} takes {shape.steps} transactions")
        if request.gas > settings.gas:
            raise RequestRefused(f"{request.gas} gas, {settings.name} allows {settings.gas}")
        if request.fee > settings.maximum_fee_per_gas:
            raise RequestRefused(f"{request.fee} wei for a gas, {settings.name} allows {settings.maximum_fee_per_gas}")
        sender = address_of(public_key)
        contract = settings.contract.address
        to = sender if contract is None else bytes.fromhex(contract)
        data = shape.call_data(request.step, checkpoint.commitment)
        transaction: Transaction
        if settings.transactions == "legacy":
            if request.tip:
                raise RequestRefused("a legacy transaction has no tip")
            transaction = LegacyTransaction(
                chain_id=settings.chain_id,
                nonce=request.nonce,
                gas_price=request.fee,
                gas=request.gas,
                to=to,
                data=data,
            )
        else:
            if request.tip > min(settings.maximum_priority_fee_per_gas, request.fee):
                most = settings.maximum_priority_fee_per_gas
                raise RequestRefused(
                    f"a tip of {request.tip} wei, {settings.name} allows {most} and no more than the fee"
                )
            transaction = FeeMarketTransaction(
                chain_id=settings.chain_id,
                nonce=request.nonce,
                max_priority_fee_per_gas=request.tip,
                max_fee_per_gas=request.fee,
                gas=request.gas,
                to=to,
                data=data,
            )
        return UnsignedEvmTransaction(transaction, sender)
