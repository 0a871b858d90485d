"""Seals: CMS signatures of CAdES baseline B-B and B-T (ETSI EN 319 122-1), with one signer or several.

A signer is judged at the best-signature-time of EN 319 102-1, clause 5.5: the earliest time at which its signature is
shown to have existed, by a signature time-stamp that verifies or by other evidence given; without any, the time of
validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.der import DerError, Reader
from appliance.evidence import cms
from appliance.evidence.certificates import Certificate, spoken
from appliance.evidence.chains import Moment, check_chain
from appliance.evidence.contents import SignedContent
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.signatures import digest
from appliance.evidence.signers import (
    check_attributes,
    check_signer_signature,
    check_signer_strength,
    readable_certificates,
    signed_digest,
    signing_certificate,
)
from appliance.evidence.stamps import JudgedStamp, judge_stamp, read_stamp
from appliance.evidence.strength import Use
from appliance.evidence.subjects import Subject
from appliance.quoting import escape

_SECOND_US = 1_000_000


@dataclass(frozen=True)
class WholeSeal:
    """When every byte of a seal is shown to have existed, its time-stamps among them."""

    shown_us: int | None = None
    """By anyone whom the trust bundle believes."""
    proven_us: int | None = None
    """By parties other than the box."""


@dataclass(frozen=True)
class JudgedSigner:
    """One signer of a seal."""

    name: str
    """Subject of the signing certificate, escaped; or what stands for it."""
    level: str
    """CAdES-B-B or CAdES-B-T."""
    journal: Journal
    subjects: tuple[int, ...]
    """Which of the subjects it signed, with all other signers; none if that is inside the seal, or not at hand."""
    claimed_us: int | None
    """The signed attribute signing-time, where the signer's certificate leads to the trust bundle."""
    stated_us: int | None
    """The same, whoever the signer is."""
    stamps: tuple[JudgedStamp, ...]
    """The signature time-stamps."""
    signature: bytes
    signed_bytes: bytes
    content: tuple[str, bytes] | None
    """Name and value of the digest that was signed; None if the seal is too broken to tell."""
    content_missing: bool = False


def judge_signer(
    context: Context,
    signed_data: cms.SignedData,
    signer: cms.SignerInfo,
    content: SignedContent,
    subjects: Sequence[Subject],
    proven_us: int | None,
    whole: WholeSeal = WholeSeal(),
) -> JudgedSigner:
    """Every check of one signer. `content`: what the seal is about; `proven_us`: when this very signature is shown by
    other evidence to have existed; `whole`: when the seal is, with all that hangs on it and lies in it."""
    journal = Journal()
    state = _Work(context, signed_data, signer, journal, whole)
    try:
        state.judge(content, subjects, proven_us)
    except Refusal as refusal:
        journal.add(refusal)
    except DerError as error:
        journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
    return JudgedSigner(
        name=state.certificate.name if state.certificate else "an unknown signer",
        level="CAdES-B-T" if any(one.indication is Indication.PASSED for one in state.stamps) else "CAdES-B-B",
        journal=journal,
        subjects=state.subjects,
        claimed_us=state.claimed_us if state.anchored else None,
        stated_us=state.claimed_us,
        stamps=tuple(state.stamps),
        signature=signer.signature,
        signed_bytes=signer.signed_bytes,
        content=state.content,
        content_missing=state.content_missing,
    )


