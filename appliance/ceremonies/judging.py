"""Whether a record bundle holds, offline: a pure function of its bytes and of a trust bundle (control QUORUM).

Nothing in the bundle is believed because it stands there. The constitution is followed from the founding that the
trust bundle names; the decision is counted anew from officers' signatures; and every event must stand, opened, in a log
that the trust bundle names, as must the box's own record of the bundle as a whole.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.ceremonies import bundle as form
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.bundle import Records, Statements, Step, Transcript
from appliance.ceremonies.canonical import decode, digest, instant, instant_text
from appliance.ceremonies.certified import judge_certificates
from appliance.ceremonies.chain import (
    VERSION_BYTES,
    ConstitutionVersion,
    check_chain,
    check_succession,
    verified_statements,
)
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.errors import BundleRefused, DocumentRefused, QuorumMissing, SuccessionRefused
from appliance.ceremonies.explain import LANGUAGES, explain
from appliance.ceremonies.opened import expected_records, judge_records
from appliance.ceremonies.proposal import Proposal, check_proposal, digest_words, read_proposal
from appliance.ceremonies.quorum import require, tally, withdrawn
from appliance.ceremonies.statements import ReceivedStatement
from appliance.errors import CinnabarError
from appliance.evidence.bundle import CeremonyTrust
from appliance.evidence.certificates import spoken
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.trust import TrustBundle
from appliance.quoting import escape, quote


@dataclass
class JudgedCeremony:
    """What a record bundle shows."""

    parts: list[tuple[str, Journal]] = field(default_factory=list)
    table: str | None = None
    missing: str | None = None
    """It speaks about no other file."""
    claimed_us: int | None = None
    """When the box says that the ceremony ended."""
    claimed_by: str = "the record of the ceremony"


@dataclass(frozen=True)
class _Documents:
    """The bundle's documents, each in its canonical form."""

    members: Mapping[str, bytes]
    proposal: Proposal
    digest: str
    statements: list[ReceivedStatement]
    chain: list[ConstitutionVersion]
    transcript: Transcript
    records: Records
    own: Records


def judge_bundle(content: bytes, trust: TrustBundle, genesis: str | None = None) -> JudgedCeremony:
    """Judge a record bundle. `genesis`: SHA-256 of the first constitution (hexadecimal) where it was given by hand;
    else the trust bundle must name it."""
    judged = JudgedCeremony()
    journal = _part(judged, "record bundle")
    try:
        documents = _read(content)
    except (BundleRefused, DocumentRefused) as error:
        journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
        return judged
    _guarded(journal, lambda one: _judge_whole(one, documents, trust))
    _guarded(_part(judged, "constitution"), lambda one: _judge_chain(one, documents, trust, genesis))
    _guarded(_part(judged, "decision"), lambda one: _judge_decision(one, documents))
    _guarded(_part(judged, "execution"), lambda one: _judge_execution(one, documents, trust))
    _guarded(_part(judged, "logs"), lambda one: _judge_logs(one, documents, trust))
    judged.claimed_us = documents.transcript.ended
    return judged


def _part(judged: JudgedCeremony, title: str) -> Journal:
    journal = Journal()
    judged.parts.append((title, journal))
    return journal


def _guarded(journal: Journal, judge: Callable[[Journal], None]) -> None:
    try:
        judge(journal)
        journal.complete()
    except Refusal as refusal:
        journal.add(refusal)
    except CinnabarError as error:
        journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")


_OF_SIGNATURES = frozenset(("succession", "statements", "quorum", "amendment"))
"""Checks of what officers signed; the others are of what the documents say."""


def _failed(name: str, text: str) -> Refusal:
    signed = name in _OF_SIGNATURES
    return Refusal(name, SubIndication.SIG_CRYPTO_FAILURE if signed else SubIndication.HASH_FAILURE, text)


def _changed(name: str, text: str) -> Refusal:
    return Refusal(name, SubIndication.HASH_FAILURE, text)


# --- the container ---------------------------------------------------------------------------------------------------


