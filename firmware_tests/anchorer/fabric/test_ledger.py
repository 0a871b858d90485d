"""A running box anchors on a channel of Fabric: the log follower with SoftHSM signs, real gRPC carries, a channel that
shares no code with the box endorses, orders and validates. Each step is made by a ledger that was started anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import msgspec
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2

from appliance.anchorer.fabric.memory import read_memory
from appliance.anchorer.ledger import LedgerUnavailable, Work
from appliance.anchors import Judgement, State, Strength, commitment_of, judge, write_receipt
from appliance.anchors.fabric.judge import FabricProof
from appliance.box.ledgers import FabricGateway
from appliance.log.ledgers import RequestRefused
from firmware_tests.anchorer.fabric.peer import Gateway, away, hang, serving
from firmware_tests.anchorer.fabric.site import Site, followed, step, step_until, until
from firmware_tests.anchorer.made import head
from firmware_tests.anchors.fabric.network import Network
from firmware_tests.log.box import BOX_ORIGIN


@pytest.fixture
def work(site: Site) -> Work:
    """An anchor of a head that has none yet."""
    site.new_head()
    return site.work()


def valid(site: Site, work: Work) -> int:
    """How often the channel holds this anchor as valid."""
    found = 0
    for block in site.network.blocks[1:]:
        for data, code in zip(block.data.data, block.metadata.metadata[2], strict=True):
            found += code == 0 and work.commitment.hex().encode() in data
    return found


def judged(site: Site, work: Work, receipt: Any) -> Judgement:
    write_receipt(receipt)
    return judge(receipt, commitment_of(work.checkpoint), site.profile, now_us=time.time_ns() // 1000)


def test_a_head_becomes_final_step_by_step(site: Site, work: Work) -> None:
    causes: list[str] = []
    states: list[State | None] = []
    now = work
    while now.state is not State.FINAL:
        (progress,) = step(site.ledger(), now)
        now = site.again(now, progress)
        states.append(progress.state)
        causes.append(progress.cause)
    assert states == [*[State.SUBMITTED] * 4, *[State.MINED] * 2, State.FINAL]
    assert site.gateway.calls == ["Endorse", "Submit", "CommitStatus", "Evaluate"]
    assert progress.receipt is not None
    found = judged(site, work, progress.receipt)
    assert found.strength is Strength.PROVEN
    assert valid(site, work) == 1
    assert site.network.state[work.commitment.hex()][0].startswith(BOX_ORIGIN.encode())


def test_nothing_of_tenants_reaches_the_ledger(site: Site, work: Work) -> None:
    until(site, work, State.FINAL)
    for envelope in site.gateway.submitted:
        for tenant in site.box.tenants:
            assert tenant.encode() not in envelope.SerializeToString()


def test_a_step_that_is_repeated_sends_the_same_and_anchors_once(site: Site, work: Work) -> None:
    """Killed after each step, before what it came to was stored."""
    now = work
    while now.state is not State.FINAL:
        (lost,) = step(site.ledger(), now)
        (progress,) = step(site.ledger(), now)
        assert progress.state in (lost.state, State.FINAL)
        now = site.again(now, progress)
    assert valid(site, work) == 1
    assert len({envelope.payload for envelope in site.gateway.submitted}) == 1
    assert len(site.gateway.submitted) == 2  # one of them is a repetition, which peers count as invalid


def test_a_lost_answer_to_the_submission_sends_the_same_transaction_again(site: Site, work: Work) -> None:
    site.gateway.after["Submit"] = away
    now = step_until(site, work, lambda one: read_memory(one.memory).envelope)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable, match="UNAVAILABLE"):
            step(site.ledger(), now)
    site.gateway.after.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1
    assert len({envelope.payload for envelope in site.gateway.submitted}) == 1


def test_what_orderers_forgot_is_sent_again(site: Site, work: Work) -> None:
    site.gateway.ordering = False
    now = step_until(site, work, lambda _: site.gateway.submitted)
    site.gateway.ordering = True
    until(site, now, State.FINAL)
    assert valid(site, work) == 1
    assert len({envelope.payload for envelope in site.gateway.submitted}) == 1


def test_orderers_that_are_away_delay_it_and_no_more(site: Site, work: Work) -> None:
    site.gateway.before["Submit"] = away
    now = step_until(site, work, lambda one: read_memory(one.memory).envelope)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable, match="no orderers"):
            step(site.ledger(), now)
    assert valid(site, work) == 0
    site.gateway.before.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1


def test_a_late_block_is_waited_for(site: Site, work: Work) -> None:
    site.gateway.ordering = False
    now = step_until(site, work, lambda _: site.gateway.submitted)
    envelope = site.gateway.submitted[0]
    later = threading.Timer(0.3, lambda: site.network.order(envelope))
    later.start()
    try:
        until(site, now, State.FINAL)
    finally:
        later.join()
    assert valid(site, work) == 1


def test_refused_endorsements_make_a_new_proposal_and_nothing_is_ordered(site: Site, work: Work) -> None:
    def refuse(context: Any) -> None:
        context.abort(grpc.StatusCode.ABORTED, "failed to collect enough transaction endorsements")

    site.gateway.before["Endorse"] = refuse
    now, transactions = work, set()
    for _ in range(3):
        (made,) = step(site.ledger(), now)
        transactions.add(read_memory(made.memory).transaction)
        (dropped,) = step(site.ledger(), site.again(now, made))
        assert dropped.state is State.SUBMITTED
        assert "failed to collect" in dropped.cause
        now = site.again(now, dropped)
    assert len(transactions) == 3
    assert read_memory(now.memory).tries == 3
    site.gateway.before.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1


def test_what_a_peer_said_is_told(site: Site, work: Work) -> None:
    site.network.window_s, before = -1, site.network.window_s
    try:
        (made,) = step(site.ledger(), work)
        (dropped,) = step(site.ledger(), site.again(work, made))
    finally:
        site.network.window_s = before
    assert "Org1MSP peer0.org1:7051: request unauthorized due to incorrect timestamp" in dropped.cause


def test_a_transaction_that_is_ordered_and_invalid_fails_and_is_never_made_anew(site: Site, work: Work) -> None:
    now = step_until(site, work, lambda one: read_memory(one.memory).envelope)
    site.network.state[work.commitment.hex()] = (b"somebody else wrote there meanwhile", (0, 0))
    failed, progress = followed(site, now, State.FAILED, State.FINAL)
    assert failed.state is State.FAILED
    assert "MVCC_READ_CONFLICT" in progress.cause
    assert valid(site, work) == 0
    assert len(site.gateway.submitted) == 1


@pytest.mark.parametrize("method", ["Endorse", "Submit", "Evaluate"])
def test_a_gateway_that_hangs_is_left_in_time(site: Site, work: Work, method: str) -> None:
    site.gateway.before[method] = hang
    now = work
    while True:
        (progress,) = step(site.ledger(), now)
        now = site.again(now, progress)
        memory = read_memory(now.memory)
        if {"Endorse": memory.proposal, "Submit": memory.envelope, "Evaluate": memory.query}[method]:
            break
    begun = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="DEADLINE_EXCEEDED"):
        step(site.ledger(timeout_s=0.3), now)
    assert time.monotonic() - begun < 5
    site.gateway.before.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1


def test_a_commit_status_that_never_comes_is_left_in_time(site: Site, work: Work) -> None:
    now = step_until(site, work, lambda one: read_memory(one.memory).sent_us)
    site.gateway.before["CommitStatus"] = hang
    begun = time.monotonic()
    for _ in range(2):
        (progress,) = step(site.ledger(send_again_s=3_600), now)
        assert progress.state is State.SUBMITTED
    assert time.monotonic() - begun < 5
    site.gateway.before.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1


def test_the_next_gateway_is_asked_where_one_is_away_or_of_another_ca(
    site: Site, work: Work, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("other")
    with serving(Gateway(Network()), directory) as foreign:
        addresses = [
            FabricGateway(address="127.0.0.1:1", ca="ledgers/tls-ca.pem"),
            FabricGateway(address=foreign, ca="ledgers/tls-ca.pem"),
            *site.settings.gateways,
        ]
        ledger = site.ledger(gateways=addresses, timeout_s=2)
        until(site, work, State.FINAL, ledger=ledger, seconds=40)
    assert valid(site, work) == 1


def test_a_name_in_the_certificate_is_checked(site: Site, work: Work) -> None:
    named = [msgspec.structs.replace(one, server_name="peer0.org1") for one in site.settings.gateways]
    wrong = [msgspec.structs.replace(one, server_name="peer1.org9") for one in site.settings.gateways]
    now = until(site, work, State.SUBMITTED)
    with pytest.raises(LedgerUnavailable, match="UNAVAILABLE"):
        step(site.ledger(gateways=wrong, timeout_s=2), now)
    until(site, now, State.FINAL, ledger=site.ledger(gateways=named))


def test_of_heads_that_wait_only_the_newest_is_asked_for(site: Site, work: Work) -> None:
    site.gateway.before["Endorse"] = away
    older = site.again(work, step(site.ledger(), work)[0])
    site.new_head()
    newer = site.work(2)
    assert newer.commitment != older.commitment
    first, second = step(site.ledger(), older, newer)
    assert "anchor 2 is asked for" in first.cause
    assert read_memory(first.memory).transaction == ""
    assert read_memory(second.memory).transaction != ""
    site.gateway.before.clear()
    older, newer = site.again(older, first), site.again(newer, second)
    while newer.state is not State.FINAL:
        first, second = step(site.ledger(), older, newer)
        older, newer = site.again(older, first), site.again(newer, second)
    assert valid(site, older) == 0
    assert valid(site, newer) == 1


def test_one_anchor_in_trouble_does_not_keep_another_back(site: Site, work: Work) -> None:
    site.gateway.ordering = False
    older = step_until(site, work, lambda _: site.gateway.submitted)
    site.gateway.ordering = True
    site.new_head()
    newer = site.work(2)
    ledger = site.ledger(send_again_s=3_600)
    while newer.state is not State.FINAL:
        first, second = step(ledger, older, newer)
        older, newer = site.again(older, first), site.again(newer, second)
    assert older.state is State.SUBMITTED
    assert valid(site, newer) == 1


def test_an_anchor_that_gets_no_signature_does_not_keep_another_back(site: Site, work: Work) -> None:
    older = until(site, work, State.MINED)
    older = site.again(older, step(site.ledger(), older)[0])  # its question is signed
    foreign = head(6)
    newer = replace(site.work(2, note=foreign.checkpoint), commitment=foreign.commitment)
    first, second = step(site.ledger(), older, newer)
    assert first.state is State.FINAL
    assert (second.state, second.memory) == (None, b"")
    assert "none of this box" in second.cause


# --- lies -------------------------------------------------------------------------------------------------------------


def _endorsement(change: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    """A prepared transaction with a changed answer or endorsement."""

    def lie(answer: Any) -> Any:
        payload = common_pb2.Payload.FromString(answer.prepared_transaction.payload)
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
        change(action, payload)
        transaction.actions[0].payload = action.SerializeToString()
        payload.data = transaction.SerializeToString()
        answer.prepared_transaction.payload = payload.SerializeToString()
        return answer

    return lie


def _other_answer(action: Any, payload: Any) -> None:
    answer = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    answer.proposal_hash = bytes(32)
    action.action.proposal_response_payload = answer.SerializeToString()


def _one_endorsement(action: Any, payload: Any) -> None:
    del action.action.endorsements[1:]


def _foreign_endorsements(action: Any, payload: Any) -> None:
    strangers = Network().endorse(action.action.proposal_response_payload)
    del action.action.endorsements[:]
    action.action.endorsements.extend(strangers)


def _broken_signatures(action: Any, payload: Any) -> None:
    for one in action.action.endorsements:
        one.signature = one.signature[:-1] + bytes([one.signature[-1] ^ 1])


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (_endorsement(_other_answer), "mixed_up"),
        (_endorsement(_one_endorsement), "too_few_endorsements"),
        (_endorsement(_foreign_endorsements), "too_few_endorsements"),
        (_endorsement(_broken_signatures), "too_few_endorsements"),
        (lambda answer: type(answer)(), "malformed"),
        (lambda answer: type(answer)(prepared_transaction={"payload": b"\xff\xff\xff"}), "malformed"),
    ],
)
def test_false_endorsements_are_dropped_unsigned(site: Site, work: Work, lie: Any, told: str) -> None:
    site.gateway.lies["Endorse"] = lie
    (made,) = step(site.ledger(), work)
    (dropped,) = step(site.ledger(), site.again(work, made))
    assert told in dropped.cause
    assert not read_memory(dropped.memory).proposal
    site.gateway.lies.clear()
    until(site, site.again(work, dropped), State.FINAL)
    assert valid(site, work) == 1


def test_a_prepared_transaction_of_other_parts_is_built_anew_by_the_box(site: Site, work: Work) -> None:
    """What is signed is what the log follower builds: a Gateway's own header, or call, is nothing to it."""

    def other_header(action: Any, payload: Any) -> None:
        payload.header.channel_header = b"another"
        action.chaincode_proposal_payload = proposal_pb2.ChaincodeProposalPayload(input=b"x").SerializeToString()

    site.gateway.lies["Endorse"] = _endorsement(other_header)
    until(site, work, State.FINAL)
    assert valid(site, work) == 1


