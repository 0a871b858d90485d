"""The REST API's description: OpenAPI 3.1, made from the declarations."""

from __future__ import annotations

from typing import Any

from mgmt_service.access import Access, Area, Entry
from mgmt_service.dispatch import Context, dispatcher
from mgmt_service.openapi import describe

area = Area("description")


@area.read("/openapi.json", access=Access(entry=Entry.SIGNED_IN, touches=False), gives=dict, page=False)
def openapi(context: Context) -> dict[str, Any]:
    """This description."""
    return describe(dispatcher().operations)
