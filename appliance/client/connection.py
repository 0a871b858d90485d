"""How a client reaches the box: mutual TLS to the front, or, on its machine, a worker's unix socket."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from appliance.client.calls import Call
from appliance.client.errors import (
    ApiError,
    NothingListens,
    NotTrusted,
    NotUnderstood,
    Unreachable,
    UnusableCredentials,
    refusal,
)
from appliance.quoting import quote

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
        """A TLS context that trusts this CA alone. Raises UnusableCredentials, which names the file."""
        try:
            for path in (self.certificate, self.key, self.ca):
                path.open("rb").close()  # the errors of OpenSSL name no file
            context = ssl.create_default_context(cafile=os.fspath(self.ca))
        except ssl.SSLError:
            raise UnusableCredentials(f"{self.ca} holds no certificate in PEM") from None
        except OSError as error:
            raise UnusableCredentials(f"{error.filename}: {error.strerror}") from None
        show_certificate(context, self.certificate, self.key)
        return context

    def issuer(self) -> str:
        """The CA of the certificate, as its certificate names it, for people; empty where that cannot be read."""
        from cryptography import x509  # noqa: PLC0415 - only for an error

        try:
            found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError):
            return ""
        return quote(found.issuer.rfc4514_string())


def show_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let a TLS context show this certificate (PEM). Raises UnusableCredentials."""
    try:
        context.load_cert_chain(os.fspath(certificate), os.fspath(key))
    except ssl.SSLError as error:
        if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
            raise UnusableCredentials(f"{key} is not the key of the certificate in {certificate}") from None
        raise UnusableCredentials(
            f"{certificate} and {key} are not a certificate and its key, both in PEM ({error.reason or 'PEM'})"
        ) from None
    except OSError as error:
        raise UnusableCredentials(f"{certificate} and {key}: {error.strerror}") from None


def options(
    url: str,
    credentials: Credentials | None,
    headers: Mapping[str, str] | None,
    timeout_s: float,
    http2: bool,
) -> dict[str, Any]:
    """Keyword arguments for both kinds of httpx client. The environment is not looked at, for proxies least of all.
    Raises UnusableCredentials, and Unreachable for what is no address."""
    check_address(url)
    return {
        "base_url": url,
        "headers": {"Accept": "application/json", **(headers or {})},
        "timeout": httpx.Timeout(timeout_s, connect=10.0),
        "trust_env": False,
        "follow_redirects": False,
        "http2": http2,
        "verify": credentials.context() if credentials is not None else True,
    }


def answer_of(call: Call[T], response: httpx.Response, credentials: Credentials | None = None) -> T:
    """What the box answered to a call. Raises ApiError."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if 300 <= response.status_code < 400 or (response.status_code < 400 and media_type == "text/html"):
        raise NotUnderstood(
            f"what answers at {_address(response.request)} (status {response.status_code}) has pages for browsers. "
            "Applications have a port of their own: the `applications` listener"
        )
    if response.status_code < 400:
        return call.read(response.headers, response.content)
    issuer = credentials.issuer() if response.status_code == 400 and credentials is not None else ""
    error = refusal(response.status_code, media_type, response.content, issuer)
    retry_after = response.headers.get("retry-after", "")  # as the box gives it: whole seconds
    error.retry_after_s = float(retry_after) if retry_after.isdigit() else None
    raise error


def check_address(url: str) -> None:
    """Raises Unreachable."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.scheme not in {"https", "http"} or not found.host:
        raise Unreachable(f"{quote(url)} is not an address of a box, which is https://HOST:PORT")


_NOT_OF_THIS_NAME = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


def unreachable(failure: httpx.TransportError) -> ApiError:
    """The error of this client for a failure of the transport: it names the address that was tried."""
    address = _address(failure.request)
    said = f"{type(failure).__name__}: {failure}"
    for cause in _causes(failure) if isinstance(failure, httpx.ConnectError) else ():
        if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
            # The machine itself said so. A failed handshake is a ConnectError too.
            return NothingListens(
                f"the box does not answer: nothing listens at {address}. Is it running, and is that its address? "
                f"({said})"
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _NOT_OF_THIS_NAME:
                return NotTrusted(
                    f"what answers at {address} shows a certificate for another name or address "
                    f"({cause.verify_message})"
                )
            return NotTrusted(
                f"what answers at {address} shows a certificate that the CA given did not issue, or that is not in "
                f"force ({cause.verify_message}). Either the CA's file is another box's, or this is not the box"
            )
        if isinstance(cause, ssl.SSLError):
            return Unreachable(f"what answers at {address} does not speak TLS as the box does ({said})")
    return Unreachable(f"the box does not answer at {address}: {said}")


def _address(request: httpx.Request) -> str:
    url = request.url
    return f"{url.scheme}://{url.netloc.decode()}"


def _causes(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
