"""A channel of Fabric for tests: peers that endorse, orderers that cut and sign blocks, peers that validate them.

Written from the public protocol on the packaged definitions, beside the box's own code and with nothing of it: real
certificates, ECDSA signatures, blocks hashed and chained as Fabric does, multi-version concurrency control over a
small state. It has no gossip, no discovery and no consensus among the orderers: one call orders what was handed in.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from appliance.anchors.fabric.rules import Consenter, Endorsement, Orderers, Rules
from firmware_tests.anchors.fabric.organisations import Identity, Organisation

CHANNEL, CHAINCODE, FUNCTION = "registry", "anchors", "anchor"
VALID = transaction_pb2.TxValidationCode.VALID


class Refused(Exception):
    """A peer does not endorse."""


class _Header(core.Sequence):
    _fields: ClassVar = [
        ("number", core.Integer),
        ("previous_hash", core.OctetString),
        ("data_hash", core.OctetString),
    ]


def header_der(header: common_pb2.BlockHeader) -> bytes:
    values = {"number": header.number, "previous_hash": header.previous_hash, "data_hash": header.data_hash}
    return _Header(values).dump()


@dataclass
class Organisations:
    """Three that endorse, one whose orderers order."""

    endorsing: list[Organisation] = field(
        default_factory=lambda: [
            Organisation("Org1MSP"),
            Organisation("Org2MSP", intermediate=True),
            Organisation("Org3MSP"),
        ]
    )
    ordering: list[Organisation] = field(default_factory=lambda: [Organisation("OrdererMSP")])


class Network:
    """One channel. `bft`: four orderers, whose signatures name them by number; else one signs, as Raft's leader does.

    `window_s`: how far a proposal's time may lie from the peers' clock."""

    def __init__(
        self, organisations: Organisations | None = None, *, bft: bool = False, window_s: float | None = 900
    ) -> None:
        self.organisations = organisations or Organisations()
        self.bft, self.window_s = bft, window_s
        self.peers = [one.member("peer0", "peer") for one in self.organisations.endorsing]
        self.client = self.organisations.endorsing[0].member("box", "client")
        self.orderers = [
            self.organisations.ordering[at % len(self.organisations.ordering)].member(f"orderer{at}", "orderer")
            for at in range(4 if bft else 1)
        ]
        self.blocks: list[common_pb2.Block] = []
        self.state: dict[str, tuple[bytes, tuple[int, int]]] = {}
        self.index: dict[str, tuple[int, int]] = {}
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.on_endorse: Callable[[], None] | None = None
        """Called before a proposal is run."""
        genesis = common_pb2.Envelope(payload=b"the channel's configuration", signature=secrets.token_bytes(8))
        self._append([genesis.SerializeToString()], [VALID])

    def rules(
        self, *, seals: int | str | None = "consensus", endorsements: int = 2, window_s: int | None = 900
    ) -> Rules:
        """A profile's rules that fit."""
        orderers = None
        if seals is not None:
            orderers = Orderers(
                consenters=[
                    Consenter(certificate=one.der, id=at + 1, msp=one.msp)
                    for at, one in enumerate(self.orderers)
                    if self.bft
                ],
                count=(3 if self.bft else 1) if isinstance(seals, str) else seals,
                msps=[one.msp for one in self.organisations.ordering],
            )
        return Rules(
            argument=0,
            chaincode=CHAINCODE,
            channel=CHANNEL,
            endorsement=Endorsement(count=endorsements, msps=[one.msp for one in self.organisations.endorsing]),
            function=FUNCTION,
            msps=[one.rule() for one in (*self.organisations.endorsing, *self.organisations.ordering)],
            orderers=orderers,
            time_window_s=window_s,
        )

    # --- peers -------------------------------------------------------------------------------------------------------

    def verify(self, serialized: bytes, message: bytes, signature: bytes) -> bool:
        """Whether a member of an organisation of the channel signed that."""
        identity = identities_pb2.SerializedIdentity.FromString(serialized)
        certificate = x509.load_pem_x509_certificate(identity.id_bytes)
        everybody = (*self.organisations.endorsing, *self.organisations.ordering)
        known = [one for one in everybody if one.msp == identity.mspid]
        if not known or not any(_issued(certificate, ca) for ca in (known[0].root, *known[0].intermediates)):
            return False
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def run(self, signed: proposal_pb2.SignedProposal) -> tuple[bytes, bytes]:
        """Check a signed proposal and run it: the ProposalResponsePayload, and the chaincode's answer, encoded."""
        if self.on_endorse is not None:
            self.on_endorse()
        proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel = common_pb2.ChannelHeader.FromString(header.channel_header)
        signer = common_pb2.SignatureHeader.FromString(header.signature_header)
        if channel.type != common_pb2.ENDORSER_TRANSACTION or channel.channel_id != CHANNEL or channel.epoch:
            raise Refused("channel header")
        if channel.tx_id != hashlib.sha256(signer.nonce + signer.creator).hexdigest():
            raise Refused("transaction id")
        if not self.verify(signer.creator, signed.proposal_bytes, signed.signature):
            raise Refused("access denied: signature")
        if channel.tx_id in self.index:
            raise Refused(f"duplicate transaction found [{channel.tx_id}]")
        if self.window_s is not None and abs(channel.timestamp.ToNanoseconds() / 1e9 - time.time()) > self.window_s:
            raise Refused("request unauthorized due to incorrect timestamp")
        payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
        spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
        extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel.extension)
        if extension.chaincode_id.name != spec.chaincode_id.name:
            raise Refused("two chaincodes are named")
        results, response = self._invoke(spec.chaincode_id.name, list(spec.input.args))
        action = proposal_pb2.ChaincodeAction(
            results=results, response=response, chaincode_id=chaincode_pb2.ChaincodeID(name=spec.chaincode_id.name)
        )
        hashed = hashlib.sha256(header.channel_header + header.signature_header + proposal.payload).digest()
        made = proposal_response_pb2.ProposalResponsePayload(proposal_hash=hashed, extension=action.SerializeToString())
        return made.SerializeToString(), response.SerializeToString()

    def _invoke(self, chaincode: str, arguments: list[bytes]) -> tuple[bytes, proposal_response_pb2.Response]:
        if chaincode == "qscc":
            return b"", self._query(arguments)
        if chaincode != CHAINCODE or arguments[0] != FUNCTION.encode() or len(arguments) != 4:
            raise Refused("chaincode response 500, no such function")
        key = arguments[1].decode()
        with self.lock:
            read = kv_rwset_pb2.KVRead(key=key)
            if key in self.state:
                block, place = self.state[key][1]
                read.version.block_num, read.version.tx_num = block, place
        kv = kv_rwset_pb2.KVRWSet(reads=[read], writes=[kv_rwset_pb2.KVWrite(key=key, value=b",".join(arguments[2:]))])
        lifecycle = kv_rwset_pb2.KVRWSet(reads=[kv_rwset_pb2.KVRead(key=f"namespaces/fields/{CHAINCODE}/Sequence")])
        results = rwset_pb2.TxReadWriteSet(
            ns_rwset=[
                rwset_pb2.NsReadWriteSet(namespace="_lifecycle", rwset=lifecycle.SerializeToString()),
                rwset_pb2.NsReadWriteSet(namespace=CHAINCODE, rwset=kv.SerializeToString()),
            ]
        )
        return results.SerializeToString(), proposal_response_pb2.Response(status=200)

    def _query(self, arguments: list[bytes]) -> proposal_response_pb2.Response:
        """qscc, the system chaincode that shows blocks."""
        name, channel, transaction = arguments
        if name != b"GetBlockByTxID" or channel.decode() != CHANNEL or transaction.decode() not in self.index:
            raise Refused(f"Failed to get block for txID {transaction.decode()}, error no such transaction ID")
        block = self.blocks[self.index[transaction.decode()][0]]
        return proposal_response_pb2.Response(status=200, payload=block.SerializeToString())

    def endorse(self, payload: bytes, peers: list[Identity] | None = None) -> list[proposal_response_pb2.Endorsement]:
        return [
            proposal_response_pb2.Endorsement(endorser=one.serialized, signature=one.sign(payload + one.serialized))
            for one in (self.peers if peers is None else peers)
        ]

    # --- orderers ----------------------------------------------------------------------------------------------------

    def order(self, *envelopes: common_pb2.Envelope) -> common_pb2.Block:
        """Cut a block of these; then every peer validates and keeps it."""
        with self.changed:
            codes, written = [], set[str]()
            for place, envelope in enumerate(envelopes):
                codes.append(self._validate(envelope, place, written))
            block = self._append([one.SerializeToString() for one in envelopes], codes)
            self.changed.notify_all()
            return block

    def _append(self, data: list[bytes], codes: list[int]) -> common_pb2.Block:
        previous = hashlib.sha256(header_der(self.blocks[-1].header)).digest() if self.blocks else b""
        header = common_pb2.BlockHeader(
            number=len(self.blocks), previous_hash=previous, data_hash=hashlib.sha256(b"".join(data)).digest()
        )
        block = common_pb2.Block(header=header, data=common_pb2.BlockData(data=data))
        block.metadata.metadata.extend([self.seal(header), b"", bytes(codes), b"", hashlib.sha256(b"commit").digest()])
        self.blocks.append(block)
        return block

    def seal(self, header: common_pb2.BlockHeader, signers: list[Identity] | None = None) -> bytes:
        """The metadata with the orderers' signatures over a header."""
        last = common_pb2.LastConfig(index=0)
        value = common_pb2.OrdererBlockMetadata(last_config=last, consenter_metadata=b"\x08\x01").SerializeToString()
        made = common_pb2.Metadata(value=value)
        for at, one in enumerate(self.orderers if signers is None else signers):
            nonce = secrets.token_bytes(24)
            if self.bft:
                named = common_pb2.IdentifierHeader(identifier=at + 1, nonce=nonce).SerializeToString()
                made.signatures.add(identifier_header=named, signature=one.sign(value + named + header_der(header)))
            else:
                named = common_pb2.SignatureHeader(creator=one.serialized, nonce=nonce).SerializeToString()
                made.signatures.add(signature_header=named, signature=one.sign(value + named + header_der(header)))
        return made.SerializeToString()

    def _validate(self, envelope: common_pb2.Envelope, place: int, written: set[str]) -> int:
        codes = transaction_pb2.TxValidationCode
        payload = common_pb2.Payload.FromString(envelope.payload)
        channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        signer = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        if not self.verify(signer.creator, envelope.payload, envelope.signature):
            return codes.BAD_CREATOR_SIGNATURE
        if channel.tx_id in self.index:
            return codes.DUPLICATE_TXID
        self.index[channel.tx_id] = (len(self.blocks), place)
        action = transaction_pb2.ChaincodeActionPayload.FromString(
            transaction_pb2.Transaction.FromString(payload.data).actions[0].payload
        )
        answer = action.action.proposal_response_payload
        response = proposal_response_pb2.ProposalResponsePayload.FromString(answer)
        header = payload.header.channel_header + payload.header.signature_header
        if response.proposal_hash != hashlib.sha256(header + action.chaincode_proposal_payload).digest():
            return codes.INVALID_ENDORSER_TRANSACTION
        endorsing = {
            identities_pb2.SerializedIdentity.FromString(one.endorser).mspid
            for one in action.action.endorsements
            if self.verify(one.endorser, answer + one.endorser, one.signature)
        }
        if len(endorsing) < 2:
            return codes.ENDORSEMENT_POLICY_FAILURE
        results = proposal_pb2.ChaincodeAction.FromString(response.extension).results
        for one in rwset_pb2.TxReadWriteSet.FromString(results).ns_rwset:
            kv = kv_rwset_pb2.KVRWSet.FromString(one.rwset)
            for read in kv.reads:
                held = self.state.get(read.key)
                version = (read.version.block_num, read.version.tx_num) if read.HasField("version") else None
                if read.key in written or (held[1] if held else None) != version:
                    return codes.MVCC_READ_CONFLICT
            for write in kv.writes:
                written.add(write.key)
                self.state[write.key] = (write.value, (len(self.blocks), place))
        return VALID


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True
