"""The HTTP server by itself with a few endpoints, and raw conversations with it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import uvloop

from appliance.api.application import Application
from appliance.api.endpoints import Answer, Body, Endpoint, Parameter
from appliance.api.hub import Hub
from appliance.api.messages import Request, Response
from appliance.box.settings import BoxSettings
from appliance.box.states import State, Work

SETTINGS = BoxSettings(
    box_id="0" * 32, name="t", rehearsal=True, tokens=[], tenants=[], units=[], seal_keys=[], logs=[], authorities=[]
)


async def echo(worker: object, request: Request) -> Response:
    return Response(request.body or b"empty", b"text/plain")


async def slow(worker: object, request: Request) -> Response:
    await asyncio.sleep(float(request.arguments["seconds"]))
    return Response(request.arguments["seconds"].encode(), b"text/plain")


async def large(worker: object, request: Request) -> Response:
    return Response(bytes(8_000_000), b"application/octet-stream")


async def broken(worker: object, request: Request) -> Response:
    raise RuntimeError("a secret")


def _endpoint(method: str, path: str, handler: object, **more: object) -> Endpoint:
    return Endpoint(
        method=method, path=path, listeners=frozenset({"public"}), handler=handler, summary="", work=Work.STATUS,
        answers=(Answer(200, ""),), **more,
    )  # fmt: skip


ENDPOINTS = (
    _endpoint("POST", "/echo", echo, takes=(Body("text/plain"),), limit=lambda _: 1_000),
    _endpoint("GET", "/echo", echo),
    _endpoint("GET", "/slow/{seconds}", slow, parameters=(Parameter("seconds", "[0-9.]+", "", "1"),)),
    _endpoint("GET", "/large", large),
    _endpoint("GET", "/broken", broken),
)


def make_hub(loop: asyncio.AbstractEventLoop) -> Hub:
    return Hub(Application(None, ENDPOINTS, SETTINGS.limits, lambda: State.OPERATIONAL), SETTINGS, loop)


@contextlib.asynccontextmanager
async def listening(directory: Path) -> AsyncIterator[tuple[Hub, Path]]:
    hub = make_hub(asyncio.get_running_loop())
    path = directory / "sockets" / "public.sock"
    await hub.listen(path, "public")
    try:
        yield hub, path
    finally:
        await hub.stop()


async def talk(path: Path, *pieces: bytes, pause: float = 0.0, half_close: bool = True) -> bytes:
    """Send the pieces, say that nothing more comes, and read until the server closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if half_close:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        writer.close()


def run(tmp_path: Path, body: Callable[[Hub, Path], Awaitable[None]]) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (hub, path):
            await body(hub, path)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def exchange(tmp_path: Path, *pieces: bytes, pause: float = 0.0, half_close: bool = True) -> bytes:
    found = b""

    async def body(_: Hub, path: Path) -> None:
        nonlocal found
        found = await talk(path, *pieces, pause=pause, half_close=half_close)

    run(tmp_path, body)
    return found


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /echo HTTP/1.1", b"Host: x", b"Content-Type: text/plain", *headers]
    return b"\r\n".join(lines) + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, b"Host: x", *headers]) + b"\r\n\r\n"
