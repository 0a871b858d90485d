"""Receipts of Fabric: what a block proves, and each wrong thing refused with its own reason.

The blocks come from a channel that is built on the packaged definitions and shares no code with the judge.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import secrets
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors import (
    AnchorRefused,
    LedgerProfile,
    Reason,
    Receipt,
    Rule,
    Strength,
    canonical,
    commitment_of,
    judge,
)
from appliance.anchors.fabric import blocks, messages
from appliance.anchors.fabric.identities import Members, NotAMember
from appliance.anchors.fabric.judge import FabricProof, write_proof
from appliance.anchors.fabric.judge import judge as judge_proof
from appliance.anchors.fabric.messages import BlockHeader
from appliance.anchors.fabric.reasons import FabricReason
from appliance.anchors.fabric.rules import Rules
from firmware_tests.anchors.fabric.made import Anchored, anchored, call, endorsed, envelope
from firmware_tests.anchors.fabric.network import CHANNEL, Network, Organisations, header_der
from firmware_tests.anchors.fabric.organisations import Organisation, high_s
from firmware_tests.anchors.test_core import NOTE

COMMITMENT = commitment_of(NOTE)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def honest(network: Network) -> Anchored:
    return anchored(network, COMMITMENT)


def refused(proof: bytes, rules: Rules, commitment: bytes = COMMITMENT) -> Any:
    with pytest.raises(AnchorRefused) as error:
        judge_proof(proof, commitment, rules)
    return error.value.reason


def test_a_block_sealed_by_the_orderer_proves_the_anchor(network: Network, honest: Anchored) -> None:
    found = judge_proof(honest.proof, COMMITMENT, network.rules())
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.VALIDATOR_SEALS)
    assert found.time_us == honest.call.time_us
    assert found.tolerance_us == 900_000_000
    assert f"block {honest.block.header.number} (0x" in found.place
    assert honest.call.transaction_id in found.place
    assert "not yet run on a real network" in found.notes[0]
    assert any("One orderer may sign" in one for one in found.notes)


def test_it_is_judged_as_a_receipt_under_its_profile(network: Network, honest: Anchored) -> None:
    profile = LedgerProfile(
        name="consortium", type="fabric", tolerance_s=5, rules=msgspec.Raw(canonical.encode(network.rules()))
    )
    receipt = Receipt(checkpoint=NOTE.decode(), ledger="consortium", proof=msgspec.Raw(honest.proof), type="fabric")
    found = judge(receipt, COMMITMENT, profile, now_us=time.time_ns() // 1000)
    assert found.no_later_us == honest.call.time_us + 905_000_000


def test_a_block_sealed_by_a_quorum_proves_the_anchor() -> None:
    network = Network(Organisations(ordering=[Organisation(f"Orderer{at}MSP") for at in range(4)]), bft=True)
    made = anchored(network, COMMITMENT)
    found = judge_proof(made.proof, COMMITMENT, network.rules())
    assert found.strength is Strength.PROVEN
    assert not any("One orderer may sign" in one for one in found.notes)
    for count, result in ((3, None), (2, FabricReason.TOO_FEW_SEALS)):
        block = copy.deepcopy(made.block)
        seals = common_pb2.Metadata.FromString(block.metadata.metadata[0])
        del seals.signatures[count:]
        block.metadata.metadata[0] = seals.SerializeToString()
        proof = write_proof(block.SerializeToString(), made.place)
        if result is None:
            judge_proof(proof, COMMITMENT, network.rules())
        else:
            assert refused(proof, network.rules()) is result
    # one consenter three times is one; an orderer of an organisation that signs by its certificate is none of them
    block = copy.deepcopy(made.block)
    seals = common_pb2.Metadata.FromString(block.metadata.metadata[0])
    one = seals.signatures[0]
    for _ in range(3):
        seals.signatures.append(one)
    del seals.signatures[1:4]
    by_name = common_pb2.SignatureHeader(creator=network.orderers[1].serialized, nonce=b"n").SerializeToString()
    signature = network.orderers[1].sign(seals.value + by_name + header_der(block.header))
    seals.signatures.add(signature_header=by_name, signature=signature)
    block.metadata.metadata[0] = seals.SerializeToString()
    assert refused(write_proof(block.SerializeToString(), made.place), network.rules()) is FabricReason.FOREIGN_SEAL


def test_without_a_rule_for_seals_it_is_a_nodes_word(network: Network, honest: Anchored) -> None:
    found = judge_proof(honest.proof, COMMITMENT, network.rules(seals=None))
    assert (found.strength, found.by) == (Strength.ATTESTED, Rule.NODE)


def test_where_nobody_looks_at_the_time_only_the_certificates_bound_it(network: Network, honest: Anchored) -> None:
    found = judge_proof(honest.proof, COMMITMENT, network.rules(window_s=None))
    ends = [one.certificate.not_valid_after_utc for one in (network.client, *network.peers, *network.orderers)]
    assert found.time_us + found.tolerance_us == int(min(ends).timestamp()) * 1_000_000
    assert any("word of whoever anchored" in one for one in found.notes)


def test_the_headers_hash_and_the_chain_are_fabrics(network: Network, honest: Anchored) -> None:
    ours = [BlockHeader(one.header.number, one.header.previous_hash, one.header.data_hash) for one in network.blocks]
    assert [blocks.header_bytes(one) for one in ours] == [header_der(one.header) for one in network.blocks]
    for before, after in itertools.pairwise(ours):
        assert after.previous_hash == blocks.header_hash(before)
    assert blocks.data_hash(honest.block.data.data) == honest.block.header.data_hash


# --- each wrong thing -------------------------------------------------------------------------------------------------


def _rules(**changed: Any) -> Callable[[Rules], Rules]:
    return lambda rules: msgspec.structs.replace(rules, **changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_rules(channel="other"), FabricReason.OTHER_CHANNEL),
        (_rules(chaincode="assets"), FabricReason.OTHER_CHAINCODE),
        (_rules(function="transfer"), FabricReason.OTHER_FUNCTION),
        (_rules(argument=1), Reason.OTHER_COMMITMENT),
        (_rules(argument=9), Reason.OTHER_COMMITMENT),
    ],
)
def test_a_call_of_something_else_is_refused(
    network: Network, honest: Anchored, change: Callable[[Rules], Rules], reason: Any
) -> None:
    assert refused(honest.proof, change(network.rules())) is reason


def test_another_heads_commitment_is_refused(network: Network, honest: Anchored) -> None:
    assert refused(honest.proof, network.rules(), bytes(32)) is Reason.OTHER_COMMITMENT
    assert refused(write_proof(honest.block.SerializeToString(), 0), network.rules()) is Reason.OTHER_COMMITMENT


def test_places_without_a_call_are_refused(network: Network, honest: Anchored) -> None:
    assert refused(write_proof(honest.block.SerializeToString(), 99), network.rules()) is FabricReason.NO_TRANSACTION
    payload = common_pb2.Payload()
    payload.header.channel_header = common_pb2.ChannelHeader(type=1, channel_id=CHANNEL).SerializeToString()
    block = network.order()  # an empty block, to which a configuration is added
    config = envelope(network, payload.SerializeToString()).SerializeToString()
    changed = _resealed(network, block, [config])
    assert refused(write_proof(changed, 0), network.rules()) is FabricReason.NO_TRANSACTION


def _resealed(network: Network, block: common_pb2.Block, data: list[bytes]) -> bytes:
    """A block with other transactions, sealed by the true orderers: what only they could make."""
    made = copy.deepcopy(block)
    del made.data.data[:]
    made.data.data.extend(data)
    made.header.data_hash = hashlib.sha256(b"".join(data)).digest()
    made.metadata.metadata[0] = network.seal(made.header)
    made.metadata.metadata[2] = bytes(len(data))
    return made.SerializeToString()


def test_a_transaction_that_is_not_of_the_block_is_refused(network: Network, honest: Anchored) -> None:
    elsewhere = anchored(network, secrets.token_bytes(32))
    block = copy.deepcopy(elsewhere.block)
    block.data.data[elsewhere.place] = honest.envelope.SerializeToString()
    proof = write_proof(block.SerializeToString(), elsewhere.place)
    assert refused(proof, network.rules()) is FabricReason.DATA_HASH
    block.header.data_hash = hashlib.sha256(b"".join(block.data.data)).digest()
    proof = write_proof(block.SerializeToString(), elsewhere.place)
    assert refused(proof, network.rules()) is FabricReason.FOREIGN_SEAL


def test_blocks_that_others_sealed_are_refused(network: Network, honest: Anchored) -> None:
    foreign = Network().orderers  # an orderer of the same name, of another CA
    peer = [network.peers[0]]  # a member of the consortium, who orders nothing
    for signers in (foreign, peer):
        block = copy.deepcopy(honest.block)
        block.metadata.metadata[0] = network.seal(block.header, signers)
        proof = write_proof(block.SerializeToString(), honest.place)
        assert refused(proof, network.rules()) is FabricReason.FOREIGN_SEAL
    block = copy.deepcopy(honest.block)
    block.metadata.metadata[0] = network.seal(block.header, [])
    proof = write_proof(block.SerializeToString(), honest.place)
    assert refused(proof, network.rules()) is FabricReason.TOO_FEW_SEALS
    block.ClearField("metadata")
    proof = write_proof(block.SerializeToString(), honest.place)
    assert refused(proof, network.rules()) is FabricReason.TOO_FEW_SEALS


def test_a_seal_of_another_block_is_refused(network: Network, honest: Anchored) -> None:
    for field, value in (("number", 99), ("previous_hash", bytes(32))):
        block = copy.deepcopy(honest.block)
        setattr(block.header, field, value)
        proof = write_proof(block.SerializeToString(), honest.place)
        assert refused(proof, network.rules()) is FabricReason.FOREIGN_SEAL


def test_a_certificate_without_the_part_signs_nothing_unless_units_do_not_count(
    network: Network, honest: Anchored
) -> None:
    org = network.organisations.ordering[0]
    client = org.member("someone", "client")
    block = copy.deepcopy(honest.block)
    block.metadata.metadata[0] = network.seal(block.header, [client])
    proof = write_proof(block.SerializeToString(), honest.place)
    assert refused(proof, network.rules()) is FabricReason.FOREIGN_SEAL
    lax = [one.rule(node_ous=False) for one in (*network.organisations.endorsing, org)]
    judge_proof(proof, COMMITMENT, msgspec.structs.replace(network.rules(), msps=lax))


def test_a_revoked_certificate_counts_for_nothing(network: Network, honest: Anchored) -> None:
    for who, reason in (
        (network.orderers[0], FabricReason.FOREIGN_SEAL),
        (network.client, FabricReason.FOREIGN_CREATOR),
        (network.peers[1], FabricReason.TOO_FEW_ENDORSEMENTS),
    ):
        msps = [
            one.rule(revoked=(who.digest,))
            for one in (*network.organisations.endorsing, *network.organisations.ordering)
        ]
        rules = msgspec.structs.replace(network.rules(endorsements=3), msps=msps)
        assert refused(honest.proof, rules) is reason


def test_too_few_or_false_endorsements_are_refused(network: Network) -> None:
    rules = network.rules()
    first = network.peers[0]
    for peers in ([], [first], [first, first], [first, network.client], [first, Network().peers[1]]):
        made = call(network, COMMITMENT)
        response, signed = endorsed(network, made, peers)
        block = network.order(envelope(network, made.transaction(response, signed)))
        block.metadata.metadata[2] = b"\0"  # whatever peers said of it
        assert refused(write_proof(block.SerializeToString(), 0), rules) is FabricReason.TOO_FEW_ENDORSEMENTS
    for damage in (lambda signature: bytes(len(signature)), high_s):
        made = call(network, COMMITMENT)
        response, signed = endorsed(network, made, network.peers[:2])
        signed[1] = messages.Endorsement(signed[1].endorser, damage(signed[1].signature))
        block = network.order(envelope(network, made.transaction(response, signed)))
        block.metadata.metadata[2] = b"\0"
        assert refused(write_proof(block.SerializeToString(), 0), rules) is FabricReason.TOO_FEW_ENDORSEMENTS


def test_an_endorsement_of_another_proposal_is_refused(network: Network) -> None:
    made, other = call(network, COMMITMENT), call(network, secrets.token_bytes(32))
    response, signed = endorsed(network, other)
    block = network.order(envelope(network, made.transaction(response, signed)))
    block.metadata.metadata[2] = b"\0"
    assert refused(write_proof(block.SerializeToString(), 0), network.rules()) is FabricReason.MIXED_UP


def test_a_transaction_that_peers_count_as_invalid_is_refused(network: Network) -> None:
    first, second = call(network, COMMITMENT), call(network, COMMITMENT)
    prepared = [envelope(network, one.transaction(*endorsed(network, one))) for one in (first, second)]
    block = network.order(*prepared)
    assert list(block.metadata.metadata[2]) == [0, transaction_pb2.TxValidationCode.MVCC_READ_CONFLICT]
    judge_proof(write_proof(block.SerializeToString(), 0), COMMITMENT, network.rules())
    proof = write_proof(block.SerializeToString(), 1)
    assert refused(proof, network.rules()) is FabricReason.FAILED_TRANSACTION
    del block.metadata.metadata[2:]
    proof = write_proof(block.SerializeToString(), 0)
    assert refused(proof, network.rules()) is FabricReason.FAILED_TRANSACTION


def test_transactions_of_strangers_and_false_signatures_are_refused(network: Network) -> None:
    stranger = Network().client
    made = call(network, COMMITMENT)
    response, signed = endorsed(network, made)
    payload = made.transaction(response, signed)
    unsigned = common_pb2.Envelope(payload=payload, signature=stranger.sign(payload))
    block = network.order(unsigned)
    block.metadata.metadata[2] = b"\0"
    proof = write_proof(block.SerializeToString(), 0)
    assert refused(proof, network.rules()) is FabricReason.CREATOR_SIGNATURE
    nobody = [one.rule() for one in (*network.organisations.endorsing[1:], *network.organisations.ordering)]
    rules = msgspec.structs.replace(network.rules(), msps=nobody)
    assert refused(proof, rules) is FabricReason.FOREIGN_CREATOR


def test_an_id_that_is_not_of_the_nonce_is_refused(network: Network, honest: Anchored) -> None:
    payload = common_pb2.Payload.FromString(honest.envelope.payload)
    channel = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    channel.tx_id = "0" * 64
    payload.header.channel_header = channel.SerializeToString()
    data = envelope(network, payload.SerializeToString()).SerializeToString()
    changed = _resealed(network, honest.block, [data])
    assert refused(write_proof(changed, 0), network.rules()) is FabricReason.WRONG_TRANSACTION_ID


def test_a_time_outside_of_the_certificates_is_refused(network: Network, honest: Anchored) -> None:
    made = call(network, COMMITMENT)
    old = type(made)(made.channel, made.chaincode, made.arguments, made.creator, made.nonce, 1_000_000_000_000_000)
    network.window_s = None
    try:
        response, signed = endorsed(network, old)
    finally:
        network.window_s = 900
    block = network.order(envelope(network, old.transaction(response, signed)))
    assert refused(write_proof(block.SerializeToString(), 0), network.rules()) is FabricReason.FOREIGN_CREATOR


def test_a_refusing_chaincode_is_no_anchor(network: Network) -> None:
    made = call(network, COMMITMENT)
    response, _ = endorsed(network, made)
    answer = proposal_response_pb2.ProposalResponsePayload.FromString(response)
    action = proposal_pb2.ChaincodeAction.FromString(answer.extension)
    for change, reason in (
        (lambda: setattr(action.response, "status", 500), FabricReason.REFUSED_BY_CHAINCODE),
        (lambda: setattr(action.chaincode_id, "name", "assets"), FabricReason.OTHER_CHAINCODE),
    ):
        change()
        answer.extension = action.SerializeToString()
        changed = answer.SerializeToString()
        signed = [messages.Endorsement(one.endorser, one.signature) for one in network.endorse(changed)]
        data = envelope(network, made.transaction(changed, signed)).SerializeToString()
        sealed = _resealed(network, network.blocks[-1], [data])
        assert refused(write_proof(sealed, 0), network.rules()) is reason
        action.response.status = 200


# --- bad input --------------------------------------------------------------------------------------------------------


def test_proofs_in_another_form_are_refused(network: Network, honest: Anchored) -> None:
    for proof in (b"", b"{}", b"[1]", honest.proof + b" ", honest.proof.replace(b'"place":1', b'"place":1,"x":1')):
        assert refused(proof, network.rules()) is Reason.MALFORMED
    for cut in range(1, len(honest.block.SerializeToString()), 97):
        proof = write_proof(honest.block.SerializeToString()[:-cut], honest.place)
        assert isinstance(refused(proof, network.rules()), (Reason, FabricReason))


def test_profiles_that_cannot_be_read_are_refused(network: Network, honest: Anchored) -> None:
    rules = network.rules()
    twice = msgspec.structs.replace(rules, msps=[rules.msps[0], rules.msps[0]])
    broken = msgspec.structs.replace(rules, msps=[msgspec.structs.replace(rules.msps[0], roots=[b"no certificate"])])
    for one in (twice, broken):
        assert refused(honest.proof, one) is Reason.RULES_UNREADABLE


def test_a_quorum_is_of_parties_that_can_be_told_apart(network: Network, honest: Anchored) -> None:
    with pytest.raises(ValueError, match="the consenters are missing"):
        network.rules(seals=2)
    rules = network.rules()
    twin = msgspec.structs.replace(rules.msps[1], roots=rules.msps[0].roots)
    shared = msgspec.structs.replace(rules, msps=[rules.msps[0], twin, *rules.msps[2:]])
    assert refused(honest.proof, shared) is Reason.RULES_UNREADABLE


def _of_no_version(certificate: bytes) -> bytes:
    """X.509 knows the versions 1 to 3."""
    return certificate.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x6a", 1)


def test_certificates_of_a_version_that_there_is_not(network: Network, honest: Anchored) -> None:
    rules = network.rules()
    der = ssl.PEM_cert_to_DER_cert(identities_pb2.SerializedIdentity.FromString(honest.call.creator).id_bytes.decode())
    pem = ssl.DER_cert_to_PEM_cert(_of_no_version(der)).encode()
    named = identities_pb2.SerializedIdentity(mspid=rules.msps[0].name, id_bytes=pem).SerializeToString()
    with pytest.raises(NotAMember):
        Members(rules.msps).identity(named, datetime.now(UTC))
    broken = msgspec.structs.replace(rules.msps[0], roots=[_of_no_version(rules.msps[0].roots[0])])
    assert refused(honest.proof, msgspec.structs.replace(rules, msps=[broken])) is Reason.RULES_UNREADABLE


def test_any_changed_byte_of_what_is_signed_is_refused_or_changes_nothing(network: Network, honest: Anchored) -> None:
    rules, raw = network.rules(), honest.block.SerializeToString()
    expected = judge_proof(honest.proof, COMMITMENT, rules)

    @settings(max_examples=300)
    @given(st.integers(0, len(raw) - 1), st.integers(1, 255))
    def check(at: int, bits: int) -> None:
        changed = bytearray(raw)
        changed[at] ^= bits
        with contextlib.suppress(AnchorRefused):
            # If it is taken, it was changed in metadata that nobody signs.
            assert judge_proof(write_proof(bytes(changed), honest.place), COMMITMENT, rules) == expected

    check()


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_bytes_are_a_block_or_refused(network: Network, data: bytes, place: int) -> None:
    assert isinstance(refused(write_proof(data, place), network.rules()), (Reason, FabricReason))


def test_a_hostile_receipt_costs_little(network: Network, honest: Anchored) -> None:
    """A block of very many parts, or of very many false signatures."""
    seals = common_pb2.Metadata.FromString(honest.block.metadata.metadata[0])
    for _ in range(5_000):
        seals.signatures.append(seals.signatures[0])
    flooded = copy.deepcopy(honest.block)
    flooded.metadata.metadata[0] = seals.SerializeToString()
    parts = messages.Block(
        BlockHeader(1, b"", hashlib.sha256(b"").digest()), messages.BlockData((b"",) * 1_000_000)
    ).encode()
    for block in (flooded.SerializeToString(), parts):
        proof = canonical.encode(FabricProof(block=block, place=honest.place))
        begun = time.process_time()
        assert refused(proof, network.rules()) is Reason.MALFORMED
        assert time.process_time() - begun < 2
