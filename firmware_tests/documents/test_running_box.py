"""Document workers of a whole box: verification and further signatures through the API, hostile files, deaths."""

from __future__ import annotations

import base64
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from appliance.documents.worker import NICE
from appliance.evidence.directory import read_directory
from firmware_tests.running import RunningBox, wait_until

DOCUMENT = "凭证 voucher".encode() * 20


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def client(box: RunningBox) -> Iterator[httpx.Client]:
    with box.http("demo") as client:
        yield client


@pytest.fixture(scope="module")
def enveloping(box: RunningBox) -> bytes:
    with box.http("other") as other:
        asked = {"document": encoded(DOCUMENT), "form": "enveloping", "level": "B-T"}
        return base64.b64decode(other.post("/v1/seals", json=asked).raise_for_status().json()["cms"])


def verified(client: httpx.Client, **files: bytes) -> httpx.Response:
    asked = [{"name": name, "content": encoded(content)} for name, content in files.items()]
    return client.post("/v1/verify", json={"files": asked})


def test_further_signatures_of_every_kind(client: httpx.Client, enveloping: bytes) -> None:
    existing = encoded(enveloping)
    for asked in (
        {"existing": existing},
        {"existing": existing, "level": "B-T", "options": {"country": "CN"}},
        {"existing": existing, "document": encoded(DOCUMENT)},
    ):
        sealed = client.post("/v1/seals", json=asked).raise_for_status().json()
        report = verified(client, both=base64.b64decode(sealed["cms"])).json()
        assert report["indication"] == "TOTAL-PASSED", report
        assert len(report["files"][0]["parts"]) >= 2
        record = client.get(f"/v1/records/{sealed['record']}").json()
        assert record["artifact"] == sealed["cms"]
    prepared = client.post("/v1/seals/prepare", json={"existing": existing}).raise_for_status().json()
    asked = {"existing": existing, "prepared": prepared["prepared"], "level": "B-T"}
    sealed = client.post("/v1/seals", json=asked).raise_for_status().json()
    assert verified(client, both=base64.b64decode(sealed["cms"])).json()["indication"] == "TOTAL-PASSED"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"document": encoded(b"another")}, "content-mismatch"),
        ({"digest": "00" * 32}, "content-mismatch"),
        ({"digest": "00" * 48}, "seal-refused"),
        ({"digest": "00" * 32, "document": encoded(DOCUMENT)}, "content-mismatch"),
        ({"form": "enveloping"}, "bad-request"),
        ({"prepared": encoded(b"x")}, "prepared-rejected"),
    ],
)
def test_refusals_are_those_of_a_seal(client: httpx.Client, enveloping: bytes, more: dict, code: str) -> None:
    answer = client.post("/v1/seals", json={"existing": encoded(enveloping), **more})
    assert answer.json()["type"] == f"urn:cinnabar:problem:{code}"


def test_a_prepared_value_of_another_kind_takes_no_cms(client: httpx.Client, enveloping: bytes) -> None:
    prepared = client.post("/v1/seals/prepare", json={"digest": "00" * 32}).json()["prepared"]
    answer = client.post("/v1/seals", json={"existing": encoded(enveloping), "prepared": prepared})
    assert answer.json()["type"] == "urn:cinnabar:problem:prepared-rejected"


def test_documents_give_way_to_stamps_as_a_session(box: RunningBox) -> None:
    """Nice levels of processes say nothing between the sessions in which a box's parts run (sched(7), autogroup)."""
    sessions = {name: Path(f"/proc/{pid}/autogroup") for name, pid in box.processes().items()}
    if sessions["documents"].exists():  # else the kernel goes by the processes' own levels
        levels = {name: int(path.read_text().split()[-1]) for name, path in sessions.items()}
        assert levels.pop("documents") == max(levels.values()) + NICE