def _read(content: bytes) -> _Documents:
    """Raises BundleRefused, DocumentRefused."""
    members = form.unpack(content)
    if form.read_member(members, form.MIMETYPE) != form.ASIC_E:
        raise BundleRefused("the container is not an ASiC-E")
    text = form.read_member(members, form.PROPOSAL)
    proposal = read_proposal(text)
    chain: list[ConstitutionVersion] = []
    while (name := f"{form.CONSTITUTION}{len(chain) + 1}.json") in members:
        chain.append(decode(members[name], ConstitutionVersion, limit=VERSION_BYTES))
    transcript = decode(form.read_member(members, form.TRANSCRIPT), Transcript)
    found = _Documents(
        members,
        proposal,
        digest(text),
        decode(form.read_member(members, form.STATEMENTS), Statements).statements,
        chain,
        transcript,
        decode(form.read_member(members, form.RECORDS), Records, limit=form.BUNDLE_BYTES),
        decode(form.read_member(members, form.BUNDLE_RECORD), Records, limit=form.BUNDLE_BYTES),
    )
    fixed = {
        *(form.MIMETYPE, form.MANIFEST, form.PROPOSAL, form.STATEMENTS, form.TRANSCRIPT, form.RECORDS),
        *(*form.SCRIPTS.values(), form.PRINTED, form.BUNDLE_RECORD),
        *(f"{form.CONSTITUTION}{number + 1}.json" for number in range(len(chain))),
        *(output.file for step in transcript.steps for output in step.outputs if output.file),
    }
    if len(found.statements) != len(transcript.said):
        raise BundleRefused("the transcript tells of more or fewer statements than the officers made")
    if set(members) != fixed:
        odd = sorted(set(members) ^ fixed)[0]
        raise BundleRefused(f"{quote(odd)} is missing, or does not belong into it")
    return found


def _judge_whole(journal: Journal, found: _Documents, trust: TrustBundle) -> None:
    """The manifest, the logs' record of it, and the words for people."""
    _check_manifest(journal, found)
    _check_own_record(journal, found, trust)
    _check_scripts(journal, found)


def _check_manifest(journal: Journal, found: _Documents) -> None:
    if found.members[form.MANIFEST] != form.manifest(found.members):
        raise _changed("manifest", "The manifest is not of these members: something in the bundle is changed.")
    count = len(found.members) - 3
    journal.passed("manifest", f"{form.MANIFEST} has the SHA-256 of each of the {count} members that it is about.")


def _check_own_record(journal: Journal, found: _Documents, trust: TrustBundle) -> None:
    """The box put the manifest's digest into the logs of the ceremony when it made the bundle."""
    wanted = digest(found.members[form.MANIFEST])
    shown = judge_records(found.own, found.transcript, trust)
    for log, records in shown.items():
        last = max((one.index for one in found.records.records if one.log == log), default=-1)
        if len(records) != 1:
            raise _failed("box's record", f"The log {quote(log)} has not one record of this bundle.")
        index, record = records[0]
        if (record.event, record.proposal, record.artifact) != ("bundle", found.digest, wanted):
            raise _changed("box's record", "The box's record is of another bundle: something in this one is changed.")
        if record.time < found.transcript.ended or index <= last:
            raise _failed("box's record", "The box's record of the bundle is older than what it holds.")
        journal.passed(
            "box's record",
            f"The log {quote(log)} has, as its entry {index}, that the box made exactly this bundle at "
            f"{spoken(record.time)}.",
        )


def _check_scripts(journal: Journal, found: _Documents) -> None:
    law = found.chain[-1].constitution if found.chain else None
    for language in LANGUAGES:
        name = form.SCRIPTS[language]
        if found.members[name] == explain(found.proposal, language, law).text().encode():
            journal.passed("plain words", f"{name} is what this verifier itself reads in the proposal.")
        else:
            journal.note(
                "plain words",
                f"{name} is in other words than this verifier's. Read the proposal with: cinnabar proposal show",
            )


# --- the constitution ------------------------------------------------------------------------------------------------