def test_a_gateway_that_says_committed_too_early_is_asked_again(site: Site, work: Work) -> None:
    site.gateway.ordering = False

    now = step_until(site, work, lambda _: site.gateway.submitted)
    site.gateway.instead["CommitStatus"] = gateway_pb2.CommitStatusResponse(result=0, block_number=77)
    mined = until(site, now, State.MINED)
    back, progress = followed(site, mined, State.SUBMITTED, State.FINAL)
    assert back.state is State.SUBMITTED
    assert "no such transaction ID" in progress.cause
    site.gateway.instead.clear()
    site.gateway.ordering = True
    until(site, back, State.FINAL)
    assert valid(site, work) == 1


def test_a_false_number_of_its_block_is_corrected_by_the_block(site: Site, work: Work) -> None:
    def lie(answer: Any) -> Any:
        answer.block_number += 1_000
        return answer

    site.gateway.lies["CommitStatus"] = lie
    mined = until(site, work, State.MINED)
    number = site.network.index[read_memory(mined.memory).transaction][0]
    assert read_memory(mined.memory).block == number + 1_000
    _, progress = followed(site, mined, State.FINAL)
    assert progress.receipt is not None
    assert judged(site, work, progress.receipt).place.startswith(f"block {number} (0x")
    assert f"block {number} " in progress.cause