class _Work:
    """The checks of one signer, and what they have found so far."""

    def __init__(
        self, context: Context, signed_data: cms.SignedData, signer: cms.SignerInfo, journal: Journal,
        whole: WholeSeal,
    ) -> None:  # fmt: skip
        self.context = context
        self.whole = whole
        self.signed_data = signed_data
        self.signer = signer
        self.journal = journal
        self.certificate: Certificate | None = None
        self.subjects: tuple[int, ...] = ()
        self.claimed_us: int | None = None
        self.stamps: list[JudgedStamp] = []
        self.content: tuple[str, bytes] | None = None
        self.content_missing = False
        self.anchored = False

    def judge(self, content: SignedContent, subjects: Sequence[Subject], proven_us: int | None) -> None:
        journal, signer, context = self.journal, self.signer, self.context
        candidates = (*readable_certificates(self.signed_data.certificates), *context.others)
        self.certificate = certificate = signing_certificate(journal, signer, candidates)
        check_attributes(journal, signer, self.signed_data.content_type)
        check_signer_signature(journal, signer, certificate)
        self._check_content(content, subjects)
        self._read_signing_time()
        self._note_unsigned()
        best_us, source = self._best_signature_time(proven_us)
        self._check_order(proven_us)
        relied = context.relied(best_us)
        check_signer_strength(journal, relied, signer, certificate, "The seal's signature")
        if self.signed_data.content is not None:
            context.relied(self.whole.shown_us).check(
                journal, "The seal of the document inside it", [Use(signed_digest(signer)[0])]
            )
        _check_purpose(journal, certificate)
        moment = Moment(best_us, source, claimed_by_signer=False, proven_us=proven_us)
        trusted = context.trust.trusted_for("seal")
        authority = check_chain(journal, certificate, candidates, trusted, context.lists, moment, relied)
        self.anchored = authority is not None
        journal.complete()

    def _check_content(self, one: SignedContent, subjects: Sequence[Subject]) -> None:
        name, expected = self.content = signed_digest(self.signer)
        content = self.signed_data.content
        self.subjects = one.subjects
        if one.refusal is not None:
            self.journal.add(one.refusal)
        if content is not None:
            self.journal.expect(
                digest(name, content) == expected,
                "content",
                f"The document inside the seal ({len(content)} bytes) is, byte for byte, the one that was sealed.",
                SubIndication.HASH_FAILURE,
                "The document inside the seal is not the one that was sealed.",
            )
        for index in one.subjects:
            self.journal.passed(
                "content", f"“{escape(subjects[index].name)}” is, byte for byte, the document that was sealed."
            )
        self.content_missing = content is None and not one.subjects and one.refusal is None

    def _read_signing_time(self) -> None:
        encoded = self.signer.signed.optional(cms.SIGNING_TIME, "signing-time")
        if encoded is None:
            self.journal.note("stated time", "The seal states no time of signing.")
            return
        reader = Reader(encoded)
        self.claimed_us = reader.cms_time() * _SECOND_US
        reader.finish()
        self.journal.note("stated time", f"The seal states that it was made at {spoken(self.claimed_us)}.")

    def _best_signature_time(self, proven_us: int | None) -> tuple[int, str]:
        times = [(self.context.now_us, "the time of this check")]
        if proven_us is not None:
            times.append((proven_us, "the time by which other evidence shows the signature"))
        for encoded in self.signer.unsigned.values(cms.SIGNATURE_TIME_STAMP):
            judged = self._judge_time_stamp(encoded)
            if judged is None:
                continue
            self.stamps.append(judged)
            if judged.indication is Indication.PASSED:
                info = judged.stamp.info
                times.append((info.latest_us, "the time of the signature time-stamp"))
                self.journal.passed(
                    "signature time-stamp",
                    f"The signature existed no later than {spoken(info.latest_us)}, says the time-stamp in the seal.",
                )
        return min(times)

    def _note_unsigned(self) -> None:
        """What hangs on the signature unsigned and unread says nothing, and the report says that."""
        others = {oid for oid, _ in self.signer.unsigned.members if oid != cms.SIGNATURE_TIME_STAMP}
        for oid in sorted(others):
            self.journal.note("unsigned attribute", f"Not covered by the signature, and not used: {escape(oid)}.")

    def _judge_time_stamp(self, encoded: bytes) -> JudgedStamp | None:
        context = self.context
        try:
            stamp = read_stamp(encoded)
        except (DerError, Refusal) as error:
            self._broken_time_stamp(escape(str(error)))
            return None
        judged = judge_stamp(stamp, context, proven_us=self.whole.proven_us, shown_us=self.whole.shown_us)
        info = stamp.info
        context.relied(self.whole.shown_us).check(judged.journal, "The time-stamp's digest", [Use(info.digest_name)])
        judged.journal.expect(
            digest(info.digest_name, self.signer.signature) == info.imprint,
            "imprint",
            "The time-stamp is over this very signature.",
            SubIndication.HASH_FAILURE,
            "The time-stamp is over something else than this signature.",
        )
        if judged.indication is not Indication.PASSED:
            reasons = "; ".join(one.text for one in judged.journal.checks if one.sub_indication is not None)
            self._broken_time_stamp(reasons)
        return judged

    def _broken_time_stamp(self, why: str) -> None:
        # Whoever holds a seal can hang a broken stamp on it, so this refutes nothing; but it must not pass unseen.
        self.journal.refuse(
            "signature time-stamp",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            f"The time-stamp in the seal does not verify: {why}",
        )

    def _check_order(self, proven_us: int | None) -> None:
        """What the seal states must not contradict what stamps and other evidence show."""
        if self.claimed_us is None:
            return
        # signing-time has no fraction, so up to a second is rounding.
        if self.claimed_us > self.context.now_us + _SECOND_US:
            self.journal.refuse(
                "stated time",
                SubIndication.TIMESTAMP_ORDER_FAILURE,
                f"The seal states a time of signing, {spoken(self.claimed_us)}, that is still to come.",
            )
        passed = [one.stamp.info.latest_us for one in self.stamps if one.indication is Indication.PASSED]
        shown_us = min([*passed, *([] if proven_us is None else [proven_us])], default=None)
        if shown_us is not None and self.claimed_us > shown_us + _SECOND_US:
            self.journal.refuse(
                "stated time",
                SubIndication.TIMESTAMP_ORDER_FAILURE,
                f"Contradiction: the seal states that it was made at {spoken(self.claimed_us)}, but it is shown to "
                f"have existed no later than {spoken(shown_us)}.",
            )


def _check_purpose(journal: Journal, certificate: Certificate) -> None:
    parsed = certificate.parsed
    usage, extended = parsed.key_usage_value, parsed.extended_key_usage_value
    fits = usage is None or bool({"digital_signature", "non_repudiation"} & set(usage.native))
    if extended is not None and extended.native == ["time_stamping"]:
        fits = False
    journal.expect(
        fits and not parsed.ca,
        "purpose",
        "The certificate is one that may seal documents.",
        SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "The certificate is not one that may seal documents.",
    )
