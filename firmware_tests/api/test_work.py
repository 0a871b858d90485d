"""What the endpoints do: stamps, seals, bulk work, jobs, records, logs, verification, health, metrics."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
from pathlib import Path

import pytest

from appliance.client.retries import new_idempotency_key
from appliance.evidence_records import expand, parse_evidence_record, verify_hash_chain

DIGEST = hashlib.sha256(b"letter").hexdigest()
QUERY = {"Content-Type": "application/timestamp-query"}


def code(reply) -> str:
    return str(reply.json()["type"]).rpartition(":")[2]


def openssl(*arguments: str) -> None:
    ended = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_stamp_in_json(box, tmp_path: Path) -> None:
    asked = {"digest": DIGEST, "nonce": "0badcafe", "unit": "demo-tsu-rsa"}
    reply = box.request("POST", "/v1/stamps", asked)
    assert reply.status == 200, reply.body
    stamp = reply.json()
    (tmp_path / "token").write_bytes(base64.b64decode(stamp["token"]))
    ca = str(box.home.trust / "tsa-ca.pem")
    openssl("ts", "-verify", "-token_in", "-in", str(tmp_path / "token"), "-digest", DIGEST, "-CAfile", ca)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"digest": DIGEST, "policy": "1.2.3"}, "stamp-rejected"),
        ({"digest": DIGEST, "hash": "sha512"}, "bad-request"),
        ({"digest": DIGEST, "unit": "other-tsu"}, "not-permitted"),
        ({"digest": DIGEST, "unit": "nowhere"}, "not-permitted"),
        ({"digest": DIGEST.upper()}, "invalid-member"),
    ],
)
def test_stamps_that_are_refused(box, asked: dict[str, object], expected: str) -> None:
    assert code(box.request("POST", "/v1/stamps", asked)) == expected


@pytest.mark.parametrize(
    ("query", "bit"),
    [(b"", 5), (b"\x30\x00", 5), (b"\x00" * 100, 5), (bytes(4_000), 5)],
)
def test_protocol_errors_are_time_stamp_responses(box, query: bytes, bit: int) -> None:
    reply = box.request("POST", "/tsa/demo-tsu", query, headers=QUERY)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/timestamp-reply"
    assert b"\x02\x01\x02" in reply.body[:8]  # PKIStatus rejection
    assert reply.body[-1] == 0x80 >> (bit % 8)


def test_units_of_others_are_unknown(box, stamp_query: bytes) -> None:
    theirs = box.request("POST", "/tsa/other-tsu", stamp_query, headers=QUERY)
    nobody = box.request("POST", "/tsa/nobody-tsu", stamp_query, headers=QUERY)
    assert (theirs.status, theirs.body) == (nobody.status, nobody.body)
    assert theirs.status == 404


def test_the_tsa_listener_serves_public_units_alone(box, stamp_query: bytes) -> None:
    private = box.request("POST", "/tsa/demo-tsu", stamp_query, headers=QUERY, listener="tsa")
    nobody = box.request("POST", "/tsa/nobody", stamp_query, headers=QUERY, listener="tsa")
    assert private.status == 404
    assert private.body == nobody.body


@pytest.mark.parametrize("headers", [QUERY, {"Content-Type": "application/json"}], ids=["rfc3161", "json"])
def test_a_replay_is_answered_as_before(box, stamp_query: bytes, headers: dict[str, str]) -> None:
    body = stamp_query if headers is QUERY else json.dumps({"digest": DIGEST}).encode()
    keyed = {**headers, "Idempotency-Key": new_idempotency_key()}
    first = box.request("POST", "/v1/stamps", body, headers=keyed)
    again = box.request("POST", "/v1/stamps", body, headers=keyed)
    assert first.status == 200
    assert again.body == first.body
    other = box.request(
        "POST",
        "/v1/stamps",
        json.dumps({"digest": "00" * 32}).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": keyed["Idempotency-Key"]},
    )
    assert (other.status, code(other)) == (409, "idempotency-conflict")


def test_who_cannot_be_told_apart_has_no_idempotency_key(box, stamp_query: bytes) -> None:
    """Neither a replay nor a conflict of another's key is told on the plain listener (CHANNEL)."""
    headers = {**QUERY, "Idempotency-Key": new_idempotency_key()}
    refused = box.request("POST", "/tsa/demo-tsu-rsa", stamp_query, headers=headers, caller=None, listener="tsa")
    assert refused.status == 400
    assert refused.json()["type"].endswith(":idempotency-not-offered")
    assert box.request("POST", "/tsa/demo-tsu-rsa", stamp_query, headers=headers).status == 200, (
        "a known caller has one"
    )
    plain = box.request("POST", "/tsa/demo-tsu-rsa", stamp_query, headers=QUERY, caller=None, listener="tsa")
    assert plain.status == 200


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("nonsense", "idempotency-key-invalid"),
        ("9b2f8f0e-6f0c-4c0a-9f53-0d8c1a2b3c4d", "idempotency-key-invalid"),
        ("01890000-0000-7000-8000-000000000000", "idempotency-key-expired"),
        ("ffffffff-ffff-7fff-bfff-ffffffffffff", "idempotency-key-ahead"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/stamps", "/tsa/demo-tsu", "/v1/seals", "/v1/seals/bulk", "/v1/stamps/bulk"])
def test_bad_idempotency_keys(box, stamp_query: bytes, path: str, key: str, expected: str) -> None:
    asked = {"digests": [DIGEST]} if "bulk" in path else {"digest": DIGEST}
    headers = {"Idempotency-Key": key}
    if path.startswith("/tsa"):
        reply = box.request("POST", path, stamp_query, headers=headers | QUERY)
    else:
        reply = box.request("POST", path, asked, headers=headers)
    assert code(reply) == expected


@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("form", ["detached", "enveloping"])
def test_seals_are_verified_by_openssl(box, tmp_path: Path, level: str, form: str) -> None:
    document = b"bid bond"
    asked = {"document": base64.b64encode(document).decode(), "level": level, "form": form}
    keyed = {"Idempotency-Key": new_idempotency_key()}
    reply = box.request("POST", "/v1/seals", asked, headers=keyed)
    assert reply.status == 200, reply.body
    seal = reply.json()
    assert (seal["level"], "stamp_record" in seal) == (level, level == "B-T")
    (tmp_path / "cms").write_bytes(base64.b64decode(seal["cms"]))
    (tmp_path / "document").write_bytes(document)
    content = ["-content", str(tmp_path / "document")] if form == "detached" else []
    ca = str(box.home.trust / "seal-ca.pem")
    openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "cms"), *content, "-CAfile", ca,
            "-purpose", "any", "-out", str(tmp_path / "out"))  # fmt: skip
    assert box.request("POST", "/v1/seals", asked, headers=keyed).body == reply.body


