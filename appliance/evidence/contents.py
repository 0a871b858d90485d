"""What a SignedData is about: one content, the same for all of its signers (RFC 5652, sections 5.1 and 5.4).

Nothing in a SignedData is bound to its signers as a whole: whoever holds two seals of two documents can put both
SignerInfos into one. So a document counts as sealed only where every signer covers exactly it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.signatures import digest
from appliance.evidence.signers import signed_digest
from appliance.evidence.subjects import Subject, matching


@dataclass(frozen=True)
class SignedContent:
    """What the signers of one SignedData agree on."""

    subjects: tuple[int, ...] = ()
    """Indexes of the files and digests that every signer covers."""
    refusal: Refusal | None = None
    """Why the signers do not agree, or are not shown to."""


def signed_content(signed_data: cms.SignedData, subjects: Sequence[Subject]) -> SignedContent:
    """Which of the subjects the SignedData is about. A signer without a readable digest is left to its own checks."""
    digests = _digests(signed_data)
    if len({name for name, _ in digests}) != len(digests):
        return SignedContent(refusal=_different())
    matches = [set(matching(subjects, name, value)) for name, value in digests]
    common = tuple(sorted(set[int].intersection(*matches))) if matches else ()
    if signed_data.content is not None:
        whole = all(digest(name, signed_data.content) == value for name, value in digests)
        return SignedContent(common if whole else ())
    if common or not any(matches):
        return SignedContent(common)
    found = [subjects[index] for index in sorted(set[int].union(*matches))]
    if any(one.digest(name) not in (None, value) for one in found for name, value in digests):
        return SignedContent(refusal=_different())
    return SignedContent(
        refusal=Refusal(
            "content",
            SubIndication.SIGNED_DATA_NOT_FOUND,
            "Nothing given shows that the signers of this seal, who used different digests, signed one document.",
        )
    )


def _digests(signed_data: cms.SignedData) -> list[tuple[str, bytes]]:
    """Name and value of each digest that was signed, each once."""
    found: list[tuple[str, bytes]] = []
    for signer in signed_data.signers:
        try:
            found.append(signed_digest(signer))
        except (DerError, Refusal):
            continue
    return list(dict.fromkeys(found))


def _different() -> Refusal:
    return Refusal(
        "content",
        SubIndication.HASH_FAILURE,
        "The signers of this seal signed different documents; a seal has one document (RFC 5652, section 5.1).",
    )
