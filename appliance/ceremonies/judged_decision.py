"""The decision of a bundle's ceremony, counted anew from what officers signed, under the constitution of then. Pure."""

from __future__ import annotations

from appliance.ceremonies import bundle as form
from appliance.ceremonies.canonical import instant, instant_text
from appliance.ceremonies.chain import verified_statements
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.judged_documents import Documents, at_time, changed, failed
from appliance.ceremonies.proposal import check_proposal
from appliance.ceremonies.quorum import require, tally, withdrawn
from appliance.ceremonies.statements import ReceivedStatement
from appliance.errors import CinnabarError
from appliance.evidence.findings import Journal
from appliance.quoting import escape, quote


def judge_decision(journal: Journal, found: Documents) -> None:
    if not found.chain:
        raise failed("law", "There is no constitution in the bundle.")
    law, proposal, transcript = found.chain[-1].constitution, found.proposal, found.transcript
    if transcript.proposal != found.digest:
        raise changed("proposal", "The transcript is of another proposal.")
    journal.passed("proposal", f"{quote(proposal.title)} for {proposal.requester}: SHA-256 {found.digest}")
    strangers = [one for one in found.statements if one.statement.proposal != found.digest]
    if strangers:
        raise failed("statements", f"A statement of {strangers[0].statement.officer} is about another proposal.")
    verified = verified_statements(proposal, law, found.statements, found.chain)
    counting: set[tuple[str, str, str]] = {(one.verb, one.officer, one.credential) for one in verified}
    for one, said in zip(found.statements, transcript.said, strict=True):
        _check_said(journal, one, said, counting)
    _check_outcome(journal, found, law)


def _check_said(journal: Journal, one: ReceivedStatement, said: form.Said, counting: set[tuple[str, str, str]]) -> None:
    statement = one.statement
    if (said.verb, said.officer) != (statement.verb, statement.officer) or (
        instant_text(at_time(said.received // 1_000_000 * 1_000_000)) != one.received
    ):
        raise changed("statements", "The transcript tells of other statements than the officers made.")
    holds = (statement.verb, statement.officer, statement.credential) in counting
    if holds is not said.counts:
        raise failed("statements", f"The transcript is wrong about whether {statement.officer}'s statement holds.")
    kind = "passkey" if statement.evidence.__struct_config__.tag == "passkey" else "card"
    if holds:
        journal.passed("statement", f"{statement.officer}: {statement.verb}, signed with a {kind}, {one.received}")
    else:
        journal.note("statement", f"{statement.officer}: {statement.verb} does not hold under that constitution.")


def _check_outcome(journal: Journal, found: Documents, law: Constitution) -> None:
    proposal, transcript = found.proposal, found.transcript
    for attempt in transcript.attempts:
        _check_quorum(journal, found, attempt)
    ended = at_time(transcript.ended)
    how = tally(proposal, law, verified_statements(proposal, law, found.statements, found.chain), ended)
    if transcript.attempts and transcript.state != "rejected":
        if withdrawn(how):
            journal.note("quorum", "Officers rejected it after the execution had failed: it could be executed no more.")
        return
    if transcript.attempts:
        if not withdrawn(how):
            raise failed("quorum", "The transcript says that it was withdrawn; by the statements it was not.")
        who = ", ".join(sorted({officer for part in how.scopes for officer in part.rejected}))
        journal.passed(
            "quorum", f"After the execution had failed {who or 'officers'} withdrew it: it was not executed any more."
        )
        return
    if how.outcome != transcript.state:
        raise failed(
            "quorum", f"The transcript says {transcript.state}; by the statements the proposal was {how.outcome}."
        )
    journal.passed("quorum", f"The proposal was {how.outcome}, and nothing was executed.")


def _check_quorum(journal: Journal, found: Documents, attempt: form.Attempt) -> None:
    """Whether the quorum stood when an execution began, under the constitution of then; what was said afterwards can
    have taken it away for later executions only."""
    proposal, at = found.proposal, at_time(attempt.begun)
    heard: list[ReceivedStatement] = []
    for one, said in zip(found.statements, found.transcript.said, strict=True):
        if said.received <= attempt.begun:
            heard.append(one)
        elif one.statement.verb != "reject" or said.received < attempt.ended:
            raise failed("quorum", "A statement came after the execution had begun.")
    chain = [one for number, one in enumerate(found.chain) if not number or instant(one.adopted) <= at]
    law = chain[-1].constitution
    try:
        check_proposal(proposal, law, at)
        shown = require(proposal, law, verified_statements(proposal, law, heard, chain), at)
    except CinnabarError as error:
        raise failed("quorum", f"The quorum had not approved this: {escape(str(error))}.") from None
    for part in shown.scopes:
        who = ", ".join(part.approved) or f"{proposal.requester} alone, who takes power away"
        again = f", execution {attempt.attempt}" if attempt.attempt > 1 else ""
        journal.passed(
            "quorum", f"{part.scope}{again}: approved by {who} ({part.threshold} needed beside the requester)."
        )
