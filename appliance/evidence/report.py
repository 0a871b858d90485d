"""The report: what `cinnabar verify --json` prints and /v1/verify answers. Every string from a file is escaped."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.evidence.findings import Check, Indication, SubIndication
from appliance.evidence.letters.facts import LetterFacts


class TimeWord(msgspec.Struct, frozen=True, kw_only=True):
    """A time and who says it."""

    time: str
    """ISO 8601, UTC."""
    time_us: int
    """Microseconds since 1970-01-01T00:00:00Z, no leap seconds."""
    by: str
    """Who says so, in words."""
    source: str
    """The file that says it, as named in this report."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, token or proof within a file."""

    title: str
    indication: Indication
    sub_indications: list[SubIndication]
    checks: list[Check]


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one file."""

    name: str
    """As given, escaped."""
    kind: str
    size: int | None
    """Bytes; null for a digest."""
    sha256: str | None
    indication: Indication | None
    """Null for helpers: certificates and revocation lists, which are used and not judged."""
    sub_indications: list[SubIndication]
    parts: list[Part]
    covers: list[str]
    """Names of the given files that this one speaks about."""
    covered_by: list[str]
    """Names of the given files that speak about this one."""
    claimed: list[TimeWord]
    """What the box claims."""
    existed_no_later_than: TimeWord | None
    """Said by a party other than the box whose class the trust bundle accepts for time."""
    letter: LetterFacts | msgspec.UnsetType = msgspec.UNSET
    """Of evidence of a letter: what it says, as far as it could be read."""


class TrustSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The trust bundle that was used."""

    constitution: str
    signer: str
    """SHA-256 of the SubjectPublicKeyInfo that signed this version."""
    version: int
    digest: str
    rehearsal: bool
    issued: str
    expires: str
    first_use: bool
    """True: its signing key was believed because it was the first one seen."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one call of verify."""

    format: str = "cinnabar-report/1"
    indication: Indication
    sub_indications: list[SubIndication]
    validation_time: str
    """The time that “now” meant, ISO 8601, UTC."""
    trust: TrustSummary
    notes: list[str]
    """What concerns the whole report."""
    files: list[FileReport]

    @property
    def exit_code(self) -> int:
        """0 for TOTAL-PASSED, 2 for INDETERMINATE, 1 for TOTAL-FAILED."""
        return self.indication.exit_code


def merged(groups: Sequence[Sequence[SubIndication]]) -> list[SubIndication]:
    """Sub-indications of several parts, each once, failures first."""
    found = dict.fromkeys(sub for group in groups for sub in group)
    return sorted(found, key=lambda sub: sub.indication is not Indication.FAILED)
