"""A syslog receiver over TLS (RFC 5425) for the tests: it can hang, reset, close early, and come back at its port."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from pathlib import Path

from firmware_tests.certificates import server_certificate

NAME = "syslog.example"
_DATA = re.compile(r'(\w+)="((?:[^"\\\]]|\\.)*)"')


class Receiver:
    """`messages`: what was read whole, in order. `mode`: read, hang (read nothing), reset (read nothing, then die)."""

    def __init__(self, directory: Path) -> None:
        self.certificate, key = server_certificate(directory, NAME)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self.messages: list[str] = []
        self.mode = "read"
        self.sessions = 0
        self._listener: socket.socket | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, at the port of the last time."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def indexes(self, log: str) -> list[int]:
        """Of the messages of a log, in the order in which they came."""
        return [int(data["index"]) for data in map(structured, self.messages) if data["log"] == log]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        link.settimeout(20)
        with contextlib.suppress(OSError):
            tls = self._context.wrap_socket(link, server_side=True)
            while self.mode == "hang":
                threading.Event().wait(0.05)
            if self.mode == "reset":
                tls.recv(1)
                # What was not read is thrown away with a reset, as when a receiver dies.
                tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                tls.close()
                return
            waiting = b""
            while data := tls.recv(65_536):
                waiting = self._take(waiting + data)
            with contextlib.suppress(OSError):
                tls.unwrap()
            tls.close()

    def _take(self, data: bytes) -> bytes:
        """Octet counting (RFC 5425, section 4.3)."""
        while True:
            length, space, rest = data.partition(b" ")
            if not space or len(rest) < int(length):
                return data
            self.messages.append(rest[: int(length)].decode("utf-8"))
            data = rest[int(length) :]


def structured(message: str) -> dict[str, str]:
    """The structured data of a message (RFC 5424, section 6.3)."""
    found = re.search(r"\[cinnabar@32473((?: \w+=\"(?:[^\"\\\]]|\\.)*\")*)\]", message)
    assert found is not None, message
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in _DATA.findall(found[1])}
