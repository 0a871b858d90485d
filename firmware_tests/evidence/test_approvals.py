"""Approvals in evidence: of the event, its step, policy and limits, and by whom certificates or keys say they are."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from appliance.asic import (
    EvidenceNotBuildable,
)
from appliance.ceremonies import decode, encode
from appliance.ceremonies.constitution import ApprovalRules, Constitution, Person
from appliance.evidence import Indication, SubIndication
from appliance.evidence.context import Context
from appliance.evidence.letters import judge_letter
from appliance.letters.approval_keys import event_approvers
from appliance.letters.approvers import Approver, Approvers
from appliance.letters.event import (
    FIRST_APPROVAL_PREFIX,
    Approval,
    ApprovalStep,
    Event,
)
from firmware_tests.evidence.letters import (
    check,
    event,
    evidence,
    office,
    opened_value,
    surroundings,
)
from firmware_tests.evidence.material import T0, certify, microseconds, seal, signed_data, signer_info
from firmware_tests.evidence.test_letters import checks, facts, reasons
from firmware_tests.letters.approving import by_passkey
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.officers import ORIGIN, RP_ID, SoftwareOfficer

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication


def text_of(draft: Event, **changed: Any) -> bytes:
    """What approvers of the event's only step sign."""
    step = msgspec.structs.replace(ApprovalStep(policy="issue", step=0), **changed)
    return step.heading() + draft.draft_text()


def approved(signature: bytes, draft: Event, form: Any = "cms", policy: str = "issue") -> bytes:
    desk = office()
    encoded = base64.b64encode(signature).decode()
    one = Approval(approver="chen", form=form, policy=policy, signature=encoded, step=0)
    desk.seal(msgspec.structs.replace(draft, approvals=[one]))
    return evidence(desk.chain())


def test_approvals_hold_or_are_undecided_or_refute() -> None:
    world, _ = surroundings()
    draft = event(None, "issue", fields=FIELDS, value=opened_value())
    known = certify("Chen, approver", world.seal_ca)
    stranger = certify("Li, approver", certify("Some other CA", ca=True))
    report = check(approved(seal(known, text_of(draft)), draft))
    assert report.indication is PASSED
    assert facts(report).events[0].approvals[0].indication is PASSED
    assert facts(report).events[0].approvals[0].signer.startswith("Chen")
    report = check(approved(seal(stranger, text_of(draft)), draft))
    assert report.indication is PASSED
    assert facts(report).events[0].approvals[0].sub_indications == [Sub.NO_CERTIFICATE_CHAIN_FOUND]
    assert any("INDETERMINATE" in one.text for one in checks(report) if one.outcome == "note")
    bare = signed_data([signer_info(stranger, "data", text_of(draft), attributes={"signing_certificate_v2": None})], [])
    assert facts(check(approved(bare, draft))).events[0].approvals[0].signer == ""
    assert facts(report).events[0].approvals[0].policy == "issue"
    for wrong in (seal(known, draft.canonical()), seal(known, text_of(draft), enveloping=True)[:-9], b"0"):
        assert check(approved(wrong, draft)).indication is FAILED


def test_an_approval_of_another_step_policy_or_limit_refutes_the_event() -> None:
    world, _ = surroundings()
    known = certify("Chen, approver", world.seal_ca)
    draft = event(None, "issue", fields=FIELDS, value=opened_value())
    for moved in ({"step": 1}, {"policy": "senior"}, {"limits": ["bids/bank"]}):
        assert check(approved(seal(known, text_of(draft, **moved)), draft)).indication is FAILED, moved
    with pytest.raises(EvidenceNotBuildable, match="does not name its step"):
        approved(seal(known, FIRST_APPROVAL_PREFIX + draft.draft_text()), draft, policy="")


def test_an_event_from_before_approvals_named_their_step_holds_as_it_did() -> None:
    world, _ = surroundings()
    known = certify("Chen, approver", world.seal_ca)
    draft = event(None, "issue", fields=FIELDS, value=opened_value(), format="cinnabar-event/1")
    assert b"policy" not in draft.canonical()
    report = check(approved(seal(known, FIRST_APPROVAL_PREFIX + draft.draft_text()), draft, policy=""))
    assert report.indication is PASSED, reasons(report)
    (found,) = facts(report).events[0].approvals
    assert (found.indication, found.policy) == (PASSED, "")
    assert any("do not name their step" in one.text for one in checks(report) if one.outcome == "note")
    assert check(approved(seal(known, text_of(draft)), draft, policy="")).indication is FAILED
    with pytest.raises(EvidenceNotBuildable, match="does not name its step"):
        approved(seal(known, text_of(draft)), draft)


