"""Adapters of tenants in the home: HOME/adapters/TENANT/ID/VERSION.toml, written by the keymaster."""

from __future__ import annotations

from pathlib import Path

from appliance.box.home import Home
from appliance.box.versions import names_of, version_files


def adapter_files(home: Home, tenant: str) -> list[Path]:
    """The newest version of each of a tenant's adapters, by id. Blocks."""
    root = home.adapters
    versions = (version_files(root, tenant, name) for name in names_of(root, tenant))
    return [files[-1] for files in versions if files]
