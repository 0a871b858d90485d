"""Approvers in software: what a passkey and a card sign over an event's approval text, as the API takes it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from appliance.base64url import from_base64url
from appliance.ceremonies import encode
from appliance.ceremonies.statements import CardEvidence, PasskeyEvidence
from appliance.letters.approvals import Assertion, AssertionResponse
from appliance.letters.event import Approval
from firmware_tests.officers import CardOfficer, SoftwareOfficer

_NO_PROPOSAL = "00" * 32


def by_passkey(officer: SoftwareOfficer, text: bytes, step: int = 0, **wrong: Any) -> Approval:
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
    return Approval(approver=officer.name, form="webauthn", signature=signature, step=step)


def by_card(officer: CardOfficer, text: bytes, step: int = 0, **wrong: Any) -> Approval:
    """`wrong`: as of CardOfficer.sign."""
    said = officer.sign("approve", _NO_PROPOSAL, **({"content": text} | wrong))
    assert isinstance(said.evidence, CardEvidence)
    signature = base64.b64encode(from_base64url(said.evidence.signed_data)).decode()
    return Approval(approver=officer.name, form="cms", signature=signature, step=step)
