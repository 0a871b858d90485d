"""What the log follower signs for Fabric: its own call, the answer to it, two questions, and nothing else. The packaged
definitions read what it made, and the channel's peers take it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2

from appliance.anchorer.desk_client import DeskConnection
from appliance.anchors import commitment_of
from appliance.log.checkpoint import Checkpoint
from appliance.log.ledgers import CheckedCheckpoint, RequestRefused
from appliance.log.ledgers.fabric import (
    FabricBlock,
    FabricEndorsement,
    FabricMessages,
    FabricPart,
    FabricProposal,
    FabricRequest,
    FabricStatus,
    FabricTransaction,
    UnsignedMessage,
)
from appliance.log.note import parse_note
from appliance.recorder.admin import AdminClient
from firmware_tests.anchorer.fabric.site import LEDGER, Site
from firmware_tests.anchors.fabric.network import CHAINCODE, CHANNEL, FUNCTION
from firmware_tests.anchors.fabric.organisations import P256_ORDER
from firmware_tests.log.box import BOX_ORIGIN, wait_for

TIME_US = 1_800_000_000_123_456


def request(
    site: Site, part: FabricPart, *, certificate: bytes | None = None, note: bytes | None = None
) -> FabricRequest:
    pem = site.network.client.pem if certificate is None else certificate
    return FabricRequest(ledger=LEDGER, checkpoint=note or site.work().checkpoint, certificate=pem, part=part)


def sign(site: Site, part: FabricPart, note: bytes | None = None) -> bytes:
    """`note`: a head, where more than one request is about it; the box has a new one each second."""
    return asyncio.run(site.desk.sign(request(site, part, note=note)))


def proposal(nonce: bytes | None = None, time_us: int | None = None) -> FabricProposal:
    return FabricProposal(
        nonce=secrets.token_bytes(24) if nonce is None else nonce,
        time_us=time.time_ns() // 1000 if time_us is None else time_us,
    )


def rows(site: Site) -> list[bytes]:
    with AdminClient(site.box.home.admin_socket) as admin:
        found = admin.query("housekeeping_after", 0, 100_000)
    return [row[5] for row in found if row[1] == "chain-transaction"]


def test_the_proposal_is_the_call_of_the_settings_about_its_own_head(site: Site) -> None:
    made = request(site, proposal(bytes(range(24)), TIME_US))
    signed = proposal_pb2.SignedProposal.FromString(asyncio.run(site.desk.sign(made)))
    read = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(read.header)
    channel = common_pb2.ChannelHeader.FromString(header.channel_header)
    signer = common_pb2.SignatureHeader.FromString(header.signature_header)
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(
        proposal_pb2.ChaincodeProposalPayload.FromString(read.payload).input
    ).chaincode_spec
    head = Checkpoint.parse(parse_note(made.checkpoint).text)
    assert (channel.type, channel.channel_id, channel.epoch) == (common_pb2.ENDORSER_TRANSACTION, CHANNEL, 0)
    assert channel.timestamp.ToNanoseconds() == TIME_US * 1_000
    assert signer.creator == site.network.client.serialized
    assert channel.tx_id == hashlib.sha256(bytes(range(24)) + signer.creator).hexdigest()
    assert spec.chaincode_id.name == CHAINCODE
    assert list(spec.input.args) == [
        FUNCTION.encode(),
        commitment_of(made.checkpoint).hex().encode(),
        BOX_ORIGIN.encode(),
        str(head.size).encode(),
    ]
    assert site.network.verify(signer.creator, signed.proposal_bytes, signed.signature)


def test_signatures_lie_in_the_lower_half_and_each_is_a_row_first(site: Site) -> None:
    before = len(rows(site))
    made = []
    for _ in range(12):
        signed = sign(site, proposal())
        made.append(signed)
        _, s = decode_dss_signature(proposal_pb2.SignedProposal.FromString(signed).signature)
        assert s <= P256_ORDER // 2
    wait_for(lambda: len(rows(site)) == before + 12, "twelve signatures, twelve rows")
    assert rows(site)[before:] == [b"\0" + one for one in made]


def test_the_upper_half_is_turned_into_the_lower() -> None:
    message = UnsignedMessage(b"message", lambda _, signature: signature)
    for s in (5, P256_ORDER - 5):
        assert decode_dss_signature(message.signed([(9).to_bytes(32) + s.to_bytes(32)])) == (9, 5)


def endorsements_of(site: Site, answer: bytes) -> list[FabricEndorsement]:
    return [FabricEndorsement(endorser=one.endorser, signature=one.signature) for one in site.network.endorse(answer)]


def transaction(part: FabricProposal, answer: bytes, endorsements: list[FabricEndorsement]) -> FabricTransaction:
    return FabricTransaction(nonce=part.nonce, time_us=part.time_us, answer=answer, endorsements=endorsements)


def test_a_transaction_around_the_answer_is_one_that_peers_count_as_valid(site: Site) -> None:
    head, part = site.work().checkpoint, proposal()
    answer, _ = site.network.run(proposal_pb2.SignedProposal.FromString(sign(site, part, head)))
    signed = sign(site, transaction(part, answer, endorsements_of(site, answer)), head)
    block = site.network.order(common_pb2.Envelope.FromString(signed))
    assert block.metadata.metadata[2] == b"\0"


def changed(answer: bytes, change: Callable[[Any], None]) -> bytes:
    read = proposal_response_pb2.ProposalResponsePayload.FromString(answer)
    action = proposal_pb2.ChaincodeAction.FromString(read.extension)
    results = rwset_pb2.TxReadWriteSet.FromString(action.results)
    change((read, action, results))
    action.results = results.SerializeToString()
    read.extension = action.SerializeToString()
    return bytes(read.SerializeToString())


def _elsewhere(parts: Any, namespace: str, kv: Any) -> None:
    parts[2].ns_rwset.add(namespace=namespace, rwset=kv.SerializeToString())


_WRITE = kv_rwset_pb2.KVRWSet(writes=[kv_rwset_pb2.KVWrite(key="gold", value=b"all of it")])
_POLICY = kv_rwset_pb2.KVRWSet(metadata_writes=[kv_rwset_pb2.KVMetadataWrite(key="gold")])
_READ = kv_rwset_pb2.KVRWSet(reads=[kv_rwset_pb2.KVRead(key="gold")])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda parts: setattr(parts[0], "proposal_hash", bytes(32)), "another proposal"),
        (lambda parts: setattr(parts[1].response, "status", 500), "status 500"),
        (lambda parts: setattr(parts[1].chaincode_id, "name", "assets"), "another chaincode"),
        (lambda parts: _elsewhere(parts, "assets", _WRITE), "not the chaincode's own"),
        (lambda parts: _elsewhere(parts, "assets", _READ), "not the chaincode's own"),
        (lambda parts: _elsewhere(parts, "_lifecycle", _WRITE), "not the chaincode's own"),
        (lambda parts: _elsewhere(parts, "_lifecycle", _POLICY), "not the chaincode's own"),
    ],
)
def test_an_answer_of_another_kind_is_not_signed_around(site: Site, change: Callable[[Any], None], told: str) -> None:
    head, part = site.work().checkpoint, proposal()
    answer, _ = site.network.run(proposal_pb2.SignedProposal.FromString(sign(site, part, head)))
    false = changed(answer, change)
    before = len(rows(site))
    with pytest.raises(RequestRefused, match=told):
        sign(site, transaction(part, false, endorsements_of(site, false)), head)
    assert len(rows(site)) == before
    assert sign(site, transaction(part, answer, endorsements_of(site, answer)), head)


def test_questions_are_what_peers_take(site: Site) -> None:
    wanted = "ab" * 32
    status = gateway_pb2.SignedCommitStatusRequest.FromString(sign(site, FabricStatus(transaction=wanted)))
    asked = gateway_pb2.CommitStatusRequest.FromString(status.request)
    assert (asked.transaction_id, asked.channel_id) == (wanted, CHANNEL)
    assert site.network.verify(asked.identity, status.request, status.signature)
    part = FabricBlock(nonce=secrets.token_bytes(24), time_us=TIME_US, transaction=wanted)
    query = proposal_pb2.SignedProposal.FromString(sign(site, part))
    payload = proposal_pb2.Proposal.FromString(query.proposal_bytes).payload
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(
        proposal_pb2.ChaincodeProposalPayload.FromString(payload).input
    ).chaincode_spec
    assert spec.chaincode_id.name == "qscc"
    assert list(spec.input.args) == [b"GetBlockByTxID", CHANNEL.encode(), wanted.encode()]


def _of_another_key(site: Site) -> bytes:
    return site.network.organisations.endorsing[0].member("other", "client").pem


def _on_another_curve(site: Site) -> bytes:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return site.network.organisations.endorsing[0].member("other", "client", key).pem


def _no_certificate(site: Site) -> bytes:
    return b"no certificate"


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        (_of_another_key, "another key"),
        (_on_another_curve, "no key on P-256"),
        (_no_certificate, "cannot be read"),
    ],
)
def test_only_its_own_certificate_is_named(site: Site, certificate: Callable[[Site], bytes], told: str) -> None:
    with pytest.raises(RequestRefused, match=told):
        asyncio.run(site.desk.sign(request(site, proposal(), certificate=certificate(site))))


def test_more_than_the_certificate_in_its_file_is_left_out(site: Site) -> None:
    both = site.network.client.pem + _of_another_key(site)
    signed = asyncio.run(site.desk.sign(request(site, proposal(), certificate=both)))
    read = proposal_pb2.Proposal.FromString(proposal_pb2.SignedProposal.FromString(signed).proposal_bytes)
    header = common_pb2.Header.FromString(read.header)
    creator = common_pb2.SignatureHeader.FromString(header.signature_header).creator
    assert creator == site.network.client.serialized


def test_arguments_without_the_commitment_anchor_nothing(site: Site) -> None:
    settings = msgspec.structs.replace(site.settings, arguments=("{origin}", "{size}"))
    head = site.work().checkpoint
    checked = CheckedCheckpoint(Checkpoint.parse(parse_note(head).text), commitment_of(head))
    key = asyncio.run(site.desk.account(LEDGER))
    with pytest.raises(RequestRefused, match="commitment"):
        FabricMessages().make(request(site, proposal()), checked, settings, key)


def test_a_certification_request_is_signed_by_the_account(site: Site) -> None:
    before = len(rows(site))
    with DeskConnection(site.box.home.ledger_desk_socket) as desk:
        request = x509.load_der_x509_csr(desk.call("certificate_request", LEDGER, "cinnabar 朱砂"))
    assert request.is_signature_valid
    assert request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "cinnabar 朱砂"
    assert request.public_key() == site.network.client.certificate.public_key()
    wait_for(lambda: len(rows(site)) == before + 1, "a signature, a row")
