"""A web server that publishes a log's files, as any web server can; and one that lies as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from appliance.log import Integrator
from firmware_tests.witness.logs import TestLog

Lie = Callable[[str, bytes | None], bytes | None]
"""Path and what is true; what is answered, None for 404."""


class PublishingServer:
    """Serves `directory` on a free port of loopback. `lie` may change each answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lie: Lie = lambda _, content: content
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                file = outer.directory / self.path.lstrip("/")
                content = outer.lie(self.path, file.read_bytes() if file.is_file() else None)
                self.send_response(200 if content is not None else 404)
                self.send_header("content-length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def publish(log: TestLog, directory: Path, note: bytes | None = None) -> None:
    """Write a log's tiles and checkpoint as a box's follower does; what was there before of another history goes."""
    directory.mkdir(parents=True, exist_ok=True)
    integrator = Integrator(directory)
    integrator.append(log.entries[integrator.size :])
    integrator.flush()
    integrator.close()
    (directory / "checkpoint").write_bytes(note or log.note())
