"""Tenants' seal objects in the home: HOME/seal-objects/TENANT/NAME/VERSION.json, written by the keymaster."""

from __future__ import annotations

import hashlib

from appliance.box.home import Home
from appliance.letters.errors import SealObjectRefused


def seal_object_names(home: Home, tenant: str) -> list[str]:
    """Of a tenant, sorted. Blocks."""
    directory = home.seal_objects / tenant
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def seal_object_versions(home: Home, tenant: str, name: str) -> list[bytes]:
    """The first one first. Blocks."""
    directory = home.seal_objects / tenant / name
    numbers = sorted(int(path.stem) for path in directory.glob("*.json") if path.stem.isdigit())
    return [(directory / f"{number}.json").read_bytes() for number in numbers]


def newest_seal_object(home: Home, tenant: str, name: str) -> tuple[bytes, str]:
    """The newest version of a seal object, and its SHA-256 in hexadecimal. Raises SealObjectRefused. Blocks."""
    versions = seal_object_versions(home, tenant, name)
    if not versions:
        raise SealObjectRefused(f"there is no seal object {name}")
    return versions[-1], hashlib.sha256(versions[-1]).hexdigest()
