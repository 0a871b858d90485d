"""A node between the box and an honest one: it passes on, changes, delays, cuts short or hangs."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Change = Callable[[str, list[Any], dict[str, Any]], dict[str, Any]]
"""From a call's method and parameters, and the honest answer, to the one that is given."""


def honest(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


class LyingNode:
    """Speaks HTTP on a free port of this host."""

    def __init__(self, upstream: str, context: ssl.SSLContext | None = None) -> None:
        self.change: Change = honest
        self.respond: Callable[[BaseHTTPRequestHandler, bytes], bool] = lambda _handler, _body: False
        """Answers a request by itself, and says whether it did."""
        self.repeats = False
        """It asks the honest node each thing once, and repeats what that said."""
        self._said: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, list[Any]]] = []
        self.headers: list[dict[str, str]] = []
        self._http = httpx.Client(timeout=30)
        self._upstream = upstream
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                node.headers.append({name.lower(): value for name, value in self.headers.items()})
                if node.respond(self, body):
                    return
                answer = node._answer(json.loads(body))
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def _answer(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self._answer(one) for one in body]
        method, params = body["method"], body["params"]
        self.calls.append((method, params))
        name = json.dumps([method, params])
        if not self.repeats or name not in self._said:
            self._said[name] = self._http.post(self._upstream, json=body).json()
        return self.change(method, params, {**self._said[name], "id": body["id"]})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._http.close()


@contextmanager
def lying(upstream: str, context: ssl.SSLContext | None = None) -> Iterator[LyingNode]:
    node = LyingNode(upstream, context)
    try:
        yield node
    finally:
        node.stop()
