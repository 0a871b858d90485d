"""Who may see what: officers live from the constitution in force, readers from the service's own list. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from appliance.ceremonies import Constitution, tenant_scope
from mgmt_service.people import Reach, Reader


class Role(enum.Enum):
    OFFICER = "officer"
    """On a scope's roster, or its recovery roster, in the constitution in force."""
    AUDITOR = "auditor"
    """Reads a scope with its audit; named by officers of that scope."""
    SUPERVISOR = "supervisor"
    """Reads what a scope shows its supervision; named by officers of that scope."""
    OVERSEER = "overseer"
    """Reads a tenant's letters, their clear values and their evidence, and nothing else of it, as a supervisory
    authority or an investor does; named by officers of that tenant."""
    APPROVER = "approver"
    """Approves letters of a tenant: named in one of its approval policies, and a person of the constitution. Sees what
    waits for approval, and nothing else of the tenant."""


OFFICERS = frozenset({Role.OFFICER})
AUDIT = frozenset({Role.OFFICER, Role.AUDITOR})
EVERYONE = frozenset({Role.OFFICER, Role.AUDITOR, Role.SUPERVISOR})
"""Who reads a scope at all."""
APPROVERS = frozenset({Role.APPROVER})
LETTER_READERS = AUDIT | {Role.OVERSEER}
"""Who reads letters as anybody may who is shown them; hidden values are for AUDIT alone."""
GUESTS = APPROVERS | {Role.OVERSEER}
"""Who sees one part of a tenant alone."""
WORK_LIST = AUDIT | APPROVERS
"""Who sees the drafts that wait for approvals."""


@dataclass(frozen=True)
class Viewer:
    """A person who is signed in, with what she may see at this moment."""

    person: str
    name: str
    roles: frozenset[tuple[Role, str]]

    def scopes(self, roles: Collection[Role] = EVERYONE) -> frozenset[str]:
        """The scopes that the viewer has one of these roles in."""
        return frozenset(scope for role, scope in self.roles if role in roles)

    def within(self, reach: Reach) -> Viewer:
        """The same person as far as a passkey of this reach shows her."""
        return Viewer(self.person, self.name, frozenset(one for one in self.roles if reach.shows(one[1])))

    def has(self, roles: Collection[Role], scope: str) -> bool:
        return any((role, scope) in self.roles for role in roles)

    @property
    def tenants(self) -> list[str]:
        """Names of the tenants that the viewer has any role in, sorted."""
        return sorted(scope.partition("/")[2] for scope in self.scopes() if scope.startswith("tenant/"))


def viewer_of(
    person: str,
    name: str,
    constitution: Constitution | None,
    readers: Iterable[Reader],
    approving: Mapping[str, Collection[str]],
) -> Viewer:
    """A person's roles under the constitution in force. Without a constitution nobody has any, a reader neither.
    `approving`: tenants to those whom their approval policies name."""
    if constitution is None:
        return Viewer(person, name, frozenset())
    roles = {
        (Role.OFFICER, scope.name)
        for scope in constitution.scopes
        if person in scope.officers or (scope.recovery is not None and person in scope.recovery.officers)
    }
    known = {scope.name for scope in constitution.scopes}
    roles |= {(Role(one.role), one.scope) for one in readers if one.person == person and one.scope in known}
    entry = constitution.person(person)
    if entry is not None:
        scopes = {tenant_scope(tenant) for tenant, named in approving.items() if person in named}
        roles |= {(Role.APPROVER, scope) for scope in scopes & known}
    return Viewer(person, entry.name if entry is not None else name, frozenset(roles))
