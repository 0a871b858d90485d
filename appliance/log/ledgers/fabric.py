"""What the desk signs for Hyperledger Fabric: the call that anchors, its transaction once peers endorsed it, and the
two questions that follow: whether it was committed, and for its block.

The call is made of the settings and the checkpoint alone. A transaction is signed only around the answer to that very
call, and only if what it changes is the chaincode's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.anchors.fabric.arguments import arguments_of
from appliance.anchors.fabric.endorsing import check_answer
from appliance.anchors.fabric.messages import (
    ChaincodeEndorsedAction,
    CommitStatusRequest,
    Endorsement,
    Envelope,
    KVRWSet,
    SignedCommitStatusRequest,
    SignedProposal,
    TxReadWriteSet,
)
from appliance.anchors.fabric.transactions import MOST_ENDORSEMENTS, NONCE_BYTES, Call, creator_of, read_endorsed
from appliance.anchors.fabric.wire import MalformedMessage
from appliance.anchors.judgement import AnchorRefused
from appliance.box.ledgers.fabric import FabricLedgerSettings
from appliance.log.ledgers.request import CheckedCheckpoint, RequestCommon, RequestRefused

QUERIES: Final = "qscc"
"""The system chaincode that shows blocks."""
LIFECYCLE: Final = frozenset(("_lifecycle", "lscc"))
"""Where the chaincode's definition is read; transactions of others write nothing there."""
ANSWER_BYTES: Final = 262_144
"""Largest answer of a chaincode that is signed for."""
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (SEC 2, section 2.4.2)."""

_Nonce = Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_TransactionId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part"):
    pass


class FabricEndorsement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A peer's signature over the chaincode's answer."""

    endorser: Annotated[bytes, msgspec.Meta(max_length=16_384)]
    """SerializedIdentity."""
    signature: Annotated[bytes, msgspec.Meta(max_length=512)]


class FabricProposal(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="proposal"):
    """Sign the call that anchors: gives a SignedProposal."""

    nonce: _Nonce
    time_us: _Time


class FabricTransaction(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="transaction"):
    """Sign the transaction of that call: gives an Envelope."""

    nonce: _Nonce
    time_us: _Time
    answer: Annotated[bytes, msgspec.Meta(max_length=ANSWER_BYTES)]
    """The ProposalResponsePayload that peers signed."""
    endorsements: Annotated[list[FabricEndorsement], msgspec.Meta(min_length=1, max_length=MOST_ENDORSEMENTS)]


class FabricStatus(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status"):
    """Sign the question what became of a transaction: gives a SignedCommitStatusRequest, good for many times."""

    transaction: _TransactionId


class FabricBlock(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="block"):
    """Sign the question for a transaction's block: gives a SignedProposal, which is never sent to an orderer."""

    nonce: _Nonce
    time_us: _Time
    transaction: _TransactionId


FabricPart = FabricProposal | FabricTransaction | FabricStatus | FabricBlock


class FabricRequest(RequestCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fabric"):
    certificate: Annotated[bytes, msgspec.Meta(max_length=16_384)]
    """Of the account's key, PEM."""
    part: FabricPart


@dataclass(frozen=True)
class UnsignedMessage:
    """A message that keeps to the bounds."""

    message: bytes
    wrap: Callable[[bytes, bytes], bytes]
    """Message and signature in one."""

    @property
    def digests(self) -> Sequence[bytes]:
        return [hashlib.sha256(self.message).digest()]

    def signed(self, signatures: Sequence[bytes]) -> bytes:
        r, s = (int.from_bytes(half) for half in (signatures[0][:32], signatures[0][32:]))
        # Fabric refuses the upper half of the order, which is as good a signature.
        return self.wrap(self.message, encode_dss_signature(r, min(s, _ORDER - s)))


class FabricMessages:
    """The TransactionMaker of type fabric."""

    def make(
        self, request: FabricRequest, checkpoint: CheckedCheckpoint, settings: FabricLedgerSettings, public_key: bytes
    ) -> UnsignedMessage:
        """`public_key`: of the account, on P-256, compressed. Raises RequestRefused."""
        part = request.part
        arguments: tuple[bytes, ...]
        creator = creator_of(settings.msp, _certificate(request.certificate, public_key))
        if isinstance(part, FabricStatus):
            asked = CommitStatusRequest(part.transaction, settings.channel, creator)
            return UnsignedMessage(asked.encode(), lambda *both: SignedCommitStatusRequest(*both).encode())
        if isinstance(part, FabricBlock):
            chaincode = QUERIES
            arguments = (b"GetBlockByTxID", settings.channel.encode(), part.transaction.encode())
        else:
            chaincode = settings.chaincode
            try:
                arguments = arguments_of(
                    settings.function, settings.arguments, checkpoint.checkpoint, checkpoint.commitment
                )
            except ValueError as error:
                raise RequestRefused(str(error)) from None
        call = Call(settings.channel, chaincode, arguments, creator, part.nonce, part.time_us)
        if isinstance(part, FabricTransaction):
            endorsements = [Endorsement(one.endorser, one.signature) for one in part.endorsements]
            _check(part.answer, call)
            message = call.transaction(part.answer, endorsements)
            return UnsignedMessage(message, lambda *both: Envelope(*both).encode())
        return UnsignedMessage(call.proposal(), lambda *both: SignedProposal(*both).encode())


def _certificate(pem: bytes, public_key: bytes) -> bytes:
    """The certificate as the creator names it, one and nothing beside it."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        held = certificate.public_key()
    except ValueError:
        raise RequestRefused("the account's certificate cannot be read") from None
    if not isinstance(held, ec.EllipticCurvePublicKey) or held.curve.name != "secp256r1":
        raise RequestRefused("the account's certificate is of no key on P-256")
    if held.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) != public_key:
        raise RequestRefused("the certificate is of another key than the account's")
    return certificate.public_bytes(Encoding.PEM)


def _check(answer: bytes, call: Call) -> None:
    """Raises RequestRefused unless it answers that call, and changes nothing beside the chaincode's own."""
    try:
        endorsed = read_endorsed(ChaincodeEndorsedAction(answer))
        check_answer(endorsed, call.proposal_hash(), call.chaincode)
        for one in TxReadWriteSet.decode(endorsed.action.results).ns_rwset:
            if one.namespace == call.chaincode:
                continue
            held = KVRWSet.decode(one.rwset)
            if one.namespace not in LIFECYCLE or held.writes or held.metadata_writes or one.collection_hashed_rwset:
                raise RequestRefused("the transaction would change what is not the chaincode's own")
    except (MalformedMessage, AnchorRefused) as error:
        raise RequestRefused(f"what the peers endorsed: {error}") from None