def test_two_steps_show_the_bytes_that_are_signed(box) -> None:
    prepared = box.request("POST", "/v1/seals/prepare", {"digest": DIGEST}).json()
    shown = base64.b64decode(prepared["to_be_signed"])
    assert hashlib.sha256(shown).hexdigest() == prepared["digest"]
    seal = box.request("POST", "/v1/seals", {"prepared": prepared["prepared"]})
    assert seal.status == 200, seal.body
    assert shown[1:] in base64.b64decode(seal.json()["cms"])
    changed = bytearray(base64.b64decode(prepared["prepared"]))
    changed[-10] ^= 1
    refused = box.request("POST", "/v1/seals", {"prepared": base64.b64encode(changed).decode()})
    assert code(refused) == "prepared-rejected"


def test_a_further_signature(box) -> None:
    first = box.request("POST", "/v1/seals", {"digest": DIGEST}).json()
    second = box.request("POST", "/v1/seals", {"digest": DIGEST, "existing": first["cms"]})
    assert second.status == 200
    other = box.request("POST", "/v1/seals", {"digest": "11" * 32, "existing": first["cms"]})
    assert code(other) == "content-mismatch"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "bad-request"),
        ({"digest": DIGEST, "document": "AAAA"}, "bad-request"),
        ({"digest": DIGEST, "form": "enveloping"}, "bad-request"),
        ({"digest": DIGEST, "key": "other-seal"}, "not-permitted"),
        ({"digest": DIGEST, "hash": "sha384"}, "seal-refused"),
        ({"digest": DIGEST, "existing": "AAAA"}, "signed-data-rejected"),
        ({"document": "not base64"}, "invalid-member"),
        ({"digest": DIGEST, "options": {"country": "Lima"}}, "seal-refused"),
        ({"prepared": "AAAA"}, "prepared-rejected"),
        ({"prepared": "AAAA", "digest": DIGEST}, "bad-request"),
    ],
)
def test_seals_that_are_refused(box, asked: dict[str, object], expected: str) -> None:
    assert code(box.request("POST", "/v1/seals", asked)) == expected


