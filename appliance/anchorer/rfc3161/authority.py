"""One time-stamping authority over HTTP (RFC 3161, section 3.4), and the lists and OCSP responders that its
certificates name."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import httpx

from appliance.algorithms import DIGESTS
from appliance.anchorer.ledger import LedgerUnavailable
from appliance.box.ledgers import Rfc3161Authority
from appliance.der import DerError, boolean, integer, octet_string, oid, sequence
from appliance.evidence.findings import Refusal
from appliance.evidence.stamps import Stamp, read_stamp
from appliance.outward import IDENTITY, AnswerRefused, basic_authorization, body_of, tls_context

ANSWER_BYTES: Final = 128 * 1024
"""Largest TimeStampResp that is read: with a chain of certificates some ten thousand bytes."""
LIST_BYTES: Final = 1024 * 1024
"""Largest revocation list that goes into a receipt."""
OCSP_BYTES: Final = 64 * 1024
"""Largest OCSP answer that is read."""
NONCE_BYTES: Final = 16


def stamp_request(commitment: bytes, policy: str | None, nonce: int) -> bytes:
    """A TimeStampReq (RFC 3161, section 2.4.1) for a SHA-256 digest, which asks for the certificate too."""
    imprint = sequence(DIGESTS["sha256"].identifier, octet_string(commitment))
    wanted = b"" if policy is None else oid(policy)
    return sequence(integer(1), imprint, wanted, integer(nonce), boolean(value=True))


class StampAuthority:
    """An authority as box.json lists it."""

    def __init__(self, settings: Rfc3161Authority, home: Path, timeout_s: float) -> None:
        self.url = settings.url
        self._settings = settings
        self._home = home
        self._timeout_s = timeout_s

    async def stamp(self, commitment: bytes) -> Stamp:
        """A token over the commitment that answers this very request; nobody's word for it is believed yet. Raises
        LedgerUnavailable with the cause in words."""
        nonce = int.from_bytes(secrets.token_bytes(NONCE_BYTES), "big") | 1
        request = stamp_request(commitment, self._settings.policy, nonce)
        headers = IDENTITY | {"content-type": "application/timestamp-query"}
        try:
            if self._settings.password_file is not None:
                headers["authorization"] = basic_authorization(self._home / self._settings.password_file)
            verify = tls_context(None if self._settings.ca is None else self._home / self._settings.ca)
            async with httpx.AsyncClient(verify=verify, timeout=self._timeout_s, trust_env=False) as client:
                answer = await _bounded(client, "POST", self.url, ANSWER_BYTES, content=request, headers=headers)
            stamp = read_stamp(answer)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise LedgerUnavailable(type(error).__name__) from None
        except Refusal as error:
            raise LedgerUnavailable(error.text) from None
        except DerError as error:
            raise LedgerUnavailable(f"its answer is malformed: {error}") from None
        if stamp.info.nonce != nonce or stamp.info.imprint != commitment or stamp.info.digest_name != "sha256":
            raise LedgerUnavailable("its stamp answers another request")
        return stamp


async def fetch_list(url: str, timeout_s: float) -> bytes:
    """What stands at the address of a revocation list. Raises LedgerUnavailable."""
    try:
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
            return await _bounded(client, "GET", url, LIST_BYTES, headers=IDENTITY)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise LedgerUnavailable(f"the revocation list at {url}: {type(error).__name__}") from None
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"the revocation list at {url}: {error}") from None


async def fetch_answer(url: str, request: bytes, timeout_s: float) -> bytes:
    """What an OCSP responder answers to a request (RFC 6960, appendix A.1). Raises LedgerUnavailable."""
    headers = {"content-type": "application/ocsp-request", "accept-encoding": "identity"}
    try:
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
            return await _bounded(client, "POST", url, OCSP_BYTES, content=request, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise LedgerUnavailable(f"the OCSP responder {url}: {type(error).__name__}") from None
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"the OCSP responder {url}: {error}") from None


async def _bounded(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    limit: int,
    *,
    headers: dict[str, str],
    content: bytes | None = None,
) -> bytes:
    """The body of an answer 200, at most `limit` bytes. Raises LedgerUnavailable, httpx.HTTPError."""
    async with client.stream(method, url, content=content, headers=headers) as answer:
        if answer.status_code != 200:
            raise LedgerUnavailable(f"HTTP status {answer.status_code}")
        try:
            return await body_of(answer, limit)
        except AnswerRefused as error:
            raise LedgerUnavailable(str(error)) from None