def test_a_repetition_that_is_told_of_is_no_failure(site: Site, work: Work) -> None:
    code = transaction_pb2.TxValidationCode.DUPLICATE_TXID
    now = step_until(site, work, lambda one: read_memory(one.memory).sent_us)
    site.gateway.instead["CommitStatus"] = gateway_pb2.CommitStatusResponse(result=code, block_number=3)
    (progress,) = step(site.ledger(send_again_s=3_600), now)
    assert progress.state is State.SUBMITTED
    site.gateway.instead.clear()
    until(site, now, State.FINAL)
    assert valid(site, work) == 1


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", b"\x0a\x00" * 1_000])
def test_bytes_that_are_no_block_are_never_final(site: Site, work: Work, payload: bytes) -> None:
    mined = until(site, work, State.MINED)
    asked = site.again(mined, step(site.ledger(), mined)[0])

    def lie(answer: Any) -> Any:
        answer.result.payload = payload
        return answer

    site.gateway.lies["Evaluate"] = lie
    with pytest.raises(LedgerUnavailable, match="malformed"):
        step(site.ledger(), asked)


def _block(change: Callable[[Any], None]) -> Callable[[Any], Any]:
    def lie(answer: Any) -> Any:
        block = common_pb2.Block.FromString(answer.result.payload)
        change(block)
        answer.result.payload = block.SerializeToString()
        return answer

    return lie


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda block: setattr(block.header, "number", 9_999), "foreign_seal"),
        (lambda block: setattr(block.header, "previous_hash", bytes(32)), "foreign_seal"),
        (lambda block: setattr(block.header, "data_hash", bytes(32)), "data_hash"),
        (lambda block: block.data.data.append(b"more"), "data_hash"),
        (lambda block: block.data.data.__delitem__(slice(None)), "malformed"),
        (lambda block: block.metadata.metadata.__setitem__(0, b""), "too_few_seals"),
        (lambda block: block.metadata.metadata.__setitem__(2, b"\x0b"), "failed_transaction"),
        (lambda block: block.ClearField("header"), "data_hash"),
    ],
)
def test_a_false_block_is_never_final(site: Site, work: Work, change: Callable[[Any], None], told: str) -> None:
    mined = until(site, work, State.MINED)
    site.gateway.lies["Evaluate"] = _block(change)
    asked = site.again(mined, step(site.ledger(), mined)[0])
    with pytest.raises(LedgerUnavailable, match=told):
        step(site.ledger(), asked)
    site.gateway.lies.clear()
    until(site, asked, State.FINAL)