def test_a_batch_and_its_evidence_records(box) -> None:
    digests = [hashlib.sha256(bytes([n])).hexdigest() for n in range(5)]
    reply = box.request("POST", "/v1/stamps/bulk", {"digests": [*digests, digests[1], "00" * 48]})
    assert reply.status == 200, reply.body
    batch = reply.json()
    assert [item["status"] for item in batch["items"]] == ["stamped"] * 6 + ["refused"]
    assert batch["items"][5]["leaf"] == 1
    assert batch["count"] == 5
    made = box.request("GET", f"/v1/stamps/bulk/{batch['record']}/3")
    assert parse_evidence_record(made.body)
    assert box.request("GET", f"/v1/stamps/bulk/{batch['record']}/5").status == 404
    theirs = box.request("GET", f"/v1/stamps/bulk/{batch['record']}/3", caller="other-app")
    unknown = box.request("GET", f"/v1/stamps/bulk/{'00' * 22}/3", caller="other-app")
    assert (theirs.status, theirs.body) == (unknown.status, unknown.body) == (404, unknown.body)


def test_binary_batches(box) -> None:
    digests = b"".join(hashlib.sha384(bytes([n])).digest() for n in range(4))
    media = {"Content-Type": "application/vnd.cinnabar.digests"}
    reply = box.request("POST", "/v1/stamps/bulk?hash=sha384", digests, headers=media)
    assert reply.json()["count"] == 4
    assert code(box.request("POST", "/v1/stamps/bulk?hash=sha384", digests[1:], headers=media)) == "batch-rejected"
    assert box.request("POST", "/v1/stamps/bulk?hash=md5", digests, headers=media).status == 422
    assert box.request("POST", "/v1/stamps/bulk?other=1", digests, headers=media).status == 400
    assert box.request("POST", "/v1/stamps/bulk", b"", headers=media).status == 400


def test_a_second_digest_of_each_document_is_stamped_at_once(box) -> None:
    """Two trees, two tokens, two records, in one transaction; the same again for the same idempotency key."""
    documents = [b"deed 1", b"deed 2", b"deed 2", b"deed 3"]
    first = [hashlib.sha256(one).hexdigest() for one in documents]
    second = [hashlib.sha512(one).hexdigest() for one in documents]
    asked = {"digests": first, "second": {"digests": second, "hash": "sha512"}}
    keyed = {"Idempotency-Key": new_idempotency_key()}
    reply = box.request("POST", "/v1/stamps/bulk", asked, headers=keyed)
    assert reply.status == 200, reply.body
    answer = reply.json()
    beside = answer["second"]
    assert (answer["hash"], answer["count"], beside["hash"], beside["count"]) == ("sha256", 3, "sha512", 3)
    assert len({answer["record"], beside["record"]}) == 2
    for made, digests, name in ((answer, first, "sha256"), (beside, second, "sha512")):
        token = base64.b64decode(made["token"])
        for item, digest in zip(made["items"], digests, strict=True):
            record = expand(bytes.fromhex(digest), bytes.fromhex("".join(item["path"])), token)
            verify_hash_chain(parse_evidence_record(record), {name: bytes.fromhex(digest)})
    assert box.request("POST", "/v1/stamps/bulk", asked, headers=keyed).json() == answer
    made = box.request("GET", f"/v1/stamps/bulk/{beside['record']}/1")
    verify_hash_chain(parse_evidence_record(made.body), {"sha512": bytes.fromhex(second[1])})
    wrong = {
        "the same hash": {"digests": first, "hash": "sha256"},
        "fewer": {"digests": second[1:], "hash": "sha512"},
        "of another length": {"digests": first, "hash": "sha512"},
    }
    for why, given in wrong.items():
        assert code(box.request("POST", "/v1/stamps/bulk", {**asked, "second": given})) == "batch-rejected", why
    media = {"Accept": "application/vnd.cinnabar.batch"}
    assert code(box.request("POST", "/v1/stamps/bulk", asked, headers=media)) == "bad-request"
    other = {**asked, "second": None}
    assert box.request("POST", "/v1/stamps/bulk", other, headers=keyed).status in {400, 409, 422}


def test_bulk_seals_with_a_verdict_each(box) -> None:
    digests = [hashlib.sha256(bytes([n])).hexdigest() for n in range(20)]
    digests[7] = "00" * 48
    keyed = {"Prefer": "wait=20", "Idempotency-Key": new_idempotency_key()}
    reply = box.request("POST", "/v1/seals/bulk", {"digests": digests}, headers=keyed)
    assert reply.status == 200, reply.body
    job = reply.json()
    assert [verdict["status"] for verdict in job["verdicts"]] == ["sealed"] * 7 + ["refused"] + ["sealed"] * 12
    assert job["verdicts"][7]["problem"]["type"].endswith("seal-refused")
    again = box.request("POST", "/v1/seals/bulk", {"digests": digests}, headers=keyed).json()
    assert again["job"] == job["job"]
    page = box.request("GET", f"/v1/jobs/{job['job']}?from=5&count=3").json()
    assert [verdict["item"] for verdict in page["verdicts"]] == [5, 6, 7]
    assert page["next"] == 8
    for caller in ("other-app",):
        theirs = box.request("GET", f"/v1/jobs/{job['job']}", caller=caller)
        unknown = box.request("GET", f"/v1/jobs/{'00' * 22}", caller=caller)
        assert (theirs.status, theirs.body) == (404, unknown.body)


