"""Whether a record bundle holds, offline: a pure function of its bytes and of a trust bundle (control QUORUM).

Nothing in the bundle is believed because it stands there. The constitution is followed from the founding that the
trust bundle names; the decision is counted anew from officers' signatures; and every event must stand, opened, in a log
that the trust bundle names, as must the box's own record of the bundle as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.ceremonies import bundle as form
from appliance.ceremonies.canonical import digest, instant
from appliance.ceremonies.chain import check_chain
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.errors import BundleRefused, DocumentRefused, QuorumMissing, SuccessionRefused
from appliance.ceremonies.explain import explain
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.judged_decision import judge_decision
from appliance.ceremonies.judged_documents import Documents, changed, decided_at, failed, read_documents
from appliance.ceremonies.judged_execution import judge_execution
from appliance.ceremonies.opened import expected_records, judge_records, own_event
from appliance.ceremonies.proposal import digest_words
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


def judge_bundle(content: bytes, trust: TrustBundle, genesis: str | None = None) -> JudgedCeremony:
    """Judge a record bundle. `genesis`: SHA-256 of the first constitution (hexadecimal) where it was given by hand;
    else the trust bundle must name it."""
    judged = JudgedCeremony()
    journal = _part(judged, "record bundle")
    try:
        documents = read_documents(content)
    except (BundleRefused, DocumentRefused) as error:
        journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
        return judged
    _guarded(journal, lambda one: _judge_whole(one, documents, trust))
    _guarded(_part(judged, "constitution"), lambda one: _judge_chain(one, documents, trust, genesis))
    _guarded(_part(judged, "decision"), lambda one: judge_decision(one, documents))
    _guarded(_part(judged, "execution"), lambda one: judge_execution(one, documents, trust))
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


# The container


def _judge_whole(journal: Journal, found: Documents, trust: TrustBundle) -> None:
    """The manifest, the logs' record of it, and the words for people."""
    _check_manifest(journal, found)
    _check_own_record(journal, found, trust)
    _check_scripts(journal, found)


def _check_manifest(journal: Journal, found: Documents) -> None:
    if found.members[form.MANIFEST] != form.manifest(found.members):
        raise changed("manifest", "The manifest is not of these members: something in the bundle is changed.")
    count = len(found.members) - 3
    journal.passed("manifest", f"{form.MANIFEST} has the SHA-256 of each of the {count} members that it is about.")


def _check_own_record(journal: Journal, found: Documents, trust: TrustBundle) -> None:
    """The box put the manifest's digest into the logs of the ceremony when it made the bundle."""
    wanted = digest(found.members[form.MANIFEST])
    shown = judge_records(found.own, found.transcript, trust)
    # The manifest is not about this member, so whatever no log holds of it must follow from what does.
    if any(one.event != own_event(found.transcript) for one in found.own.records):
        raise changed("box's record", "The box's record is called something else than what it is.")
    for log, records in shown.items():
        last = max((one.index for one in found.records.records if one.log == log), default=-1)
        if len(records) != 1:
            raise failed("box's record", f"The log {quote(log)} has not one record of this bundle.")
        index, record = records[0]
        if (record.event, record.proposal, record.artifact) != ("bundle", found.digest, wanted):
            raise changed("box's record", "The box's record is of another bundle: something in this one is changed.")
        if record.time < found.transcript.ended or index <= last:
            raise failed("box's record", "The box's record of the bundle is older than what it holds.")
        journal.passed(
            "box's record",
            f"The log {quote(log)} has, as its entry {index}, that the box made exactly this bundle at "
            f"{spoken(record.time)}.",
        )


def _check_scripts(journal: Journal, found: Documents) -> None:
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


# The constitution


def _judge_chain(journal: Journal, found: Documents, trust: TrustBundle, genesis: str | None) -> None:
    try:
        law = check_chain(found.chain)
    except (DocumentRefused, SuccessionRefused, QuorumMissing) as error:
        raise failed("succession", f"A version of the constitution is not lawful: {escape(str(error))}.") from None
    first = found.chain[0].constitution.digest
    count = len(found.chain)
    journal.passed(
        "succession",
        f"{count} version(s): each approved by every quorum that it concerned, and accepted by whoever was new in it.",
    )
    named, wanted = _founding(trust, genesis)
    if wanted is None:
        raise Refusal(
            "founding",
            SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
            "The trust bundle names no founding, and none was given. Compare with the founding's words, and give them: "
            f"--constitution {first}",
        )
    if not _is_founding(first, named, wanted):
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
        raise failed("rehearsal", "Rehearsal and production never verify each other.")
    _check_law(journal, found, law)


def _founding(trust: TrustBundle, genesis: str | None) -> tuple[str | None, str | None]:
    """SHA-256 of the first constitution: as the trust bundle names it, and the one to go by."""
    ceremonies = trust.document.ceremonies
    named = ceremonies.genesis if isinstance(ceremonies, CeremonyTrust) else None
    return named, genesis or named


def _is_founding(first: str, named: str | None, wanted: str | None) -> bool:
    return first == wanted and named in (None, first)


def followed_constitutions(content: bytes, trust: TrustBundle, genesis: str | None = None) -> list[Constitution]:
    """The versions in a record bundle, each lawful after the one before, from the founding that is trusted; none where
    they do not lead there. `genesis`: as of `judge_bundle`."""
    try:
        chain = read_documents(content).chain
        law = check_chain(chain)
    except CinnabarError:
        return []
    trusted = _is_founding(chain[0].constitution.digest, *_founding(trust, genesis))
    return [one.constitution for one in chain] if trusted and law.rehearsal is trust.document.rehearsal else []


def _check_law(journal: Journal, found: Documents, law: Constitution) -> None:
    transcript = found.transcript
    if transcript.law != law.digest or transcript.box != law.box:
        raise failed("law", "The transcript names another constitution, or another box.")
    if found.proposal.constitution not in {one.constitution.digest for one in found.chain}:
        raise failed("law", "The proposal was made under a constitution that was never in force.")
    if len(found.chain) > 1 and instant(found.chain[-1].adopted) > decided_at(transcript):
        raise failed("law", "The constitution took effect after the decision.")
    journal.passed("law", f"It was decided under version {law.version}, SHA-256 {law.digest}.")


# The logs


def _judge_logs(journal: Journal, found: Documents, trust: TrustBundle) -> None:
    """Every event of the transcript stands in every log of the ceremony, and nothing else of it does."""
    expected = expected_records(found.transcript, found.statements, found.proposal, found.digest)
    shown = judge_records(found.records, found.transcript, trust)
    if not shown:
        raise failed("records", "The bundle has no record of any log.")
    if found.proposal.audit.origin not in {one.origin for one in found.transcript.logs}:
        raise failed("records", "The log that the proposal names is not among the ceremony's.")
    for log, records in shown.items():
        if [record for _, record in records] != expected:
            raise changed("records", f"The log {quote(log)} tells of other events than the transcript.")
        first, last = records[0][0], records[-1][0]
        if found.proposal.audit.size > first and found.proposal.audit.origin in {
            one.origin for one in found.transcript.logs if one.log == log
        }:
            raise failed("records", "The proposal's requester had seen a log that had this ceremony already.")
        journal.passed(
            "records",
            f"The log {quote(log)} has all {len(records)} events, as entries {first} to {last}, each opened and under "
            "a head that the log signed.",
        )


__all__ = ["JudgedCeremony", "judge_bundle"]
