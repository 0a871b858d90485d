"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import httpx

from appliance.api import schemas
from appliance.client import calls, draft_calls, gateway_calls, intake_calls, letter_calls, limit_calls
from appliance.client.calls import PAGE, Call
from appliance.client.connection import LONGEST_ANSWER_S, Credentials, answer_of, options, unreachable
from appliance.client.errors import ApiError
from appliance.client.methods import sends
from appliance.client.retries import RetryPolicy

T = TypeVar("T")


class Client:
    """One application at one box. A context manager; safe to share between threads."""

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
            made["transport"] = httpx.HTTPTransport(uds=str(unix_socket))
        self._http = httpx.Client(**made)
        self._retries = retries
        self._credentials = credentials

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that may help. Raises ApiError."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._http.request(
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
            time.sleep(pause)

    stamp = sends(calls.stamp)
    timestamp = sends(calls.timestamp)
    stamp_many = sends(calls.stamp_many)
    evidence_record = sends(calls.evidence_record)
    seal = sends(calls.seal)
    prepare_seal = sends(calls.prepare_seal)
    seal_pdf = sends(calls.seal_pdf)
    start_seals = sends(calls.start_seals)

    def seal_many(
        self,
        digests: Sequence[bytes],
        *,
        hash_name: schemas.DigestName = "sha256",
        seal_key: str | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[schemas.SealVerdict]:
        """Seal many digests and yield the verdict on each, in order. `progress` is called with (done, items)."""
        started = self.start_seals(digests, hash_name=hash_name, seal_key=seal_key, idempotency_key=idempotency_key)
        yield from self.verdicts(started.job, progress=progress)

    def verdicts(
        self, job_id: str, *, first: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[schemas.SealVerdict]:
        """The verdicts of a job from item `first`, as they come; ends with the job."""
        while True:
            page = self.job(job_id, first=first, count=PAGE)
            if progress is not None:
                progress(page.done, page.items)
            yield from page.verdicts
            first += len(page.verdicts)
            if first >= page.items:
                return
            if not page.verdicts:
                time.sleep(0.05)

    job = sends(calls.job)

    def record(self, record_id: str, *, wait_for_proof_s: float = 0.0) -> schemas.RecordAnswer:
        """A record of this tenant; with `wait_for_proof_s`, asked again until the log has it, cosigned where it has
        witnesses, or that time is over."""
        deadline = time.monotonic() + wait_for_proof_s
        while True:
            answer = self.send(calls.record(record_id))
            if answer.proved or time.monotonic() >= deadline:
                return answer
            time.sleep(0.1)

    record_file = sends(calls.record_file)
    log = sends(calls.log)
    opening = sends(calls.opening)
    revocation_list = sends(calls.revocation_list)
    verify = sends(calls.verify)
    begin_letter = sends(letter_calls.begin_letter)
    draft_letter = sends(letter_calls.draft_letter)
    letter_event = sends(letter_calls.letter_event)
    draft_event = sends(letter_calls.draft_event)
    letter = sends(letter_calls.letter)
    letters = sends(letter_calls.letters)
    letter_events = sends(letter_calls.letter_events)
    ask_register = sends(letter_calls.ask_register)
    evidence = sends(letter_calls.evidence)
    court_evidence = sends(letter_calls.court_evidence)
    evidence_anchors = sends(letter_calls.evidence_anchors)
    release_key = sends(letter_calls.release_key)
    keep_letter_draft = sends(draft_calls.keep_letter_draft)
    keep_event_draft = sends(draft_calls.keep_event_draft)
    kept_drafts = sends(draft_calls.kept_drafts)
    kept_draft = sends(draft_calls.kept_draft)
    approve_draft = sends(draft_calls.approve_draft)
    withdraw_draft = sends(draft_calls.withdraw_draft)
    finish_draft = sends(draft_calls.finish_draft)
    limits = sends(limit_calls.limits)
    warnings = sends(limit_calls.warnings)
    usage = sends(limit_calls.usage)
    fees = sends(limit_calls.fees)
    close_bill = sends(limit_calls.close_bill)
    tariffs = sends(limit_calls.tariffs)
    gateway_sheet = sends(gateway_calls.gateway_sheet)
    gateway_message = sends(gateway_calls.gateway_message)
    begin_intake = sends(intake_calls.begin_intake)
    send_intake_part = sends(intake_calls.send_intake_part)
    intake = sends(intake_calls.intake)
    intakes = sends(intake_calls.intakes)
    intake_verdicts = sends(intake_calls.intake_verdicts)
    intake_result = sends(intake_calls.intake_result)
    stop_intake = sends(intake_calls.stop_intake)
    resume_intake = sends(intake_calls.resume_intake)
    health = sends(calls.health)
    quota = sends(calls.quota)
    openapi = sends(calls.openapi)
