"""Control CHANNEL from outside: who has no right certificate gets nothing, and other tenants' things are not there."""

from __future__ import annotations

import datetime
import hashlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.box.settings import read_settings
from appliance.client.retries import new_idempotency_key
from appliance.keymaster.certificates import profiles
from firmware_tests.running import RunningBox, cinnabar
from firmware_tests.scenarios.issue_client import NAME, issue

STAMP = {"digest": hashlib.sha256(b"a letter").hexdigest()}


@pytest.fixture(scope="module")
def wary_box(open_directory: Path) -> Iterator[RunningBox]:
    """A running box beside which stand credentials that it issued and nobody enrolled: unknown, expired, early."""
    box = RunningBox(open_directory / "wary", "demo", "other")
    box.provision()
    for name, days in (("unknown", "0"), ("expired", "-3"), ("early", "1")):
        subprocess.run(
            (
                sys.executable,
                "-m",
                "firmware_tests.scenarios.issue_client",
                box.home.root,
                box.home.clients / name,
                days,
            ),
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
        )
    foreign_key = ec.generate_private_key(ec.SECP384R1())
    now, public = datetime.datetime.now(datetime.UTC).replace(microsecond=0), foreign_key.public_key()
    # It calls itself what the box's CA calls itself.
    own = profiles.authority(NAME, foreign_key, public, hashes.SHA384(), now, datetime.timedelta(days=9))
    issue(profiles.Issuer(own, foreign_key, hashes.SHA384(), "http://crl.invalid/"), box.home.clients / "foreign", 0)
    box.start()
    yield box
    assert box.stop() == 0, box.said()


def caller(box: RunningBox, certificate: Path, key: Path) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    context.load_cert_chain(certificate, key)
    return httpx.Client(base_url=box.url, verify=context, timeout=20)


@pytest.mark.parametrize("name", ["foreign", "expired", "early"])
def test_the_front_refuses_what_the_boxs_ca_did_not_issue_or_not_for_now(wary_box: RunningBox, name: str) -> None:
    clients = wary_box.home.clients
    with caller(wary_box, clients / f"{name}.crt", clients / f"{name}.key") as client:
        for path in ("/health", "/v1/openapi.json"):
            assert client.get(path).status_code == 400
        assert client.post("/v1/stamps", json=STAMP).status_code == 400


def test_the_front_refuses_a_certificate_of_another_purpose(wary_box: RunningBox) -> None:
    front = wary_box.home.front
    with caller(wary_box, front / "server.crt", front / "server.key") as client:
        assert client.post("/v1/stamps", json=STAMP).status_code == 400


def test_a_good_certificate_with_an_applications_name_is_nobodys_until_it_is_enrolled(wary_box: RunningBox) -> None:
    certificate, key = wary_box.home.clients / "unknown.crt", wary_box.home.clients / "unknown.key"
    with caller(wary_box, certificate, key) as client:
        for refused in (client.post("/v1/stamps", json=STAMP), client.get("/no/such/path")):
            assert refused.status_code == 401
            assert refused.json()["type"] == "urn:cinnabar:problem:unknown-caller"
            assert refused.json()["control"] == "CHANNEL"
        assert client.get("/v1/records/" + "0" * 44).status_code == 401
        enrolled = cinnabar(
            "register", "enrol", "--home", str(wary_box.home.root), "--tenant", "demo", "--application", "late",
            str(certificate),
        )  # fmt: skip
        assert enrolled.returncode == 0, enrolled.stderr
        assert client.post("/v1/stamps", json=STAMP).status_code == 200


@pytest.fixture
def theirs(wary_box: RunningBox) -> dict[str, str]:
    """What the demo tenant has."""
    origin = next(log.origin for log in read_settings(wary_box.home.settings).logs if log.tenant == "demo")
    with wary_box.http("demo") as client:
        stamp = client.post("/v1/stamps", json=STAMP).json()["record"]
        batch = client.post("/v1/stamps/bulk", json={"digests": [STAMP["digest"]] * 3}).json()["record"]
        job = client.post("/v1/seals/bulk", json={"digests": [STAMP["digest"]] * 3}).json()["job"]
        assert client.get(f"/v1/records/{stamp}").status_code == 200
        assert client.get(f"/v1/stamps/bulk/{batch}/0").status_code == 200
        assert client.get(f"/v1/jobs/{job}").status_code == 200
    return {"record": stamp, "batch": batch, "job": job, "origin": origin}


def told(answer: httpx.Response) -> tuple[object, ...]:
    """Everything that an answer tells, but for the time of day."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.content, headers


def test_another_tenants_things_answer_as_unknown_ones_do(wary_box: RunningBox, theirs: dict[str, str]) -> None:
    unknown_id = theirs["record"][:12] + hashlib.sha256(b"nobody's").hexdigest()[:32]
    unknown_origin = theirs["origin"].replace("/demo", "/nope")
    reads = [
        (f"/v1/records/{theirs['record']}", f"/v1/records/{unknown_id}"),
        (f"/v1/records/{theirs['batch']}", f"/v1/records/{unknown_id}"),
        (f"/v1/stamps/bulk/{theirs['batch']}/0", f"/v1/stamps/bulk/{unknown_id}/0"),
        (f"/v1/jobs/{theirs['job']}", f"/v1/jobs/{unknown_id}"),
        (f"/log/{theirs['origin']}/checkpoint", f"/log/{unknown_origin}/checkpoint"),
        (f"/log/{theirs['origin']}/tile/0/000.p/1", f"/log/{unknown_origin}/tile/0/000.p/1"),
    ]
    with wary_box.http("other") as client:
        for foreign, unknown in reads:
            assert told(client.get(foreign)) == told(client.get(unknown)), foreign
            assert client.get(foreign).status_code == 404
            assert client.get(foreign).json()["control"] == "CHANNEL"


def test_another_tenants_units_and_keys_answer_as_unknown_ones_do(wary_box: RunningBox) -> None:
    query = subprocess.run(
        ("openssl", "ts", "-query", "-digest", STAMP["digest"], "-sha256"), check=True, capture_output=True
    ).stdout
    kind = {"Content-Type": "application/timestamp-query"}
    with wary_box.http("other") as client:
        for name in ("tsu", "tsu-rsa"):
            answers = {
                told(client.post(f"/tsa/{tenant}-{name}", content=query, headers=kind))[:2]
                for tenant in ("demo", "nope")
            }
            assert {status for status, _ in answers} == {404}
            assert len(answers) == 1
        for path, member, name in (
            ("/v1/stamps", "unit", "tsu"),
            ("/v1/seals", "key", "seal"),
            ("/v1/seals/prepare", "key", "seal"),
        ):
            refused = [client.post(path, json={**STAMP, member: f"{tenant}-{name}"}) for tenant in ("demo", "nope")]
            assert refused[0].status_code == 403, refused[0].text
            assert told(refused[0]) == told(refused[1]), path


def test_one_idempotency_key_of_two_tenants_is_two_keys(wary_box: RunningBox) -> None:
    key = {"Idempotency-Key": new_idempotency_key()}
    with wary_box.http("demo") as demo, wary_box.http("other") as other:
        first = demo.post("/v1/stamps", json=STAMP, headers=key)
        second = other.post("/v1/stamps", json={"digest": "22" * 32}, headers=key)
        conflict = demo.post("/v1/stamps", json={"digest": "22" * 32}, headers=key)
    assert (first.status_code, second.status_code, conflict.status_code) == (200, 200, 409)
    assert conflict.json()["type"] == "urn:cinnabar:problem:idempotency-conflict"
