"""Asking one witness over HTTP. Nothing is followed, unpacked, or waited for beyond the time that a call has."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import httpx

from appliance.box.witnesses import Witness
from appliance.cosigner.protocol import ANSWER_BYTES, Answer, Refused, Trouble, read_answer
from appliance.log.note import Note
from appliance.outward import IDENTITY, body_of, tls_context
from appliance.witness.request import encode_request

CALL_SECONDS: Final = 10.0
"""Of one call, from the first byte to the last."""
CALLS_AT_ONCE: Final = 8
"""To one witness; its logs wait their turn."""
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 60.0


class WitnessLine:
    """The way to one witness, which all logs that name it share. Make it inside a running loop."""

    def __init__(self, witness: Witness, call_s: float = CALL_SECONDS) -> None:
        self.witness = witness
        self._call_s = call_s
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self._wait_s = 0.0
        self._open_at = 0.0
        self.silent_since: float | None = None
        """Since when it has not answered at all, in seconds since the epoch; None: it does, or was not asked yet."""

    @property
    def waiting_s(self) -> float:
        """How long it is left alone because it did not answer, in seconds."""
        return max(0.0, self._open_at - time.monotonic())

    async def ask(self, old: int, path: tuple[bytes, ...], note: Note, size: int) -> Answer:
        """Have it cosign a head. What is wrong with the way to it is an answer, too."""
        async with self._slots:
            if self.waiting_s:  # another log has found out meanwhile
                return Refused(Trouble.SILENT, "it did not answer another log")
            try:
                async with asyncio.timeout(self._call_s):
                    status, kind, body = await self._post(encode_request(old, path, note.encode()))
            except TimeoutError:
                answer: Answer = Refused(Trouble.SILENT, f"no answer within {self._call_s:g} s")
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                answer = Refused(Trouble.SILENT, type(error).__name__)
            else:
                answer = read_answer(status, kind, body, note, self.witness.key, old, size)
        self._heard(answer)
        return answer

    def _heard(self, answer: Answer) -> None:
        if isinstance(answer, Refused) and answer.trouble is Trouble.SILENT:
            self._wait_s = min(max(FIRST_WAIT_SECONDS, 2 * self._wait_s), LONGEST_WAIT_SECONDS)
            self._open_at = time.monotonic() + self._wait_s
            if self.silent_since is None:
                self.silent_since = time.time()
            return
        self._wait_s, self._open_at, self.silent_since = 0.0, 0.0, None

    async def _post(self, body: bytes) -> tuple[int, str, bytes]:
        client = self._client = self._client or self._open()
        headers = IDENTITY | {"content-type": "text/plain; charset=utf-8"}
        url = f"{self.witness.url}/add-checkpoint"
        async with client.stream("POST", url, content=body, headers=headers) as answer:
            received = await body_of(answer, ANSWER_BYTES)
            return answer.status_code, answer.headers.get("content-type", ""), received

    def _open(self) -> httpx.AsyncClient:
        context = tls_context(pem=self.witness.ca)
        limits = httpx.Limits(max_connections=CALLS_AT_ONCE, max_keepalive_connections=CALLS_AT_ONCE)
        return httpx.AsyncClient(verify=context, timeout=self._call_s, limits=limits, trust_env=False)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
