"""How a client reaches the box: mutual TLS to the front, or a worker's unix socket in tests."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from appliance.client.calls import Call
from appliance.client.errors import NothingListens, Unreachable, refusal

T = TypeVar("T")
LONGEST_ANSWER_S = 90.0
"""The box waits up to 60 s for a job when asked to."""


@dataclass(frozen=True)
class Credentials:
    """Paths of the application's certificate and key, and of the CA of the box's own certificate; all PEM."""

    certificate: Path
    key: Path
    ca: Path

    def context(self) -> ssl.SSLContext:
        """A TLS context that trusts this CA alone. Raises OSError, ssl.SSLError for files that cannot be used."""
        context = ssl.create_default_context(cafile=os.fspath(self.ca))
        context.load_cert_chain(os.fspath(self.certificate), os.fspath(self.key))
        return context


def options(
    url: str,
    credentials: Credentials | None,
    headers: Mapping[str, str] | None,
    timeout_s: float,
    http2: bool,
) -> dict[str, Any]:
    """Keyword arguments for both kinds of httpx client. The environment is not looked at, for proxies least of all."""
    return {
        "base_url": url,
        "headers": {"Accept": "application/json", **(headers or {})},
        "timeout": httpx.Timeout(timeout_s, connect=10.0),
        "trust_env": False,
        "follow_redirects": False,
        "http2": http2,
        "verify": credentials.context() if credentials is not None else True,
    }


def answer_of(call: Call[T], response: httpx.Response) -> T:
    """What the box answered to a call. Raises ApiError."""
    if response.status_code < 400:
        return call.read(response.headers, response.content)
    media_type = response.headers.get("content-type", "").partition(";")[0]
    error = refusal(response.status_code, media_type, response.content)
    retry_after = response.headers.get("retry-after", "")  # as the box gives it: whole seconds
    error.retry_after_s = float(retry_after) if retry_after.isdigit() else None
    raise error


def unreachable(failure: httpx.TransportError) -> Unreachable:
    """The error of this client for a failure of the transport."""
    kind = NothingListens if isinstance(failure, httpx.ConnectError) and _nobody(failure) else Unreachable
    return kind(f"the box does not answer: {type(failure).__name__}: {failure}")


def _nobody(failure: BaseException) -> bool:
    """Whether the machine itself said that nothing listens there. A failed handshake is a ConnectError too."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
