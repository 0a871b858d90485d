"""Asking others' servers over HTTP: whom TLS believes, what a request shows of us, and how much of an answer is read.

Nothing is followed and nothing unpacked: every request says IDENTITY, and its answer is read raw and within a bound.
The environment's proxies are for whoever makes the client to leave out (`trust_env=False`).
"""

from __future__ import annotations

import base64
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

IDENTITY: Final = {"accept-encoding": "identity"}
SECRET_BYTES: Final = 4096
"""Largest file of a password or token."""


class AnswerRefused(ValueError):
    """An answer is larger, or takes longer, than was bargained for. The message says which."""


def tls_context(ca: Path | None = None, *, pem: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, with the server's name and certificate checked: by the CA certificates in the file `ca` or the
    text `pem` alone, else by the machine's. Raises OSError (ssl.SSLError among them), ValueError."""
    context = ssl.create_default_context(cafile=None if ca is None else str(ca), cadata=pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def basic_authorization(file: Path) -> str:
    """The header of HTTP Basic (RFC 7617) for a file that holds NAME:PASSWORD. Raises OSError, ValueError."""
    return f"Basic {base64.b64encode(read_secret(file)).decode()}"


def read_secret(file: Path) -> bytes:
    """A password or token, one line, without the space around it. Raises OSError; ValueError, which names the file and
    nothing in it."""
    with file.open("rb") as opened:
        secret = opened.read(SECRET_BYTES).strip()
    if not secret or any(byte < 0x20 or byte == 0x7F for byte in secret):
        raise ValueError(f"{file.name} holds no password or token")
    return secret


async def body_of(answer: httpx.Response, limit: int) -> bytes:
    """The body of a streamed answer, at most `limit` bytes; how long it may take is the caller's to bound. Raises
    AnswerRefused, httpx.HTTPError."""
    received = bytearray()
    async for piece in answer.aiter_raw():
        _take(received, piece, limit)
    return bytes(received)


def body_within(answer: httpx.Response, limit: int, deadline: float) -> bytes:
    """The same without a loop of events. `deadline`: of the monotonic clock; a server that sends a byte now and then
    keeps nobody for longer than the client's own timeout beyond it."""
    received = bytearray()
    for piece in answer.iter_raw():
        _take(received, piece, limit)
        if time.monotonic() > deadline:
            raise AnswerRefused("the answer takes too long")
    return bytes(received)


def _take(received: bytearray, piece: bytes, limit: int) -> None:
    received += piece
    if len(received) > limit:
        raise AnswerRefused(f"the answer is too large: more than {limit} bytes")
