"""What the keymaster keeps in the home version by version: ROOT/TENANT/NAME/VERSION.SUFFIX. No version ever changes."""

from __future__ import annotations

from pathlib import Path

from appliance.box.process import sync_directory, write_file


def names_of(root: Path, tenant: str) -> list[str]:
    """What a tenant has there, sorted. Blocks."""
    directory = root / tenant
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def version_files(root: Path, tenant: str, name: str) -> list[Path]:
    """Every version, the oldest first. Blocks."""
    files = (path for path in (root / tenant / name).glob("*") if path.stem.isdigit())
    return sorted(files, key=lambda path: int(path.stem))


def keep_version(root: Path, tenant: str, name: str, file: str, text: bytes) -> None:
    """Write one; it is on disk, with the directories that lead to it, when this returns. Blocks."""
    directory = root / tenant / name
    for path in (directory.parent, directory):
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_file(directory / file, text, 0o640)
    for path in (directory, directory.parent, root):
        sync_directory(path)
