"""Approvers' signatures inside an event: each over the draft, before anybody had approved it (control QUORUM).

The box checked them against its tenant's policies before it sealed the event, and the seal is its word for that. What
an offline verifier can add is whether each signature holds, and whether the trust bundle knows who stands behind it.
"""

from __future__ import annotations

import base64
import binascii

from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.contents import signed_content
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.letters.facts import ApprovalFact
from appliance.evidence.seals import judge_signer
from appliance.evidence.subjects import NamedBytes, Subject
from appliance.letters.event import Approval, Event
from appliance.quoting import escape, quote


def judge_approvals(event: Event, context: Context, proven_us: int | None, journal: Journal) -> list[ApprovalFact]:
    """Judge each, and enter it: one that is refuted refutes the event; one that nothing given decides is noted, with
    its own indication in the report. `proven_us`: when the event is shown to have existed."""
    subject = Subject(NamedBytes("the event before it was approved", event.approval_text()))
    return [_judge(one, subject, context, proven_us, journal) for one in event.approvals]


def _judge(
    approval: Approval, subject: Subject, context: Context, proven_us: int | None, journal: Journal
) -> ApprovalFact:
    found = Journal()
    signer = ""
    try:
        if approval.form == "cms":
            signer = _cms(approval, subject, context, proven_us, found)
        else:
            found.refuse(
                "approval", SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
                "A WebAuthn assertion: its public key is not in the file.",
            )  # fmt: skip
    except (DerError, binascii.Error, ValueError) as error:
        found.refuse("approval", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
    except Refusal as refusal:
        found.add(refusal)
    reason = "; ".join(check.text for check in found.checks if check.sub_indication is not None)
    if found.indication is Indication.PASSED:
        journal.passed(
            "approval",
            f"Step {approval.step}, approver {quote(approval.approver)}: signed by “{signer}” over exactly this event.",
        )
    elif found.indication is Indication.FAILED:
        for one in found.checks:
            if one.sub_indication is not None:
                journal.refuse(
                    "approval", one.sub_indication,
                    f"Step {approval.step}, approver {quote(approval.approver)}: {one.text}",
                )  # fmt: skip
    else:
        journal.note(
            "approval",
            f"Step {approval.step}, approver {quote(approval.approver)}: {found.indication.value}. {reason} "
            "That the box had checked it is said by the seal alone.",
        )
    return ApprovalFact(
        approver=escape(approval.approver), step=approval.step, form=approval.form, signer=signer,
        indication=found.indication, sub_indications=found.sub_indications, reason=reason,
    )  # fmt: skip


def _cms(approval: Approval, subject: Subject, context: Context, proven_us: int | None, found: Journal) -> str:
    signed_data = cms.read_signed_data(base64.b64decode(approval.signature, validate=True))
    if len(signed_data.signers) != 1:
        raise DerError("an approval has one signer")
    content = signed_content(signed_data, [subject])
    judged = judge_signer(context, signed_data, signed_data.signers[0], content, [subject], proven_us)
    found.checks += judged.journal.checks
    if judged.content_missing:
        found.refuse("content", SubIndication.HASH_FAILURE, "It is over something else than this event.")
    if judged.journal.indication is Indication.PASSED:
        found.complete()
    return judged.name
