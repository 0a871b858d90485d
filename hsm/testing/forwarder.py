"""A PKCS#11 module that forwards to a real one and delays, fails, hangs or drops sessions on command.

It is built from forwarder.c with gcc. Commands go through a file that is mapped into memory, so that forwarding costs
next to nothing and any process that loads the module obeys them.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

from hsm.cryptoki import FUNCTION_NAMES

_SOURCE = Path(__file__).with_name("forwarder.c")
# struct control of forwarder.c: four unsigned words, then a struct command a function.
_HEADER = struct.Struct("@4I")
_COMMAND = struct.Struct("@IIiiQ")
_SIZE = _HEADER.size + len(FUNCTION_NAMES) * _COMMAND.size


def build(directory: Path) -> Path:
    """Compile the module. Raises subprocess.CalledProcessError."""
    library = directory / "forwarder.so"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return library


class Forwarder:
    """One instance of the module, in a directory of its own, with a copy of the real module.

    The copy keeps the real module's state apart from that of the same module loaded directly.
    """

    def __init__(self, library: Path, real_module: str, directory: Path) -> None:
        copy = directory / "real.so"
        shutil.copy(real_module, copy)
        path = directory / "forwarder.so"
        shutil.copy(library, path)
        path.with_name("forwarder.so.real").write_text(str(copy))
        control = path.with_name("forwarder.so.control")
        control.write_bytes(bytes(_SIZE))
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)
        self.module = str(path)

    def delay(self, milliseconds: float, function: str = "C_Sign") -> None:
        """Each call of the function takes this much longer."""
        self._put(function, 0, "I", round(milliseconds * 1000))

    def fail(self, value: int, function: str = "C_Sign", *, times: int | None = 1) -> None:
        """The next calls answer this return value; times None: until told otherwise."""
        self._put(function, 4, "I", value)
        self._put(function, 8, "i", -1 if times is None else times)

    def hang(self, function: str = "C_Sign", *, times: int | None = 1) -> None:
        """The next calls do not come back before `release`."""
        self._put(function, 12, "i", -1 if times is None else times)

    def release(self) -> None:
        """Let the calls that hang go on, and hang no more."""
        for function in FUNCTION_NAMES:
            self._put("C_" + function, 12, "i", 0)
        self.go_on()

    def go_on(self) -> None:
        """Let the calls that hang go on; what was told to hang after them will."""
        self._count(12)

    def drop_sessions(self) -> None:
        """Close all sessions of all slots, as an idle timer or a restart of the HSM does."""
        self._count(0)

    def log_out(self) -> None:
        """Log the user out; the sessions stay."""
        self._count(4)

    def remove_token(self) -> None:
        """No slot holds a token, and calls in sessions answer CKR_DEVICE_REMOVED, until `insert_token`."""
        struct.pack_into("@I", self._memory, 8, 1)

    def insert_token(self) -> None:
        """The token is back; its sessions are gone."""
        self.drop_sessions()
        struct.pack_into("@I", self._memory, 8, 0)

    def calls(self, function: str = "C_Sign") -> int:
        """How often the function was called."""
        return int(struct.unpack_from("@Q", self._memory, self._at(function) + 16)[0])

    def reset(self) -> None:
        """Behave well again."""
        for function in FUNCTION_NAMES:
            for offset in (0, 4, 8, 12):
                self._put("C_" + function, offset, "I", 0)
        if struct.unpack_from("@I", self._memory, 8)[0]:
            self.insert_token()
        self.release()

    def _at(self, function: str) -> int:
        return _HEADER.size + FUNCTION_NAMES.index(function.removeprefix("C_")) * _COMMAND.size

    def _put(self, function: str, offset: int, form: str, value: int) -> None:
        struct.pack_into("@" + form, self._memory, self._at(function) + offset, value)

    def _count(self, offset: int) -> None:
        (value,) = struct.unpack_from("@I", self._memory, offset)
        struct.pack_into("@I", self._memory, offset, (value + 1) & 0xFFFFFFFF)
