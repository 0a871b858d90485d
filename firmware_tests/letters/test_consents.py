"""Consents in any order of granting, asking, answering, revoking and passing time, against a plain model: nothing is
released but under a consent that holds at that moment, for what it says, and each question leaves its receipt."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from appliance.instants import rfc3339
from appliance.letters.errors import ConditionNotMet, EventRefused
from appliance.letters.judge import Asked, Decision, happened, judge
from appliance.letters.kind import LoadedKind
from appliance.letters.state import LetterState, follow
from appliance.letters.uniqueness import Use
from firmware_tests.letters.kinds import catalogue
from firmware_tests.letters.walking import ACTOR, START

CONSENT, RECEIPT = catalogue("consent"), catalogue("query-receipt")
HOUR_US = 3_600_000_000
FIRMS = tuple({"name": f"企业 {number}", "id": f"91440101MA5CXXXX{number}K"} for number in range(3))
ITEMS = ("income", "tax", "social-security")
PURPOSES = ("loan approval", "loan review")
firms = st.sampled_from(FIRMS)
items = st.lists(st.sampled_from(ITEMS), min_size=1, unique=True)
purposes = st.sampled_from(PURPOSES)


@dataclass
class Consent:
    """What a consent says, and what became of it, as plainly as it can be kept."""

    recipient: str
    subject: str
    scope: set[str]
    purpose: str
    until_us: int
    most: int | None
    asked: int = 0
    ended: bool = False


class Releases(RuleBasedStateMachine):
    granted = Bundle("granted")
    receipts = Bundle("receipts")

    @initialize()
    def begin(self) -> None:
        self.now_us = START
        self.numbers = itertools.count(1)
        self.letters: dict[str, LetterState] = {}
        self.consents: dict[str, Consent] = {}
        self.under: dict[str, str] = {}
        """The consent of each receipt."""

    def happen(self, kind: LoadedKind, letter: str, event: str, **asked: Any) -> Decision:
        """An event that the judge takes. Raises what it refuses with."""
        before = self.letters.get(letter)
        decision = judge(
            kind, before, Asked(event, letter, **asked), ACTOR, frozenset("*"), self.now_us, dict(self.letters)
        )
        made = msgspec.structs.replace(decision.draft, at=happened(decision.at_us, before))
        self.letters[letter] = follow(before, made)
        return decision

    def holds(self, consent: Consent) -> bool:
        return not consent.ended and self.now_us <= consent.until_us

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours: int) -> None:
        self.now_us += hours * HOUR_US

    @rule(
        target=granted, recipient=firms, subject=firms, scope=items, purpose=purposes, hours=st.integers(1, 4),
        most=st.none() | st.integers(1, 2),
    )  # fmt: skip
    def grant(
        self,
        recipient: dict[str, str],
        subject: dict[str, str],
        scope: list[str],
        purpose: str,
        hours: int,
        most: int | None,
    ) -> str:
        number = next(self.numbers)
        letter, until_us = f"{number:032x}", self.now_us + hours * HOUR_US
        fields = {
            "number": f"C-{number}", "recipient": recipient, "subject": subject, "purpose": purpose,
            "scope": [{"item": one} for one in scope], "valid_until": rfc3339(until_us), "text_shown": "00" * 32,
        } | ({} if most is None else {"uses": most})  # fmt: skip
        self.happen(CONSENT, letter, "grant", fields=fields, data={"device": "203.0.113.7"})
        self.consents[letter] = Consent(recipient["id"], subject["id"], set(scope), purpose, until_us, most)
        return letter

    @rule(letter=granted, event=st.sampled_from(("revoke", "expire")))
    def end(self, letter: str, event: str) -> None:
        consent = self.consents[letter]
        if consent.ended or (event == "expire" and self.now_us < consent.until_us):
            with pytest.raises(EventRefused):
                self.happen(CONSENT, letter, event)
            return
        self.happen(CONSENT, letter, event)
        consent.ended = True

    @rule(target=receipts, letter=granted, asker=firms, subject=firms, wanted=items, purpose=purposes)
    def ask(self, letter: str, asker: dict[str, str], subject: dict[str, str], wanted: list[str], purpose: str) -> str:
        return self.asked(letter, asker, subject, wanted, purpose)

    @rule(target=receipts, letter=granted)
    def ask_for_what_it_says(self, letter: str) -> str:
        one = self.consents[letter]
        recipient, subject = (
            next(firm for firm in FIRMS if firm["id"] == party) for party in (one.recipient, one.subject)
        )
        return self.asked(letter, recipient, subject, sorted(one.scope), one.purpose)

    def asked(
        self, letter: str, asker: dict[str, str], subject: dict[str, str], wanted: list[str], purpose: str
    ) -> str:
        """The receipt's letter; one that stands for nothing where nothing was released."""
        consent, receipt = self.consents[letter], f"{next(self.numbers):032x}"
        fields = {
            "asker": asker, "subject": subject, "purpose": purpose, "items": [{"item": one} for one in wanted],
            "consent": letter, "source": FIRMS[0], "question": "11" * 32,
        }  # fmt: skip
        right = (
            self.holds(consent)
            and (asker["id"], subject["id"], purpose) == (consent.recipient, consent.subject, consent.purpose)
            and set(wanted) <= consent.scope
        )
        head = self.letters[letter].head
        if not right:
            with pytest.raises(ConditionNotMet):
                self.happen(RECEIPT, receipt, "ask", fields=fields)
            return ""
        decision = self.happen(RECEIPT, receipt, "ask", fields=fields)
        assert [(one.letter, one.head) for one in decision.draft.references] == [(letter, head)]
        counted = () if consent.most is None else (Use("", "serves_query", (letter,), 1, consent.most),)
        assert (
            decision.uses == counted
        )  # for the recorder, which refuses what is beyond (recorder/test_letter_properties)
        if consent.most is not None and consent.asked >= consent.most:
            del self.letters[receipt]
            return ""
        consent.asked += 1
        self.under[receipt] = letter
        return receipt

    @rule(receipt=receipts)
    def answer(self, receipt: str) -> None:
        """What is released is looked at once more: the consent may have ended since the question."""
        if not receipt:
            return
        right = self.letters[receipt].state == "asked" and self.holds(self.consents[self.under[receipt]])
        answered = {"answer": "22" * 32}
        if right:
            self.happen(RECEIPT, receipt, "answer", data=answered)
            return
        with pytest.raises((ConditionNotMet, EventRefused)):
            self.happen(RECEIPT, receipt, "answer", data=answered)


TestReleases = Releases.TestCase
TestReleases.settings = settings(max_examples=150, stateful_step_count=30)
