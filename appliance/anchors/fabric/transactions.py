"""A transaction of Fabric: built from its fields in the form that clients sign, and read back out of a block.

    transaction id = hex SHA-256(nonce || creator)
    proposal hash  = SHA-256(channel header || signature header || proposal payload without transient data)

A client signs a proposal; peers run it and sign what came of it (the proposal response payload, with the proposal's
hash); the client signs all of that as an envelope, which orderers put into a block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.anchors.fabric.messages import (
    ENDORSER_TRANSACTION,
    Block,
    ChaincodeAction,
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    ChaincodeHeaderExtension,
    ChaincodeID,
    ChaincodeInput,
    ChaincodeInvocationSpec,
    ChaincodeProposalPayload,
    ChaincodeSpec,
    ChannelHeader,
    Endorsement,
    Envelope,
    Header,
    Payload,
    Proposal,
    ProposalResponsePayload,
    SerializedIdentity,
    SignatureHeader,
    Timestamp,
    Transaction,
    TransactionAction,
)
from appliance.anchors.fabric.wire import MalformedMessage

NONCE_BYTES: Final = 24
"""Random, fresh for each transaction."""
MOST_ENDORSEMENTS: Final = 256
_GOLANG: Final = 1
"""ChaincodeSpec.type; peers go by the chaincode's own definition."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def creator_of(msp: str, certificate_pem: bytes) -> bytes:
    """A member as transactions name it: a SerializedIdentity."""
    return SerializedIdentity(msp, certificate_pem).encode()


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(nonce + creator).hexdigest()


@dataclass(frozen=True)
class Call:
    """A call of a chaincode, and all that its proposal is made of."""

    channel: str
    chaincode: str
    arguments: Sequence[bytes]
    """The function's name first."""
    creator: bytes
    nonce: bytes
    time_us: int
    """Microseconds since the epoch: what its maker says the time is."""

    @property
    def transaction_id(self) -> str:
        return transaction_id(self.nonce, self.creator)

    def header(self) -> Header:
        extension = ChaincodeHeaderExtension(ChaincodeID(name=self.chaincode))
        channel = ChannelHeader(
            type=ENDORSER_TRANSACTION,
            timestamp=Timestamp(self.time_us // 1_000_000, self.time_us % 1_000_000 * 1_000),
            channel_id=self.channel,
            tx_id=self.transaction_id,
            extension=extension.encode(),
        )
        return Header(channel.encode(), SignatureHeader(self.creator, self.nonce).encode())

    def payload(self) -> bytes:
        """A ChaincodeProposalPayload."""
        spec = ChaincodeSpec(_GOLANG, ChaincodeID(name=self.chaincode), ChaincodeInput(tuple(self.arguments)))
        return ChaincodeProposalPayload(ChaincodeInvocationSpec(spec).encode()).encode()

    def proposal(self) -> bytes:
        """A Proposal: what the client signs first."""
        return Proposal(self.header().encode(), self.payload()).encode()

    def proposal_hash(self) -> bytes:
        return proposal_hash(self.header(), self.payload())

    def transaction(self, response: bytes, endorsements: Sequence[Endorsement]) -> bytes:
        """A Payload: what the client signs last. `response`: the ProposalResponsePayload that peers signed."""
        header = self.header()
        action = ChaincodeActionPayload(self.payload(), ChaincodeEndorsedAction(response, tuple(endorsements)))
        inner = Transaction((TransactionAction(header.signature_header, action.encode()),))
        return Payload(header, inner.encode()).encode()


def proposal_hash(header: Header, payload: bytes) -> bytes:
    """What peers' answers say which proposal they are about, 32 bytes."""
    return hashlib.sha256(header.channel_header + header.signature_header + payload).digest()


@dataclass(frozen=True)
class Endorsed:
    """What peers signed: their answer, and the endorsements of it."""

    payload: bytes
    """The ProposalResponsePayload as it was signed."""
    proposal_hash: bytes
    action: ChaincodeAction
    endorsements: tuple[Endorsement, ...]


@dataclass(frozen=True)
class ReadTransaction:
    """A chaincode's transaction, taken apart. Nothing of it is believed yet."""

    envelope: Envelope
    header: Header
    channel: ChannelHeader
    creator: bytes
    nonce: bytes
    proposal_payload: bytes
    chaincode: str
    arguments: tuple[bytes, ...]
    endorsed: Endorsed

    @property
    def time(self) -> datetime:
        """What its maker said the time was."""
        stamp = self.channel.timestamp or Timestamp()
        return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)


class OtherKind(ValueError):
    """It is no call of a chaincode."""


def read_transaction(data: bytes) -> ReadTransaction:
    """A transaction of a block. Raises OtherKind, MalformedMessage."""
    envelope = Envelope.decode(data)
    payload = Payload.decode(envelope.payload)
    header = payload.header or Header()
    channel = ChannelHeader.decode(header.channel_header)
    if channel.type != ENDORSER_TRANSACTION:
        raise OtherKind(f"a transaction of type {channel.type}")
    stamp = channel.timestamp or Timestamp()
    if stamp.seconds > 253_402_300_799 or stamp.nanos > 999_999_999:
        raise MalformedMessage("its time is none")  # google.protobuf.Timestamp: to the year 9999
    signer = SignatureHeader.decode(header.signature_header)
    actions = Transaction.decode(payload.data).actions
    if len(actions) != 1:
        raise MalformedMessage(f"{len(actions)} actions, where Fabric takes one")
    if actions[0].header != header.signature_header:
        raise MalformedMessage("the action is signed for by somebody else than the transaction")
    action = ChaincodeActionPayload.decode(actions[0].payload)
    proposed = ChaincodeProposalPayload.decode(action.chaincode_proposal_payload)
    spec = ChaincodeInvocationSpec.decode(proposed.input).chaincode_spec or ChaincodeSpec()
    return ReadTransaction(
        envelope,
        header,
        channel,
        signer.creator,
        signer.nonce,
        action.chaincode_proposal_payload,
        (spec.chaincode_id or ChaincodeID()).name,
        (spec.input or ChaincodeInput()).args,
        read_endorsed(action.action or ChaincodeEndorsedAction()),
    )


def read_endorsed(action: ChaincodeEndorsedAction) -> Endorsed:
    """Raises MalformedMessage."""
    if len(action.endorsements) > MOST_ENDORSEMENTS:
        raise MalformedMessage(f"{len(action.endorsements)} endorsements")
    response = ProposalResponsePayload.decode(action.proposal_response_payload)
    return Endorsed(
        action.proposal_response_payload,
        response.proposal_hash,
        ChaincodeAction.decode(response.extension),
        action.endorsements,
    )


def prepared(payload: bytes) -> Endorsed:
    """What peers endorsed, out of the Payload that a Gateway prepared. Raises MalformedMessage."""
    actions = Transaction.decode(Payload.decode(payload).data).actions
    if len(actions) != 1:
        raise MalformedMessage(f"{len(actions)} actions, where Fabric takes one")
    action = ChaincodeActionPayload.decode(actions[0].payload).action
    return read_endorsed(action or ChaincodeEndorsedAction())


def place_of(block: bytes, wanted: str) -> int:
    """Which of a Block's transactions has that id, the first: others are repetitions. Raises MalformedMessage."""
    held = Block.decode(block).data
    for place, data in enumerate(held.data if held is not None else ()):
        header = Payload.decode(Envelope.decode(data).payload).header or Header()
        if ChannelHeader.decode(header.channel_header).tx_id == wanted:
            return place
    raise MalformedMessage("the block does not hold the transaction")
