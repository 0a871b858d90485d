"""A node between: it passes calls on to a real node and says what a test wants it to say instead."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from firmware_tests.others.litecoin import LitecoinNode

Lie = Callable[[list[Any], Any], Any]
"""From a call's parameters and the true answer's result to what is said."""


class Raw:
    """An answer that is no JSON-RPC at all."""

    def __init__(self, body: bytes, status: int = 200, pause_s: float = 0.0) -> None:
        self.body = body
        self.status = status
        self.pause_s = pause_s


class Liar:
    """Speaks JSON-RPC on a free port."""

    def __init__(self, node: LitecoinNode) -> None:
        self.node = node
        self.lies: dict[str, Lie] = {}
        self.calls: list[str] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = liar.answer(body, self.headers["authorization"])
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def cookie(self) -> str:
        return str(self.node.cookie)

    def answer(self, body: bytes, authorization: str) -> tuple[int, bytes]:
        call = json.loads(body)
        self.calls.append(call["method"])
        answered = httpx.post(self.node.url, content=body, headers={"authorization": authorization}, timeout=20)
        status, true = answered.status_code, answered.json()
        lie = self.lies.get(call["method"])
        if lie is None:
            return status, json.dumps(true).encode()
        told = lie(call["params"], true["result"])
        if isinstance(told, Raw):
            time.sleep(told.pause_s)
            return told.status, told.body
        return 200, json.dumps({"result": told, "error": None, "id": 0}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
