"""Whether an officer really said it (control QUORUM): the evidence of a statement against the constitution. Pure.

The keymaster asks when a statement arrives and again before it executes; whoever holds the documents can ask again,
offline. Which officers count, and what their statements amount to, is the rule of decision's (`tally`).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib

from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.cards import card_credential_id, check_card_signature
from appliance.ceremonies.constitution import ApprovalRules, Constitution, Credential
from appliance.ceremonies.cose import check_cose_signature
from appliance.ceremonies.errors import OTHER_CHALLENGE, StatementRefused
from appliance.ceremonies.proposal import Proposal
from appliance.ceremonies.statements import CardEvidence, PasskeyEvidence, Statement, VerifiedStatement, challenge
from appliance.ceremonies.webauthn import check_client_data, check_presence, read_authenticator_data, read_base64url


def verify_statement(constitution: Constitution, statement: Statement, at: datetime.datetime) -> VerifiedStatement:
    """The statement, if its evidence holds under this constitution. `at`: when the keymaster received it, UTC.

    Raises StatementRefused."""
    credential = _credential(constitution, statement)
    signed = challenge(statement.verb, statement.proposal)
    match statement.evidence:
        case PasskeyEvidence() as evidence if credential.kind == "passkey":
            check_passkey(constitution.rules, credential, evidence, signed)
        case CardEvidence() as evidence if credential.kind == "card":
            check_card(credential, read_base64url(evidence.signed_data, "card's signature"), signed, at)
        case _:
            raise StatementRefused("the evidence is of another kind than the officer's credential")
    return VerifiedStatement(statement.verb, statement.proposal, statement.officer, statement.credential, at)


def governing(statement: Statement, proposal: Proposal, current: Constitution) -> Constitution:
    """The constitution that a statement is verified under: the one in force; for an acceptance the one that the
    proposal brings, where the accepting person's credential stands first. Raises StatementRefused."""
    if statement.verb != "accept":
        return current
    brought = next((one.constitution for one in proposal.actions if isinstance(one, AmendConstitution)), None)
    if brought is None:
        raise StatementRefused("the proposal brings no constitution that could be accepted")
    return brought


def public_key_bytes(credential: Credential) -> bytes:
    """Credential.public_key as bytes. Raises StatementRefused."""
    try:
        data = base64.b64decode(credential.public_key, validate=True)
    except (binascii.Error, ValueError):
        raise StatementRefused("the officer's public key is not base64") from None
    if base64.b64encode(data).decode() != credential.public_key:
        raise StatementRefused("the officer's public key is not base64 in its one spelling")
    return data


def _credential(constitution: Constitution, statement: Statement) -> Credential:
    person = constitution.person(statement.officer)
    found = next((one for one in person.credentials if one.id == statement.credential), None) if person else None
    if found is None:
        raise StatementRefused("the constitution knows no such officer with such a credential")
    return found


def check_passkey(
    rules: ApprovalRules,
    credential: Credential,
    evidence: PasskeyEvidence,
    signed: bytes,
    *,
    other: str = OTHER_CHALLENGE,
) -> None:
    """Check an assertion over the challenge `signed` by this passkey, under these rules. `other`: what to say where
    another challenge was signed. Raises StatementRefused."""
    client_data = read_base64url(evidence.client_data_json, "client data")
    authenticator_data = read_base64url(evidence.authenticator_data, "authenticator data")
    signature = read_base64url(evidence.signature, "signature")
    if credential.rp_id != rules.rp_id:
        raise StatementRefused("the officer's passkey is of another relying party")
    check_client_data(client_data, "webauthn.get", signed, rules.origins, other=other)
    data = read_authenticator_data(authenticator_data)
    check_presence(data, rules.rp_id)
    if data.attested is not None:
        raise StatementRefused("the assertion brings a credential of its own")
    if data.backup_eligible is not credential.backup_eligible:
        raise StatementRefused("the passkey says something else about copies than when it was enrolled")
    if data.backup_eligible and not rules.backup_eligible:
        raise StatementRefused("passkeys that can be copied are not permitted")
    message = authenticator_data + hashlib.sha256(client_data).digest()
    check_cose_signature(public_key_bytes(credential), signature, message)


def check_card(
    credential: Credential, signed_data: bytes, content: bytes, at: datetime.datetime, *, other: str = OTHER_CHALLENGE
) -> None:
    """Check a detached CMS (DER) over `content` by this card, as of `at`. `other`: what to say where other content was
    signed. Raises StatementRefused."""
    certificate = public_key_bytes(credential)
    if card_credential_id(certificate) != credential.id:
        raise StatementRefused("the officer's credential does not name its certificate")
    check_card_signature(certificate, signed_data, content, at, other=other)
