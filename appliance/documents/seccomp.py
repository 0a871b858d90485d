"""Which system calls a document worker may make: a list of what it needs, and nothing else (seccomp(2)).

A BPF program made here, for x86-64 and aarch64, is given to the kernel for all threads of the process, for ever. What
stands on no list is refused with EPERM, which a parser takes for a failed call. What no parser asks for by mistake, and
only an attacker on the kernel or on another process does, ends the worker (SIGSYS). The numbers are those of the
kernel's headers asm/unistd_64.h and asm-generic/unistd.h; linux/filter.h and linux/seccomp.h have the rest.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1
_KILL_PROCESS: Final = 0x8000_0000
_ERRNO: Final = 0x0005_0000
_ALLOW: Final = 0x7FFF_0000
_X32: Final = 0x4000_0000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_INSTRUCTION: Final = struct.Struct("<HBBI")
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4

_NOT_FOR_READING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_WRITE_AND_EXECUTE: Final = 6
"""PROT_WRITE | PROT_EXEC."""


class Machine(NamedTuple):
    """A kind of processor, and where its numbers stand in a pair of NUMBERS."""

    audit: int
    """AUDIT_ARCH of linux/audit.h, which the kernel tells the program."""
    column: int
    seccomp: int
    """The number of seccomp(2) itself."""


MACHINES: Final = {"x86_64": Machine(0xC000_003E, 0, 317), "aarch64": Machine(0xC000_00B7, 1, 277)}

# Name to the numbers on x86-64 and aarch64; None where the machine does not have the call.
Numbers = dict[str, tuple[int | None, int | None]]
ALLOWED: Final[Numbers] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, None), "fstat": (5, 80), "lstat": (6, None),
    "poll": (7, None), "lseek": (8, 62), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66),
    "access": (21, None), "sched_yield": (24, 124), "mremap": (25, 216), "mincore": (27, 232), "madvise": (28, 233),
    "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172), "sendto": (44, 206), "recvfrom": (45, 207),
    "exit": (60, 93), "uname": (63, 160), "fcntl": (72, 25), "getdents": (78, None), "getcwd": (79, 17),
    "readlink": (89, None), "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "setrlimit": (160, 164),
    "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173), "getgroups": (115, 158),
    "sigaltstack": (131, 132), "statfs": (137, 43), "fstatfs": (138, 44), "gettid": (186, 178), "time": (201, None),
    "futex": (202, 98), "sched_getaffinity": (204, 123), "getdents64": (217, 61), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "newfstatat": (262, 79), "readlinkat": (267, 78), "faccessat": (269, 48), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "getcpu": (309, 168), "getrandom": (318, 278), "statx": (332, 291),
    "rseq": (334, 293), "faccessat2": (439, 439),
}  # fmt: skip
FOR_FURTHER_TASKS: Final[Numbers] = {"recvmsg": (47, 212)}
"""Allowed beside where a worker goes on: the next request comes as a descriptor, from the keeper alone."""
ENDS: Final[Numbers] = {
    "execve": (59, 221), "ptrace": (101, 117), "uselib": (134, None), "pivot_root": (155, 41), "acct": (163, 89),
    "chroot": (161, 51), "settimeofday": (164, 170), "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "iopl": (172, None), "ioperm": (173, None),
    "init_module": (175, 105), "delete_module": (176, 106), "quotactl": (179, 60), "clock_settime": (227, 112),
    "kexec_load": (246, 104), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "setns": (308, 268),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "finit_module": (313, 273),
    "kexec_file_load": (320, 294), "bpf": (321, 280), "execveat": (322, 281), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "mount_setattr": (442, 442),
}  # fmt: skip
JUDGED: Final[Numbers] = {
    "open": (2, None), "openat": (257, 56), "mmap": (9, 222), "mprotect": (10, 226), "kill": (62, 129),
    "tgkill": (234, 131), "prlimit64": (302, 261),
}  # fmt: skip
"""Allowed by their arguments: files to read, memory that is not both written and executed, signals and limits of this
process alone."""


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no`: how many of the next ones a jump leaves out."""
    return _INSTRUCTION.pack(code, yes, no, value)


def _argument(index: int) -> bytes:
    """Load the lower half of an argument; both machines put it first."""
    return _step(_LOAD, 16 + 8 * index)


_REFUSE: Final = _step(_RETURN, _ERRNO | errno.EPERM)
_GRANT: Final = _step(_RETURN, _ALLOW)
_END: Final = _step(_RETURN, _KILL_PROCESS)


def _judgement(name: str, process: int) -> list[bytes]:
    """What decides about a call of JUDGED; it always returns."""
    if name in {"open", "openat"}:
        flags = 1 if name == "open" else 2
        return [_argument(flags), _step(_ANY_BIT, _NOT_FOR_READING, 0, 1), _REFUSE, _GRANT]
    if name in {"mmap", "mprotect"}:
        both = _WRITE_AND_EXECUTE
        return [_argument(2), _step(_AND, both), _step(_EQUAL, both, 0, 1), _REFUSE, _GRANT]
    own = 0 if name == "prlimit64" else process
    return [_argument(0), _step(_EQUAL, own, 0, 1), _GRANT, _REFUSE]


def program(machine: Machine, process: int, *, further: bool = False) -> bytes:
    """The BPF program for a process of this number on this machine, as struct sock_filter after struct sock_filter."""
    steps = [_step(_LOAD, _ARCHITECTURE_AT), _step(_EQUAL, machine.audit, 1, 0), _END, _step(_LOAD, _NUMBER_AT)]
    if machine.audit == MACHINES["x86_64"].audit:
        steps += [_step(_AT_LEAST, _X32, 0, 1), _END]  # the other way to call the same kernel
    for name, number in _numbers(JUDGED, machine):
        judged = _judgement(name, process)
        steps += [_step(_EQUAL, number, 0, len(judged)), *judged]
    for _, number in _numbers(ALLOWED | FOR_FURTHER_TASKS if further else ALLOWED, machine):
        steps += [_step(_EQUAL, number, 0, 1), _GRANT]
    for _, number in _numbers(ENDS, machine):
        steps += [_step(_EQUAL, number, 0, 1), _END]
    return b"".join([*steps, _REFUSE])


def _numbers(numbers: Numbers, machine: Machine) -> Iterable[tuple[str, int]]:
    for name, pair in numbers.items():
        number = pair[machine.column]
        if number is not None:
            yield name, number


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def confine(*, further: bool = False) -> bool:
    """Hold every thread of this process to the lists, for ever; no_new_privs must be set. `further`: it may take more
    tasks. False where the machine or its kernel does not have it. Raises OSError where the kernel has it and did not
    do it."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    steps = program(machine, os.getpid(), further=further)
    given = _Program(len(steps) // _INSTRUCTION.size, steps)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(
        ctypes.c_long(machine.seccomp), ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_FLAG_TSYNC), ctypes.byref(given)
    )
    if done == 0:
        return True
    error = ctypes.get_errno()
    if error in {errno.ENOSYS, errno.EINVAL}:
        return False
    raise OSError(error or errno.EPERM, "the filter of system calls was not taken")
