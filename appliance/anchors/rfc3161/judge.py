"""Judging a time-stamp of another authority over a checkpoint: with the checks of the verifier (appliance.evidence), at
the time that the token states, with the authorities of the profile and the revocation lists and OCSP answers of the
receipt."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from appliance.anchors.judgement import NOTHING_KNOWN, AnchorRefused, Judgement, Known, Reason, Rule, Strength
from appliance.anchors.rfc3161.proof import StampProof, decoded, read_proof
from appliance.der import DerError
from appliance.evidence.certificates import Certificate, read_certificate
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.ocsp import read_ocsp_answer
from appliance.evidence.revocation import RevocationWord, read_revocation_list
from appliance.evidence.stamps import Stamp, StampTerms, judge_stamp_by, read_stamp
from appliance.evidence.trust import Authority

_Policy = Annotated[str, msgspec.Meta(pattern=r"\A[0-2](?:\.(?:0|[1-9][0-9]*))+\Z", max_length=200)]


class TrustedAuthority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate authority whose time-stamping units are believed."""

    certificate: str
    """DER in base64."""
    policies: Annotated[list[_Policy], msgspec.Meta(min_length=1, max_length=64)]
    """The policies of stamps that are accepted; no other counts."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a profile of type rfc3161."""

    authorities: Annotated[list[TrustedAuthority], msgspec.Meta(min_length=1, max_length=32)]


class StampReason(enum.StrEnum):
    """Why a time-stamp is refused as an anchor."""

    AUTHORITY_REFUSED = "stamp_authority_refused"
    """It is an answer that grants no token."""
    STAMP_ALTERED = "stamp_altered"
    """The signature does not hold, or not over what the token states."""
    FOREIGN_AUTHORITY = "stamp_foreign_authority"
    """No path leads from the signer's certificate to an authority of the profile."""
    POLICY = "stamp_policy"
    """The stamp was made under a policy that the profile does not accept."""
    REVOKED = "stamp_revoked"
    OUT_OF_VALIDITY = "stamp_out_of_validity"
    """The certificate was not valid at the time that the stamp states."""
    REVOCATION_UNKNOWN = "stamp_revocation_unknown"
    """No revocation list or OCSP answer in the receipt answers for the time of the stamp."""
    CONSTRAINTS = "stamp_constraints"
    """The stamp or its certificate breaks another rule of RFC 3161 or RFC 5816."""


_BY_SUB_INDICATION = {
    SubIndication.FORMAT_FAILURE: Reason.MALFORMED,
    SubIndication.HASH_FAILURE: StampReason.STAMP_ALTERED,
    SubIndication.SIG_CRYPTO_FAILURE: StampReason.STAMP_ALTERED,
    SubIndication.NO_CERTIFICATE_CHAIN_FOUND: StampReason.FOREIGN_AUTHORITY,
    SubIndication.REVOKED: StampReason.REVOKED,
    SubIndication.REVOKED_NO_POE: StampReason.REVOKED,
    SubIndication.REVOKED_CA_NO_POE: StampReason.REVOKED,
    SubIndication.EXPIRED: StampReason.OUT_OF_VALIDITY,
    SubIndication.NOT_YET_VALID: StampReason.OUT_OF_VALIDITY,
    SubIndication.TRY_LATER: StampReason.REVOCATION_UNKNOWN,
}


def judge(proof: bytes, commitment: bytes, rules: Rules, known: Known = NOTHING_KNOWN) -> Judgement:
    """What a time-stamp shows of a commitment. `known`: with revocation lists of later days, which tell
    what was revoked since. Raises AnchorRefused."""
    read = read_proof(proof)
    stamp = _stamp(read)
    if stamp.info.digest_name != "sha256" or stamp.info.imprint != commitment:
        raise AnchorRefused(Reason.OTHER_COMMITMENT, "the time-stamp is over something else than the checkpoint's text")
    judged = judge_stamp_by(_terms(read, stamp, rules, known), stamp)
    if judged.indication.exit_code != 0:
        raise _refused(judged.journal)
    serial = f"{stamp.info.serial:x}"
    return Judgement(
        strength=Strength.PROVEN,
        by=Rule.TIME_STAMP,
        time_us=stamp.info.time_us,
        tolerance_us=stamp.info.accuracy_us or 0,
        place=f"time-stamp {serial} of “{judged.name}”",
        notes=() if stamp.info.accuracy_us is not None else ("The time-stamp states no accuracy.",),
        relies_on=(("sha256", None), *judged.journal.relied_on),
    )


def _stamp(proof: StampProof) -> Stamp:
    try:
        return read_stamp(decoded(proof.token))
    except Refusal as error:
        refused = error.sub_indication is SubIndication.FORMAT_FAILURE  # an answer; else of what the token states
        raise AnchorRefused(StampReason.AUTHORITY_REFUSED if refused else StampReason.CONSTRAINTS, error.text) from None
    except DerError as error:
        raise AnchorRefused(Reason.MALFORMED, f"the time-stamp: {error}") from None


def _terms(proof: StampProof, stamp: Stamp, rules: Rules, known: Known) -> StampTerms:
    lists = [_list(one) for one in proof.revocation_lists] + [_answer(one) for one in proof.ocsp_answers or ()]
    # The profile and the receipt stand by themselves: what is in the receipt had come out when it was made.
    now_us = max([known.now_us, stamp.info.latest_us, *(one.this_update_us for one in lists)])
    return StampTerms(
        trusted=authorities_of(rules),
        lists=[*lists, *known.revocations],
        others=[_certificate(one) for one in proof.certificates],
        now_us=now_us,
    )


def _list(encoded: str) -> RevocationWord:
    try:
        return read_revocation_list(decoded(encoded))
    except DerError as error:
        raise AnchorRefused(Reason.MALFORMED, f"a revocation list in the receipt: {error}") from None


def _answer(encoded: str) -> RevocationWord:
    try:
        return read_ocsp_answer(decoded(encoded))
    except DerError as error:
        raise AnchorRefused(Reason.MALFORMED, f"an OCSP answer in the receipt: {error}") from None


def _certificate(encoded: str) -> Certificate:
    try:
        return read_certificate(decoded(encoded))
    except DerError as error:
        raise AnchorRefused(Reason.MALFORMED, f"a certificate in the receipt: {error}") from None


def authorities_of(rules: Rules) -> list[Authority]:
    """Whom a profile believes. Raises AnchorRefused (RULES_UNREADABLE)."""
    return [_authority(one) for one in rules.authorities]


def _authority(entry: TrustedAuthority) -> Authority:
    try:
        certificate = read_certificate(decoded(entry.certificate))
    except (DerError, AnchorRefused) as error:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"an authority of the profile: {error}") from None
    if not certificate.parsed.ca:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"“{certificate.name}” of the profile is no certificate authority")
    return Authority(certificate, "tsa", "another", "ledger", frozenset(entry.policies))


def _refused(journal: Journal) -> AnchorRefused:
    """The first refusal of a journal, those that refute before those that leave it open."""
    worst = journal.sub_indications[0]
    check = next(one for one in journal.checks if one.sub_indication is worst)
    reason = _BY_SUB_INDICATION.get(worst, StampReason.CONSTRAINTS)
    if check.name == "policy":
        reason = StampReason.POLICY
    return AnchorRefused(reason, check.text)