def test_hostile_cms(box: RunningBox, client: httpx.Client, enveloping: bytes) -> None:
    """Changed, cut and padded CMS, and deep BER: refused with a type or added to, and nobody dies."""
    before = box.processes()
    draw = random.Random(20_261_122)
    hostile = [b"\x30\x80" * 20_000, b"\x30\x84\x7f\xff\xff\xff" + bytes(100), b"\x24\x80" * 1_000 + bytes(2_000), b""]
    for _ in range(60):
        data = bytearray(enveloping)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(data))
            match draw.randrange(3):
                case 0:
                    data[place] = draw.randrange(256)
                case 1:
                    del data[place : place + draw.randint(1, 40)]
                case _:
                    data[place:place] = draw.randbytes(draw.randint(1, 40))
        hostile.append(bytes(data))
    for data in hostile:
        sealed = client.post("/v1/seals", json={"existing": encoded(data)})
        assert sealed.status_code in {200, 400, 409, 422}, sealed.text
        found = verified(client, hostile=data)
        assert found.status_code == 200, found.text
    assert box.processes() == before


def test_the_body_is_judged_as_before(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body, status, code in (
        (b'{"files": []}', 422, "invalid-member"),
        (b'{"files": [{"name": "a", "content": 7}]}', 422, "invalid-member"),
        (b'{"files": [{"name": "a", "content": "*"}]}', 422, "invalid-member"),
        (b'{"files": [{"name": "a", "content": "", "name": "b"}]}', 400, "bad-request"),
        (b'{"files"', 400, "bad-request"),
        (b"\xff", 400, "bad-request"),
        (b"[" * 100_000, 422, "invalid-member"),
        (b"", 400, "bad-request"),
    ):
        answer = client.post("/v1/verify", content=body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:cinnabar:problem:{code}"), body[:20]
    assert client.post("/v1/verify", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415


def test_service_comes_back_after_the_keeper_is_killed(
    box: RunningBox, client: httpx.Client, enveloping: bytes
) -> None:
    killed = box.processes()["documents"]
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    assert verified(client, seal=enveloping).json()["indication"] == "TOTAL-PASSED"
    assert client.post("/v1/seals", json={"existing": encoded(enveloping)}).status_code == 200
    assert time.monotonic() - started < 10
    wait_until(lambda: box.processes().get("documents") not in {None, killed}, 10, "another keeper")


def test_an_older_trust_bundle_is_refused_and_the_newer_one_works_again(
    box: RunningBox, client: httpx.Client, enveloping: bytes
) -> None:
    """The keeper looks at the files at each task, and never goes back."""
    trust = box.home.trust
    kept = read_directory(trust)
    assert verified(client, seal=enveloping).status_code == 200
    signature = trust / "bundle.json.sig"
    _replace(signature, b"A" * len(kept["bundle.json.sig"]))
    refused = verified(client, seal=enveloping)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:cinnabar:problem:trust-unavailable")
    _replace(signature, kept["bundle.json.sig"])
    assert verified(client, seal=enveloping).json()["indication"] == "TOTAL-PASSED"


def _replace(path: Path, content: bytes) -> None:
    status = path.stat()
    scratch = path.with_name(".scratch")
    scratch.write_bytes(content)
    os.chown(scratch, status.st_uid, status.st_gid)
    scratch.replace(path)


def test_stamps_go_on_while_documents_are_large(box: RunningBox, client: httpx.Client) -> None:
    body = {"files": [{"name": "large", "content": encoded(os.urandom(20 << 20))}]}
    with box.http("other") as other:
        for _ in range(2):
            answer = other.post("/v1/verify", json=body)
            assert answer.status_code == 200
            assert answer.json()["files"][0]["size"] == 20 << 20
    assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 200


def test_health_tells_no_shared_network(box: RunningBox, client: httpx.Client) -> None:
    told = {weakness["name"] for weakness in client.get("/health").json()["weaknesses"]}
    assert "rehearsal" in told
    assert "documents-on-network" not in told
    metrics = httpx.get(f"http://{box.address('metrics')}/metrics").text
    assert 'cinnabar_documents_connected{worker="' in metrics
