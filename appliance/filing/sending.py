"""One attempt at an authority over HTTPS. Nothing is followed, unpacked, or waited for beyond the adapter's time."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

from appliance.filing.adapter import Adapter
from appliance.filing.errors import NotAnswered

RECEIPT_BYTES: Final = 1024 * 1024
"""Largest receipt that is read."""


async def send(adapter: Adapter, message: bytes, number: str) -> bytes:
    """File a message; what came back. The number travels as Idempotency-Key too. Raises NotAnswered, also
    where the whole of it takes longer than the adapter's `timeout_s`."""
    context = ssl.create_default_context(cadata=adapter.authority.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    timeout_s = adapter.retry.timeout_s
    headers = {"content-type": "application/jose", "idempotency-key": number, "accept-encoding": "identity"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(verify=context, timeout=timeout_s, trust_env=False) as client,
            client.stream(adapter.authority.method, adapter.authority.url, content=message, headers=headers) as answer,
        ):
            if answer.status_code not in {200, 201}:
                raise NotAnswered(f"HTTP {answer.status_code}")
            received = b""
            async for piece in answer.aiter_raw():
                received += piece
                if len(received) > RECEIPT_BYTES:
                    raise NotAnswered("the answer is too large")
            return received
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        raise NotAnswered(type(error).__name__) from None
