"""The execution of a bundle's ceremony: the proposal's actions in order, in time, with what they left. Pure."""

from __future__ import annotations

import datetime
import hashlib

from appliance.ceremonies import bundle as form
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.bundle import Step
from appliance.ceremonies.canonical import decode, instant
from appliance.ceremonies.certified import judge_certificates
from appliance.ceremonies.chain import VERSION_BYTES, ConstitutionVersion, check_succession
from appliance.ceremonies.errors import DocumentRefused, QuorumMissing, SuccessionRefused
from appliance.ceremonies.judged_documents import Documents, at_time, changed, failed
from appliance.evidence.certificates import spoken
from appliance.evidence.findings import Journal
from appliance.evidence.trust import TrustBundle
from appliance.quoting import escape, quote


def judge_execution(journal: Journal, found: Documents, trust: TrustBundle) -> None:
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


def _check_times(journal: Journal, found: Documents) -> None:
    transcript, proposal = found.transcript, found.proposal
    times = [transcript.submitted]
    for attempt in transcript.attempts:
        steps = [one for one in transcript.steps if one.attempt == attempt.attempt]
        times += [attempt.begun, *(one.ended for one in steps), attempt.ended]
        if any(one.begun is not None and one.begun > one.ended for one in steps):
            raise failed("times", "A step ended before it began.")
    times.append(transcript.ended)
    said = [transcript.submitted, *(one.received for one in transcript.said), transcript.ended]
    if times != sorted(times) or said != sorted(said):
        raise failed("times", "The transcript's times do not follow each other.")
    made = instant(proposal.made)
    if at_time(transcript.submitted) < made - datetime.timedelta(minutes=5):
        raise failed("times", "The proposal was submitted before it was made.")
    journal.passed(
        "times", f"From {spoken(transcript.submitted)} to {spoken(transcript.ended)} by the box's clock, in order."
    )


def _check_steps(journal: Journal, found: Documents) -> None:
    """The steps that were done are the proposal's actions, each once, in order; an attempt begins at the first that was
    not done, and ends with the first that failed."""
    transcript, tags = found.transcript, [str(one.__struct_config__.tag) for one in found.proposal.actions]
    numbers = [one.attempt for one in transcript.attempts]
    if numbers != list(range(1, len(numbers) + 1)) or {one.attempt for one in transcript.steps} - set(numbers):
        raise failed("steps", "The attempts are not numbered as they must be.")
    if [one.attempt for one in transcript.steps] != sorted(one.attempt for one in transcript.steps):
        raise failed("steps", "The steps of the attempts are mixed.")
    at = 0
    for attempt in transcript.attempts:
        ended = False
        for one in (step for step in transcript.steps if step.attempt == attempt.attempt):
            if ended or one.step != at or at >= len(tags) or one.action != tags[at]:
                raise failed("steps", f"Step {one.step + 1}, {quote(one.action)}, is not the proposal's next one.")
            ended = one.outcome == "failed"
            at += not ended
        if (attempt.state == "executed") is not (at == len(tags) and not ended):
            raise failed("steps", f"Attempt {attempt.attempt} is called {attempt.state}, and its steps say otherwise.")
        if attempt.state == "executed" and attempt is not transcript.attempts[-1]:
            raise failed("steps", "Something was executed after everything was done.")
    ends = transcript.attempts[-1].state if transcript.attempts else ""
    lawful = {"executed": {"executed"}, "failed": {"failed", "rejected"}, "": {"rejected", "expired"}}
    if transcript.state not in lawful[ends]:
        raise failed("steps", "The transcript's end is not that of its last attempt.")
    journal.passed(
        "steps", f"{at} of the proposal's {len(tags)} action(s) were done, each once and in the proposal's order."
    )


def _check_outputs(found: Documents, step: Step) -> None:
    for output in step.outputs:
        if output.file != form.output_file(step.step, output.name):
            raise failed("outputs", f"{quote(output.name)} of step {step.step + 1} stands under another name.")
        if hashlib.sha256(found.members[output.file]).hexdigest() != output.sha256:
            raise changed("outputs", f"{quote(output.file)} is not what step {step.step + 1} made.")


def _check_amendment(journal: Journal, found: Documents, step: Step) -> None:
    action = found.proposal.actions[step.step]
    if not isinstance(action, AmendConstitution):
        return
    name = next((one.file for one in step.outputs if one.name == "constitution.json"), None)
    if name is None:
        raise failed("amendment", "The version that the ceremony brought is not in the bundle.")
    try:
        version = decode(found.members[name], ConstitutionVersion, limit=VERSION_BYTES)
        check_succession(found.chain[-1].constitution, version)
    except (DocumentRefused, SuccessionRefused, QuorumMissing, IndexError) as error:
        raise failed("amendment", f"The version that it brought is not lawful: {escape(str(error))}.") from None
    if version.constitution != action.constitution:
        raise failed("amendment", "The version that took effect is not the one that was approved.")
    journal.passed("amendment", f"Version {version.constitution.version} of the constitution took effect, lawfully.")
