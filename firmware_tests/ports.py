"""Ports for programs that cannot choose one and tell, and for such that come back at the same address."""

from __future__ import annotations

import socket
import weakref


class HeldPort:
    """A port on loopback that the system gives to nobody else as long as this object is there.

    A port that was found free and let go may be another process's by the time a program binds it. So the socket stays
    bound, and neither listens nor receives: the program, which sets SO_REUSEADDR as servers do, binds beside it and
    has all that comes, as often as it is started; while it is stopped, connections are refused.
    """

    def __init__(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        """`kind`: SOCK_STREAM for TCP, SOCK_DGRAM for UDP."""
        held = socket.socket(socket.AF_INET, kind)
        weakref.finalize(self, held.close)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self.number: int = held.getsockname()[1]
        if kind is socket.SOCK_DGRAM:
            # To itself alone: what others send goes to the program's socket, whichever was bound last.
            held.connect(("127.0.0.1", self.number))
