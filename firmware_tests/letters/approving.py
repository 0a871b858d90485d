"""Approvers in software: what a passkey and a card sign over an approval text, as the API takes it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

from appliance.base64url import from_base64url
from appliance.ceremonies import encode
from appliance.ceremonies.statements import CardEvidence, PasskeyEvidence
from appliance.letters.approvals import Assertion, AssertionResponse
from appliance.letters.draft_words import read_approval_text
from appliance.letters.event import Approval, ApprovalStep
from firmware_tests.officers import CardOfficer, SoftwareOfficer

_NO_PROPOSAL = "00" * 32


class _Needed(Protocol):
    @property
    def step(self) -> int: ...
    @property
    def heading(self) -> str: ...


class _Draft(Protocol):
    @property
    def text(self) -> bytes: ...
    @property
    def needed(self) -> Sequence[_Needed]: ...


def text_of(draft: _Draft, step: int = 0) -> bytes:
    """What approvers of a step sign, of a draft as the API answers it; also of a step that it does not need."""
    found = next((one.heading.encode() for one in draft.needed if one.step == step), None)
    return (found or ApprovalStep(policy="issue", step=step).heading()) + draft.text


def by_passkey(officer: SoftwareOfficer, text: bytes, **wrong: Any) -> Approval:
    """`wrong`: as of SoftwareOfficer.sign."""
    wanted = {"signed_challenge": hashlib.sha256(text).digest()} | wrong
    said = officer.sign("approve", _NO_PROPOSAL, **wanted)
    assert isinstance(said.evidence, PasskeyEvidence)
    assertion = Assertion(
        id=said.credential,
        response=AssertionResponse(
            authenticator_data=said.evidence.authenticator_data,
            client_data=said.evidence.client_data_json,
            signature=said.evidence.signature,
        ),
    )
    signature = base64.b64encode(encode(assertion)).decode()
    step = step_of(text)
    return Approval(
        approver=officer.name, form="webauthn", limits=step.limits, policy=step.policy, signature=signature,
        step=step.step,
    )  # fmt: skip


def by_card(officer: CardOfficer, text: bytes, **wrong: Any) -> Approval:
    """`wrong`: as of CardOfficer.sign."""
    said = officer.sign("approve", _NO_PROPOSAL, **({"content": text} | wrong))
    assert isinstance(said.evidence, CardEvidence)
    signature = base64.b64encode(from_base64url(said.evidence.signed_data)).decode()
    step = step_of(text)
    return Approval(
        approver=officer.name, form="cms", limits=step.limits, policy=step.policy, signature=signature, step=step.step
    )


def step_of(text: bytes) -> ApprovalStep:
    """The step that an approval text is for."""
    return read_approval_text(text)[0]
