"""The same client for asyncio. Where a method has no words here, its namesake in appliance.client.synchronous has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import httpx

from appliance.api import schemas
from appliance.client import calls, draft_calls, gateway_calls, intake_calls, letter_calls, limit_calls
from appliance.client.calls import PAGE, Call
from appliance.client.connection import LONGEST_ANSWER_S, Credentials, answer_of, options, unreachable
from appliance.client.errors import ApiError
from appliance.client.methods import sends_async
from appliance.client.retries import RetryPolicy

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
        """`url`: https://HOST:PORT of the front's applications listener. `unix_socket`: a worker's, on its machine."""
        made = options(url, credentials, headers, timeout_s, http2)
        if unix_socket is not None:
            made["transport"] = httpx.AsyncHTTPTransport(uds=str(unix_socket))
        self._http = httpx.AsyncClient(**made)
        self._retries = retries
        self._credentials = credentials

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that may help. Raises ApiError."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = await self._http.request(
                    call.method, call.path, content=call.body or None, headers=call.headers, params=call.query or None
                )
                return answer_of(call, response, self._credentials)
            except httpx.TransportError as failure:
                error: ApiError = unreachable(failure)
            except ApiError as refused:
                error = refused
            pause = self._retries.pause(attempt, error, call.repeatable, error.retry_after_s)
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    stamp = sends_async(calls.stamp)
    timestamp = sends_async(calls.timestamp)
    stamp_many = sends_async(calls.stamp_many)
    evidence_record = sends_async(calls.evidence_record)
    seal = sends_async(calls.seal)
    prepare_seal = sends_async(calls.prepare_seal)
    seal_pdf = sends_async(calls.seal_pdf)
    start_seals = sends_async(calls.start_seals)

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

    job = sends_async(calls.job)

    async def record(self, record_id: str, *, wait_for_proof_s: float = 0.0) -> schemas.RecordAnswer:
        deadline = asyncio.get_running_loop().time() + wait_for_proof_s
        while True:
            answer = await self.send(calls.record(record_id))
            if answer.proved or asyncio.get_running_loop().time() >= deadline:
                return answer
            await asyncio.sleep(0.1)

    record_file = sends_async(calls.record_file)
    log = sends_async(calls.log)
    opening = sends_async(calls.opening)
    revocation_list = sends_async(calls.revocation_list)
    verify = sends_async(calls.verify)
    begin_letter = sends_async(letter_calls.begin_letter)
    draft_letter = sends_async(letter_calls.draft_letter)
    letter_event = sends_async(letter_calls.letter_event)
    draft_event = sends_async(letter_calls.draft_event)
    letter = sends_async(letter_calls.letter)
    letters = sends_async(letter_calls.letters)
    letter_events = sends_async(letter_calls.letter_events)
    ask_register = sends_async(letter_calls.ask_register)
    evidence = sends_async(letter_calls.evidence)
    court_evidence = sends_async(letter_calls.court_evidence)
    evidence_anchors = sends_async(letter_calls.evidence_anchors)
    release_key = sends_async(letter_calls.release_key)
    keep_letter_draft = sends_async(draft_calls.keep_letter_draft)
    keep_event_draft = sends_async(draft_calls.keep_event_draft)
    kept_drafts = sends_async(draft_calls.kept_drafts)
    kept_draft = sends_async(draft_calls.kept_draft)
    approve_draft = sends_async(draft_calls.approve_draft)
    withdraw_draft = sends_async(draft_calls.withdraw_draft)
    finish_draft = sends_async(draft_calls.finish_draft)
    limits = sends_async(limit_calls.limits)
    warnings = sends_async(limit_calls.warnings)
    usage = sends_async(limit_calls.usage)
    fees = sends_async(limit_calls.fees)
    close_bill = sends_async(limit_calls.close_bill)
    tariffs = sends_async(limit_calls.tariffs)
    gateway_sheet = sends_async(gateway_calls.gateway_sheet)
    gateway_message = sends_async(gateway_calls.gateway_message)
    begin_intake = sends_async(intake_calls.begin_intake)
    send_intake_part = sends_async(intake_calls.send_intake_part)
    intake = sends_async(intake_calls.intake)
    intakes = sends_async(intake_calls.intakes)
    intake_verdicts = sends_async(intake_calls.intake_verdicts)
    intake_result = sends_async(intake_calls.intake_result)
    stop_intake = sends_async(intake_calls.stop_intake)
    resume_intake = sends_async(intake_calls.resume_intake)
    health = sends_async(calls.health)
    quota = sends_async(calls.quota)
    openapi = sends_async(calls.openapi)
