"""Who may approve events of one tenant's letters: its policies and their persons as they are in force.

One document a tenant, HOME/policies/TENANT/approvers.json: the keymaster writes it whenever the constitution or a
policy changes, whoever checks approvals reads it (control QUORUM). Whoever is not in it approves nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.ceremonies.actions import ApprovalTier
from appliance.ceremonies.canonical import Digest, Name
from appliance.ceremonies.constitution import ApprovalRules, Credential

FILE = "approvers.json"
BYTES = 4 * 1024 * 1024
"""Largest document that is taken."""


class PolicyInForce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest version of an approval policy."""

    policy: Name
    version: int
    digest: Digest
    """Of the version, as its ceremony left it."""
    tiers: list[ApprovalTier]
    """By rising amount within a currency; the last one of each is without end."""


class Approver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person whom a policy names and the constitution knows."""

    id: Name
    credentials: list[Credential]


class Approvers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the module."""

    format: Literal["cinnabar-approvers/1"] = "cinnabar-approvers/1"
    tenant: Name
    constitution: Digest
    """The version in force."""
    rules: ApprovalRules
    """Of that version: which passkeys' assertions hold."""
    policies: list[PolicyInForce]
    persons: list[Approver]

    def policy(self, name: str) -> PolicyInForce | None:
        return next((policy for policy in self.policies if policy.policy == name), None)

    def person(self, identifier: str) -> Approver | None:
        return next((person for person in self.persons if person.id == identifier), None)