def _judge_chain(journal: Journal, found: _Documents, trust: TrustBundle, genesis: str | None) -> None:
    try:
        law = check_chain(found.chain)
    except (DocumentRefused, SuccessionRefused, QuorumMissing) as error:
        raise _failed("succession", f"A version of the constitution is not lawful: {escape(str(error))}.") from None
    first = found.chain[0].constitution.digest
    count = len(found.chain)
    journal.passed(
        "succession",
        f"{count} version(s): each approved by every quorum that it concerned, and accepted by whoever was new in it.",
    )
    ceremonies = trust.document.ceremonies
    named = ceremonies.genesis if isinstance(ceremonies, CeremonyTrust) else None
    wanted = genesis or named
    if wanted is None:
        raise Refusal(
            "founding",
            SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
            "The trust bundle names no founding, and none was given. Compare with the founding's words, and give them: "
            f"--constitution {first}",
        )
    if first != wanted or (named is not None and named != first):
        raise Refusal(
            "founding",
            SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
            "The constitution does not begin with the founding that is trusted: it is another one.",
        )
    by = "you gave" if genesis else "the trust bundle names"
    journal.passed(
        "founding", f"It begins with the founding that {by}: {' '.join(digest_words(first).split()[:4])} ... ({first})"
    )
    if law.rehearsal is not trust.document.rehearsal:
        raise _failed("rehearsal", "Rehearsal and production never verify each other.")
    _check_law(journal, found, law)


def _check_law(journal: Journal, found: _Documents, law: Constitution) -> None:
    transcript = found.transcript
    if transcript.law != law.digest or transcript.box != law.box:
        raise _failed("law", "The transcript names another constitution, or another box.")
    if found.proposal.constitution not in {one.constitution.digest for one in found.chain}:
        raise _failed("law", "The proposal was made under a constitution that was never in force.")
    decided = _decided(transcript)
    if len(found.chain) > 1 and instant(found.chain[-1].adopted) > decided:
        raise _failed("law", "The constitution took effect after the decision.")
    journal.passed("law", f"It was decided under version {law.version}, SHA-256 {law.digest}.")


# --- the decision ----------------------------------------------------------------------------------------------------


def _at(time_us: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time_us / 1_000_000, datetime.UTC)


def _decided(transcript: Transcript) -> datetime.datetime:
    """When the decision was judged: at the beginning of the last execution, or when officers or time ended it."""
    executed = transcript.state in {"executed", "failed"} and transcript.attempts
    return _at(transcript.attempts[-1].begun if executed else transcript.ended)


def _judge_decision(journal: Journal, found: _Documents) -> None:
    if not found.chain:
        raise _failed("law", "There is no constitution in the bundle.")
    law, proposal, transcript = found.chain[-1].constitution, found.proposal, found.transcript
    if transcript.proposal != found.digest:
        raise _changed("proposal", "The transcript is of another proposal.")
    journal.passed("proposal", f"{quote(proposal.title)} for {proposal.requester}: SHA-256 {found.digest}")
    strangers = [one for one in found.statements if one.statement.proposal != found.digest]
    if strangers:
        raise _failed("statements", f"A statement of {strangers[0].statement.officer} is about another proposal.")
    verified = verified_statements(proposal, law, found.statements)
    counting: set[tuple[str, str, str]] = {(one.verb, one.officer, one.credential) for one in verified}
    for one, said in zip(found.statements, transcript.said, strict=True):
        _check_said(journal, one, said, counting)
    _check_outcome(journal, found, law)


