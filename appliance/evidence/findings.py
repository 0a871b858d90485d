"""What a check finds: the words of ETSI EN 319 102-1 (clauses 5.1.3 and 5.1.4), and the journal that collects them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from appliance.errors import CinnabarError


class Indication(StrEnum):
    """The status of a validation (EN 319 102-1, table 5)."""

    PASSED = "TOTAL-PASSED"
    INDETERMINATE = "INDETERMINATE"
    FAILED = "TOTAL-FAILED"

    @property
    def exit_code(self) -> int:
        """What the command line exits with: 0, 2, 1."""
        return {"TOTAL-PASSED": 0, "INDETERMINATE": 2, "TOTAL-FAILED": 1}[self.value]


class SubIndication(StrEnum):
    """Why a validation did not pass (EN 319 102-1, tables 5 and 6). Only the first six say that something is wrong;
    the others say that what is given does not decide it."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"

    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    NO_POE = "NO_POE"
    CUSTOM = "CUSTOM"

    @property
    def indication(self) -> Indication:
        """The status that goes with it."""
        return Indication.FAILED if self in _FAILURES else Indication.INDETERMINATE


_FAILURES = frozenset(list(SubIndication)[:6])


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check and what it showed, in plain words."""

    name: str
    outcome: Literal["passed", "undecided", "failed", "note"]
    sub_indication: SubIndication | None = None
    text: str


class Refusal(CinnabarError):
    """A check did not pass, and what depends on it cannot be checked. Equal inputs give equal words."""

    code = "not-verified"
    status = 422
    title = "The file was not verified"

    def __init__(self, name: str, sub_indication: SubIndication, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.sub_indication = sub_indication
        self.text = text


class Journal:
    """The checks of one object in the order they were made, and the conclusion that follows from them."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.relied_on: list[tuple[str, int | None]] = []
        """Algorithms, with bits of keys, that its object relies on, whether or not they have ended."""
        self._complete = False

    def passed(self, name: str, text: str) -> None:
        """A check passed."""
        self.checks.append(Check(name=name, outcome="passed", text=text))

    def note(self, name: str, text: str) -> None:
        """Something worth knowing that decides nothing."""
        self.checks.append(Check(name=name, outcome="note", text=text))

    def refuse(self, name: str, sub_indication: SubIndication, text: str) -> None:
        """A check did not pass; go on with the others."""
        failed = sub_indication.indication is Indication.FAILED
        outcome: Literal["failed", "undecided"] = "failed" if failed else "undecided"
        self.checks.append(Check(name=name, outcome=outcome, sub_indication=sub_indication, text=text))

    def add(self, refusal: Refusal) -> None:
        """Enter a raised refusal."""
        self.refuse(refusal.name, refusal.sub_indication, refusal.text)

    def expect(self, condition: bool, name: str, text: str, sub_indication: SubIndication, refusal: str) -> bool:
        """Enter one of the two outcomes; gives the condition back."""
        if condition:
            self.passed(name, text)
        else:
            self.refuse(name, sub_indication, refusal)
        return condition

    def complete(self) -> None:
        """Every check that the object needs was made. Without this word nothing passes."""
        self._complete = True

    @property
    def sub_indications(self) -> list[SubIndication]:
        """Why it did not pass, failures first, each once."""
        found = [check.sub_indication for check in self.checks if check.sub_indication is not None]
        ordered = sorted(found, key=lambda sub: sub.indication is not Indication.FAILED)
        return list(dict.fromkeys(ordered))

    @property
    def indication(self) -> Indication:
        """TOTAL-FAILED if one check failed, else INDETERMINATE if one was undecided or some were never made."""
        outcomes = {check.outcome for check in self.checks}
        if "failed" in outcomes:
            return Indication.FAILED
        if "undecided" in outcomes or not self._complete:
            return Indication.INDETERMINATE
        return Indication.PASSED


def worst(indications: list[Indication]) -> Indication:
    """The overall status: failed before indeterminate before passed; nothing at all decides nothing."""
    for indication in (Indication.FAILED, Indication.INDETERMINATE):
        if indication in indications:
            return indication
    return Indication.PASSED if indications else Indication.INDETERMINATE
