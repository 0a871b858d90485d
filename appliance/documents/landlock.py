"""Which files a document worker may open, whatever its user may: the program, its libraries and fonts, for reading.

landlock(7), from Linux 5.13 on; later ones also take TCP and the signalling of others away. Only the thread that asks
is held, and threads that it starts: so it asks before it starts any.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import appliance

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # on every machine
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_EXECUTE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 2, 1 << 3
_ON_A_FILE: Final = _EXECUTE | _READ_FILE
_FILES_BY_VERSION: Final = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
"""All rights on files that a version knows."""
_NETWORK_FROM, _SCOPES_FROM = 4, 6
_NETWORK: Final = 3
"""TCP: bind and connect."""
_SCOPES: Final = 3
"""Abstract unix sockets, signals: of others than ourselves."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def needed_paths() -> list[Path]:
    """What a worker may have to read once it has its task: modules and libraries that are loaded late, fonts, zones."""
    program = Path(appliance.__file__).parent
    return [Path("/usr"), Path("/etc/localtime"), Path(sys.prefix), program, *map(Path, filter(None, sys.path))]


def version() -> int:
    """The version of landlock that the kernel has; 0 for none."""
    return max(0, int(_call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def confine(paths: Iterable[Path]) -> bool:
    """Hold this thread to reading beneath these paths, for ever; no_new_privs must be set. False where the kernel has
    no landlock. Raises OSError where it has and did not do it."""
    known = version()
    if not known:
        return False
    files = _FILES_BY_VERSION[min(known, len(_FILES_BY_VERSION) - 1)]
    asked = _Ruleset(files, _NETWORK if known >= _NETWORK_FROM else 0, _SCOPES if known >= _SCOPES_FROM else 0)
    ruleset = _checked(_call(_CREATE, ctypes.byref(asked), ctypes.c_size_t(ctypes.sizeof(asked)), ctypes.c_uint32(0)))
    try:
        for path in paths:
            _allow(ruleset, path)
        _checked(_call(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or is closed to us, needs no right
    try:
        allowed = _ON_A_FILE | (_READ_DIRECTORY if path.is_dir() else 0)
        rule = _Beneath(allowed, parent)
        _checked(
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
        )
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