def _check_said(journal: Journal, one: ReceivedStatement, said: form.Said, counting: set[tuple[str, str, str]]) -> None:
    statement = one.statement
    if (said.verb, said.officer) != (statement.verb, statement.officer) or (
        instant_text(_at(said.received // 1_000_000 * 1_000_000)) != one.received
    ):
        raise _changed("statements", "The transcript tells of other statements than the officers made.")
    holds = (statement.verb, statement.officer, statement.credential) in counting
    if holds is not said.counts:
        raise _failed("statements", f"The transcript is wrong about whether {statement.officer}'s statement holds.")
    kind = "passkey" if statement.evidence.__struct_config__.tag == "passkey" else "card"
    if holds:
        journal.passed("statement", f"{statement.officer}: {statement.verb}, signed with a {kind}, {one.received}")
    else:
        journal.note("statement", f"{statement.officer}: {statement.verb} does not hold under that constitution.")


def _check_outcome(journal: Journal, found: _Documents, law: Constitution) -> None:
    proposal, transcript = found.proposal, found.transcript
    for attempt in transcript.attempts:
        _check_quorum(journal, found, attempt)
    ended = _at(transcript.ended)
    how = tally(proposal, law, verified_statements(proposal, law, found.statements), ended)
    if transcript.attempts and transcript.state != "rejected":
        if withdrawn(how):
            journal.note("quorum", "Officers rejected it after the execution had failed: it could be executed no more.")
        return
    if transcript.attempts:
        if not withdrawn(how):
            raise _failed("quorum", "The transcript says that it was withdrawn; by the statements it was not.")
        who = ", ".join(sorted({officer for part in how.scopes for officer in part.rejected}))
        journal.passed(
            "quorum", f"After the execution had failed {who or 'officers'} withdrew it: it was not executed any more."
        )
        return
    if how.outcome != transcript.state:
        raise _failed(
            "quorum", f"The transcript says {transcript.state}; by the statements the proposal was {how.outcome}."
        )
    journal.passed("quorum", f"The proposal was {how.outcome}, and nothing was executed.")


def _check_quorum(journal: Journal, found: _Documents, attempt: form.Attempt) -> None:
    """Whether the quorum stood when an execution began, under the constitution of then; what was said afterwards can
    have taken it away for later executions only."""
    proposal, at = found.proposal, _at(attempt.begun)
    heard: list[ReceivedStatement] = []
    for one, said in zip(found.statements, found.transcript.said, strict=True):
        if said.received <= attempt.begun:
            heard.append(one)
        elif one.statement.verb != "reject" or said.received < attempt.ended:
            raise _failed("quorum", "A statement came after the execution had begun.")
    laws = [one.constitution for number, one in enumerate(found.chain) if not number or instant(one.adopted) <= at]
    law = laws[-1]
    try:
        check_proposal(proposal, law, at)
        shown = require(proposal, law, verified_statements(proposal, law, heard), at)
    except CinnabarError as error:
        raise _failed("quorum", f"The quorum had not approved this: {escape(str(error))}.") from None
    for part in shown.scopes:
        who = ", ".join(part.approved) or f"{proposal.requester} alone, who takes power away"
        again = f", execution {attempt.attempt}" if attempt.attempt > 1 else ""
        journal.passed(
            "quorum", f"{part.scope}{again}: approved by {who} ({part.threshold} needed beside the requester)."
        )


# --- the execution ---------------------------------------------------------------------------------------------------


def _judge_execution(journal: Journal, found: _Documents, trust: TrustBundle) -> None:
    transcript = found.transcript
    _check_steps(journal, found)
    _check_times(journal, found)
    done = {one.step: one for one in transcript.steps if one.outcome == "done"}
    for step in done.values():
        _check_outputs(found, step)
        _check_amendment(journal, found, step)
    judge_certificates(journal, done.values(), found.proposal.actions, found.members, trust)
    for one in transcript.exceptions:
        journal.note("exception", f"Step {one.step + 1}, attempt {one.attempt}: {escape(one.happened)}")


def _check_times(journal: Journal, found: _Documents) -> None:
    transcript, proposal = found.transcript, found.proposal
    times = [transcript.submitted]
    for attempt in transcript.attempts:
        steps = [one for one in transcript.steps if one.attempt == attempt.attempt]
        times += [attempt.begun, *(one.ended for one in steps), attempt.ended]
        if any(one.begun is not None and one.begun > one.ended for one in steps):
            raise _failed("times", "A step ended before it began.")
    times.append(transcript.ended)
    said = [transcript.submitted, *(one.received for one in transcript.said), transcript.ended]
    if times != sorted(times) or said != sorted(said):
        raise _failed("times", "The transcript's times do not follow each other.")
    made = instant(proposal.made)
    if _at(transcript.submitted) < made - datetime.timedelta(minutes=5):
        raise _failed("times", "The proposal was submitted before it was made.")
    journal.passed(
        "times", f"From {spoken(transcript.submitted)} to {spoken(transcript.ended)} by the box's clock, in order."
    )


def _check_steps(journal: Journal, found: _Documents) -> None:
    """The steps that were done are the proposal's actions, each once, in order; an attempt begins at the first that was
    not done, and ends with the first that failed."""
    transcript, tags = found.transcript, [str(one.__struct_config__.tag) for one in found.proposal.actions]
    numbers = [one.attempt for one in transcript.attempts]
    if numbers != list(range(1, len(numbers) + 1)) or {one.attempt for one in transcript.steps} - set(numbers):
        raise _failed("steps", "The attempts are not numbered as they must be.")
    if [one.attempt for one in transcript.steps] != sorted(one.attempt for one in transcript.steps):
        raise _failed("steps", "The steps of the attempts are mixed.")
    at = 0
    for attempt in transcript.attempts:
        ended = False
        for one in (step for step in transcript.steps if step.attempt == attempt.attempt):
            if ended or one.step != at or at >= len(tags) or one.action != tags[at]:
                raise _failed("steps", f"Step {one.step + 1}, {quote(one.action)}, is not the proposal's next one.")
            ended = one.outcome == "failed"
            at += not ended
        if (attempt.state == "executed") is not (at == len(tags) and not ended):
            raise _failed("steps", f"Attempt {attempt.attempt} is called {attempt.state}, and its steps say otherwise.")
        if attempt.state == "executed" and attempt is not transcript.attempts[-1]:
            raise _failed("steps", "Something was executed after everything was done.")
    ends = transcript.attempts[-1].state if transcript.attempts else ""
    lawful = {"executed": {"executed"}, "failed": {"failed", "rejected"}, "": {"rejected", "expired"}}
    if transcript.state not in lawful[ends]:
        raise _failed("steps", "The transcript's end is not that of its last attempt.")
    journal.passed(
        "steps", f"{at} of the proposal's {len(tags)} action(s) were done, each once and in the proposal's order."
    )


def _check_outputs(found: _Documents, step: Step) -> None:
    for output in step.outputs:
        if output.file != form.output_file(step.step, output.name):
            raise _failed("outputs", f"{quote(output.name)} of step {step.step + 1} stands under another name.")
        if hashlib.sha256(found.members[output.file]).hexdigest() != output.sha256:
            raise _changed("outputs", f"{quote(output.file)} is not what step {step.step + 1} made.")


def _check_amendment(journal: Journal, found: _Documents, step: Step) -> None:
    action = found.proposal.actions[step.step]
    if not isinstance(action, AmendConstitution):
        return
    name = next((one.file for one in step.outputs if one.name == "constitution.json"), None)
    if name is None:
        raise _failed("amendment", "The version that the ceremony brought is not in the bundle.")
    try:
        version = decode(found.members[name], ConstitutionVersion, limit=VERSION_BYTES)
        check_succession(found.chain[-1].constitution, version)
    except (DocumentRefused, SuccessionRefused, QuorumMissing, IndexError) as error:
        raise _failed("amendment", f"The version that it brought is not lawful: {escape(str(error))}.") from None
    if version.constitution != action.constitution:
        raise _failed("amendment", "The version that took effect is not the one that was approved.")
    journal.passed("amendment", f"Version {version.constitution.version} of the constitution took effect, lawfully.")


# --- the logs --------------------------------------------------------------------------------------------------------


def _judge_logs(journal: Journal, found: _Documents, trust: TrustBundle) -> None:
    """Every event of the transcript stands in every log of the ceremony, and nothing else of it does."""
    expected = expected_records(found.transcript, found.statements, found.proposal, found.digest)
    shown = judge_records(found.records, found.transcript, trust)
    if not shown:
        raise _failed("records", "The bundle has no record of any log.")
    if found.proposal.audit.origin not in {one.origin for one in found.transcript.logs}:
        raise _failed("records", "The log that the proposal names is not among the ceremony's.")
    for log, records in shown.items():
        if [record for _, record in records] != expected:
            raise _changed("records", f"The log {quote(log)} tells of other events than the transcript.")
        first, last = records[0][0], records[-1][0]
        if found.proposal.audit.size > first and found.proposal.audit.origin in {
            one.origin for one in found.transcript.logs if one.log == log
        }:
            raise _failed("records", "The proposal's requester had seen a log that had this ceremony already.")
        journal.passed(
            "records",
            f"The log {quote(log)} has all {len(records)} events, as entries {first} to {last}, each opened and under "
            "a head that the log signed.",
        )


__all__ = ["JudgedCeremony", "judge_bundle"]
