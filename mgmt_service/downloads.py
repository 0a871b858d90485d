"""Answers that are files: saved by the browser, never shown by it. Large ones have slots, since each keeps a thread for
as long as its reader takes, and the pages need threads that no slow reader holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from flask import Response, g

from mgmt_service.problems import TooMany

LARGE_BYTES: Final = 256 * 1024
"""What is smaller goes into the front's memory at once, however slow its reader."""
AT_ONCE: Final = 4
"""Large downloads of one process of the service: half of its threads."""
OF_ONE: Final = 2
"""Of them, those of one person."""


class Slots:
    """Who is downloading now. For several threads."""

    def __init__(self, at_once: int = AT_ONCE, of_one: int = OF_ONE) -> None:
        self._at_once, self._of_one = at_once, of_one
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, person: str) -> Callable[[], None]:
        """A slot; gives what leaves it, once. Raises TooMany."""
        with self._lock:
            if self._taken[person] >= self._of_one or self._taken.total() >= self._at_once:
                raise TooMany("other large downloads run; let them end, and try again in a moment")
            self._taken[person] += 1
        left = threading.Event()

        def leave() -> None:
            with self._lock:
                if not left.is_set():
                    left.set()
                    self._taken -= Counter([person])

        return leave


_slots = Slots()


def download(content: bytes, name: str) -> Response:
    """Bytes as a file of this name. `name`: of our own making, with no text from outside. Raises TooMany."""
    return streamed(lambda: [content], name, len(content))


def streamed(content: Callable[[], Iterable[bytes]], name: str, size: int, *, exact: bool = True) -> Response:
    """The same for `size` bytes in parts, which are asked for once there is room for them. `exact`: else it is about so
    many. Raises TooMany."""
    leave = _slots.take(g.context.viewer.person) if size > LARGE_BYTES else _nothing
    try:
        response = Response(content(), mimetype="application/octet-stream")
    except BaseException:
        leave()
        raise
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if exact:
        response.content_length = size
    response.call_on_close(leave)
    return response


def _nothing() -> None:
    """What is small takes no slot."""
