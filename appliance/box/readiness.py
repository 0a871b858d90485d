"""How a part tells the supervisor that it is ready: a line in a pipe whose number stands in its environment.

The pipe belongs to one life of one process, so nothing that an earlier life left behind, such as a socket or a page,
can be taken for its word. A process without the variable, which was started by hand, tells nobody.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

VARIABLE: Final = "CINNABAR_READY_FD"
TOKENS_AWAITED: Final = "CINNABAR_TOKENS_AWAITED"
"""A worker that takes over with other settings finds here, as a JSON array, the tokens that need not open."""
_LONGEST_REASON = 2_000
"""Bytes."""


def say_ready() -> None:
    """Tell the supervisor that this process now does what it is there for. Only the first time tells anything."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    with contextlib.suppress(OSError, ValueError):  # the supervisor is gone, and we with it in a moment
        descriptor = int(number)
        os.write(descriptor, b"\n")
        os.close(descriptor)


def say_why(reason: str) -> None:
    """Tell the supervisor why this process ends before it was ready: one line, without secrets."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    with contextlib.suppress(OSError, ValueError):
        line = " ".join(reason.split()).encode()[:_LONGEST_REASON]
        descriptor = int(number)
        os.write(descriptor, line)
        os.close(descriptor)


class ReadyPipe:
    """The supervisor's side, for one life of one process."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        """`theirs`: the descriptor that the process inherits."""
        os.set_blocking(self._ours, False)
        self._told = b""

    @property
    def environment(self) -> dict[str, str]:
        """What the process must find in its environment."""
        return {VARIABLE: str(self.theirs)}

    @property
    def said(self) -> bool:
        """Whether the process has said that it is ready."""
        return self._read()[:1] == b"\n"

    @property
    def why(self) -> str:
        """Why the process ended before it was ready, if it said so."""
        return "" if self.said else self._read().decode(errors="replace")

    def _read(self) -> bytes:
        if not self._told and self._ours >= 0:
            with contextlib.suppress(BlockingIOError):
                self._told = os.read(self._ours, _LONGEST_REASON)
        return self._told

    def started(self) -> None:
        """The process has its end: ours of it goes."""
        os.close(self.theirs)

    def close(self) -> None:
        """The process has ended."""
        os.close(self._ours)
        self._ours = -1
