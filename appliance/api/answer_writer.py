"""What leaves on one connection, and what a peer may leave unread.

An answer stays in memory until the peer has read it. So the peer must take some of it all the time, and all of it in
proportion to its size; and what all peers of a process leave unread is bounded: beyond, those are cut off that have
read for the longest. Nothing is lost by that: what was signed is on record, and its Idempotency-Key answers again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from appliance.api.connection import Hub

STALLED_SECONDS: Final = 30.0
"""A peer that takes none of its answer for so long is cut off."""
ANSWER_SECONDS: Final = 30.0
"""For all of an answer, plus one second for each ANSWER_BYTES_A_SECOND of it."""
ANSWER_BYTES_A_SECOND: Final = 64 * 1024

log = structlog.get_logger("api")


class AnswerWriter:
    """The writing side of a connection."""

    __slots__ = ("_deadline", "_hub", "_left", "_moved", "_transport", "paused", "since", "unread")

    def __init__(self, hub: Hub, transport: asyncio.Transport) -> None:
        self._hub = hub
        self._transport = transport
        self.paused = False
        """The peer has some of an answer still to read: no other is begun."""
        self.unread = 0
        """Bytes of memory that this answer holds: all of it until it has left."""
        self.since = 0.0
        """Of the loop's clock: when it began."""
        self._left = 0
        self._moved = 0.0
        self._deadline = 0.0

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        """The transport holds more than its high-water mark."""
        hub, now = self._hub, self._hub.loop.time()  # not the coarse one: order counts
        self.paused = True
        self.since = self._moved = now
        self.unread = self._left = self._transport.get_write_buffer_size()
        self._deadline = now + ANSWER_SECONDS + self.unread / ANSWER_BYTES_A_SECOND
        hub.unread += self.unread
        if hub.unread > hub.unread_limit:
            hub.cut_off_readers()

    def resume(self) -> None:
        """Nearly all has left."""
        self.paused = False
        self.forget()

    def forget(self) -> None:
        """Nothing is held any more."""
        self._hub.unread -= self.unread
        self.unread = 0

    def check(self, now: float) -> None:
        """Cut off a peer that is too slow."""
        if not self.paused:
            return
        left = self._transport.get_write_buffer_size()
        if left < self._left:
            self._left, self._moved = left, now
        if now > self._deadline or now > self._moved + STALLED_SECONDS:
            self.cut_off()

    def cut_off(self) -> None:
        """End the connection; what it held is given back at once."""
        log.warning("slow-reader-cut-off", control="CHANNEL", unread=self.unread)
        self.forget()
        self._transport.abort()
