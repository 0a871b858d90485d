"""The kinds of a tenant's letters in the home: HOME/kinds/TENANT/KIND/VERSION.toml, written by the keymaster."""

from __future__ import annotations

from pathlib import Path

from appliance.box.home import Home


def kind_files(home: Home, tenant: str) -> list[Path]:
    """The files of every version of every kind of a tenant; of one kind, the oldest version first. None of them ever
    changes. Blocks."""
    directory = home.kinds / tenant
    if not directory.is_dir():
        return []
    files: list[Path] = []
    for kind in sorted(path for path in directory.iterdir() if path.is_dir()):
        files += sorted((path for path in kind.glob("*.toml") if path.stem.isdigit()), key=lambda path: int(path.stem))
    return files


def kinds_of(home: Home, tenant: str) -> list[bytes]:
    """What stands in `kind_files`. Blocks."""
    return [path.read_bytes() for path in kind_files(home, tenant)]
