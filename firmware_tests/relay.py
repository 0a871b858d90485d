"""An address that stays while what answers behind it stops and comes back at another port."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """Listens on loopback and passes connections on to `target`, HOST:PORT; where nobody is there, it closes them."""

    def __init__(self) -> None:
        self.target = ""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes who waits for connections
        self._server.close()
        self._accepting.join()

    def _accept(self) -> None:
        while True:
            try:
                inward, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(inward,), daemon=True).start()

    def _pass_on(self, inward: socket.socket) -> None:
        host, _, port = self.target.rpartition(":")
        with inward, contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as outward:
            outward.settimeout(None)
            back = threading.Thread(target=_copy, args=(outward, inward), daemon=True)
            back.start()
            _copy(inward, outward)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until one of them ends; then neither has a further word."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
