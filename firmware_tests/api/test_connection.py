"""The HTTP server by itself: order, framing, and bytes that nobody should send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.api.connection import Connection
from firmware_tests.api.connections import (
    exchange,
    get,
    make_hub,
    post,
    statuses,
)


def test_pipelined_answers_keep_the_order_of_their_requests(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/slow/0.2") + post(b"second") + get(b"/slow/0.01") + post(b"fourth"))
    assert statuses(answers) == [200] * 4
    places = [answers.index(word) for word in (b"\r\n\r\n0.2", b"second", b"\r\n\r\n0.01", b"fourth")]
    assert places == sorted(places)


def test_a_long_pipeline_is_answered_whole(tmp_path: Path) -> None:
    assert statuses(exchange(tmp_path, post(b"x") * 500)) == [200] * 500


def test_one_byte_at_a_time_is_one_request(tmp_path: Path) -> None:
    assert exchange(tmp_path, *(bytes([byte]) for byte in post(b"slowly"))).endswith(b"slowly")


def test_chunked_bodies_are_joined(tmp_path: Path) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(tmp_path, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"\r\n\r\nabcde")


def test_trailers_are_not_headers(tmp_path: Path) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    # Without a Content-Type among the headers the request is refused, whatever a trailer says.
    assert statuses(exchange(tmp_path, head + b"1\r\na\r\n0\r\nContent-Type: text/plain\r\n\r\n")) == [415]


def test_head_has_no_body_and_connections_stay_open(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/echo").replace(b"GET", b"HEAD") + get(b"/echo"))
    assert statuses(answers) == [200, 200]
    assert answers.count(b"empty") == 1
    assert b"connection: close" not in answers.partition(b"\r\n\r\n")[0]


def test_expectations_are_met(tmp_path: Path) -> None:
    answers = exchange(tmp_path, post(b"abc", b"Expect: 100-continue"))
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


def test_http_1_0_is_answered_and_closed(tmp_path: Path) -> None:
    answers = exchange(tmp_path, b"GET /echo HTTP/1.0\r\n\r\n" + get(b"/echo"), half_close=False)
    assert statuses(answers) == [200]


def test_absolute_form_finds_the_same_endpoint(tmp_path: Path) -> None:
    assert statuses(exchange(tmp_path, get(b"http://elsewhere/echo"))) == [200]


def test_internal_errors_tell_nothing(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/broken") + get(b"/echo"))
    assert statuses(answers) == [500, 200]
    assert b"secret" not in answers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (get(b"/nowhere"), 404),
        (get(b"/%2e%2e/%00"), 404),
        (get(b"*"), 404),
        (b"DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n", 400),
        (get(b"/echo", b"Host: y"), 400),
        (get(b"/echo", b"X-Cinnabar-Client-Certificate: a", b"x-cinnabar-client-certificate: b"), 400),
        (get(b"/" + b"a" * 5_000), 414),
        (get(b"/echo", b"X: " + b"a" * 40_000), 431),
        (get(b"/echo", *(b"X-%d: a" % n for n in range(8_000))), 431),
        (post(bytes(1_001)), 413),
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"fff\r\n" + bytes(0xFFF) + b"\r\n0\r\n\r\n",
            413,
        ),
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1;" + b"e" * 600_000,
            400,
        ),
        (get(b"/echo", b"Content-Length: 3") + b"abc", 400),
    ],
)  # fmt: skip
def test_bad_requests_get_one_problem(tmp_path: Path, sent: bytes, status: int) -> None:
    answers = exchange(tmp_path, sent)
    assert statuses(answers) == [status]
    assert b"content-type: application/problem+json" in answers


def test_a_refusal_waits_for_what_was_asked_before(tmp_path: Path) -> None:
    answers = exchange(tmp_path, get(b"/slow/0.1") + b"\x00\x00\x00")
    assert statuses(answers) == [200, 400]


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def fed(pieces: list[bytes]) -> Wire:
    loop = asyncio.new_event_loop()
    try:
        hub = make_hub(loop)
        hub.admit = lambda *_: True  # type: ignore[method-assign]
        wire = Wire()
        connection = Connection(hub, "public")
        connection.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            connection.data_received(piece)
        for _ in range(40):
            loop.call_soon(loop.stop)
            loop.run_forever()
        connection.connection_lost(None)
        assert (hub.held, hub.in_flight) == (0, 0)
        return wire
    finally:
        loop.close()


PARTS = st.sampled_from(
    [b"GET ", b"POST ", b"/echo", b"/slow/0", b" HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Content-Length: 5\r\n",
     b"Transfer-Encoding: chunked\r\n", b"Content-Type: text/plain\r\n", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"\n",
     b"\x00", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n",
     post(b"abc"), get(b"/echo")]
)  # fmt: skip


@given(st.lists(PARTS | st.binary(max_size=20), max_size=30), st.data())
@settings(max_examples=150)
def test_any_bytes_in_any_pieces_are_answered_alike(parts: list[bytes], data: st.DataObject) -> None:
    """Nothing raises, and how the bytes were cut makes no difference to what is answered."""
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, many = fed([whole]), fed([piece for piece in pieces if piece])
    assert statuses(one.written) == statuses(many.written)
