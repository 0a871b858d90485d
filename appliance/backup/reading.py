"""A home as a backup reads it: each file within its directory, which is held open meanwhile.

The box's own processes own most of these directories, and root reads them. Whatever one that was taken over exchanges
while they are read, no link is followed, nothing but a plain file is opened, and what is read comes to an end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from appliance.backup.errors import BackupFailed
from appliance.files import closing_descriptor, open_directory, open_file_in

_DEEPEST: Final = 64
"""Directories within each other; a box has eight."""
_TIMES_ITS_DISK: Final = 4
"""A file with holes says that it is longer than any disk. What a disk compresses may be somewhat larger than it."""


class Found(NamedTuple):
    """A file or a directory. `file`: open as long as it is looked at; None for a directory."""

    path: Path
    status: os.stat_result
    file: BinaryIO | None


class HomeReader:
    """Reads the files of one home once each, within what its disks can hold."""

    def __init__(self, left_out: set[Path]) -> None:
        self._left_out = left_out
        self._read: dict[int, int] = {}
        """Bytes so far, by the number of the device."""

    def tree(self, path: Path, *, may_be_gone: bool = False, without: set[Path] | None = None) -> Iterator[Found]:
        """A path and everything below it, directories before their contents; nothing where it is not there.
        `may_be_gone`: also of what is below it. Raises BackupFailed."""
        left_out = self._left_out | (without or set())
        if not _is_wanted(path, left_out):
            return
        try:
            parent = open_directory(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed(path, error) from None
        with closing_descriptor(parent):
            try:
                os.stat(path.name, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                return
            yield from self._one(parent, path, left_out, may_be_gone, _DEEPEST)

    def _one(self, parent: int, path: Path, left_out: set[Path], may_be_gone: bool, depth: int) -> Iterator[Found]:
        with ExitStack() as opened:
            try:
                mode = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode
                if stat.S_ISSOCK(mode):
                    return
                if not stat.S_ISDIR(mode):
                    if not stat.S_ISREG(mode):
                        raise BackupFailed(f"{path} is neither a file nor a directory")
                    file = opened.enter_context(open_file_in(parent, path.name))
                    status = os.fstat(file.fileno())
                    names = []
                else:
                    file = None
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    directory = opened.enter_context(closing_descriptor(os.open(path.name, flags, dir_fd=parent)))
                    status = os.fstat(directory)
                    names = sorted(os.listdir(directory))  # noqa: PTH208 - of a descriptor
            except OSError as error:
                # A partial tile gives way to the full one, a new file to its name.
                if isinstance(error, FileNotFoundError) and may_be_gone:
                    return
                raise _failed(path, error) from None
            if file is not None:
                self._count(path, file, status)
            yield Found(path, status, file)
            if names and not depth:
                raise BackupFailed(f"{path} lies deeper than anything of a box")
            for name in names:
                below = path / name
                if _is_wanted(below, left_out):
                    yield from self._one(directory, below, left_out, may_be_gone, depth - 1)

    def _count(self, path: Path, file: BinaryIO, status: os.stat_result) -> None:
        disk = os.fstatvfs(file.fileno())
        read = self._read[status.st_dev] = self._read.get(status.st_dev, 0) + status.st_size
        if disk.f_blocks and read > disk.f_blocks * disk.f_frsize * _TIMES_ITS_DISK:
            raise BackupFailed(f"{path} says that it is longer than its disk")


def directories_in(path: Path) -> list[Path]:
    """Those in a directory, sorted; none that a link leads to. Raises OSError."""
    with closing_descriptor(open_directory(path)) as directory, os.scandir(directory) as found:
        return sorted(path / entry.name for entry in found if entry.is_dir(follow_symlinks=False))


def _is_wanted(path: Path, left_out: set[Path]) -> bool:
    return path not in left_out and not path.name.endswith(".new") and not path.name.startswith(".backup-")


def _failed(path: Path, error: OSError) -> BackupFailed:
    if isinstance(error, FileNotFoundError):
        return BackupFailed(f"{path} has gone while the backup was made")
    if error.errno in {errno.ELOOP, errno.EINVAL, errno.ENOTDIR}:
        return BackupFailed(f"{path} is neither a file nor a directory")
    return BackupFailed(f"{path} could not be read: {error.strerror}")