def test_another_anchors_block_is_never_final(site: Site, work: Work) -> None:
    _, first = followed(site, work, State.FINAL)
    assert first.receipt is not None
    other = msgspec.json.decode(bytes(first.receipt.proof), type=FabricProof).block
    site.new_head()
    mined = until(site, site.work(2), State.MINED)

    def lie(answer: Any) -> Any:
        answer.result.payload = other
        return answer

    site.gateway.lies["Evaluate"] = lie
    asked = site.again(mined, step(site.ledger(), mined)[0])
    with pytest.raises(LedgerUnavailable, match="does not hold the transaction"):
        step(site.ledger(), asked)


def test_an_answer_that_is_too_large_is_not_read(site: Site, work: Work) -> None:
    mined = until(site, work, State.MINED)
    asked = site.again(mined, step(site.ledger(), mined)[0])

    def lie(answer: Any) -> Any:
        answer.result.payload = bytes(17 * 1024 * 1024)
        return answer

    site.gateway.lies["Evaluate"] = lie
    with pytest.raises(LedgerUnavailable, match="RESOURCE_EXHAUSTED"):
        step(site.ledger(), asked)


def test_one_gateway_that_says_invalid_is_not_believed_where_there_are_two(
    site: Site, work: Work, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("liar")
    liar = Gateway(site.network)

    def invalid(answer: Any) -> Any:
        answer.result = transaction_pb2.TxValidationCode.ENDORSEMENT_POLICY_FAILURE
        return answer

    liar.lies["CommitStatus"] = invalid
    with serving(liar, directory) as address:
        (site.home / "ledgers" / "liar-ca.pem").write_bytes((directory / "tls-ca.pem").read_bytes())
        gateways = [FabricGateway(address=address, ca="ledgers/liar-ca.pem"), *site.settings.gateways]
        until(site, work, State.FINAL, ledger=site.ledger(gateways=gateways))
    assert valid(site, work) == 1


# --- the account ------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_waits_for_the_next_anchor(site: Site, work: Work) -> None:
    now = step_until(site, work, lambda one: read_memory(one.memory).answer)
    path = site.home / "ledgers" / "certificate.pem"
    before = path.read_bytes()
    key = site.network.client.certificate.public_key()
    renewed = site.network.organisations.endorsing[0].member("cinnabar", "client", key)
    path.write_bytes(renewed.pem)
    try:
        until(site, now, State.FINAL)
        assert valid(site, work) == 1
    finally:
        path.write_bytes(before)


def test_a_head_that_is_none_of_the_boxs_gets_no_signature(site: Site) -> None:
    foreign = head(5)
    work = replace(site.work(note=foreign.checkpoint), commitment=foreign.commitment)
    with pytest.raises(RequestRefused):
        step(site.ledger(), work)
