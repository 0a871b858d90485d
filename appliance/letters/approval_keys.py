"""The approvers of one event with the keys that they approved with: a document beside the event, under its seal.

Who reads the evidence then checks every approval by itself. It is an extract of what the box checked them with
(appliance.letters.approvers): of the constitution that it names by digest, the persons who signed and nobody else, each
with the passkey used or with his cards; no policies, which name others too. That the extract is one is the box's word,
its seal; whoever has the constitution compares.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from appliance.ceremonies.canonical import decode, encode
from appliance.ceremonies.constitution import Credential
from appliance.ceremonies.errors import DocumentRefused
from appliance.letters.approvals import Assertion
from appliance.letters.approvers import BYTES, Approver, Approvers
from appliance.letters.event import Approval


def event_approvers(approvers: Approvers, given: Sequence[Approval]) -> bytes:
    """The extract for these approvals, which the box has checked, canonical."""
    persons = [
        Approver(id=person.id, credentials=[one for one in person.credentials if _is_used(one, person.id, given)])
        for person in approvers.persons
        if any(one.approver == person.id for one in given)
    ]
    rules = msgspec.structs.replace(approvers.rules, models=[], attestation_roots=[])
    return encode(msgspec.structs.replace(approvers, rules=rules, policies=[], persons=persons))


def read_event_approvers(text: bytes) -> Approvers:
    """Raises DocumentRefused."""
    return decode(text, Approvers, limit=BYTES)


def _is_used(credential: Credential, person: str, given: Sequence[Approval]) -> bool:
    mine = [one for one in given if one.approver == person]
    if credential.kind == "card":
        return any(one.form == "cms" for one in mine)
    return credential.id in {_passkey(one) for one in mine if one.form == "webauthn"}


def _passkey(approval: Approval) -> str:
    try:
        return decode(base64.b64decode(approval.signature, validate=True), Assertion).id
    except (DocumentRefused, binascii.Error, ValueError):
        return ""
