"""Ceremonies: what officers decide together, as documents and rules. Pure: no HSM, no database, no network, no clock.

A *proposal* says everything that will be done. Officers sign *statements* about its digest. The *constitution* says who
they are and how many decide. `tally` is the rule of decision. The keymaster holds these rules before it executes
anything, and whoever has the documents can hold them again, offline.
"""

from appliance.ceremonies.actions import Action
from appliance.ceremonies.canonical import decode, digest, encode, instant, instant_text
from appliance.ceremonies.constitution import (
    BOX,
    Constitution,
    affected_scopes,
    check_constitution,
    newcomers,
    tenant_scope,
)
from appliance.ceremonies.errors import DocumentRefused, QuorumMissing, StatementRefused, SuccessionRefused
from appliance.ceremonies.proposal import (
    Proposal,
    check_proposal,
    digest_words,
    proposal_digest,
    read_proposal,
    required_scopes,
)
from appliance.ceremonies.quorum import Tally, require, tally
from appliance.ceremonies.statements import ReceivedStatement, Statement, VerifiedStatement, challenge

__all__ = [
    "BOX",
    "Action",
    "Constitution",
    "DocumentRefused",
    "Proposal",
    "QuorumMissing",
    "ReceivedStatement",
    "Statement",
    "StatementRefused",
    "SuccessionRefused",
    "Tally",
    "VerifiedStatement",
    "affected_scopes",
    "challenge",
    "check_constitution",
    "check_proposal",
    "decode",
    "digest",
    "digest_words",
    "encode",
    "instant",
    "instant_text",
    "newcomers",
    "proposal_digest",
    "read_proposal",
    "require",
    "required_scopes",
    "tally",
    "tenant_scope",
]
