"""Judging a receipt of Fabric: a block with the transaction that holds the commitment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from appliance.anchors import canonical
from appliance.anchors.fabric import NOT_YET_RUN
from appliance.anchors.fabric.blocks import data_hash, header_hash, seals, validation_code
from appliance.anchors.fabric.endorsing import check_answer, endorsers
from appliance.anchors.fabric.identities import Member, Members, NotAMember
from appliance.anchors.fabric.messages import Block
from appliance.anchors.fabric.reasons import FabricReason
from appliance.anchors.fabric.rules import Rules
from appliance.anchors.fabric.transactions import (
    OtherKind,
    ReadTransaction,
    proposal_hash,
    read_transaction,
    transaction_id,
)
from appliance.anchors.fabric.wire import MalformedMessage
from appliance.anchors.judgement import NOTHING_KNOWN, AnchorRefused, Judgement, Known, Reason, Rule, Strength
from appliance.anchors.receipt import RECEIPT_BYTES

__all__ = ["BLOCK_BYTES", "FabricProof", "Rules", "judge", "write_proof"]

BLOCK_BYTES: Final = 2_900_000
"""Largest block that fits into a receipt, in base64 and with its checkpoint."""


class FabricProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt's proof."""

    block: bytes
    """common.Block as a peer keeps it, with its metadata, in base64."""
    place: canonical.Number
    """Which of its transactions it is; 0: the first."""


def write_proof(block: bytes, place: int) -> bytes:
    """A proof's canonical bytes."""
    return canonical.encode(FabricProof(block=block, place=place))


def judge(proof: bytes, commitment: bytes, rules: Rules, _known: Known = NOTHING_KNOWN) -> Judgement:
    """What a block shows of a commitment. Raises AnchorRefused."""
    try:
        members = Members(rules.msps)
        if rules.orderers is not None:
            members.check_consenters(rules.orderers.consenters)
    except ValueError as error:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"the profile's organisations: {error}") from None
    try:
        read = canonical.decode(proof, FabricProof, RECEIPT_BYTES)
        block = Block.decode(read.block)
        header = block.header
        transactions = block.data.data if block.data is not None else ()
        if header is None or header.data_hash != data_hash(transactions):
            raise AnchorRefused(FabricReason.DATA_HASH, "the block's transactions are not those of its header")
        if read.place >= len(transactions):
            raise AnchorRefused(FabricReason.NO_TRANSACTION, f"the block has {len(transactions)} transactions")
        transaction = read_transaction(transactions[read.place])
        _check_call(transaction, commitment, rules)
        signers = _signers(transaction, rules, members)
        sealed = _sealed(block, rules, members, transaction.time)
        code = validation_code(block, read.place)
    except OtherKind as error:
        raise AnchorRefused(FabricReason.NO_TRANSACTION, str(error)) from None
    except (MalformedMessage, canonical.NotCanonical) as error:
        raise AnchorRefused(Reason.MALFORMED, f"the block: {error}") from None
    if code != 0:
        raise AnchorRefused(FabricReason.FAILED_TRANSACTION, f"peers count the transaction as invalid (code {code})")
    time_us = _microseconds(transaction.time)
    return Judgement(
        strength=Strength.PROVEN if sealed else Strength.ATTESTED,
        by=Rule.VALIDATOR_SEALS if sealed else Rule.NODE,
        time_us=time_us,
        place=f"block {header.number} (0x{header_hash(header).hex()}), transaction {transaction.channel.tx_id}",
        tolerance_us=_tolerance_us(rules, time_us, [*signers, *sealed]),
        notes=_notes(rules, signers, sealed),
        relies_on=(("sha256", None), *(("ecdsa", one.bits) for one in (*signers, *sealed))),
    )


def _check_call(transaction: ReadTransaction, commitment: bytes, rules: Rules) -> None:
    """That it is the call that anchors, made by whom it says, and answered as it says."""
    if transaction.channel.channel_id != rules.channel:
        raise AnchorRefused(FabricReason.OTHER_CHANNEL, "the transaction is of another channel")
    if transaction.chaincode != rules.chaincode:
        raise AnchorRefused(FabricReason.OTHER_CHAINCODE, "the transaction calls another chaincode")
    function, *arguments = transaction.arguments or (b"",)
    if function != rules.function.encode():
        raise AnchorRefused(FabricReason.OTHER_FUNCTION, "the transaction calls another function")
    if len(arguments) <= rules.argument or arguments[rules.argument] != commitment.hex().encode():
        raise AnchorRefused(Reason.OTHER_COMMITMENT, "the transaction holds another commitment")
    if transaction.channel.tx_id != transaction_id(transaction.nonce, transaction.creator):
        raise AnchorRefused(FabricReason.WRONG_TRANSACTION_ID, "the id is not that of the nonce and the creator")
    hash_of_proposal = proposal_hash(transaction.header, transaction.proposal_payload)
    check_answer(transaction.endorsed, hash_of_proposal, rules.chaincode)


def _signers(transaction: ReadTransaction, rules: Rules, members: Members) -> list[Member]:
    """Who endorsed it, each organisation once. Who made it must be a member at the time that it states and have signed
    it, and is not among them."""
    try:
        creator = members.identity(transaction.creator, transaction.time)
    except NotAMember as error:
        raise AnchorRefused(FabricReason.FOREIGN_CREATOR, str(error)) from None
    if not creator.signed(transaction.envelope.payload, transaction.envelope.signature):
        raise AnchorRefused(FabricReason.CREATOR_SIGNATURE, "the transaction's signature does not hold")
    return endorsers(transaction.endorsed, rules.endorsement, members, transaction.time)


def _sealed(block: Block, rules: Rules, members: Members, moment: datetime) -> list[Member]:
    """The orderers that sealed it; none where the profile asks for none."""
    if rules.orderers is None:
        return []
    found, others = seals(block, rules.orderers, members, moment)
    if len(found) < rules.orderers.count:
        reason = FabricReason.FOREIGN_SEAL if others else FabricReason.TOO_FEW_SEALS
        raise AnchorRefused(reason, f"{len(found)} of the orderers signed the block, {rules.orderers.count} are wanted")
    return found


def _tolerance_us(rules: Rules, time_us: int, signers: list[Member]) -> int:
    """How much later than the transaction says it may have been endorsed."""
    if rules.time_window_s is not None:
        return rules.time_window_s * 1_000_000
    # Nobody looked at the time. What is known is that members sign while their certificates are valid.
    return _microseconds(min(one.until for one in signers)) - time_us


def _notes(rules: Rules, signers: list[Member], sealed: list[Member]) -> tuple[str, ...]:
    by = ", ".join(sorted(one.msp for one in signers))
    notes = [NOT_YET_RUN, f"Endorsed by peers of {by}. That it was valid when it was committed is a peer's word."]
    if sealed and rules.orderers is not None and not rules.orderers.consenters:
        notes.append(
            "One orderer may sign in the name of all: that there is no other block of that number is its word."
        )
    if rules.time_window_s is None:
        notes.append(
            "The time is the word of whoever anchored: no organisation looked at it. What the signatures show is only "
            "that it was made before the first of the signers' certificates ended."
        )
    return tuple(notes)


def _microseconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000 + moment.microsecond
