"""Shutting a process off: a user and a network of its own, no way to more rights, and limits on what it may use and ask
of the kernel.

Linux alone has these: unshare(2), prctl(2), getrlimit(2), seccomp(2), landlock(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.documents import landlock, seccomp

_CLONE_NEWIPC = 0x08000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

HEADROOM_BYTES = 16 * 1024 * 1024
"""What a worker over its limit may still use to say so."""
_OPEN_FILES = 16
_LIFE_CPU_SECONDS = 600
"""What a worker with many tasks may use in all; one with a single task loses it before it sees the request."""
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Isolation:
    """How far this process is shut off."""

    own_user: bool
    own_network: bool
    calls_held: bool
    """Whether its workers are held to a list of system calls (appliance.documents.seccomp)."""
    files_held: bool
    """Whether its workers can open nothing but the program (appliance.documents.landlock)."""


@dataclass(frozen=True)
class Limits:
    """Of one task."""

    cpu_seconds: int = 10
    """Processor time; beyond, the kernel ends the worker."""
    wall_seconds: float = 30.0
    """Beyond, the keeper ends the worker."""
    memory_bytes: int = 768 * _MEBIBYTE
    """Address space beyond what a worker has when it waits, the request's own pages too."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    libc = _libc()
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def end_with(parent: int) -> None:
    """Die when the parent dies. A change of user undoes this, so it comes last. Exits if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def shut_off(user: int | None) -> Isolation:
    """Take this process, for ever, from the network and to `user` (numeric, with its group; None: as it is).

    Only root can do either. Where a new network namespace is refused (in some containers) it goes on, and says so in
    what it returns. Raises OSError when the user cannot be taken.
    """
    parent = os.getppid()
    own_network = False
    if os.geteuid() == 0:
        own_network = _libc().unshare(ctypes.c_int(_CLONE_NEWNET | _CLONE_NEWIPC)) == 0
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Workers run under the same user: none may look into another one, or into the keeper, by ptrace(2) or /proc.
    _prctl(_PR_SET_DUMPABLE, 0)
    end_with(parent)
    calls_held, files_held = _tried()
    return Isolation(user is not None, own_network, calls_held, files_held)


def _tried() -> tuple[bool, bool]:
    """Whether a process here can be held to system calls, and to files: one is."""
    child = os.fork()
    if child == 0:
        found = 0
        try:
            found |= 2 * landlock.confine(landlock.needed_paths())
            found |= seccomp.confine()
        finally:
            os._exit(found)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status in {1, 3}, status in {2, 3}


def confine(limits: Limits) -> None:
    """Limits of a worker, which it cannot raise again: memory, processor time, files; and no output. Files other than
    the program's are out of reach, where the kernel can do that, before there is a second thread."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + limits.memory_bytes
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory + HEADROOM_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, max(_LIFE_CPU_SECONDS, limits.cpu_seconds + 1)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    landlock.confine(landlock.needed_paths())


def begin_task(cpu_seconds: int, *, last: bool) -> None:
    """Give the next task its processor time, beyond what was used; after the `last` one there is none for ever."""
    used = int(time.process_time()) + 1 if not last else 0
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = min(hard, used + cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, min(hard, soft + 1) if last else hard))


def stay_alone(*, further: bool = False) -> None:
    """No further process or thread, and no system call that a task does not need, for ever: called before the request
    is looked at. `further`: more tasks may come."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    seccomp.confine(further=further)


def take_headroom() -> None:
    """After a MemoryError: enough to say so."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
