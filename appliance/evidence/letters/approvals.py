"""Approvers' signatures inside an event: each over the draft, before anybody had approved it (control QUORUM).

The box checked them against its tenant's policies before it sealed the event, and the seal is its word for that. What
an offline verifier can add is whether each signature holds, and whether the trust bundle knows who stands behind it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from appliance.base64url import from_base64url
from appliance.ceremonies.errors import DocumentRefused, StatementRefused
from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.canonical import NotCanonical, read_json
from appliance.evidence.chains import Moment, check_chain
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.letters.facts import ApprovalFact, place_of
from appliance.evidence.signatures import digest
from appliance.evidence.signers import (
    check_signer_signature,
    check_signer_strength,
    names_certificate,
    readable_certificates,
    signed_digest,
)
from appliance.letters.event import Approval, Event
from appliance.quoting import escape, quote

if TYPE_CHECKING:
    from appliance.letters.approvers import Approvers


def judge_approvals(
    event: Event, context: Context, proven_us: int | None, journal: Journal, beside: bytes | None = None
) -> list[ApprovalFact]:
    """Judge each, and enter it: one that is refuted refutes the event; one that nothing given decides is noted, with
    its own indication in the report. `proven_us`: when the event is shown to have existed. `beside`: the approvers'
    keys, under the event's seal (appliance.letters.approval_keys); None: the event is from before they were."""
    from appliance.letters.approval_keys import read_event_approvers  # noqa: PLC0415 - officers' rules stand on these

    approvers: Approvers | None = None
    if beside is not None:
        try:
            approvers = read_event_approvers(beside)
        except DocumentRefused as error:
            journal.refuse("approvers", SubIndication.FORMAT_FAILURE, f"The approvers' keys are malformed: {error}.")
            return []
        journal.expect(
            approvers.tenant == event.actor.tenant,
            "approvers",
            f"The approvers' keys are those of the constitution with the SHA-256 {approvers.constitution}.",
            SubIndication.FORMAT_FAILURE,
            "The approvers' keys are of another tenant.",
        )
    if not event.approvals:
        return []
    if event.format == "cinnabar-event/1":
        journal.note(
            "approval",
            "Approvals of events of this format do not name their step: which each was for is the seal's word.",
        )
    try:
        at = datetime.fromisoformat(event.at)
    except ValueError:  # whoever judges the event's time has refused it
        return []
    return [
        _judge(one, event.approval_text(one), context, proven_us, journal, approvers, at) for one in event.approvals
    ]


