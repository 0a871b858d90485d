"""One tenant's part of the box's settings: found, and changed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from appliance.box.settings import BoxSettings, TenantSettings
from appliance.errors import NotFound


def tenant_of(settings: BoxSettings, name: str | None) -> TenantSettings:
    """Raises NotFound."""
    found = next((one for one in settings.tenants if one.name == name), None)
    if found is None:
        raise NotFound("there is no such tenant")
    return found


def with_tenant(
    settings: BoxSettings, name: str | None, change: Callable[[TenantSettings], TenantSettings]
) -> BoxSettings:
    """The settings in which that tenant is changed."""
    tenants = [change(one) if one.name == name else one for one in settings.tenants]
    return msgspec.structs.replace(settings, tenants=tenants)
