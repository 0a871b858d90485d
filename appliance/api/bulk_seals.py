"""Bulk seals: POST /v1/seals/bulk makes a job, GET /v1/jobs/{id} tells its verdicts, page by page.

Every digest gets a seal of its own, with a record of its own. A verdict is kept as the record's id, or as a problem.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.algorithms import digest_algorithm
from appliance.api.application import query_of
from appliance.api.awaited import not_open
from appliance.api.callers import Caller
from appliance.api.endpoints import MEDIA_JSON
from appliance.api.errors import NotPermitted
from appliance.api.messages import NO_STORE, Request, Response
from appliance.api.records import open_row
from appliance.api.schemas import BulkSealRequest, Job, SealVerdict
from appliance.api.seals import record_seal
from appliance.api.texts import idempotency_of, new_idempotency_key
from appliance.calls.problems import Problem, problem_of
from appliance.errors import BadRequest, CinnabarError
from appliance.record import RECORD_ID_BYTES, new_record_id
from appliance.recorder.messages import Entry, Idempotency, Replayed

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker

KIND: Final = "seals"
MEDIA_SEALS: Final = "application/vnd.cinnabar.seals"
"""msgpack [[item, record id, CMS] or [item, null, problem as JSON], ...]: a page of verdicts in compact form."""
PAGE: Final = 1_000
LONGEST_WAIT_S: Final = 60.0
_POLL_S: Final = 0.05

_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_decode_problem = msgspec.json.Decoder(Problem).decode


class _JobRequest(msgspec.Struct, array_like=True, frozen=True):
    """What a job keeps of its request; encrypted under the tenant's key, with a random label before it."""

    certificate: bytes
    key: str
    hash: str
    digests: bytes
    sizes_differ: list[bytes] | None
    """Every digest by itself, where one of them has not the hash's length."""


_decode_request = msgspec.msgpack.Decoder(_JobRequest).decode
_LABEL_BYTES: Final = RECORD_ID_BYTES


def encode_problem(error: CinnabarError) -> bytes:
    """The verdict on an item that got no seal. Longer than a record's id, which is the other verdict."""
    return _encode(problem_of(error))


class BulkSealer:
    """Seals the items of one job."""

    def __init__(self, worker: Worker, caller: Caller, key: SealingKey, request: _JobRequest) -> None:
        self._worker = worker
        self._caller = caller
        self._key = key
        self._request = request
        self._size = digest_algorithm(request.hash).size
        self.certificate = request.certificate
        """Of the caller that made the job: it must be active still when an item is recorded."""

    @classmethod
    def open(cls, worker: Worker, tenant: str, application: str, stored: bytes) -> BulkSealer:
        """The sealer of a claimed job. Raises BodyDamaged, NotPermitted for a key that is gone, TokenUnavailable."""
        label, sealed = stored[:_LABEL_BYTES], stored[_LABEL_BYTES:]
        request = _decode_request(worker.cipher_of(tenant).open_bytes(label, sealed))
        if request.key in worker.awaited.seal_keys:
            raise not_open()
        key = worker.seal_keys.get(request.key)
        if key is None or key.tenant != tenant:
            raise NotPermitted("The seal key of this job is not served any more.")
        caller = Caller(request.certificate, application, tenant, frozenset((key.name,)), 0, 0)
        return cls(worker, caller, key, request)

    def _digest(self, item: int) -> bytes:
        request = self._request
        if request.sizes_differ is not None:
            return request.sizes_differ[item]
        return request.digests[item * self._size : (item + 1) * self._size]

    async def seal(self, item: int) -> Entry:
        """Seal one item; its record is not on disk yet."""
        key = self._key
        await self._worker.gates.check_room(self._worker.recorder, self._caller, key.name)
        now_us = self._worker.clock.read().time_us
        prepared = key.profile.prepare(self._digest(item), self._request.hash, now_us)
        signature = await key.key.sign_async(prepared.to_be_signed)
        cms = key.profile.complete(prepared, signature)
        return record_seal(self._caller, key, prepared, signature, cms).entry

    def learn(self, entries: list[Entry], error: CinnabarError) -> None:
        """What the recorder refused some of these entries with."""
        self._worker.gates.learn(self._caller.tenant, [entry.key for entry in entries], error)


