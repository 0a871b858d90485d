"""What the keymaster keeps in the home version by version: ROOT/TENANT/NAME/VERSION.SUFFIX. No version ever changes."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.files import sync_directory, write_file


def names_of(root: Path, tenant: str) -> list[str]:
    """What a tenant has there, sorted. Blocks."""
    return sorted(name for name, is_directory in _entries(root / tenant) if is_directory)


def version_files(root: Path, tenant: str, name: str) -> list[Path]:
    """Every version, the oldest first. Blocks."""
    directory = root / tenant / name
    numbers = [(file.partition(".")[0], file) for file, _ in _entries(directory)]
    return [directory / file for _, file in sorted((int(stem), file) for stem, file in numbers if stem.isdigit())]


def _entries(directory: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a directory). A worker looks at all of a tenant's once a second: one call a directory."""
    try:
        with os.scandir(directory) as found:
            return [(one.name, one.is_dir()) for one in found]
    except (FileNotFoundError, NotADirectoryError):
        return []


def keep_version(root: Path, tenant: str, name: str, file: str, text: bytes) -> None:
    """Write one; it is on disk, with the directories that lead to it, when this returns. Blocks."""
    directory = root / tenant / name
    for path in (directory.parent, directory):
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_file(directory / file, text, 0o640)
    for path in (directory, directory.parent, root):
        sync_directory(path)
