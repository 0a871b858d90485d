"""What the printed transcript of a ceremony says, both languages side by side: the data of its template. Pure.

Free text is escaped here as everywhere that people read; the template only sets it.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

from appliance.ceremonies.bundle import Said, Step, Transcript
from appliance.ceremonies.canonical import digest, encode
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.explain import explain, explain_action
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.printed_facts import told
from appliance.ceremonies.proposal import Proposal, digest_words
from appliance.ceremonies.statements import ReceivedStatement
from appliance.quoting import escape, quote

STATES: Final = {
    "executed": ("executed", "已执行"),
    "failed": ("failed", "执行失败"),
    "rejected": ("rejected: nothing was executed", "已否决，未执行任何操作"),
    "expired": ("expired: nothing was executed", "已过期，未执行任何操作"),
}
WITHDRAWN: Final = ("withdrawn after an execution that failed", "执行失败后被撤回")
VERBS: Final = {
    "request": ("requests", "发起"),
    "approve": ("approves", "批准"),
    "reject": ("rejects", "否决"),
    "take-away": ("takes away, alone", "单独撤停"),
    "accept": ("accepts the office", "接受任职"),
}
EVIDENCE: Final = {"passkey": ("passkey", "通行密钥"), "card": ("card", "智能卡")}


def printed(
    proposal: Proposal, law: Constitution, statements: list[ReceivedStatement], transcript: Transcript
) -> dict[str, Any]:
    """The members that the template `ceremony` has places for."""
    name = digest(encode(proposal))
    return {
        "title": quote(proposal.title, longest=None),
        "rehearsal": law.rehearsal,
        "box": law.box,
        "state": list(state_of(transcript)),
        "digest": name,
        "words": [numbered(digest_words(name)), numbered(digest_words(name, "chinese_simplified"))],
        "law": {"version": law.version, "digest": law.digest},
        "times": [
            {"what": ["Submitted", "提交"], "time": spoken(transcript.submitted)},
            *(
                {"what": [f"Execution {one.attempt} began", f"第 {one.attempt} 次执行开始"], "time": spoken(one.begun)}
                for one in transcript.attempts
            ),
            {"what": ["Ended", "结束"], "time": spoken(transcript.ended)},
        ],
        "scripts": [script(proposal, law, at) for at in range(len(LANGUAGES))],
        "said": [
            shown_statement(one, said, law) for one, said in zip(statements, transcript.said, strict=True)
        ],
        "steps": [shown_step(one, proposal, law) for one in transcript.steps],
        "questions": [
            {"step": one.step + 1, "prompt": escape(one.prompt, longest=None), "state": one.state,
             "asked": spoken(one.asked), "ended": spoken(one.ended) if one.ended is not None else "–"}
            for one in transcript.questions
        ],
        "exceptions": [
            {"step": one.step + 1, "attempt": one.attempt, "time": spoken(one.time),
             "expected": [one.expected.en, one.expected.zh], "happened": escape(one.happened, longest=None),
             "decided": [one.decided.en, one.decided.zh]}
            for one in transcript.exceptions
        ],
        "logs": [one.origin for one in transcript.logs],
        "present": present(proposal, law, transcript),
    }  # fmt: skip


def state_of(transcript: Transcript) -> tuple[str, str]:
    if transcript.state == "rejected" and transcript.attempts:
        return WITHDRAWN
    return STATES[transcript.state]


def numbered(words: str) -> list[str]:
    return words.split()


def spoken(time_us: int) -> str:
    """Microseconds since the epoch, as a line of the transcript shows them."""
    at = datetime.datetime.fromtimestamp(time_us / 1_000_000, datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def script(proposal: Proposal, law: Constitution, at: int) -> dict[str, Any]:
    """The proposal in plain words, in one language."""
    said = explain(proposal, LANGUAGES[at], law)

    def facts(found: Any) -> list[list[str]]:
        return [[one.label, one.value] for one in found]

    return {
        "language": LANGUAGES[at],
        "summary": said.summary.sentence,
        "facts": facts(said.summary.facts),
        "steps": [{"sentence": one.sentence, "facts": facts(one.facts)} for one in said.steps],
        "binding": facts(said.binding),
    }


def person_of(identifier: str, law: Constitution) -> str:
    person = law.person(identifier)
    return f"{escape(person.name)} ({identifier})" if person is not None else identifier


def shown_statement(one: ReceivedStatement, said: Said, law: Constitution) -> dict[str, Any]:
    statement = one.statement
    return {
        "officer": person_of(statement.officer, law),
        "verb": list(VERBS[statement.verb]),
        "with": list(EVIDENCE[str(statement.evidence.__struct_config__.tag)]),
        "time": spoken(said.received),
        "counts": said.counts,
    }


def shown_step(one: Step, proposal: Proposal, law: Constitution) -> dict[str, Any]:
    action = proposal.actions[one.step]
    return {
        "number": one.step + 1,
        "attempt": one.attempt,
        "sentence": [explain_action(action, language, law).sentence for language in LANGUAGES],
        "begun": spoken(one.begun) if one.begun is not None else "–",
        "ended": spoken(one.ended),
        "done": one.outcome == "done",
        "facts": told(one.facts),
        "outputs": [[escape(output.file or output.name), output.sha256] for output in one.outputs],
        "error": escape(one.error, longest=None),
    }


def present(proposal: Proposal, law: Constitution, transcript: Transcript) -> list[str]:
    """Who signs on paper: the requester and whoever said something that counts, each once."""
    names = dict.fromkeys([proposal.requester, *(one.officer for one in transcript.said if one.counts)])
    return [person_of(name, law) for name in names]
