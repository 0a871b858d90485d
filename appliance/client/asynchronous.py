"""The same client for asyncio. Every method says what its namesake in appliance.client.synchronous says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import httpx

from appliance.api import schemas
from appliance.client import calls
from appliance.client.calls import Call
from appliance.client.connection import LONGEST_ANSWER_S, Credentials, options, unreachable
from appliance.client.errors import ApiError, refusal
from appliance.client.expansion import StampedBatch
from appliance.client.retries import RetryPolicy
from appliance.client.synchronous import PAGE, seconds
from appliance.evidence.report import Report
from appliance.seals import SealOptions

T = TypeVar("T")


class AsyncClient:
    """One application at one box. An asynchronous context manager."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        unix_socket: Path | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = LONGEST_ANSWER_S,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        http2: bool = False,
    ) -> None:
        """`url`: https://HOST:PORT of the front's applications listener. `unix_socket` is for tests beside a worker."""
        made = options(url, credentials, headers, timeout_s, http2)
        if unix_socket is not None:
            made["transport"] = httpx.AsyncHTTPTransport(uds=str(unix_socket))
        self._http = httpx.AsyncClient(**made)
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            retry_after: float | None = None
            try:
                answer = await self._http.request(
                    call.method, call.path, content=call.body or None, headers=call.headers, params=call.query or None
                )
                if answer.status_code < 400:
                    return call.read(answer.headers, answer.content)
                media_type = answer.headers.get("content-type", "").partition(";")[0]
                error: ApiError = refusal(answer.status_code, media_type, answer.content)
                retry_after = seconds(answer.headers.get("retry-after"))
            except httpx.TransportError as failure:
                error = unreachable(failure)
            pause = self._retries.pause(attempt, error, call.repeatable, retry_after)
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def stamp(
        self,
        digest: bytes | None = None,
        *,
        document: bytes | None = None,
        hash_name: schemas.DigestName = "sha256",
        unit: str | None = None,
        policy: str | None = None,
        nonce: int | None = None,
        certificates: bool = True,
        idempotency_key: str | None = None,
    ) -> schemas.Stamp:
        """Stamp a digest, or a document, whose digest is taken here: it does not leave this process."""
        return await self.send(
            calls.stamp(digest, document, hash_name, unit, policy, nonce, certificates, idempotency_key)
        )

    async def timestamp(self, query: bytes, *, unit: str | None = None, idempotency_key: str | None = None) -> bytes:
        return await self.send(calls.timestamp(query, unit, idempotency_key))

    async def stamp_many(
        self,
        digests: Sequence[bytes],
        *,
        hash_name: schemas.DigestName = "sha256",
        unit: str | None = None,
        policy: str | None = None,
        idempotency_key: str | None = None,
    ) -> StampedBatch:
        """Stamp up to 10,000 digests with one token; every item's evidence record is made here."""
        return await self.send(calls.stamp_many(digests, hash_name, unit, policy, idempotency_key))

    async def evidence_record(self, record: str, item: int) -> bytes:
        return await self.send(calls.evidence_record(record, item))

    async def seal(
        self,
        document: bytes | None = None,
        *,
        digest: bytes | None = None,
        hash_name: schemas.DigestName = "sha256",
        existing: bytes | None = None,
        prepared: bytes | None = None,
        form: Literal["detached", "enveloping"] = "detached",
        level: Literal["B-B", "B-T"] = "B-B",
        seal_key: str | None = None,
        unit: str | None = None,
        options: SealOptions | None = None,
        idempotency_key: str | None = None,
    ) -> schemas.Seal:
        """Seal a document, a digest, further on an existing CMS, or what was prepared."""
        asked = calls.seal(
            digest=digest, hash_name=hash_name, document=document, existing=existing, prepared=prepared, form=form,
            level=level, seal_key=seal_key, unit=unit, options=options,
        )  # fmt: skip
        return await self.send(calls.make_seal(asked, idempotency_key))

    async def prepare_seal(
        self,
        document: bytes | None = None,
        *,
        digest: bytes | None = None,
        hash_name: schemas.DigestName = "sha256",
        existing: bytes | None = None,
        form: Literal["detached", "enveloping"] = "detached",
        seal_key: str | None = None,
        options: SealOptions | None = None,
    ) -> schemas.PreparedSeal:
        """The exact bytes that a seal would sign, and what `seal(prepared=...)` takes."""
        asked = calls.seal(
            digest=digest, hash_name=hash_name, document=document, existing=existing, prepared=None, form=form,
            level="B-B", seal_key=seal_key, unit=None, options=options,
        )  # fmt: skip
        return await self.send(calls.prepare_seal(asked))

    async def start_seals(
        self,
        digests: Sequence[bytes],
        *,
        hash_name: schemas.DigestName = "sha256",
        seal_key: str | None = None,
        wait_s: int = 0,
        idempotency_key: str | None = None,
    ) -> schemas.Job:
        """Start sealing up to 10,000 digests; the job, with the first page of its verdicts."""
        return await self.send(calls.seal_many(digests, hash_name, seal_key, wait_s, idempotency_key))

    async def seal_many(
        self,
        digests: Sequence[bytes],
        *,
        hash_name: schemas.DigestName = "sha256",
        seal_key: str | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> AsyncIterator[schemas.SealVerdict]:
        """Seal many digests and yield the verdict on each, in order. `progress` is called with (done, items)."""
        started = await self.start_seals(
            digests, hash_name=hash_name, seal_key=seal_key, idempotency_key=idempotency_key
        )
        async for verdict in self.verdicts(started.job, progress=progress):
            yield verdict

    async def verdicts(
        self, job_id: str, *, first: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> AsyncIterator[schemas.SealVerdict]:
        while True:
            page = await self.job(job_id, first=first, count=PAGE)
            if progress is not None:
                progress(page.done, page.items)
            for verdict in page.verdicts:
                yield verdict
            first += len(page.verdicts)
            if first >= page.items:
                return
            if not page.verdicts:
                await asyncio.sleep(0.05)

    async def job(self, job_id: str, *, first: int = 0, count: int = PAGE, wait_s: int = 0) -> schemas.Job:
        return await self.send(calls.job(job_id, first, count, wait_s))

    async def record(self, record_id: str, *, wait_for_proof_s: float = 0.0) -> schemas.RecordAnswer:
        deadline = asyncio.get_running_loop().time() + wait_for_proof_s
        while True:
            answer = await self.send(calls.record(record_id))
            if answer.proof is not None or asyncio.get_running_loop().time() >= deadline:
                return answer
            await asyncio.sleep(0.1)

    async def record_file(self, record_id: str) -> bytes:
        return await self.send(calls.record_file(record_id))

    async def log(self, origin: str, resource: str = "checkpoint") -> bytes:
        """A resource of a log: checkpoint, tile/L/N, tile/entries/N, with .p/W where partial (C2SP tlog-tiles)."""
        return await self.send(calls.log_resource(origin, resource))

    async def revocation_list(self, name: str) -> bytes:
        return await self.send(calls.revocation_list(name))

    async def verify(self, files: Sequence[tuple[str, bytes]]) -> Report:
        return await self.send(calls.verify(files))

    async def health(self) -> schemas.Health:
        return await self.send(calls.health())

    async def openapi(self) -> dict[str, Any]:
        return await self.send(calls.openapi())
