"""Memory files: a document goes to its worker as a descriptor of one, sealed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable

_PIECES_A_WRITE = 512  # IOV_MAX is 1,024


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
