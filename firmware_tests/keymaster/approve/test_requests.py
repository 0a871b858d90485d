"""The approval origin over HTTP, as other clients than its own pages use it: what it sends, takes and refuses."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.base64url import from_base64url
from appliance.box.management_front import management_origin
from appliance.ceremonies import encode
from appliance.ceremonies.actions import GenerateKey
from appliance.keymaster import registry
from appliance.keymaster.approve.rates import CODE, MOST, Rate, Rates, TooMany
from appliance.keymaster.approve.routes import CONTENT_SECURITY_POLICY
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.registry import StepResult
from firmware_tests.keymaster.approve.stage import Stage, stage
from firmware_tests.keymaster.room import Bench
from firmware_tests.officers import SoftwareOfficer
from hsm.testing.softhsm import SoftHsm


@pytest.fixture(scope="module")
def on_stage(softhsm: SoftHsm) -> Iterator[Stage]:
    root = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    bench = Bench(root, softhsm)
    registry.load_actions()
    before = dict(registry._executors)

    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        return StepResult({"key": action.key})

    registry._executors[GenerateKey] = (make, None)
    try:
        with stage(bench) as made:
            for name, officer in bench.officers.items():
                officer.origin = made.url
                enrol(made, officer, name)
            made.found(threshold=2)
            yield made
    finally:
        registry._executors.clear()
        registry._executors.update(before)
        bench.recorder.kill()
        shutil.rmtree(root)


def enrol(on_stage: Stage, officer: SoftwareOfficer, name: str) -> None:
    code = on_stage.invite(name, officer.title).rpartition("/")[2]
    invited = on_stage.fetch(f"{on_stage.url}/api/invitations/{code}").json()
    challenge = from_text(invited["options"]["challenge"])
    made = officer.register(challenge)
    posted = on_stage.fetch(f"{on_stage.url}/api/invitations/{code}/passkey", "POST", json=made)
    assert posted.status_code == 200, posted.text
    candidate = posted.json()
    # The link is used up, and nobody else can register by it.
    assert on_stage.fetch(f"{on_stage.url}/api/invitations/{code}").status_code == 403
    address = f"{on_stage.url}/api/candidates/{candidate['id']}"
    body = {"code": on_stage.console_code(candidate["id"])}
    confirmed = on_stage.fetch(f"{address}/confirmation", "POST", json=body).json()
    assert (confirmed["state"], confirmed["officer"]) == ("confirmed", False)


def from_text(text: str) -> bytes:

    return from_base64url(text)


def said(officer: SoftwareOfficer, verb: str, digest: str, **knobs: Any) -> dict[str, Any]:
    """What the page sends."""
    statement = officer.sign(verb, digest, **knobs)  # type: ignore[arg-type]
    evidence = statement.evidence
    return {
        "verb": verb,
        "credential": {
            "id": statement.credential,
            "response": {
                "authenticatorData": evidence.authenticator_data,  # type: ignore[union-attr]
                "clientDataJSON": evidence.client_data_json,  # type: ignore[union-attr]
                "signature": evidence.signature,  # type: ignore[union-attr]
            },
        },
    }


def propose(on_stage: Stage, name: str) -> str:
    action = GenerateKey(
        tenant=None, token="box", key=name, scheme="ed25519", purpose="seal", until="2029-01-01T00:00:00Z"
    )
    return on_stage.submit(action, requester="ann")


def post(on_stage: Stage, digest: str, body: Any, **options: Any) -> httpx.Response:
    return on_stage.fetch(f"{on_stage.url}/api/proposals/{digest}/statements", "POST", json=body, **options)


@pytest.mark.parametrize("path", ["/", "/proposals/" + "0" * 64, "/static/approve.css", "/nowhere", "/api/nowhere"])
def test_every_answer_keeps_other_sites_out(on_stage: Stage, path: str) -> None:
    answer = on_stage.fetch(on_stage.url + path)
    headers = answer.headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "; img-src blob:;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert directive in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "publickey-credentials-get=(self)" in headers["permissions-policy"]
    assert "set-cookie" not in headers
    assert "access-control-allow-origin" not in headers
    assert headers["strict-transport-security"]


def test_files_are_asked_for_anew_and_not_sent_twice(on_stage: Stage) -> None:
    first = on_stage.fetch(f"{on_stage.url}/static/words.json")
    assert len(first.json()["en"]) == len(first.json()["zh-Hans"]) == 2048
    again = on_stage.fetch(f"{on_stage.url}/static/words.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("/static/enrol.html", "/static/../routes.py", "/static/%2e%2e/routes.py", "/enrol/short", "/static/"):
        assert on_stage.fetch(on_stage.url + path).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("DELETE", "/api/proposals/" + "0" * 64), ("PUT", "/x")])
def test_other_methods_are_refused(on_stage: Stage, method: str, path: str) -> None:
    assert on_stage.fetch(on_stage.url + path, method).status_code == 405


def test_statements_decide_over_http(on_stage: Stage) -> None:
    officers, digest = on_stage.bench.officers, propose(on_stage, "k-http")
    shown = on_stage.fetch(f"{on_stage.url}/api/proposals/{digest}").json()
    assert [choice["verb"] for choice in shown["choices"]] == ["request", "approve", "reject"]
    assert post(on_stage, digest, said(officers["ann"], "request", digest)).json()["tally"]["outcome"] == "open"
    first = post(on_stage, digest, said(officers["bo"], "approve", digest)).json()
    assert [choice["verb"] for choice in first["choices"]] == ["approve", "reject"]
    assert [one["id"] for one in first["choices"][0]["speakers"]] == ["cai", "dan"]
    last = post(on_stage, digest, said(officers["cai"], "approve", digest)).json()
    assert (last["state"], last["tally"]["outcome"]) == ("approved", "approved")
    assert [choice["verb"] for choice in last["choices"]] == ["reject"]
    assert [(one["verb"], one["officer"]) for one in last["statements"]] == [
        ("request", "ann"), ("approve", "bo"), ("approve", "cai"),
    ]  # fmt: skip


def test_a_whole_statement_is_taken_as_cards_make_it(on_stage: Stage) -> None:
    digest = propose(on_stage, "k-whole")
    text = encode(on_stage.bench.officers["ann"].sign("request", digest))
    answer = on_stage.fetch(f"{on_stage.url}/api/statements", "POST", content=text)
    assert answer.json() == {"proposal": digest, "state": "open"}
    assert on_stage.fetch(f"{on_stage.url}/api/statements", "POST", content=b"{}").status_code == 422


def test_the_way_back_is_the_box_s_own_address_whatever_a_request_says(on_stage: Stage) -> None:
    digest = propose(on_stage, "way-back")
    lies = {"X-Forwarded-Host": "evil.example", "Origin": "https://evil.example", "Referer": "https://evil.example/"}
    told = on_stage.fetch(f"{on_stage.url}/api/proposals/{digest}", headers=lies).json()
    bench = on_stage.bench
    assert told["management"] == f"{management_origin(bench.home, bench.settings)}/ceremonies/{digest}"
    assert told["management"].startswith("https://localhost")


def test_statements_that_do_not_hold_change_nothing(on_stage: Stage) -> None:
    officers, digest, other = on_stage.bench.officers, propose(on_stage, "k-bad"), propose(on_stage, "k-other")
    stranger = SoftwareOfficer("eve", origin=on_stage.url)
    good = said(officers["bo"], "approve", digest)
    for body in (
        said(officers["bo"], "approve", other),
        {**good, "verb": "reject"},
        {**good, "verb": "request"},
        said(officers["bo"], "approve", digest, origin="https://localhost"),
        said(officers["bo"], "approve", digest, flags=1),
        said(stranger, "approve", digest),
        said(officers["ann"], "approve", digest),  # the requester's own
        said(officers["bo"], "accept", digest),
        said(officers["bo"], "take-away", digest),
    ):
        assert post(on_stage, digest, body).status_code == 403
    odd: list[Any] = [{}, [], {**good, "more": 1}, {**good, "verb": "approves"}, "x", {**good, "credential": {}}]
    for body in odd:
        assert post(on_stage, digest, body).status_code == 422
    assert on_stage.fetch(f"{on_stage.url}/api/proposals/{digest}").json()["statements"] == []


def test_bodies_are_json_from_these_pages_and_bounded(on_stage: Stage) -> None:
    digest = propose(on_stage, "k-body")
    body = said(on_stage.bench.officers["bo"], "approve", digest)
    for site in ("cross-site", "same-site", "none"):
        assert post(on_stage, digest, body, headers={"Sec-Fetch-Site": site}).status_code == 403
    address = f"{on_stage.url}/api/proposals/{digest}/statements"
    for options in ({"content": json.dumps(body)}, {"data": {"a": "b"}}):
        assert on_stage.fetch(address, "POST", **options).status_code == 415
    header = {"Content-Type": "application/json"}
    assert on_stage.fetch(address, "POST", content=b"\xff" * 10, headers=header).status_code in {400, 422}
    assert on_stage.fetch(address, "POST", content=b"[" * 100_000, headers=header).status_code in {400, 422}
    assert on_stage.fetch(address, "POST", content=b"x" * 300_000, headers=header).status_code == 413
    assert post(on_stage, digest, body, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_failures_lock_no_officer_out(on_stage: Stage) -> None:
    officers, digest = on_stage.bench.officers, propose(on_stage, "k-lock")
    answers = {post(on_stage, digest, said(officers["bo"], "approve", "0" * 64)).status_code for _ in range(30)}
    assert answers == {403, 429}
    assert post(on_stage, digest, said(officers["bo"], "approve", digest)).status_code == 200


def test_unknown_and_foreign_ids_answer_alike(on_stage: Stage) -> None:
    for path in ("/api/proposals/" + "0" * 64, "/api/candidates/" + "0" * 16):
        answer = on_stage.fetch(on_stage.url + path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:cinnabar:problem:not-found")


def test_a_one_time_code_is_tried_five_times(on_stage: Stage) -> None:
    code = on_stage.invite("fay", "Fay").rpartition("/")[2]
    officer = SoftwareOfficer("fay", origin=on_stage.url)
    invited = on_stage.fetch(f"{on_stage.url}/api/invitations/{code}").json()
    made = officer.register(from_text(invited["options"]["challenge"]))
    identifier = on_stage.fetch(f"{on_stage.url}/api/invitations/{code}/passkey", "POST", json=made).json()["id"]
    good = on_stage.console_code(identifier)
    address = f"{on_stage.url}/api/candidates/{identifier}/confirmation"
    bad = "00000000" if good != "00000000" else "00000001"
    assert {on_stage.fetch(address, "POST", json={"code": bad}).status_code for _ in range(5)} == {403}
    assert on_stage.fetch(address, "POST", json={"code": good}).status_code == 403
    # The person at the console shows another.
    body = {"code": on_stage.console_code(identifier)}
    assert on_stage.fetch(address, "POST", json=body).json()["state"] == "confirmed"


def test_only_the_front_may_connect(on_stage: Stage) -> None:
    path = on_stage.bench.home.approve_socket
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])\n"
        "try:\n"
        "    s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "    print(len(s.recv(100)))\n"
        "except ConnectionError: print(0)\n"
    )
    command = [sys.executable, "-I", "-c", program, str(path)]
    if os.geteuid() == 0:  # only root can be another user
        stranger = subprocess.run(command, user=54_321, capture_output=True, text=True, check=False)
        assert stranger.stdout.strip() == "0", stranger.stderr
    with socket.socket(socket.AF_UNIX) as allowed:
        allowed.connect(str(path))
        allowed.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert allowed.recv(100).startswith(b"HTTP/1.1 200")


# Rates


def test_buckets_leak_and_are_of_address_and_key() -> None:
    now = [0.0]
    rates = Rates(lambda: now[0])
    rate = Rate("x", burst=3, a_minute=6)
    for _ in range(3):
        rates.check(rate, "1.2.3.4", "a")
        rates.failed(rate, "1.2.3.4", "a")
    with pytest.raises(TooMany):
        rates.check(rate, "1.2.3.4", "a")
    rates.check(rate, "1.2.3.5", "a")
    rates.check(rate, "1.2.3.4", "b")
    now[0] = 10.0
    rates.check(rate, "1.2.3.4", "a")


def test_buckets_take_bounded_memory() -> None:
    rates = Rates(lambda: 0.0)
    for number in range(MOST + 10):
        rates.failed(CODE, str(number), "x" * 1000)
    assert len(rates._buckets) == MOST
