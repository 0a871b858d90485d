"""One request to an authority over HTTPS. Nothing is followed, unpacked, or waited for beyond the errand's time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

import httpx

from appliance.filer.messages import ANSWER_BYTES, Answer, Errand
from appliance.filing.adapter import host_of
from appliance.filing.errors import NotAnswered
from appliance.outward import IDENTITY, AnswerRefused, body_of, tls_context

_READ: Final = frozenset({200, 201, 202})


async def send(errand: Errand, hosts: Collection[str]) -> Answer:
    """What the authority answered. Raises NotAnswered, also for a host (HOST:PORT) that is not among `hosts`, and where
    the whole takes longer than the errand says."""
    if host_of(errand.url) not in hosts:
        raise NotAnswered("the box's settings do not allow the host")
    headers = IDENTITY | {"idempotency-key": errand.number}
    if errand.message:
        headers["content-type"] = "application/jose"
    try:
        context = tls_context(pem=errand.ca)
        async with (
            asyncio.timeout(errand.timeout_s),
            httpx.AsyncClient(verify=context, timeout=errand.timeout_s, trust_env=False) as client,
            client.stream(errand.method, errand.url, content=errand.message or None, headers=headers) as answer,
        ):
            received = await body_of(answer, ANSWER_BYTES) if answer.status_code in _READ else b""
            return Answer(answer.status_code, received)
    except AnswerRefused as error:
        raise NotAnswered(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise NotAnswered(type(error).__name__) from None
