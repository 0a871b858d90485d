"""One node over HTTP: what it may send, how long it may take, and how the box signs in to it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.anchorer.evm import rpc
from appliance.anchorer.evm.errors import NodeFailed, NodeRefused
from appliance.anchorer.evm.rpc import Call, Node
from appliance.box.ledgers.evm import EvmEndpoint
from firmware_tests.anchorer.evm.lying import LyingNode, lying
from firmware_tests.certificates import server_certificate
from firmware_tests.others.evm_nodes import Anvil

SECRET = "a-secret-that-nobody-is-told"


def asked(endpoint: EvmEndpoint, home: Path, what: Callable[[Node], Awaitable[Any]], timeout_s: float = 5.0) -> Any:
    async def whole() -> Any:
        node = Node(endpoint, home, timeout_s)
        try:
            return await what(node)
        finally:
            await node.close()

    return asyncio.run(whole())


def chain_id(node: Node) -> Awaitable[msgspec.Raw]:
    return node.call("eth_chainId")


def answered(status: int, content: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], bool]:
    """Every request gets this."""

    def respond(handler: BaseHTTPRequestHandler, _body: bytes) -> bool:
        handler.send_response(status)
        for name, value in {"content-length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
        return True

    return respond


def failure(node: LyingNode, home: Path, timeout_s: float = 5.0) -> str:
    with pytest.raises(NodeFailed) as failed:
        asked(EvmEndpoint(url=node.url), home, chain_id, timeout_s)
    return str(failed.value)


def test_calls_and_batches_on_a_real_node(anvil: Anvil, tmp_path: Path) -> None:
    async def both(node: Node) -> None:
        assert msgspec.json.decode(await node.call("eth_chainId")) == "0x7a69"
        calls = [Call("eth_getBlockByNumber", (hex(number % 2), False)) for number in range(150)]
        answers = await node.calls([*calls, Call("no_such_method")])
        numbers = [msgspec.json.decode(one) for one in answers[:-1] if not isinstance(one, NodeRefused)]
        assert [one and one["number"] for one in numbers] == ["0x0", None] * 75
        assert isinstance(answers[-1], NodeRefused)
        with pytest.raises(NodeRefused) as refused:
            await node.call("no_such_method")
        assert refused.value.number == -32601

    asked(EvmEndpoint(url=anvil.url), tmp_path, both)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 401, 403, 429, 503])
def test_other_statuses_are_no_answers(tmp_path: Path, status: int) -> None:
    with lying("http://127.0.0.1:9") as node:
        node.respond = answered(
            status, b"" if status == 204 else b'{"id":1,"result":"0x1"}', location="http://127.0.0.1:9/"
        )
        assert f"status {status}" in failure(node, tmp_path)


def test_an_error_may_come_with_a_status_of_its_own(tmp_path: Path) -> None:
    """As Besu tells some."""
    with lying("http://127.0.0.1:9") as node:
        node.respond = answered(400, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"Invalid params"}}')
        with pytest.raises(NodeRefused, match="Invalid params"):
            asked(EvmEndpoint(url=node.url), tmp_path, chain_id)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\xff"',
        b"[]",
        b'{"jsonrpc":"2.0","id":77,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":"1","result":"0x1"}',
        b'{"jsonrpc":"2.0","result":"0x1"}',
    ],
)
def test_what_is_no_answer_to_the_call_is_refused(tmp_path: Path, content: bytes) -> None:
    with lying("http://127.0.0.1:9") as node:
        node.respond = answered(200, content)
        assert "eth_chainId" in failure(node, tmp_path)


def test_an_answer_that_does_not_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ANSWER_BYTES", 100_000)
    sent = 0

    def endless(handler: BaseHTTPRequestHandler, _body: bytes) -> bool:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        try:
            for _ in range(100_000):
                handler.wfile.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
                sent += 4096
        except OSError:
            pass
        return True

    with lying("http://127.0.0.1:9") as node:
        node.respond = endless
        assert "more than 100000 bytes" in failure(node, tmp_path)
    assert sent < 100_000_000


def test_a_compressed_answer_is_not_unpacked(tmp_path: Path) -> None:
    """A small one that would become a large one."""
    with lying("http://127.0.0.1:9") as node:
        node.respond = answered(200, b"\x1f\x8b\x08\x00", **{"content-encoding": "gzip"})
        assert "no JSON-RPC answer" in failure(node, tmp_path)
        assert node.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "drips"])
def test_a_hanging_node_takes_no_longer_than_its_time(tmp_path: Path, drip: bool) -> None:
    def hang(handler: BaseHTTPRequestHandler, _body: bytes) -> bool:
        try:
            if drip:
                handler.send_response(200)
                handler.send_header("content-length", "1000")
                handler.end_headers()
            for _ in range(30):
                time.sleep(0.1)
                if drip:
                    handler.wfile.write(b" ")
        except OSError:
            pass
        return True

    with lying("http://127.0.0.1:9") as node:
        node.respond = hang
        began = time.monotonic()
        assert "silent for 0.5 s" in failure(node, tmp_path, 0.5)
        assert time.monotonic() - began < 2.5


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NodeFailed, match="cannot be reached"):
        asked(EvmEndpoint(url="http://127.0.0.1:9/key-in-the-path"), tmp_path, chain_id)
    with pytest.raises(NodeFailed) as failed:
        asked(EvmEndpoint(url="http://127.0.0.1:9/key-in-the-path"), tmp_path, chain_id)
    assert "key-in-the-path" not in str(failed.value)


@pytest.mark.parametrize("how", ["error", "one", "shuffled", "twice", "fewer", "foreign"])
def test_a_node_that_takes_no_batches_is_asked_one_by_one(anvil: Anvil, tmp_path: Path, how: str) -> None:
    with lying(anvil.url) as node:

        def respond(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
            calls = json.loads(body)
            if not isinstance(calls, list):
                return False
            answers = [node._answer(one) for one in calls]
            given: Any = {
                "error": {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches"}},
                "one": answers[0],
                "shuffled": answers[::-1],
                "twice": [answers[0], *answers[:-1]],
                "fewer": answers[:-1],
                "foreign": [{**answers[0], "id": 10**6}, *answers[1:]],
            }[how]
            return answered(200, json.dumps(given).encode())(handler, body)

        node.respond = respond

        async def three(client: Node) -> list[Any]:
            calls = [Call("eth_chainId"), Call("eth_getBlockByNumber", ("0x0", False)), Call("net_version")]
            return [await client.calls(calls), await client.calls(calls)]

        for found in asked(EvmEndpoint(url=node.url), tmp_path, three):
            chain, block, version = (msgspec.json.decode(one) for one in found)
            assert (chain, block["number"], version) == ("0x7a69", "0x0", "31337")
        batches = sum(1 for headers in node.headers if int(headers["content-length"]) > 150)
        assert batches == (2 if how == "shuffled" else 1), "it is not tried again"


# --- signing in ---------------------------------------------------------------------------------------------------


def test_a_token_or_a_password_travels_over_tls_to_the_node_that_its_ca_vouches_for(
    anvil: Anvil, tmp_path: Path
) -> None:
    ca, key = server_certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    (tmp_path / "token").write_text(f"{SECRET}\n")
    (tmp_path / "password").write_text(f"box:{SECRET}\n")
    with lying(anvil.url, context) as node:
        endpoint = EvmEndpoint(url=node.url, ca=ca.name, token_file="token")
        asked(endpoint, tmp_path, chain_id)
        assert node.headers[-1]["authorization"] == f"Bearer {SECRET}"
        asked(EvmEndpoint(url=node.url, ca=ca.name, password_file="password"), tmp_path, chain_id)
        told = node.headers[-1]["authorization"]
        assert base64.b64decode(told.removeprefix("Basic ")).decode() == f"box:{SECRET}"
        before = len(node.headers)
        other = server_certificate(tmp_path, "127.0.0.1", "other").certificate
        with pytest.raises(NodeFailed, match="cannot be reached") as failed:
            asked(EvmEndpoint(url=node.url, ca=other.name, token_file="token"), tmp_path, chain_id)
        assert SECRET not in str(failed.value)
        with pytest.raises(NodeFailed):
            asked(EvmEndpoint(url=node.url, token_file="token"), tmp_path, chain_id)  # by the system's CAs
        assert len(node.headers) == before


def test_a_secret_does_not_travel_in_the_clear(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    with pytest.raises(ValueError, match="over https only") as refused:
        asked(EvmEndpoint(url="http://node.example:8545", token_file="token"), tmp_path, chain_id)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", "ä".encode(), b"a\x00b", b"\x1b[2J"])
def test_what_is_no_secret_is_refused_without_being_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ValueError, match="holds no password or token"):
        asked(EvmEndpoint(url="https://node.example", token_file="token"), tmp_path, chain_id)


def test_proxies_of_the_environment_are_not_used(anvil: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asked(EvmEndpoint(url=anvil.url), tmp_path, chain_id)
