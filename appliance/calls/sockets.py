"""Unix sockets for processes of the same box: who listens where, and who is at the other end."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final, NamedTuple

from appliance.errors import CinnabarError

BACKLOG: Final = 1_024
_CREDENTIALS: Final = struct.Struct("3i")


class UnsafeSocketDirectory(CinnabarError):
    """A directory for sockets that others could write to or look into."""

    code = "unsafe-socket-directory"


class Peer(NamedTuple):
    """The process at the other end, as it was when it connected; numeric."""

    process: int
    user: int
    group: int


def peer_of(connected: socket.socket) -> Peer:
    """Who connected (SO_PEERCRED, unix(7))."""
    return Peer(*_CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))


def private_directory(path: Path) -> None:
    """Make the directory 0700, or check the one that stands: at most 0750, and of our user or root's.

    Raises UnsafeSocketDirectory.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat(follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o027:
        raise UnsafeSocketDirectory(f"{path} must be a directory of mode 0750 or less, owned by this user.")


def private_listener(path: Path) -> socket.socket:
    """A listening socket for user and group in a private directory. Raises UnsafeSocketDirectory."""
    private_directory(path.parent)
    return unix_listener(path)


def unix_listener(path: Path, mode: int = 0o660) -> socket.socket:
    """A listening socket at the path, for user and group only unless the mode says more.

    A socket that is there is replaced in one step: whoever connects comes to its process, or to this one."""
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Nobody can connect before the mode stands: connecting needs listen().
    listener.bind(str(scratch))
    scratch.chmod(mode)
    listener.listen(BACKLOG)
    scratch.rename(path)
    return listener
