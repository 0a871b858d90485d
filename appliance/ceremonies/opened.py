"""A ceremony's records, opened, against the logs that a trust bundle names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import rfc8785

from appliance.ceremonies.bundle import LogRecord, Records, Transcript
from appliance.ceremonies.canonical import digest, encode
from appliance.ceremonies.proposal import Proposal
from appliance.ceremonies.records import CeremonyRecord
from appliance.ceremonies.statements import ReceivedStatement
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.logs import check_proof
from appliance.evidence.trust import TrustBundle
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import MalformedNote, MalformedProof
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof
from appliance.quoting import quote
from appliance.record import commitment


def expected_records(
    transcript: Transcript, statements: Sequence[ReceivedStatement], proposal: Proposal, name: str
) -> list[CeremonyRecord]:
    """What each log of the ceremony must have, in order, if the transcript is true. `name`: the proposal's digest."""
    found = [
        CeremonyRecord(
            event="submitted", proposal=name, artifact=name, officer=proposal.requester, time=transcript.submitted
        )
    ]
    waiting = [
        CeremonyRecord(
            event="statement", proposal=name, artifact=digest(encode(one.statement)), verb=one.statement.verb,
            officer=one.statement.officer, time=said.received,
        )
        for one, said in zip(statements, transcript.said, strict=True)
    ]  # fmt: skip
    for attempt in transcript.attempts:
        number = attempt.attempt
        early = sum(one.time <= attempt.begun for one in waiting)
        found += waiting[:early]
        del waiting[:early]
        found.append(CeremonyRecord(event="begun", proposal=name, attempt=number, time=attempt.begun))
        found += [
            CeremonyRecord(
                event="step", proposal=name, attempt=number, step=step.step, action=step.action, outcome=step.outcome,
                facts=step.facts, outputs={output.name: output.sha256 for output in step.outputs}, error=step.error,
                time=step.ended,
            )
            for step in transcript.steps if step.attempt == number
        ]  # fmt: skip
        found.append(
            CeremonyRecord(event=attempt.state, proposal=name, attempt=number, error=attempt.error, time=attempt.ended)
        )
    found += waiting
    if transcript.state in {"rejected", "expired"}:
        found.append(CeremonyRecord(event=transcript.state, proposal=name, time=transcript.ended))
    return found


def own_event(transcript: Transcript) -> str:
    """What the box calls its record of a bundle: another one for each execution, and for what was said after it."""
    if not transcript.attempts:
        return "bundle/0"
    last = transcript.attempts[-1]
    later = sum(one.received > last.begun for one in transcript.said)
    return f"bundle/{last.attempt}-{transcript.state}-{later}" if later else f"bundle/{last.attempt}"


class RecordPlace(NamedTuple):
    """Where a record stands. Places follow each other as the records do."""

    renewals: int
    """How often the log of the ceremony had been renewed by then."""
    entry: int


def judge_records(
    records: Records, transcript: Transcript, trust: TrustBundle
) -> dict[str, list[tuple[RecordPlace, CeremonyRecord]]]:
    """The records of each log of the transcript, by place; each is opened and stands under a signed head of that log.

    Raises Refusal."""
    origins = {one.log: one.origin for one in transcript.logs}
    if len(origins) != len(transcript.logs) or len(set(origins.values())) != len(origins):
        raise Refusal("records", SubIndication.FORMAT_FAILURE, "The transcript names a log twice.")
    shown: dict[str, list[tuple[RecordPlace, CeremonyRecord]]] = {name: [] for name in origins}
    for one in records.records:
        if one.log not in origins:
            raise Refusal("records", SubIndication.FORMAT_FAILURE, f"{quote(one.log)} is no log of the ceremony.")
        record, renewals = _opened(one, origins[one.log], trust)
        shown[one.log].append((RecordPlace(renewals, one.index), record))
    for found in shown.values():
        places = [place for place, _ in found]
        if places != sorted(set(places)):
            raise Refusal("records", SubIndication.HASH_FAILURE, "The records do not follow each other in the log.")
    return shown


def _opened(one: LogRecord, origin: str, trust: TrustBundle) -> tuple[CeremonyRecord, int]:
    """A record, and how often the log had been renewed by then since the ceremony: the box's record of a bundle comes
    when somebody asks for it. Raises Refusal."""
    content = rfc8785.dumps(one.record)
    encoded = one.tlog_proof.encode()
    try:
        proof = TlogProof.parse(encoded)
        of = Checkpoint.parse(parse_note(proof.checkpoint).text).origin
        record = msgspec.json.decode(content, type=CeremonyRecord)
    except (MalformedProof, MalformedNote, msgspec.MsgspecError, UnicodeError) as error:
        raise Refusal(
            "records",
            SubIndication.FORMAT_FAILURE,
            f"The record of {quote(one.event)} is malformed: {quote(str(error))}.",
        ) from None
    if proof.extra is not None:
        raise Refusal(
            "records", SubIndication.FORMAT_FAILURE, f"The proof of {quote(one.event)} brings what no log signed."
        )
    if encode(record) != content:
        raise Refusal(
            "records", SubIndication.FORMAT_FAILURE, f"The record of {quote(one.event)} says more than it may."
        )
    included = check_proof(encoded, [partial(commitment, bytes.fromhex(one.salt), content)], trust)
    renewals = trust.renewals_between(origin, of)
    if included is None or renewals is None or proof.index != one.index:
        raise Refusal(
            "records",
            SubIndication.HASH_FAILURE,
            f"The log {quote(origin)} does not have the record of {quote(one.event)}.",
        )
    return record, renewals
