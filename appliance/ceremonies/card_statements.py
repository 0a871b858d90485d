"""A statement from a card's signature: found by trying each card that the constitution has for the officer. Pure."""

from __future__ import annotations

import datetime

from appliance.base64url import to_base64url
from appliance.ceremonies.canonical import digest
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.errors import StatementRefused
from appliance.ceremonies.evidence import governing, verify_statement
from appliance.ceremonies.proposal import read_proposal
from appliance.ceremonies.statements import CardEvidence, Statement, Verb


def card_statement(
    proposal: bytes, law: Constitution, verb: Verb, officer: str, signed_data: bytes, at: datetime.datetime
) -> Statement:
    """The statement, verified as of `at`. `signed_data`: detached CMS over the challenge, DER.

    Raises StatementRefused, DocumentRefused."""
    evidence = CardEvidence(signed_data=to_base64url(signed_data))
    bare = Statement(verb=verb, proposal=digest(proposal), officer=officer, credential="", evidence=evidence)
    governed = governing(bare, read_proposal(proposal), law)
    person = governed.person(officer)
    cards = [one.id for one in person.credentials if one.kind == "card"] if person is not None else []
    refusal = StatementRefused(f"the constitution knows no card of {officer}")
    for card in cards:
        made = Statement(verb=verb, proposal=bare.proposal, officer=officer, credential=card, evidence=evidence)
        try:
            verify_statement(governed, made, at)
        except StatementRefused as error:
            refusal = error
            continue
        return made
    raise refusal
