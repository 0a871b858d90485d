"""What a node answers that is hard to read: it costs no more than a moment, whatever its numbers are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.anchorer.bitcoin.node import ANSWER_BYTES, Node
from appliance.anchorer.ledger import LedgerUnavailable


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], Node]]:
    told = b""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    (tmp_path / "password").write_text("user:password")

    def node(body: bytes) -> Node:
        nonlocal told
        told = body
        return Node(f"http://127.0.0.1:{server.server_address[1]}/", tmp_path / "password", 20.0)

    yield node
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b'{"result":null,"error":{"code":1e9999999,"message":""}}',
        b'{"result":null,"error":{"code":-1e99999999999,"message":""}}',
        b'{"result":null,"error":{"code":NaN,"message":""}}',
        b'{"result":null,"error":{"code":[],"message":""}}',
        b'{"result":null,"error":7}',
        b'{"result":{"mempoolminfee":1e9999999,"relayfee":1e9999999,"incrementalfee":1e9999999},"error":null}',
        b'{"result":{"mempoolminfee":1e-9999999,"relayfee":0,"incrementalfee":1e999999999999999999},"error":null}',
        b'{"result":{"mempoolminfee":' + b"9" * 100_000 + b',"relayfee":0,"incrementalfee":0},"error":null}',
        b'{"result":' + b"[" * 100_000,
        b'{"result":[' + b"[]," * (ANSWER_BYTES // 3 - 10) + b'[]],"error":null}',
    ],
    ids=range(10),
)
def test_no_number_and_no_size_keeps_the_anchorer_busy(answering: Callable[[bytes], Node], body: bytes) -> None:
    async def asked() -> None:
        node = answering(body)
        try:
            with pytest.raises(LedgerUnavailable):
                await node.fee_rates()
            with pytest.raises(LedgerUnavailable):
                await node.tip()
        finally:
            await node.close()

    started = time.monotonic()
    asyncio.run(asked())
    assert time.monotonic() - started < 10
