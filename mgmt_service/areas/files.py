"""The style sheet and the scripts: our own, versioned, kept by browsers for ever."""

from __future__ import annotations

import mimetypes
from typing import Final

from flask import Response, send_from_directory

from appliance.errors import NotFound
from mgmt_service.access import Access, Area, Entry
from mgmt_service.dispatch import Context

area = Area("files")
TYPES: Final = {".css", ".js", ".svg"}
mimetypes.add_type("text/javascript", ".js")


@area.read("/static/<version>/<name>", access=Access(entry=Entry.ANYBODY, touches=False), gives=bytes, api=False)
def static(context: Context, version: str, name: str) -> Response:
    """A file of the pages."""
    from mgmt_service.app import STATIC  # noqa: PLC0415 - the application imports the areas

    if not any(name.endswith(kind) for kind in TYPES):
        raise NotFound("there is no such file")
    response = send_from_directory(STATIC, name)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
