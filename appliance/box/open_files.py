"""How many files the front's processes may have open: a connection takes two, one to the peer and one to a worker."""

from __future__ import annotations

import contextlib
import resource

WORKER_CONNECTIONS = 16_384
"""Of each of the front's two processes, where it may have so many. A TLS handshake that goes no further holds one for
five seconds."""
_OTHER_FILES = 1_024
WANTED_FILES = 2 * WORKER_CONNECTIONS + _OTHER_FILES


def raise_limit() -> int:
    """Raise the hard limit that our children inherit to what the front wants, where we may (root with CAP_SYS_RESOURCE,
    up to fs.nr_open); what it is then. The soft limit stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < WANTED_FILES:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, WANTED_FILES))
    return allowed_files()


def allowed_files() -> int:
    """How many a process of the front may have open, at most WANTED_FILES."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)


def connections_for(files: int) -> int:
    """How many connections a process of the front can hold with so many files; nginx counts both sides of one."""
    return max(min(WORKER_CONNECTIONS, (files - _OTHER_FILES) // 2), files // 4)
