"""Whom a job asks for its time-stamps: an authority at an address (RFC 3161, section 3.4), or a box as its client."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from appliance import der
from appliance.algorithms import DigestAlgorithm
from appliance.der import DerError
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Refusal
from appliance.evidence.stamps import judge_stamp, read_stamp
from appliance.outward import IDENTITY, AnswerRefused, basic_authorization, body_within, tls_context
from appliance.quoting import quote
from appliance.renewal.errors import AuthorityFailed

if TYPE_CHECKING:
    from appliance.client.synchronous import Client

ANSWER_BYTES: Final = 256 * 1024
TIMEOUT_S: Final = 60.0
"""Of a request, from its first byte to the last of its answer."""
APART_US: Final = 10_000_000
"""How far the authority's clock may be ahead of this machine's."""
_NONCE_BYTES: Final = 16


class Authority(Protocol):
    """Answers a TimeStampReq with a TimeStampResp, both DER. Raises AuthorityFailed."""

    def __call__(self, request: bytes, /) -> bytes: ...


def stamp_of(
    authority: Authority, algorithm: DigestAlgorithm, digest: bytes, context: Context, clock: Callable[[], int]
) -> bytes:
    """A token over this digest, DER, that answers this request and passes under the trust bundle at the time that
    `clock` tells then, in microseconds. Raises AuthorityFailed."""
    nonce = int.from_bytes(secrets.token_bytes(_NONCE_BYTES), "big") | 1
    imprint = der.sequence(algorithm.identifier, der.octet_string(digest))
    answer = authority(der.sequence(der.integer(1), imprint, der.integer(nonce), der.ENCODED_TRUE))
    try:
        stamp = read_stamp(answer)
    except Refusal as error:
        raise AuthorityFailed(error.text) from None
    except DerError as error:
        raise AuthorityFailed(f"its answer is malformed: {error}") from None
    info = stamp.info
    if (info.digest_name, info.imprint, info.nonce) != (algorithm.name, digest, nonce):
        raise AuthorityFailed("its token is over something else than what was asked, or answers another request")
    judged = judge_stamp(stamp, replace(context, now_us=clock() + APART_US))
    if judged.indication is not Indication.PASSED:
        reasons = " ".join(one.text for one in judged.journal.checks if one.sub_indication is not None)
        raise AuthorityFailed(f"its token does not pass under the trust bundle: {reasons}")
    return stamp.encoded


def http_authority(url: str, ca: Path | None = None, password_file: Path | None = None) -> Authority:
    """An authority at an address, over TLS by `ca` alone (PEM) where one is given. `password_file`: NAME:PASSWORD, for
    HTTP Basic. Raises AuthorityFailed."""
    import httpx  # noqa: PLC0415 - only a job that asks one needs HTTP

    try:
        address = httpx.URL(url)
        verify = tls_context(ca)
        headers = IDENTITY | {"content-type": "application/timestamp-query"}
        if password_file is not None:
            headers["authorization"] = basic_authorization(password_file)
    except (httpx.InvalidURL, OSError, ValueError) as error:
        raise AuthorityFailed(f"{quote(url)}: {type(error).__name__}") from None
    if address.scheme not in {"http", "https"} or not address.host or address.userinfo:
        raise AuthorityFailed(f"{quote(url)} is no address of an authority, which is https://HOST/PATH")

    def ask(request: bytes) -> bytes:
        deadline = time.monotonic() + TIMEOUT_S
        try:
            with (
                httpx.Client(verify=verify, timeout=TIMEOUT_S, trust_env=False) as client,
                client.stream("POST", address, content=request, headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    raise AuthorityFailed(f"{quote(url)} answers with HTTP status {answer.status_code}")
                return body_within(answer, ANSWER_BYTES, deadline)
        except AnswerRefused as error:
            raise AuthorityFailed(f"{quote(url)}: {error}") from None
        except httpx.HTTPError as error:
            raise AuthorityFailed(f"{quote(url)} does not answer: {type(error).__name__}: {error}") from None

    return ask


def box_authority(client: Client, unit: str | None) -> Authority:
    """A box, asked as one of its applications."""
    from appliance.client.errors import ApiError  # noqa: PLC0415

    def ask(request: bytes) -> bytes:
        try:
            return client.timestamp(request, unit=unit)
        except ApiError as error:
            raise AuthorityFailed(str(error)) from None

    return ask
