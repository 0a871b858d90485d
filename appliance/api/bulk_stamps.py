"""Bulk stamps: POST /v1/stamps/bulk, one token over many digests, and the evidence record of each of them.

The batch is one signature and one record, which commits to the tree's root. The answer is JSON with a path for each
item, or compact binary: then the client makes the paths itself from the digests that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.algorithms import digest_algorithm
from appliance.api import signing
from appliance.api.application import query_of
from appliance.api.endpoints import MEDIA_JSON
from appliance.api.messages import Request, Response
from appliance.api.records import read_body
from appliance.api.schemas import BulkStamp, BulkStampItem, BulkStampRequest, SecondStamp
from appliance.api.stamps import decode_record
from appliance.api.texts import idempotency_of
from appliance.calls.problems import problem_of
from appliance.errors import BadRequest, NotFound
from appliance.evidence_records import BatchRejected, CompactBatch, HashTree, distinct
from appliance.instants import rfc3339
from appliance.record import Record

if TYPE_CHECKING:
    from appliance.api.callers import Caller
    from appliance.api.units import StampingUnit
    from appliance.api.worker import Worker
    from appliance.recorder.messages import Idempotency

MEDIA_DIGESTS: Final = "application/vnd.cinnabar.digests"
"""The digests of a batch, one after the other, all of one hash algorithm."""
MEDIA_BATCH: Final = "application/vnd.cinnabar.batch"
"""msgpack ["cinnabar-compact-stamp/1", record id, unit, time (us), serial, policy, hash name, count, root, token]."""
_TURN: Final = 250
"""Items whose paths are made before others have a turn."""
MEDIA_EVIDENCE_RECORD: Final = b"application/octet-stream"

_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


class _Answered(msgspec.Struct, frozen=True):
    record_id: bytes
    record: Record
    batch: CompactBatch


async def stamps_bulk(worker: Worker, request: Request) -> Response:
    """POST /v1/stamps/bulk"""
    caller = request.known_caller
    query = query_of(request)
    idempotency = idempotency_of(request)
    compact = request.headers.get(b"accept", b"").strip().lower() == MEDIA_BATCH.encode()
    refused: dict[int, BatchRejected] = {}
    hash_name: str
    if request.media_type == MEDIA_JSON:
        asked: BulkStampRequest = request.document
        unit_name, policy, hash_name = asked.unit, asked.policy, asked.hash
        digests, refused = _sized(asked.digests, hash_name)
        paths = asked.paths
    else:
        unit_name, policy, hash_name = query.get("unit"), query.get("policy"), query.get("hash", "sha256")
        digests, paths = request.body, True
    size = digest_algorithm(hash_name).size
    if len(digests) > worker.settings.limits.bulk_items * size:
        raise BatchRejected(f"A batch has at most {worker.settings.limits.bulk_items} digests.")
    unit = worker.unit_for(caller, unit_name)
    trees, places = [], []
    for joined, name in [(digests, hash_name), *_second(request, refused, compact=compact)]:
        leaves, positions = distinct(joined, name)
        await asyncio.sleep(0)  # let single stamps through between the steps of a large batch
        trees.append(HashTree.build(leaves, name))
        places.append(positions)
        await asyncio.sleep(0)
    await worker.gates.check_room(worker.recorder, caller, unit.name, idempotency)
    answered = await _stamped(worker, caller, unit, trees, policy, idempotency)
    if len(answered) != len(trees):
        raise BadRequest("The request with this idempotency key had other digests.")
    if compact:
        return Response(_compact(answered[0]), MEDIA_BATCH.encode())
    second = None if len(answered) == 1 else (answered[1], places[1])
    return Response(await _answer(answered[0], places[0], refused, paths, second))


def _second(request: Request, refused: dict[int, BatchRejected], *, compact: bool) -> list[tuple[bytes, str]]:
    """The second digests of a request, concatenated, with their hash. Raises BatchRejected, BadRequest."""
    asked = request.document if request.media_type == MEDIA_JSON else None
    if not isinstance(asked, BulkStampRequest) or asked.second is None:
        return []
    second = asked.second
    if compact:
        raise BadRequest("Second digests are answered in JSON.")
    if second.hash == asked.hash or len(second.digests) != len(asked.digests) or refused:
        raise BatchRejected("Second digests are of another hash, one for each of the first, none of which is refused.")
    joined, wrong = _sized(second.digests, second.hash)
    if wrong:
        raise next(iter(wrong.values()))
    return [(joined, second.hash)]


async def _stamped(
    worker: Worker, caller: Caller, unit: StampingUnit, trees: list[HashTree], policy: str | None,
    idempotency: Idempotency | None,
) -> list[_Answered]:  # fmt: skip
    """A token over each tree, all on record in one transaction; or what was answered before."""
    made: list[tuple[signing.Signed, CompactBatch, int]] = []
    try:
        for tree in trees:
            made.append(await stamp_tree(worker, caller, unit, tree, policy))
    except BaseException:
        if made:
            worker.counter.drop("stamp-unfinished", len(made))
        raise
    signed = [one for one, _, _ in made]
    replayed = await signing.commit(worker, caller, signed, idempotency, (unit.name, made[-1][2]))
    if replayed is None:
        return [_Answered(one.entry.record_id, decode_record(one.record), batch) for one, batch, _ in made]
    bodies = [(one.record_id, unit.cipher.open(one.record_id, one.body)) for one in replayed.entries]
    return [
        _Answered(record_id, decode_record(body.record), CompactBatch.decode(body.artifact))
        for record_id, body in bodies
    ]


async def stamp_tree(
    worker: Worker, caller: Caller, unit: StampingUnit, tree: HashTree, policy: str | None = None
) -> tuple[signing.Signed, CompactBatch, int]:
    """A time-stamp over a tree's root: (its record, which is not on disk yet; tree and token; genTime in
    microseconds). Raises what the unit and its token refuse with."""
    name = tree.algorithm.name
    prepared = unit.unit.prepare_digest(name, tree.root, worker.clock.read(), policy=policy, certificates=True)
    signature = await unit.key.sign_async(prepared.to_be_signed)
    try:
        batch = CompactBatch(tree, unit.unit.complete(prepared, signature))
        signed = signing.record_signature(
            unit.cipher, caller, unit.name, "batch-stamp", artifact=batch.encode(), content_digest=tree.root,
            content_hash=name, time_us=prepared.time_us, to_be_signed=prepared.to_be_signed, signature=signature,
            count=tree.count, policy=prepared.policy, serial=prepared.serial,
        )  # fmt: skip
    except BaseException:
        worker.counter.drop("stamp-unfinished")
        raise
    return signed, batch, prepared.time_us


def _sized(digests: list[str], hash_name: str) -> tuple[bytes, dict[int, BatchRejected]]:
    """The digests of the right length, concatenated, and a verdict on each of the others."""
    width = 2 * digest_algorithm(hash_name).size
    joined = "".join(digests)
    if len(joined) == width * len(digests) and all(len(digest) == width for digest in digests):
        return bytes.fromhex(joined), {}
    refused = {
        item: BatchRejected(f"A {hash_name} digest has {width // 2} bytes.")
        for item, digest in enumerate(digests)
        if len(digest) != width
    }
    if len(refused) == len(digests):
        raise BatchRejected(f"No digest has the {width // 2} bytes of {hash_name}.")
    return bytes.fromhex("".join(digest for digest in digests if len(digest) == width)), refused


def _compact(answered: _Answered) -> bytes:
    record, tree = answered.record, answered.batch.tree
    return _pack(
        [
            "cinnabar-compact-stamp/1",
            answered.record_id,
            record.key,
            record.time,
            record.serial,
            record.policy,
            tree.algorithm.name,
            tree.count,
            tree.root,
            answered.batch.token,
        ]
    )


async def _answer(
    answered: _Answered, positions: list[int], refused: dict[int, BatchRejected], paths: bool,
    second: tuple[_Answered, list[int]] | None,
) -> bytes:  # fmt: skip
    """The JSON of a BulkStamp. Ten thousand paths take a tenth of a second: others have a turn after every few."""
    items = await _items(answered, positions, refused, paths)
    # `items` is the last member, so the pieces go in before the closing bracket.
    head = _encode(BulkStamp(**_facts(answered))).removesuffix(b"]}")
    if second is not None:
        beside = _encode(SecondStamp(**_facts(second[0]))).removesuffix(b"]}")
        beside += await _items(*second, {}, paths) + b"]}"
        head = head.removesuffix(b'"items":[') + b'"second":' + beside + b',"items":['
    return head + items + b"]}"


def _facts(answered: _Answered) -> dict[str, Any]:
    record, tree = answered.record, answered.batch.tree
    return {
        "record": answered.record_id.hex(), "unit": record.key, "time": rfc3339(record.time),
        "serial": record.serial or "", "policy": record.policy or "", "hash": tree.algorithm.name,
        "count": tree.count, "root": tree.root.hex(), "token": answered.batch.token, "items": [],
    }  # fmt: skip


async def _items(answered: _Answered, positions: list[int], refused: dict[int, BatchRejected], paths: bool) -> bytes:
    leaves = iter(positions)
    items = len(positions) + len(refused)
    rendered: list[bytes] = []
    for start in range(0, items, _TURN):
        some = [
            _item(answered, item, refused.get(item), leaves, paths) for item in range(start, min(start + _TURN, items))
        ]
        rendered.append(_encode(some)[1:-1])
        await asyncio.sleep(0)
    return b",".join(rendered)


def _item(
    answered: _Answered, item: int, problem: BatchRejected | None, leaves: Iterator[int], paths: bool
) -> BulkStampItem:
    if problem is not None:
        return BulkStampItem(item=item, status="refused", problem=problem_of(problem))
    tree, leaf = answered.batch.tree, next(leaves)
    path: list[str] | msgspec.UnsetType = msgspec.UNSET
    if paths:
        siblings, size = tree.path(leaf).hex(), tree.algorithm.size
        path = [siblings[start : start + 2 * size] for start in range(0, len(siblings), 2 * size)]
    return BulkStampItem(item=item, leaf=leaf, path=path)


async def evidence_record(worker: Worker, request: Request) -> Response:
    """GET /v1/stamps/bulk/{record}/{item}"""
    caller = request.known_caller
    stored = await read_body(worker, caller, bytes.fromhex(request.arguments["record"]))
    if stored.kind != "batch-stamp":
        raise NotFound("There is no such batch here.")
    try:
        content = CompactBatch.decode(stored.body.artifact).evidence_record(int(request.arguments["item"]))
    except IndexError:
        raise NotFound("The batch has no such item.") from None
    return Response(content, MEDIA_EVIDENCE_RECORD)