def test_long_work_goes_on_by_itself(box) -> None:
    digests = [hashlib.sha256(n.to_bytes(2, "big")).hexdigest() for n in range(500)]
    reply = box.request("POST", "/v1/seals/bulk", {"digests": digests})
    assert reply.status == 202
    where = reply.headers["location"]
    done = box.request("GET", f"{where}?count=0", headers={"Prefer": "wait=30"}).json()
    assert (done["state"], done["done"]) == ("done", 500)


def test_records_and_proofs(box) -> None:
    record = box.request("POST", "/v1/stamps", {"digest": DIGEST}).json()["record"]
    deadline = time.monotonic() + 10
    while (answer := box.request("GET", f"/v1/records/{record}").json())["proof"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    content = json.loads(answer["content"])
    assert content["content_digest"] == DIGEST
    salted = b"cinnabar record v1\n" + bytes.fromhex(answer["salt"]) + answer["content"].encode()
    assert hashlib.sha256(salted).hexdigest() == answer["commitment"]
    theirs = box.request("GET", f"/v1/records/{record}", caller="other-app")
    unknown = box.request("GET", f"/v1/records/{'00' * 22}", caller="other-app")
    assert (theirs.status, theirs.body) == (404, unknown.body)


def test_logs_are_read_by_their_tenant(box) -> None:
    box.request("POST", "/v1/stamps", {"digest": DIGEST})
    mine, theirs, own = (
        next(log.origin for log in box.settings.logs if log.tenant == tenant) for tenant in ("demo", "other", None)
    )
    deadline = time.monotonic() + 10
    while (reply := box.request("GET", f"/log/{mine}/checkpoint")).status == 404 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert reply.body.startswith(f"{mine}\n".encode())
    foreign = box.request("GET", f"/log/{theirs}/checkpoint")
    unknown = box.request("GET", "/log/example.invalid/checkpoint")
    assert (foreign.status, foreign.body) == (404, unknown.body)
    for path in ("tile/0/000.p/999", "../../box.json", "tile/0/x/000", "signed-root"):
        assert box.request("GET", f"/log/{mine}/{path}").status == 404
    assert box.request("GET", f"/log/{mine}/checkpoint", listener="public", caller=None).status == 404
    published = box.request("GET", f"/log/{own}/checkpoint", listener="public", caller=None)
    assert published.status in (200, 404)


def test_revocation_lists(box) -> None:
    reply = box.request("GET", "/crl/tsa-ca.crl", listener="public", caller=None)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/pkix-crl"
    assert box.request("GET", "/crl/nobody.crl", listener="public", caller=None).status == 404


def test_verification_is_the_verifiers(box) -> None:
    seal = box.request("POST", "/v1/seals", {"digest": hashlib.sha256(b"bond").hexdigest()}).json()
    files = [
        {"name": "bond", "content": base64.b64encode(b"bond").decode()},
        {"name": "bond.p7s", "content": seal["cms"]},
    ]
    report = box.request("POST", "/v1/verify", {"files": files})
    assert report.status == 200, report.body
    assert report.json()["indication"] == "TOTAL-PASSED"
    files[0]["content"] = base64.b64encode(b"bund").decode()
    assert box.request("POST", "/v1/verify", {"files": files}).json()["indication"] != "TOTAL-PASSED"


def test_health_tells_each_what_is_theirs(box) -> None:
    mine = box.request("GET", "/health").json()
    assert {key["name"] for key in mine["keys"]} == {"demo-tsu", "demo-tsu-rsa", "demo-seal"}
    stranger = box.request("GET", "/health", caller=None).json()
    assert set(stranger) == {"live", "ready", "state"}
    everything = box.request("GET", "/health", caller=None, listener="metrics").json()
    assert {key["name"].partition("-")[0] for key in everything["keys"]} == {"demo", "other"}
    assert box.request("GET", "/health/ready", caller=None).status == 200


def test_metrics(box) -> None:
    text = box.request("GET", "/metrics", caller=None, listener="metrics").body.decode()
    assert 'cinnabar_state{state="operational",worker="0"} 1.0' in text
    assert "cinnabar_signatures_total" in text
    assert box.request("GET", "/metrics").status == 404
