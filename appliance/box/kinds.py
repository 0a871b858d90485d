"""The kinds of a tenant's letters in the home: HOME/kinds/TENANT/KIND/VERSION.toml, written by the keymaster."""

from __future__ import annotations

from pathlib import Path

from appliance.box.home import Home
from appliance.box.versions import names_of, version_files


def kind_files(home: Home, tenant: str) -> list[Path]:
    """The files of every version of every kind of a tenant; of one kind, the oldest version first. None of them ever
    changes. Blocks."""
    root = home.kinds
    return [path for kind in names_of(root, tenant) for path in version_files(root, tenant, kind)]


def kinds_of(home: Home, tenant: str) -> list[bytes]:
    """What stands in `kind_files`. Blocks."""
    return [path.read_bytes() for path in kind_files(home, tenant)]
