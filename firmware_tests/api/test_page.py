"""docs/api.md, followed: its commands are run, its table of listeners is held against the endpoints and the front."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from appliance.api.endpoints import LISTENERS
from appliance.api.errors import MethodNotAllowed
from appliance.api.openapi import errors_of
from appliance.api.table import ENDPOINTS
from appliance.client import Client, Credentials, RetryPolicy
from appliance.client.errors import Refused
from firmware_tests.running import RunningBox

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def whole_box(open_directory: Path) -> Iterator[RunningBox]:
    made = RunningBox(open_directory / "page-box")
    made.provision()
    made.start(*(text for name in ("public", "tsa", "metrics", "revocation") for text in (f"--{name}", "127.0.0.1:0")))
    yield made
    if made.running:
        made.stop()


def test_the_commands_of_the_page_work(whole_box: RunningBox) -> None:
    root = whole_box.home.root
    (root / "bond.pdf").write_bytes(b"a bond")
    script = "\n".join(["set -euo pipefail", *(f"{block}\necho ====" for block in BLOCKS)])
    script = script.replace("127.0.0.1:8443", whole_box.address())
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=root, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    stamp, seal, completed, batch, job = map(json.loads, ran.stdout.strip().split("====")[:-1])
    assert stamp["unit"] == "demo-tsu"
    assert seal["level"] == "B-T"
    assert completed["level"] == "B-B"
    assert [item["status"] for item in batch["items"]] == ["stamped", "stamped"]
    assert job["state"] == "done"
    assert [verdict["status"] for verdict in job["verdicts"]] == ["sealed", "sealed"]


def test_the_table_of_listeners_is_the_front_s(whole_box: RunningBox) -> None:
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| (TLS|plain HTTP)", PAGE, re.MULTILINE))
    assert tuple(rows) == LISTENERS
    for listener, protocol in rows.items():
        scheme = "https" if protocol == "TLS" else "http"
        with httpx.Client(base_url=f"{scheme}://{whole_box.address(listener)}", verify=whole_box.tls()) as http:
            assert http.get("/health").status_code == 200
            served = {
                f"{one.method} {one.path}"
                for one in ENDPOINTS
                if one.path in ("/v1/verify", "/metrics", "/v1/openapi.json")
                and http.request(one.method, one.path).status_code != 404
            }
        assert served == {
            f"{one.method} {one.path}"
            for one in ENDPOINTS
            if one.path in ("/v1/verify", "/metrics", "/v1/openapi.json") and listener in one.listeners
        }


def test_the_front_s_own_answers_are_problems_at_the_client(whole_box: RunningBox) -> None:
    url, trust = whole_box.url, whole_box.home.trust
    with Client(url.replace("https", "http")) as plain, pytest.raises(Refused) as raised:
        plain.health()
    assert raised.value.code == "about:blank"
    assert raised.value.problem.status == 400
    assert raised.value.problem.detail.startswith("The plain HTTP request was sent to HTTPS port. ")
    answer = httpx.get(f"{url}/health", verify=ssl.create_default_context(cafile=str(trust / "box-ca.pem")))
    assert answer.status_code == 400
    assert "No required SSL certificate was sent" in answer.text
    certificate, key = whole_box.credentials()
    credentials = Credentials(certificate, key, trust / "box-ca.pem")
    with (
        Client(url, credentials=credentials, retries=RetryPolicy(attempts=1)) as client,
        pytest.raises(Refused) as told,
    ):
        client.log("nobody.invalid")
    assert told.value.code == "not-found"


def test_every_endpoint_of_the_applications_listener_tells_strangers_so() -> None:
    for endpoint in ENDPOINTS:
        codes = {error.code for error in errors_of(endpoint)}
        assert ("unknown-caller" in codes) == ("applications" in endpoint.listeners)
    for code in (MethodNotAllowed.code, "log-damaged", "body-damaged"):
        assert f"| `{code}` |" in PAGE


def test_every_member_of_a_request_is_explained() -> None:
    requests = re.findall(r"^#### (\w+Request|NamedFile|SealOptions)$(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in requests} >= {"StampRequest", "SealRequest", "BulkStampRequest", "BulkSealRequest"}
    for name, section in requests:
        rows = re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", section, re.MULTILINE)
        assert rows, name
        assert all(meaning.strip() for _, meaning in rows), (name, rows)
