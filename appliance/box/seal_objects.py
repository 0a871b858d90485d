"""Tenants' seal objects in the home: HOME/seal-objects/TENANT/NAME/VERSION.json, written by the keymaster."""

from __future__ import annotations

import hashlib

from appliance.box.home import Home
from appliance.box.versions import version_files
from appliance.letters.errors import SealObjectRefused


def seal_object_versions(home: Home, tenant: str, name: str) -> list[bytes]:
    """The first one first. Blocks."""
    return [path.read_bytes() for path in version_files(home.seal_objects, tenant, name)]


def newest_seal_object(home: Home, tenant: str, name: str) -> tuple[bytes, str]:
    """The newest version of a seal object, and its SHA-256 in hexadecimal. Raises SealObjectRefused. Blocks."""
    versions = seal_object_versions(home, tenant, name)
    if not versions:
        raise SealObjectRefused(f"there is no seal object {name}")
    return versions[-1], hashlib.sha256(versions[-1]).hexdigest()
