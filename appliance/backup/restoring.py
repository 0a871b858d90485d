"""Making a home from a backup. It starts locked: only `cinnabar log resume` opens it (control FORK)."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import msgspec

from appliance.backup.archive import MANIFEST, Manifest
from appliance.backup.errors import BackupUnreadable, HomeNotEmpty
from appliance.backup.stream import DecryptingReader
from appliance.box.home import Home

_MANIFEST_LIMIT = 1 << 20


def read_backup(source: BinaryIO, home: Home, passphrase: bytes) -> Manifest:
    """Restore a backup into a home that is not there yet, or empty.

    Nothing stands at the home before the whole backup has been read and authenticated to its end. Raises HomeNotEmpty,
    BackupUnreadable.
    """
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise HomeNotEmpty(f"{home.root} is not empty")
    reader = DecryptingReader(source, passphrase)
    home.root.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.root.name}.restoring-", dir=home.root.parent))
    try:
        manifest = _extract(reader, scratch)
        reader.finish()
        _name_new_home(scratch, Path(manifest.home), home.root)
        lock = Home(scratch).history_lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("restored from a backup: resume with the last exported checkpoint of each log\n")
        scratch.chmod(manifest.mode & 0o777)
        os.sync()
        if home.root.exists():
            home.root.rmdir()
        scratch.rename(home.root)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return manifest


def _extract(reader: DecryptingReader, scratch: Path) -> Manifest:
    directories: list[tuple[Path, tarfile.TarInfo]] = []
    try:
        with tarfile.open(fileobj=cast("BinaryIO", reader), mode="r|") as archive:
            first = archive.next()
            content = None if first is None or first.name != MANIFEST else archive.extractfile(first)
            if content is None:
                raise BackupUnreadable("the backup has no manifest")
            manifest = msgspec.json.decode(content.read(_MANIFEST_LIMIT), type=Manifest)
            while (member := archive.next()) is not None:
                path = scratch / _safe_name(member.name)
                if member.isdir():
                    path.mkdir(mode=0o700, parents=True, exist_ok=True)
                    directories.append((path, member))
                elif member.isreg() and (file := archive.extractfile(member)) is not None:
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                        shutil.copyfileobj(file, target, 1 << 20)
                    _give(path, member)
                else:
                    raise BackupUnreadable(f"{member.name!r} is neither a file nor a directory")
    except (tarfile.TarError, msgspec.MsgspecError, FileExistsError) as error:
        raise BackupUnreadable(f"the backup's contents cannot be read: {error}") from error
    for path, member in reversed(directories):
        _give(path, member)
    return manifest


def _safe_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise BackupUnreadable(f"{name!r} is no name within a home")
    return path


def _give(path: Path, member: tarfile.TarInfo) -> None:
    if os.geteuid() == 0:
        os.chown(path, member.uid, member.gid)
    path.chmod(member.mode & 0o3777)
    os.utime(path, (member.mtime, member.mtime))


def _name_new_home(scratch: Path, old: Path, new: Path) -> None:
    """SoftHSM's configuration names its directory by its whole path: a rehearsal home may be restored elsewhere."""
    configuration = Home(scratch).tokens / "softhsm2.conf"
    if configuration.exists() and old != new:
        configuration.write_text(configuration.read_text().replace(f"{old}/", f"{new}/"))