def _judge(
    approval: Approval, text: bytes, context: Context, proven_us: int | None, journal: Journal,
    approvers: Approvers | None, at: datetime,
) -> ApprovalFact:  # fmt: skip
    found = Journal()
    signer, place = "", place_of(approval)
    try:
        signature = base64.b64decode(approval.signature, validate=True)
        if approvers is not None:
            signer = _enrolled(approval, text, approvers, at, found)
            if signer:
                signer = _known(approval, signature, text, approvers, context, proven_us, found) or signer
        elif approval.form == "cms":
            signer = _card(signature, text, context, proven_us, found)
        else:
            _passkey(signature, text, found)
        found.complete()
    except (DerError, NotCanonical, binascii.Error, ValueError, KeyError, TypeError) as error:
        found.refuse("approval", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
    except Refusal as refusal:
        found.add(refusal)
    reason = "; ".join(check.text for check in found.checks if check.sub_indication is not None)
    if found.indication is Indication.PASSED:
        journal.passed(
            "approval",
            f"Step {place}, approver {quote(approval.approver)}: signed by “{signer}” over exactly this event.",
        )
    elif found.indication is Indication.FAILED:
        for one in found.checks:
            if one.sub_indication is not None:
                journal.refuse(
                    "approval",
                    one.sub_indication,
                    f"Step {place}, approver {quote(approval.approver)}: {one.text}",
                )
    else:
        journal.note(
            "approval",
            f"Step {place}, approver {quote(approval.approver)}: {found.indication.value}. {reason} "
            "That the box had checked it is said by the seal alone.",
        )
    return ApprovalFact(
        approver=escape(approval.approver), step=approval.step, policy=escape(approval.policy),
        limits=[escape(one) for one in approval.limits], form=approval.form, signer=signer, indication=found.indication,
        sub_indications=found.sub_indications, reason=reason,
    )  # fmt: skip


def _enrolled(approval: Approval, text: bytes, approvers: Approvers, at: datetime, found: Journal) -> str:
    """An approval against the keys that the constitution held for this person. Gives who signed, in words."""
    from appliance.letters.approvals import check_signature  # noqa: PLC0415 - as above

    person = approvers.person(approval.approver)
    try:
        if person is None:
            raise StatementRefused("the keys beside the event have none of this person")
        check_signature(text, approval, person, approvers, at)
    except StatementRefused as error:
        found.refuse("approval", SubIndication.SIG_CRYPTO_FAILURE, f"{escape(str(error))}.")
        return ""
    found.passed("content", "It is over exactly this event, before it was approved, by a key of this person's.")
    form = "passkey" if approval.form == "webauthn" else "card"
    return f"{form} of {escape(approval.approver)} in the constitution {approvers.constitution[:16]}"


def _known(
    approval: Approval, signature: bytes, text: bytes, approvers: Approvers, context: Context, proven_us: int | None,
    found: Journal,
) -> str:  # fmt: skip
    """Whether the keys beside the event are those of the person whom the verifier knows: by a constitution that was
    followed from its founding; or of a card by its certificate. Whoever seals an event chooses what lies beside it."""
    law, person = context.constitutions.get(approvers.constitution), approvers.person(approval.approver)
    if law is not None and person is not None:
        enrolled, rules = law.person(person.id), approvers.rules
        found.expect(
            enrolled is not None
            and all(one in enrolled.credentials for one in person.credentials)
            and (rules.rp_id, rules.origins, rules.backup_eligible)
            == (law.rules.rp_id, law.rules.origins, law.rules.backup_eligible),
            "approvers",
            "The constitution that was followed from its founding has this person with these keys.",
            SubIndication.SIG_CRYPTO_FAILURE,
            "The constitution that was followed from its founding does not have this person with these keys.",
        )
        return ""
    if approval.form == "cms":
        return _card(signature, text, context, proven_us, found)
    found.refuse(
        "approvers",
        SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
        "The keys beside the event are in no constitution that was given: give a ceremony's record bundle.",
    )
    return ""


def _card(encoded: bytes, text: bytes, context: Context, proven_us: int | None, found: Journal) -> str:
    """A card's detached CMS, as appliance.ceremonies.cards takes it. Gives the certificate's subject.

    Raises DerError, Refusal."""
    signed_data = cms.read_signed_data(encoded)
    if len(signed_data.signers) != 1 or signed_data.content is not None:
        raise DerError("an approval has one signer, and its text is not inside")
    signer = signed_data.signers[0]
    candidates = (*readable_certificates(signed_data.certificates), *context.others)
    certificate = next((one for one in candidates if names_certificate(signer, one)), None)
    name, value = signed_digest(signer)
    found.expect(
        digest(name, text) == value,
        "content",
        "It is over exactly this event, before it was approved.",
        SubIndication.HASH_FAILURE,
        "It is over something else than this event.",
    )
    if certificate is None:
        found.refuse(
            "signing certificate",
            SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "The approver's certificate is not there.",
        )
        return ""
    check_signer_signature(found, signer, certificate)
    relied = context.relied(proven_us)
    check_signer_strength(found, relied, signer, certificate, "The card's signature")
    moment = Moment(
        context.now_us if proven_us is None else proven_us, "the time of the event", claimed_by_signer=False,
        proven_us=proven_us,
    )  # fmt: skip
    trusted = context.trust.trusted_for("seal")
    check_chain(found, certificate, candidates, trusted, context.lists, moment, relied)
    return certificate.name


def _passkey(encoded: bytes, text: bytes, found: Journal) -> None:
    """A passkey's assertion (WebAuthn level 3, section 7.2): whether its challenge is this event. The public key stands
    in the constitution, not in the file."""
    client_data = read_json(encoded)["response"]["clientDataJSON"]
    challenge = read_json(from_base64url(client_data))["challenge"]
    found.expect(
        from_base64url(challenge) == hashlib.sha256(text).digest(),
        "content",
        "It is over exactly this event, before it was approved.",
        SubIndication.HASH_FAILURE,
        "It is over something else than this event.",
    )
    found.refuse(
        "approval",
        SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
        "A passkey's signature: its public key is not in the file.",
    )
