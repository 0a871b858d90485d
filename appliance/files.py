"""Files that are there as a whole or not at all, and on disk when that is said: for every room that keeps any."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """Whose a file is: numbers of user and group."""

    user: int
    group: int


def owner_of(directory: Path) -> Owner:
    """Who is to own what root writes for the process whose directory this is. Raises OSError."""
    status = directory.stat()
    return Owner(status.st_uid, status.st_gid)


def sync_file(path: str | Path) -> None:
    """Make a file's content durable. Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_directory(path: str | Path) -> None:
    """Make the names in a directory durable: of files that came into it, and that went. Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def write_file(path: Path, content: bytes, mode: int = 0o644, *, scratch: Path | None = None) -> None:
    """Replace a file as a whole: a reader sees the old or the new content, never a part, and the content is durable
    before it has the name. The name is durable once `sync_directory` has returned. Raises OSError; then the file is as
    it was.

    `mode`: of the file, whatever the umask. `scratch`: where it is written first, in the same directory; a name of this
    thread's where none is given, so that any number of writers may replace the same file.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}") if scratch is None else scratch
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_durably(path: Path, content: bytes, owner: Owner | None = None, mode: int = 0o644) -> None:
    """Replace a file as a whole: content durable before the name, the name before the return. Raises OSError.

    Its directories are made. `owner` becomes that of the file and of each directory made for it; only root can give to
    others. `mode`: of the file, less the umask. One writer at a time: what one left behind that died is written over.
    """
    _make_directories(path.parent, owner)
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    beside.rename(path)
    sync_directory(path.parent)


def lock_file(path: Path) -> int:
    """Hold a lock file, made where there is none, for this process: until it ends or closes the descriptor that this
    gives. Raises BlockingIOError where another process holds it, OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _make_directories(path: Path, owner: Owner | None) -> None:
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        if owner is not None:
            os.chown(directory, *owner)


def _sync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
