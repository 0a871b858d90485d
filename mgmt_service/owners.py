"""Whose a thing is, as paths name it: a tenant by its name, the box itself as `@box`."""

from __future__ import annotations

from typing import Final

from appliance.ceremonies import BOX, tenant_scope
from appliance.errors import NotFound
from mgmt_service.access import Named
from mgmt_service.services import Services

BOX_OWNER: Final = "@box"
"""No tenant can be called so; the log of the box has this name too."""


def owner_of(scope: str) -> str:
    """A scope as paths name it."""
    return BOX_OWNER if scope == BOX else scope.partition("/")[2]


def scope_of(owner: str) -> str:
    return BOX if owner == BOX_OWNER else tenant_scope(owner)


def scopes_of(services: Services, owner: str) -> frozenset[str]:
    """The one scope of an owner. Raises NotFound."""
    if owner != BOX_OWNER and all(tenant.name != owner for tenant in services.settings().tenants):
        raise NotFound("there is no such owner")
    return frozenset({scope_of(owner)})


def tenants_scopes_of(services: Services, owner: str) -> frozenset[str]:
    """The one scope of a tenant. Raises NotFound, for the box's own name too."""
    if owner == BOX_OWNER:
        raise NotFound("the box itself has none")
    return scopes_of(services, owner)


OF_TENANT: Final = Named("owner", tenants_scopes_of)
OF_OWNER: Final = Named("owner", scopes_of)