def assertion(text: bytes) -> bytes:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
    client_data = base64.urlsafe_b64encode(json.dumps({"challenge": challenge}).encode()).decode().rstrip("=")
    return json.dumps({"id": "AA", "response": {"clientDataJSON": client_data}}).encode()


def test_a_passkeys_approval_is_of_this_event_or_refutes_it() -> None:
    draft = event(None, "issue", fields=FIELDS, value=opened_value())
    report = check(approved(assertion(text_of(draft)), draft, "webauthn"))
    assert report.indication is PASSED
    assert facts(report).events[0].approvals[0].indication is UNDECIDED
    for wrong in (assertion(b"another event"), b"{}", b"[]", b"{", b'{"response":{"clientDataJSON":1}}'):
        assert check(approved(wrong, draft, "webauthn")).indication is FAILED


CHEN = SoftwareOfficer("chen")


def with_keys(change: Callable[[Approvers], Approvers] = lambda one: one, **wrong: Any) -> bytes:
    """A letter that a passkey approved, with the approvers' keys beside its event."""
    officer = CHEN
    draft = event(None, "issue", fields=FIELDS, value=opened_value())
    one = by_passkey(officer, text_of(draft), **wrong)
    rules = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN], backup_eligible=True, models=["m"])
    persons = [Approver(id=name, credentials=[SoftwareOfficer(name).credential()]) for name in ("li", "wu")]
    persons.append(Approver(id="chen", credentials=[officer.credential()]))
    known = Approvers(tenant=draft.actor.tenant, constitution="ab" * 32, rules=rules, policies=[], persons=persons)
    desk = office()
    extract = decode(event_approvers(known, [one]), Approvers)
    assert [person.id for person in extract.persons] == ["chen"], "nobody else is named"
    assert extract.rules.models == []
    beside = {"approvers.json": encode(change(extract))}
    desk.seal(msgspec.structs.replace(draft, approvals=[one]), beside=beside)
    return evidence(desk.chain())


def test_a_passkeys_approval_is_checked_with_the_keys_beside_its_event() -> None:
    report = check(with_keys())
    assert report.indication is PASSED, reasons(report)
    (found,) = facts(report).events[0].approvals
    assert found.signer == "passkey of chen in the constitution abababababababab"
    assert (found.indication, found.sub_indications) == (UNDECIDED, [Sub.NO_CERTIFICATE_CHAIN_FOUND])
    assert any("said by the seal alone" in one.text for one in checks(report) if one.outcome == "note")
    replace_ = msgspec.structs.replace
    stranger = Approver(id="chen", credentials=[SoftwareOfficer("chen").credential()])
    for change in (
        lambda one: replace_(one, persons=[]),
        lambda one: replace_(one, persons=[stranger]),
        lambda one: replace_(one, tenant="another"),
        lambda one: replace_(one, rules=replace_(one.rules, rp_id="elsewhere.example")),
        lambda one: replace_(one, rules=replace_(one.rules, origins=["https://elsewhere.example"])),
    ):
        assert check(with_keys(change)).indication is FAILED
    assert check(with_keys(signed_challenge=hashlib.sha256(b"another event").digest())).indication is FAILED


def test_an_approvers_keys_are_those_of_a_constitution_that_is_known_from_elsewhere() -> None:
    world, _ = surroundings()
    rules = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN], backup_eligible=True)

    def approval(law: Constitution, known: bool = True) -> tuple[Indication, Indication]:
        content = with_keys(lambda one: msgspec.structs.replace(one, constitution=law.digest))
        context = Context(world.trust(), (), (), microseconds(T0 + timedelta(days=1)))
        context = replace(context, lists=context.trust.revocation_lists)
        context = replace(context, constitutions={law.digest: law} if known else {})
        judged = judge_letter(content, context, frozenset())
        assert judged.facts is not None
        return judged.facts.events[0].indication, judged.facts.events[0].approvals[0].indication

    def law(*persons: Person, rules: ApprovalRules = rules) -> Constitution:
        return Constitution(
            box="ab" * 16, rehearsal=True, version=1, previous=None, issued="2026-01-01T00:00:00Z", rules=rules,
            persons=list(persons), scopes=[],
        )  # fmt: skip

    chen = Person(id="chen", name="Chen", credentials=[CHEN.credential()])
    other = Person(id="chen", name="Chen", credentials=[SoftwareOfficer("chen").credential()])
    assert approval(law(chen)) == (PASSED, PASSED)
    assert approval(law(chen), known=False) == (PASSED, UNDECIDED)
    elsewhere = msgspec.structs.replace(rules, origins=["https://elsewhere.example"])
    for wrong in (law(), law(other), law(chen, rules=elsewhere)):
        assert approval(wrong) == (FAILED, FAILED)