async def seals_bulk(worker: Worker, request: Request) -> Response:
    """POST /v1/seals/bulk"""
    caller = request.known_caller
    query = query_of(request)
    hash_name: str
    key_name: str | None
    if request.media_type == MEDIA_JSON:
        asked: BulkSealRequest = request.document
        key_name, hash_name, given = asked.key, asked.hash, [bytes.fromhex(digest) for digest in asked.digests]
    else:
        key_name, hash_name = query.get("key"), query.get("hash", "sha256")
        size = digest_algorithm(hash_name).size
        if not request.body or len(request.body) % size:
            raise BadRequest(f"The body is not a run of {hash_name} digests.")
        given = [request.body[start : start + size] for start in range(0, len(request.body), size)]
    if len(given) > worker.settings.limits.bulk_items:
        raise BadRequest(f"A bulk call has at most {worker.settings.limits.bulk_items} items.")
    key = worker.seal_key_for(caller, key_name)
    uniform = {len(digest) for digest in given} == {digest_algorithm(hash_name).size}
    job_id = new_record_id()
    stored = _JobRequest(
        caller.certificate, key.name, hash_name, b"".join(given) if uniform else b"", None if uniform else given
    )
    label = os.urandom(_LABEL_BYTES)
    answer = await worker.recorder.job_create(
        caller.tenant,
        caller.application,
        caller.certificate,
        job_id,
        KIND,
        len(given),
        label + worker.cipher_of(caller.tenant).close_bytes(label, _pack(stored)),
        idempotency_of(request) or Idempotency(new_idempotency_key(), job_id + bytes(10)),
    )
    if isinstance(answer, Replayed) and answer.job_id is not None:
        job_id = answer.job_id
    worker.jobs.poke()
    done = await _wait(worker, caller, job_id, _wait_seconds(request))
    return await _page(worker, caller, job_id, 0, PAGE, status=200 if done else 202)


async def jobs(worker: Worker, request: Request) -> Response:
    """GET /v1/jobs/{id}"""
    caller = request.known_caller
    query = query_of(request)
    job_id = bytes.fromhex(request.arguments["id"])
    wait = _wait_seconds(request)
    if wait:
        await _wait(worker, caller, job_id, wait)
    compact = request.headers.get(b"accept", b"").strip().lower() == MEDIA_SEALS.encode()
    first, count = int(query.get("from", "0")), int(query.get("count", str(PAGE)))
    return await _page(worker, caller, job_id, first, min(count, PAGE), compact=compact)


def _wait_seconds(request: Request) -> float:
    """Seconds of `Prefer: wait=N` (RFC 7240, section 4.3), at most LONGEST_WAIT_S; without it, none."""
    for preference in request.headers.get(b"prefer", b"").split(b","):
        name, _, value = preference.strip().partition(b"=")
        if name.strip().lower() == b"wait" and value.strip().isdigit() and len(value) < 6:
            return min(float(value), LONGEST_WAIT_S)
    return 0.0


async def _wait(worker: Worker, caller: Caller, job_id: bytes, seconds: float) -> bool:
    """Wait for a job's end. Whoever runs it, its progress is the recorder's to tell."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        job = await worker.recorder.query("job", caller.tenant, caller.application, job_id)
        if job["finished"] is not None:
            return True
        left = deadline - loop.time()
        if left <= 0 or worker.stopping:
            return False
        await asyncio.sleep(min(_POLL_S, left))


async def _page(
    worker: Worker, caller: Caller, job_id: bytes, first: int, count: int, *, status: int = 200, compact: bool = False
) -> Response:
    headers = NO_STORE
    if status == 202:
        headers += b"location: /v1/jobs/%s\r\npreference-applied: respond-async\r\n" % job_id.hex().encode()
    verdicts = await _verdicts(worker, caller, job_id, first, count) if count else []
    # Asked after the verdicts, so that progress is never behind them.
    job = await worker.recorder.query("job", caller.tenant, caller.application, job_id)
    following = first + len(verdicts)
    if compact:
        page = [
            [one.item, bytes.fromhex(one.record), one.cms]
            if isinstance(one.record, str)
            else [one.item, None, _encode(one.problem)]
            for one in verdicts
        ]
        return Response(_pack(page), MEDIA_SEALS.encode(), status, headers)
    answer = Job(
        job=job_id.hex(),
        kind=str(job["kind"]),
        state="running" if job["finished"] is None else "done",
        items=int(job["items"]),
        done=int(job["progress"]),
        verdicts=verdicts,
        next=following if verdicts and following < int(job["items"]) else None,
    )
    return Response(_encode(answer), status=status, headers=headers)


async def _verdicts(worker: Worker, caller: Caller, job_id: bytes, first: int, count: int) -> list[SealVerdict]:
    slices = await worker.recorder.query("job_verdicts", caller.tenant, caller.application, job_id, first, count)
    found: list[SealVerdict] = []
    for start, first_leaf, entries, verdicts in slices:
        rows = await worker.recorder.query("read_records", caller.tenant, first_leaf, entries) if entries else []
        opened = {bytes(row[1]): row for row in rows}
        for offset, verdict in enumerate(verdicts):
            item = start + offset
            if not first <= item < first + count:
                continue
            if len(verdict) == RECORD_ID_BYTES:
                row = opened.get(bytes(verdict))
                cms = open_row(worker, caller.tenant, row).body.artifact if row is not None else msgspec.UNSET
                found.append(SealVerdict(item=item, status="sealed", record=verdict.hex(), cms=cms))
            else:
                found.append(SealVerdict(item=item, status="refused", problem=_decode_problem(verdict)))
        await asyncio.sleep(0)  # opening a thousand records takes some milliseconds: let others through
    return found
