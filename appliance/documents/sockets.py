"""The socket of the document workers: private, and its peers' users checked; and memory files that go over it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import CinnabarError

_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 64
_PIECES_A_WRITE = 512  # IOV_MAX is 1,024


class UnsafeDocumentsDirectory(CinnabarError):
    """Others than the intended users could reach the socket's directory."""

    code = "unsafe-documents-directory"


def listen(path: Path) -> socket.socket:
    """A listening socket for user and group, in a directory of ours that is 0750 or less; made 0700 if not there.

    Raises UnsafeDocumentsDirectory, OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.parent.stat(follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o027:
        raise UnsafeDocumentsDirectory(f"{path.parent} must be a directory of mode 0750 or less, owned by this user.")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    path.chmod(0o660)  # before anybody can connect
    listener.listen(_BACKLOG)
    return listener


def peer_user(connected: socket.socket) -> int:
    """The numeric user at the other end when it connected (SO_PEERCRED, unix(7))."""
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])


def memory_file(pieces: Iterable[bytes]) -> int:
    """A descriptor of a memory file with these bytes, which nobody can change any more. Raises OSError."""
    descriptor = os.memfd_create("document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        waiting = [memoryview(piece) for piece in pieces if piece]
        waiting.reverse()
        while waiting:
            batch = waiting[: -_PIECES_A_WRITE - 1 : -1]
            written = os.writev(descriptor, batch)
            while written:
                if written < len(waiting[-1]):
                    waiting[-1] = waiting[-1][written:]
                    break
                written -= len(waiting.pop())
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_sealed(descriptor: int) -> bool:
    """Whether this is a memory file that can no longer change: one cut short would end whoever reads it."""
    wanted = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & wanted == wanted
    except OSError:
        return False
