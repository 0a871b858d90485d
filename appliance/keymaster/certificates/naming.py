"""Which names stand in the certificates that the box's authorities issue to a tenant's keys. Rules without I/O.

Who a tenant is, its own officers do not decide: the box's quorum registers the institution's name with the tenant
(CreateTenant, RenameTenant), and certificates say that name and no other.
"""

from __future__ import annotations

from typing import Final

from appliance.box.settings import BoxSettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import CreateTenant, IssueCertificate, RenameTenant

LONGEST: Final = 64
"""Characters of an organisation's name (RFC 5280, appendix A.1, ub-organization-name)."""


class NameRefused(DocumentRefused):
    """The certificate would say a name that is not the tenant's registered one."""

    code = "name-refused"
    title = "The name is not the tenant's"
    control = "QUORUM"


def check_registered(name: str) -> None:
    """Whether an institution's name can stand in certificates. Raises NameRefused."""
    if len(name) > LONGEST or name != name.strip() or not name.isprintable():
        raise NameRefused(
            f"an institution's name stands in its certificates: at most {LONGEST} characters that can be seen, without "
            "spaces around them"
        )


def check_names(settings: BoxSettings, proposal: Proposal | None, action: IssueCertificate) -> None:
    """The organisation is the registered name; the common name is it too, or begins with it: "NAME letters 2027".

    Keys of the box itself are named by its quorum. Raises NameRefused."""
    if action.tenant is None:
        return
    registered = _registered(settings, proposal, action)
    if registered is None and settings.rehearsal:
        return  # provisioned; its certificates say REHEARSAL and no other organisation
    if registered is None:
        raise NameRefused("the tenant has no registered name")
    if action.organisation != registered:
        raise NameRefused(f"the organisation of this tenant's certificates is {registered!r}, as it was registered")
    if action.common_name != registered and not action.common_name.startswith(f"{registered} "):
        raise NameRefused(f"a common name of this tenant's is {registered!r}, or begins with it and a space")


def _registered(settings: BoxSettings, proposal: Proposal | None, before: IssueCertificate) -> str | None:
    """The name when the action `before` is reached, as far as the proposal's earlier ones say."""
    found = next((one.organisation for one in settings.tenants if one.name == before.tenant), None)
    for action in proposal.actions if proposal is not None else ():
        if action is before:
            break
        if isinstance(action, CreateTenant | RenameTenant) and action.name == before.tenant:
            found = action.title
    return found
