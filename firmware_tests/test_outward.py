"""What is asked of others' servers: bounded in size and time, and nothing shown that was not meant to be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from appliance.outward import (
    IDENTITY,
    AnswerRefused,
    basic_authorization,
    body_of,
    body_within,
    read_secret,
)
from appliance.renewal import authority
from appliance.renewal.errors import AuthorityFailed

Send = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def server(send: Send) -> Iterator[str]:
    """Answers 200, with a body that `send` writes; the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asks may go
                send(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}/"
        finally:
            made.shutdown()
            thread.join()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for as long as anybody listens."""
    for _ in range(400):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def with_loop(url: str, limit: int) -> bytes:
    async def fetch() -> bytes:
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url, headers=IDENTITY) as answer:
            return await body_of(answer, limit)

    return asyncio.run(fetch())


def without_loop(url: str, limit: int, seconds: float = 20) -> bytes:
    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False) as client, client.stream("GET", url, headers=IDENTITY) as answer:
        return body_within(answer, limit, deadline)


@pytest.mark.parametrize("fetch", [with_loop, without_loop])
def test_no_more_is_read_than_was_bargained_for(fetch: Callable[[str, int], bytes]) -> None:
    with server(lambda handler: handler.wfile.write(bytes(1000))) as url:
        assert fetch(url, 1000) == bytes(1000)
        with pytest.raises(AnswerRefused, match="more than 999 bytes"):
            fetch(url, 999)


@pytest.mark.parametrize("fetch", [with_loop, without_loop])
def test_a_packed_answer_is_not_unpacked(fetch: Callable[[str, int], bytes]) -> None:
    """A server that packs unasked could put a gigabyte into a megabyte."""
    packed = gzip.compress(bytes(1_000_000))
    with server(lambda handler: handler.wfile.write(packed)) as url:
        assert fetch(url, len(packed)) == packed


def test_an_answer_that_drips_ends_at_its_deadline() -> None:
    with server(drip) as url, pytest.raises(AnswerRefused, match="takes too long"):
        without_loop(url, 1_000_000, 0.5)


def test_an_authority_that_drips_holds_up_no_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "TIMEOUT_S", 0.5)
    with server(drip) as url, pytest.raises(AuthorityFailed, match="takes too long"):
        authority.http_authority(url)(b"request")


def test_a_password_is_one_line_and_stands_in_no_error(tmp_path: Path) -> None:
    file = tmp_path / "node.password"
    file.write_text("  box:päss word\n")
    assert basic_authorization(file) == f"Basic {base64.b64encode('box:päss word'.encode()).decode()}"
    for unusable in (b"", b" \n", b"box:one\nbox:two", b"box:\0"):
        file.write_bytes(unusable)
        with pytest.raises(ValueError, match=r"^node\.password holds no password or token$"):
            read_secret(file)
