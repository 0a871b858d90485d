"""Fabric's messages, as far as a transaction and its block are judged by them.

Names and numbers are those of the published definitions (fabric-protos: common, msp, peer, ledger and gateway), to
which the tests hold them.
"""

# ruff: noqa: RUF009 - what is called here gives a dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.anchors.fabric.wire import Message, inner, many, many_octets, octets, text, whole

ENDORSER_TRANSACTION: Final = 3
"""ChannelHeader.type of a chaincode's transaction."""
SIGNATURES, TRANSACTIONS_FILTER = 0, 2
"""Places in BlockMetadata: the orderers' signatures; a validation code, one byte, for each transaction."""


@dataclass(frozen=True)
class Timestamp(Message):
    seconds: int = whole(1)
    nanos: int = whole(2)


@dataclass(frozen=True)
class ChannelHeader(Message):
    type: int = whole(1)
    version: int = whole(2)
    timestamp: Timestamp | None = inner(3, Timestamp)
    channel_id: str = text(4)
    tx_id: str = text(5)
    epoch: int = whole(6)
    extension: bytes = octets(7)
    tls_cert_hash: bytes = octets(8)


@dataclass(frozen=True)
class SignatureHeader(Message):
    creator: bytes = octets(1)
    nonce: bytes = octets(2)


@dataclass(frozen=True)
class Header(Message):
    channel_header: bytes = octets(1)
    signature_header: bytes = octets(2)


@dataclass(frozen=True)
class Payload(Message):
    header: Header | None = inner(1, Header)
    data: bytes = octets(2)


@dataclass(frozen=True)
class Envelope(Message):
    payload: bytes = octets(1)
    signature: bytes = octets(2)


@dataclass(frozen=True)
class SerializedIdentity(Message):
    mspid: str = text(1)
    id_bytes: bytes = octets(2)
    """Certificate, PEM."""


@dataclass(frozen=True)
class ChaincodeID(Message):
    path: str = text(1)
    name: str = text(2)
    version: str = text(3)


@dataclass(frozen=True)
class ChaincodeHeaderExtension(Message):
    chaincode_id: ChaincodeID | None = inner(2, ChaincodeID)


@dataclass(frozen=True)
class ChaincodeInput(Message):
    args: tuple[bytes, ...] = many_octets(1)
    is_init: int = whole(3)


@dataclass(frozen=True)
class ChaincodeSpec(Message):
    type: int = whole(1)
    chaincode_id: ChaincodeID | None = inner(2, ChaincodeID)
    input: ChaincodeInput | None = inner(3, ChaincodeInput)


@dataclass(frozen=True)
class ChaincodeInvocationSpec(Message):
    chaincode_spec: ChaincodeSpec | None = inner(1, ChaincodeSpec)


@dataclass(frozen=True)
class ChaincodeProposalPayload(Message):
    input: bytes = octets(1)
    """A ChaincodeInvocationSpec. There is a second field, of transient data, which never stands in a transaction."""


@dataclass(frozen=True)
class Proposal(Message):
    header: bytes = octets(1)
    payload: bytes = octets(2)


@dataclass(frozen=True)
class SignedProposal(Message):
    proposal_bytes: bytes = octets(1)
    signature: bytes = octets(2)


@dataclass(frozen=True)
class Response(Message):
    status: int = whole(1)
    message: str = text(2)
    payload: bytes = octets(3)


@dataclass(frozen=True)
class ChaincodeAction(Message):
    results: bytes = octets(1)
    events: bytes = octets(2)
    response: Response | None = inner(3, Response)
    chaincode_id: ChaincodeID | None = inner(4, ChaincodeID)


@dataclass(frozen=True)
class ProposalResponsePayload(Message):
    proposal_hash: bytes = octets(1)
    extension: bytes = octets(2)
    """A ChaincodeAction."""


@dataclass(frozen=True)
class Endorsement(Message):
    endorser: bytes = octets(1)
    signature: bytes = octets(2)


@dataclass(frozen=True)
class ChaincodeEndorsedAction(Message):
    proposal_response_payload: bytes = octets(1)
    endorsements: tuple[Endorsement, ...] = many(2, Endorsement)


@dataclass(frozen=True)
class ChaincodeActionPayload(Message):
    chaincode_proposal_payload: bytes = octets(1)
    action: ChaincodeEndorsedAction | None = inner(2, ChaincodeEndorsedAction)


@dataclass(frozen=True)
class TransactionAction(Message):
    header: bytes = octets(1)
    payload: bytes = octets(2)


@dataclass(frozen=True)
class Transaction(Message):
    actions: tuple[TransactionAction, ...] = many(1, TransactionAction)


@dataclass(frozen=True)
class KVWrite(Message):
    key: str = text(1)
    is_delete: int = whole(2)
    value: bytes = octets(3)


@dataclass(frozen=True)
class KVMetadataWrite(Message):
    key: str = text(1)


@dataclass(frozen=True)
class KVRWSet(Message):
    writes: tuple[KVWrite, ...] = many(3, KVWrite)
    metadata_writes: tuple[KVMetadataWrite, ...] = many(4, KVMetadataWrite)


@dataclass(frozen=True)
class CollectionHashedReadWriteSet(Message):
    collection_name: str = text(1)


@dataclass(frozen=True)
class NsReadWriteSet(Message):
    namespace: str = text(1)
    rwset: bytes = octets(2)
    """A KVRWSet."""
    collection_hashed_rwset: tuple[CollectionHashedReadWriteSet, ...] = many(3, CollectionHashedReadWriteSet)


@dataclass(frozen=True)
class TxReadWriteSet(Message):
    data_model: int = whole(1)
    ns_rwset: tuple[NsReadWriteSet, ...] = many(2, NsReadWriteSet)


@dataclass(frozen=True)
class BlockHeader(Message):
    number: int = whole(1)
    previous_hash: bytes = octets(2)
    data_hash: bytes = octets(3)


@dataclass(frozen=True)
class BlockData(Message):
    data: tuple[bytes, ...] = many_octets(1)


@dataclass(frozen=True)
class BlockMetadata(Message):
    metadata: tuple[bytes, ...] = many_octets(1)


@dataclass(frozen=True)
class Block(Message):
    header: BlockHeader | None = inner(1, BlockHeader)
    data: BlockData | None = inner(2, BlockData)
    metadata: BlockMetadata | None = inner(3, BlockMetadata)


@dataclass(frozen=True)
class MetadataSignature(Message):
    signature_header: bytes = octets(1)
    signature: bytes = octets(2)
    identifier_header: bytes = octets(3)


@dataclass(frozen=True)
class Metadata(Message):
    value: bytes = octets(1)
    signatures: tuple[MetadataSignature, ...] = many(2, MetadataSignature)


@dataclass(frozen=True)
class IdentifierHeader(Message):
    identifier: int = whole(1)
    nonce: bytes = octets(2)


@dataclass(frozen=True)
class CommitStatusRequest(Message):
    transaction_id: str = text(1)
    channel_id: str = text(2)
    identity: bytes = octets(3)


@dataclass(frozen=True)
class SignedCommitStatusRequest(Message):
    request: bytes = octets(1)
    signature: bytes = octets(2)
