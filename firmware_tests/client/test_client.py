"""The client against a real worker: every call, typed errors, repeats, and evidence made on this side."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import schema

from appliance.api.schemas import BulkSealRequest, BulkStampRequest
from appliance.box.settings import LimitSettings
from appliance.calls.problems import Problem
from appliance.client import AsyncClient, Client, RetryPolicy, Unreachable
from appliance.client.calls import MOST_DIGESTS
from appliance.client.errors import (
    ApiError,
    Conflict,
    NotAuthorised,
    NotFound,
    NotUnderstood,
    Refused,
    TimeStampRejected,
    refusal,
)
from appliance.client.errors import BadRequest as BadRequestRefused
from appliance.client.expansion import StampedBatch
from appliance.client.mirror import mirror_log
from appliance.client.retries import new_idempotency_key
from appliance.evidence_records import parse_evidence_record
from firmware_tests.client.conftest import headers_of

# httpcore 1.0 leaves the socket to the garbage collector when a unix socket refuses the connection.
LEAKED_BY_HTTPCORE = pytest.mark.filterwarnings(
    "ignore:.*unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

DIGEST = hashlib.sha256(b"letter").digest()


def test_stamps(client: Client, stamp_query: bytes) -> None:
    key = new_idempotency_key()
    first = client.stamp(DIGEST, nonce=0xCAFE, idempotency_key=key)
    assert client.stamp(DIGEST, nonce=0xCAFE, idempotency_key=key) == first
    with pytest.raises(Conflict) as raised:
        client.stamp(bytes(32), idempotency_key=key)
    assert raised.value.code == "idempotency-conflict"
    assert client.timestamp(stamp_query, unit="demo-tsu")[0] == 0x30
    assert client.timestamp(stamp_query)[0] == 0x30
    with pytest.raises(TimeStampRejected):
        client.timestamp(b"\x30\x00")


def test_seals(client: Client) -> None:
    seal = client.seal(b"bond", level="B-T")
    assert seal.level == "B-T"
    prepared = client.prepare_seal(b"bond")
    assert prepared.to_be_signed[1:] in client.seal(prepared=prepared.prepared).cms
    report = client.verify([("bond", b"bond"), ("bond.p7s", seal.cms)])
    assert report.indication == "TOTAL-PASSED"
    record = client.record(seal.record, wait_for_proof_s=10)
    assert record.artifact == seal.cms
    assert record.proof is not None
    assert client.log(record.proof.origin).startswith(record.proof.origin.encode())


def test_batches_are_expanded_here_as_the_box_would(client: Client) -> None:
    digests = [hashlib.sha256(bytes([n])).digest() for n in range(7)]
    batch = client.stamp_many([*digests, digests[0]])
    assert len(batch) == 8
    for item, leaf in [(0, 0), (6, 6), (7, 0)]:
        assert batch.evidence_record(item) == client.evidence_record(batch.record, leaf)
    assert parse_evidence_record(batch.evidence_record(3))


def test_an_answer_about_other_digests_is_not_believed(client: Client) -> None:
    body: list[bytes] = []
    original = StampedBatch.read
    try:
        StampedBatch.read = staticmethod(lambda answer, *_: body.append(answer))
        client.stamp_many([DIGEST])
    finally:
        StampedBatch.read = original
    with pytest.raises(NotUnderstood):
        StampedBatch.read(body[0], bytes(32), "sha256")
    with pytest.raises(NotUnderstood):
        StampedBatch.read(b"\x90", DIGEST, "sha256")


def test_bulk_seals_come_in_order_with_progress(client: Client) -> None:
    digests = [hashlib.sha256(n.to_bytes(2, "big")).digest() for n in range(300)]
    told: list[tuple[int, int]] = []
    verdicts = list(client.seal_many(digests, progress=lambda done, items: told.append((done, items))))
    assert [verdict.item for verdict in verdicts] == list(range(300))
    assert all(verdict.status == "sealed" for verdict in verdicts)
    assert told[-1] == (300, 300)


@LEAKED_BY_HTTPCORE
def test_errors_are_typed(box, client: Client) -> None:
    with pytest.raises(NotFound) as raised:
        client.record("00" * 22)
    assert raised.value.control == "CHANNEL"
    with pytest.raises(NotAuthorised):
        client.stamp(DIGEST, unit="other-tsu")
    with pytest.raises(BadRequestRefused):
        client.stamp(DIGEST, policy="1.2.3")
    with Client("http://localhost", unix_socket=box.socket()) as nobody, pytest.raises(NotAuthorised):
        nobody.stamp(DIGEST)
    nowhere = Client(
        "http://localhost", unix_socket=Path("/nonexistent"), retries=RetryPolicy(attempts=2, first_s=0.01)
    )
    with nowhere, pytest.raises(Unreachable):
        nowhere.health()


def test_both_clients_have_the_same_methods_arguments_and_words() -> None:
    def methods(client: type) -> dict[str, Any]:
        return {name: one for name, one in vars(client).items() if callable(one) and not name.startswith("_")}

    blocking, awaited = methods(Client), methods(AsyncClient)
    assert set(blocking) == set(awaited)
    for name, method in blocking.items():
        written, other = inspect.signature(method), inspect.signature(awaited[name])
        assert list(written.parameters.values()) == list(other.parameters.values()), name
        assert written.return_annotation in {other.return_annotation, str(other.return_annotation)[len("Async") :]}
        assert awaited[name].__doc__ in {method.__doc__, None}, name


def test_the_asynchronous_client_does_the_same(box) -> None:
    async def main() -> None:
        made = AsyncClient("http://localhost", unix_socket=box.socket(), headers=headers_of(box))
        async with made as client:
            stamps = await asyncio.gather(*(client.stamp(DIGEST) for _ in range(20)))
            assert len({stamp.record for stamp in stamps}) == 20
            verdicts = [verdict async for verdict in client.seal_many([DIGEST] * 30)]
            assert len(verdicts) == 30
            assert (await client.stamp_many([DIGEST])).evidence_record(0)
            assert (await client.record(stamps[0].record, wait_for_proof_s=10)).proof is not None
            assert (await client.health()).ready
            with pytest.raises(NotFound):
                await client.record("00" * 22)

    asyncio.run(main())


@LEAKED_BY_HTTPCORE
def test_a_worker_that_comes_back_is_found_again(own_box) -> None:
    patient = RetryPolicy(attempts=12)  # a worker's start takes as long as the machine is busy
    client = Client("http://localhost", unix_socket=own_box.socket(), headers=headers_of(own_box), retries=patient)
    with client:
        before = client.stamp(DIGEST)
        own_box.stop("worker-0")
        starting = threading.Timer(0.5, own_box.start_worker, (0,))
        starting.start()
        after = client.stamp(DIGEST)
        starting.join()
        assert before.record != after.record


def test_a_log_is_mirrored_and_checked(client: Client, box, tmp_path: Path) -> None:
    client.record(client.stamp(DIGEST).record, wait_for_proof_s=10)
    origin = next(log.origin for log in box.settings.logs if log.tenant == "demo")
    size = mirror_log(lambda resource: client.log(origin, resource), tmp_path, lambda *_: None)
    assert size > 0
    assert (tmp_path / "checkpoint").read_bytes().startswith(origin.encode())

    def flipped(resource: str) -> bytes:
        content = client.log(origin, resource)
        return content if resource == "checkpoint" or "entries" in resource else bytes([content[0] ^ 1]) + content[1:]

    with pytest.raises(NotUnderstood):
        mirror_log(flipped, tmp_path / "other", lambda *_: None)
    assert not (tmp_path / "other" / "checkpoint").exists()


def test_idempotency_keys_are_uuid_version_7() -> None:
    keys = [uuid.UUID(new_idempotency_key()) for _ in range(200)]
    assert len(set(keys)) == 200
    assert {(key.version, key.variant) for key in keys} == {(7, uuid.RFC_4122)}
    assert abs((keys[0].int >> 80) - time.time_ns() // 1_000_000) < 60_000


@given(st.integers(1, 10), st.booleans(), st.booleans(), st.none() | st.floats(0, 100))
def test_only_what_may_help_is_tried_again(
    attempt: int, repeatable: bool, retriable: bool, after: float | None
) -> None:
    policy = RetryPolicy(attempts=5)
    problem = Problem(type="urn:cinnabar:problem:busy", title="", status=503, detail="", retriable=retriable)
    pause = policy.pause(attempt, Refused(problem), repeatable, after)
    assert (pause is not None) == (attempt < 5 and repeatable and retriable)
    assert pause is None or 0 < pause <= policy.longest_s
    assert policy.pause(1, ApiError(""), True, after) is None


@given(st.integers(400, 599), st.sampled_from(["application/problem+json", "text/html", ""]), st.binary(max_size=40))
def test_any_error_answer_is_some_error(status: int, media_type: str, body: bytes) -> None:
    assert isinstance(refusal(status, media_type, body), ApiError)


def test_listing_commands_loads_none_of_them() -> None:
    import sys

    source = (
        "import sys; from click.testing import CliRunner; from appliance.client.cli import group;"
        "shown = CliRunner().invoke(group, ['--help']).output;"
        "assert 'bulk-stamp' in shown and 'provision' in shown, shown;"
        "heavy = {'httpx', 'cryptography', 'rich', 'hsm', 'uvloop', 'msgspec'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-P", "-c", source], check=True)


def test_a_missing_extra_is_named() -> None:
    import sys

    source = (
        "import sys; sys.modules['uvloop'] = None; from importlib.metadata import EntryPoint;"
        "from appliance.client.cli import load, MissingPart;"
        "entry = EntryPoint('thing', 'uvloop:x', 'cinnabar.commands')\n"
        "try: load(entry)\n"
        "except MissingPart as error: assert 'cinnabar[appliance]' in error.message and 'uvloop' in error.message\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-P", "-c", source], check=True)


WRONG: list[object] = ["bond", 7, ["bond"], object()]


def refused_before_sending(client) -> list:
    """Calls that must fail before anything is sent; each takes what is no bytes."""
    return [
        client.stamp,
        lambda wrong: client.stamp(document=wrong),
        client.seal,
        lambda wrong: client.seal(digest=wrong),
        lambda wrong: client.seal(prepared=wrong),
        lambda wrong: client.seal(b"bond", existing=wrong),
        client.prepare_seal,
        lambda wrong: client.prepare_seal(digest=wrong),
        lambda wrong: client.prepare_seal(b"bond", existing=wrong),
        lambda wrong: client.stamp_many([DIGEST, wrong]),
        client.stamp_many,
        client.start_seals,
        lambda wrong: client.start_seals([wrong]),
        client.timestamp,
        lambda wrong: client.verify([("bond", wrong)]),
    ]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_only_bytes_are_sealed_and_stamped(wrong: object) -> None:
    # Text would be read as the base64 of other bytes. Nothing listens there: no request is even tried.
    with Client("http://localhost", unix_socket=Path("/nonexistent")) as client:
        for call in refused_before_sending(client):
            with pytest.raises(TypeError):
                call(wrong)

    async def main() -> None:
        async with AsyncClient("http://localhost", unix_socket=Path("/nonexistent")) as client:
            for call in refused_before_sending(client):
                with pytest.raises(TypeError):
                    await call(wrong)
            with pytest.raises(TypeError):
                async for _ in client.seal_many([wrong]):
                    pass

    asyncio.run(main())


def test_text_is_told_what_it_lacks() -> None:
    with (
        Client("http://localhost", unix_socket=Path("/nonexistent")) as client,
        pytest.raises(TypeError, match=r"document must be bytes, not str; encode text first: text\.encode\(\)"),
    ):
        client.seal("bond")


def test_digests_of_another_length_or_too_many_are_refused_here() -> None:
    with Client("http://localhost", unix_socket=Path("/nonexistent")) as client:
        for call in (
            lambda: client.stamp(b"the letter itself"),
            lambda: client.stamp(DIGEST, hash_name="sha512"),
            lambda: client.seal(digest=DIGEST[1:]),
            lambda: client.stamp_many([DIGEST, DIGEST + DIGEST]),
            lambda: client.stamp_many([DIGEST] * 10_001),
            lambda: client.start_seals([DIGEST] * 10_001),
        ):
            with pytest.raises(ValueError, match=r"digest has|at most 10,000"):
                call()
        for not_many in (DIGEST, "bond"):
            with pytest.raises(TypeError, match="sequence"):
                client.stamp_many(not_many)
        with pytest.raises(TypeError):
            client.stamp()
        with pytest.raises(TypeError):
            client.stamp(DIGEST, document=b"letter")


def test_the_limit_of_a_bulk_call_is_the_api_s() -> None:
    for request in (BulkStampRequest, BulkSealRequest):
        digests = schema(request)["$defs"][request.__name__]["properties"]["digests"]
        assert digests["maxItems"] == MOST_DIGESTS == LimitSettings().bulk_items


def test_a_document_s_stamp_is_its_digest_s(client: Client) -> None:
    key = new_idempotency_key()
    stamp = client.stamp(document=bytearray(b"letter"), idempotency_key=key)
    assert DIGEST in stamp.token
    assert client.stamp(DIGEST, idempotency_key=key) == stamp
    assert hashlib.sha3_512(b"letter").digest() in client.stamp(document=b"letter", hash_name="sha3-512").token
    sealed = client.seal(memoryview(b"bond"))
    assert hashlib.sha256(b"bond").digest() in sealed.cms
