"""What a ceremony leaves for others: its record bundle, which `cinnabar verify` checks without the box."""

from __future__ import annotations

from flask import Response

from mgmt_service.access import Area
from mgmt_service.areas.ceremonies import READ
from mgmt_service.dispatch import Context
from mgmt_service.downloads import download

area = Area("bundles")


@area.read("/ceremonies/<digest>/bundle", access=READ, gives=bytes)
def bundle(context: Context, digest: str) -> Response:
    """The record bundle of a ceremony that has ended (ASiC-E). The first time it may take some seconds."""
    content = context.services.desk.call(lambda client: client.bundle(digest))
    return download(content, f"ceremony-{digest[:16]}.asice")
