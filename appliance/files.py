"""Files that are there as a whole or not at all, and on disk when that is said: for every room that keeps any."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_ON_THE_WAY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS: Final = 16


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
        beside.unlink(missing_ok=True)  # of one that died; or a link, in a directory that is another user's
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
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
    Whatever links stand in a directory of another user's, root writes nowhere else (`open_directory`).
    """
    beside = f"{path.name}.new"
    with closing_descriptor(open_directory(path.parent, make=True, owner=owner)) as directory:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(beside, flags, mode, dir_fd=directory)
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(beside, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)


@contextlib.contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Closes it in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(path: Path, *, make: bool = False, owner: Owner | None = None) -> int:
    """The descriptor of a directory. `make`: it and those above it are made where there are none, and are `owner`'s.

    Parts of the box own directories in which root writes, and whose files it gives to others. So root follows no link
    on the way but its own: another user's could lead to where root alone may write. Raises OSError, PermissionError
    for such a link.
    """
    with closing_descriptor(_walk(None, path.absolute().parts, make=make, owner=owner, links=_MOST_LINKS)) as found:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)


def _walk(start: int | None, parts: Sequence[str], *, make: bool, owner: Owner | None, links: int) -> int:
    """`parts` from the directory `start` on, each within the one before, which nobody can exchange meanwhile."""
    here = os.open("/", _ON_THE_WAY) if start is None else os.dup(start)
    try:
        for part in parts:
            following = _step(here, part, make=make, owner=owner, links=links)
            os.close(here)
            here = following
    except BaseException:
        os.close(here)
        raise
    return here


def _step(here: int, part: str, *, make: bool, owner: Owner | None, links: int) -> int:
    if part == "/":
        return os.open("/", _ON_THE_WAY)
    try:
        return os.open(part, _ON_THE_WAY | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    except OSError:
        if not _is_link(part, here):
            raise
        if links == 0:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part) from None
        return _walk(here, Path(os.readlink(part, dir_fd=here)).parts, make=make, owner=owner, links=links - 1)
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, dir_fd=here)
    with closing_descriptor(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)) as made:
        if owner is not None:
            os.fchown(made, *owner)
        return os.dup(made)


def give(path: Path, owner: Owner) -> None:
    """Make a file, or a directory with all that is in it, another user's. No link in it is followed, and on the way to
    it root follows its own alone. Raises OSError, PermissionError."""
    if path.is_dir():
        with closing_descriptor(open_directory(path)) as top:
            os.fchown(top, *owner)
            for _, names, files, directory in os.fwalk(dir_fd=top):
                for name in (*names, *files):
                    os.chown(name, *owner, dir_fd=directory, follow_symlinks=False)
        return
    with closing_descriptor(open_directory(path.parent)) as directory:
        os.chown(path.name, *owner, dir_fd=directory, follow_symlinks=_is_link(path.name, directory))


@contextlib.contextmanager
def acting_as(owner: Owner) -> Iterator[None]:
    """Root works with what another user owns as that user, who may have put links there. For commands of one thread."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(owner.group)
    os.seteuid(owner.user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextlib.contextmanager
def acting_as_owner_of(directory: Path) -> Iterator[None]:
    """As `acting_as`, of whose this directory is; as root where its owner cannot reach it, as oneself where one is not
    root. Raises OSError."""
    if os.geteuid() != 0:
        yield
        return
    with contextlib.ExitStack() as acting:
        acting.enter_context(acting_as(owner_of(directory)))
        if not os.access(directory, os.X_OK, effective_ids=True):
            acting.close()
        yield


def _is_link(name: str, directory: int) -> bool:
    """Raises PermissionError for one that root is not to follow."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        return False
    if os.geteuid() == 0 and status.st_uid != 0:
        within = Path(f"/proc/self/fd/{directory}").readlink()
        raise PermissionError(errno.EPERM, "a link of another user", f"{within}/{name}")
    return True


def open_file(path: Path, *, write: bool = False) -> BinaryIO:
    """Open for reading, `write`: also for writing, a file that another user's process keeps: a plain one, and no link,
    pipe or device in its place, at which the reader would wait for ever or read on without end. On the way to it root
    follows its own links alone (`open_directory`). Raises FileNotFoundError, OSError."""
    if os.geteuid() != 0:
        return open_file_in(None, os.fspath(path), write=write)
    with closing_descriptor(_walk(None, path.parent.absolute().parts, make=False, owner=None, links=_MOST_LINKS)) as at:
        return open_file_in(at, path.name, write=write)


def open_file_in(directory: int | None, name: str, *, write: bool = False) -> BinaryIO:
    """As `open_file`, of a name in a directory that is open. Raises FileNotFoundError, OSError."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags | (os.O_RDWR if write else os.O_RDONLY), dir_fd=directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no plain file", name)
    return os.fdopen(descriptor, "r+b" if write else "rb")


def remove_file(path: Path) -> None:
    """Remove a file that another user's process keeps, where it is there; root follows none of their links on the way
    to it. Raises OSError."""
    with closing_descriptor(open_directory(path.parent)) as directory, contextlib.suppress(FileNotFoundError):
        os.unlink(path.name, dir_fd=directory)


def read_file(path: Path, most: int) -> bytes:
    """All of such a file, of at most so many bytes. Raises FileNotFoundError, OSError."""
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return content


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


def _sync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
