"""The kinds of a tenant's letters in the home: HOME/kinds/TENANT/KIND/VERSION.toml, written by the keymaster."""

from __future__ import annotations

from appliance.box.home import Home


def kinds_of(home: Home, tenant: str) -> list[bytes]:
    """The files of every version of every kind of a tenant; of one kind, the oldest version first. Blocks."""
    directory = home.kinds / tenant
    if not directory.is_dir():
        return []
    texts = []
    for kind in sorted(path for path in directory.iterdir() if path.is_dir()):
        versions = sorted(
            (path for path in kind.glob("*.toml") if path.stem.isdigit()), key=lambda path: int(path.stem)
        )
        texts += [path.read_bytes() for path in versions]
    return texts
