"""Whether a transaction and its receipt put a commitment where the profile expects it."""

from __future__ import annotations

from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.receipts import Log, TransactionReceipt
from appliance.anchors.evm.rules import ContractRules
from appliance.anchors.evm.shapes import Event
from appliance.anchors.evm.transactions import SignedTransaction
from appliance.anchors.judgement import AnchorRefused, Reason


def find(contract: ContractRules, signed: SignedTransaction, receipt: TransactionReceipt, commitment: bytes) -> None:
    """Return if the commitment (32 bytes) is there.

    Raises AnchorRefused: FAILED_TRANSACTION, OTHER_CONTRACT, OTHER_EVENT, OTHER_COMMITMENT.
    """
    if receipt.status != 1:
        raise AnchorRefused(EvmReason.FAILED_TRANSACTION, "the transaction failed: nothing was anchored by it")
    address = bytes.fromhex(contract.address) if contract.address is not None else signed.sender
    if contract.described.event is None:
        _find_in_call(contract, address, signed, commitment)
    else:
        _find_in_logs(contract.described.event, address, receipt.logs, commitment)


def _find_in_call(contract: ContractRules, address: bytes, signed: SignedTransaction, commitment: bytes) -> None:
    shape = contract.described
    if signed.transaction.to != address:
        raise AnchorRefused(
            EvmReason.OTHER_CONTRACT, f"the transaction goes to {signed.transaction.to.hex() or 'none'}"
        )
    if signed.transaction.data != shape.call_data(shape.steps - 1, commitment):
        raise AnchorRefused(Reason.OTHER_COMMITMENT, "the transaction's data is not that of the commitment")


def _find_in_logs(event: Event, address: bytes, logs: tuple[Log, ...], commitment: bytes) -> None:
    of_event = [log for log in logs if log.topics[:1] == (event.topic,)]
    of_contract = [log for log in logs if log.address == address]
    both = [log for log in of_event if log.address == address]
    if any(event.holds(log.topics, log.data, commitment) for log in both):
        return
    if both:
        raise AnchorRefused(Reason.OTHER_COMMITMENT, f"the event of {address.hex()} holds another commitment")
    if of_event or not of_contract:
        raise AnchorRefused(EvmReason.OTHER_CONTRACT, f"no log of the transaction is of {address.hex()}")
    raise AnchorRefused(EvmReason.OTHER_EVENT, f"{address.hex()} emitted no {event.signature}")
