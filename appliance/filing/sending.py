"""One attempt at an authority over HTTPS. Nothing is followed, nothing large is read."""

from __future__ import annotations

import ssl
from typing import Final

import httpx

from appliance.filing.adapter import Adapter
from appliance.filing.errors import NotAnswered

RECEIPT_BYTES: Final = 1024 * 1024
"""Largest receipt that is read."""


async def send(adapter: Adapter, message: bytes, number: str) -> bytes:
    """File a message; what came back. The number travels as Idempotency-Key too. Raises NotAnswered."""
    context = ssl.create_default_context(cadata=adapter.authority.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    headers = {"content-type": "application/jose", "idempotency-key": number}
    try:
        async with (
            httpx.AsyncClient(verify=context, timeout=adapter.retry.timeout_s, trust_env=False) as client,
            client.stream(adapter.authority.method, adapter.authority.url, content=message, headers=headers) as answer,
        ):
            if answer.status_code not in {200, 201}:
                raise NotAnswered(f"HTTP {answer.status_code}")
            received = b""
            async for piece in answer.aiter_bytes():
                received += piece
                if len(received) > RECEIPT_BYTES:
                    raise NotAnswered("the answer is too large")
            return received
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        raise NotAnswered(type(error).__name__) from None
