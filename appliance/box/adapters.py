"""Adapters of tenants in the home: HOME/adapters/TENANT/ID/VERSION.toml, written by the keymaster."""

from __future__ import annotations

from pathlib import Path

from appliance.box.home import Home


def adapter_files(home: Home, tenant: str) -> list[Path]:
    """The newest version of each of a tenant's adapters, by id. Blocks."""
    directory = home.adapters / tenant
    if not directory.is_dir():
        return []
    found = []
    for one in sorted(path for path in directory.iterdir() if path.is_dir()):
        versions = [path for path in one.glob("*.toml") if path.stem.isdigit()]
        if versions:
            found.append(max(versions, key=lambda path: int(path.stem)))
    return found
