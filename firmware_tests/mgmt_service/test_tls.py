"""TLS as strangers see it: testssl.sh, which is not ours, against officers' front and the applications' front."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from firmware_tests.mgmt_service.managed import ManagedBox

CHECKS = ("--protocols", "--std", "--server-defaults", "--headers", "--renegotiation", "--crime", "--fast")
SECONDS = 180
"""On a machine where much else is at work; alone, it takes a quarter of that."""

EXPECTED = {
    "OCSP_stapling": "the box's CA is private and browsers of officers are given it; revocation is by its CRL",
}
EXPECTED_OF = {
    "management": set(EXPECTED),
    # Programs with certificates call there, and no browser: these headers are for browsers.
    "applications": {*EXPECTED, "HSTS", "security_headers"},
}
FINE = {"OK", "INFO", "WARN"}
"""A warning says that the tool could not look, as on a machine at its limit; what must be seen is asked by name."""


@pytest.fixture(scope="module")
def found(managed: ManagedBox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """Findings of each front: id to severity and text. Both are looked at in the same time."""
    directory = tmp_path_factory.mktemp("testssl")
    targets = {"management": managed.origin(), "applications": managed.running.url}
    runs = {name: _begin(managed, address, directory / f"{name}.json") for name, address in targets.items()}
    for run in runs.values():
        said, _ = run.communicate(timeout=SECONDS)
        assert run.returncode in range(50), said[-2000:]
    return {
        name: {
            one["id"]: (one["severity"], one["finding"]) for one in json.loads((directory / f"{name}.json").read_text())
        }
        for name in targets
    }


def _begin(managed: ManagedBox, address: str, report: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (
            "testssl", *CHECKS, "--quiet", "--warnings", "batch", "--color", "0", "--nodns", "none",
            "--ip", "127.0.0.1",
            "--add-ca", str(managed.home.trust / "box-ca.pem"), "--jsonfile", str(report), address,
        ),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=report.parent,
        env={**os.environ, "TMPDIR": str(report.parent)},
    )  # fmt: skip


@pytest.mark.parametrize("front", ["management", "applications"])
def test_strangers_find_nothing(found: dict[str, dict[str, tuple[str, str]]], front: str) -> None:
    finding = found[front]
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert finding[old][1] == "not offered", (old, finding[old])
    for current in ("TLS1_2", "TLS1_3"):
        assert finding[current][1].startswith("offered"), finding[current]
    for weak in ("NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE"):
        assert finding[f"cipherlist_{weak}"][1] == "not offered", (weak, finding[f"cipherlist_{weak}"])
    assert finding["cipherlist_STRONG"][1] == "offered"
    assert finding["cert_chain_of_trust"][1].startswith("passed")
    assert finding["secure_renego"][0] == "OK"
    odd = {name: said for name, said in finding.items() if said[0] not in FINE and name not in EXPECTED_OF[front]}
    assert not odd


def test_browsers_are_told_to_stay_with_tls(found: dict[str, dict[str, tuple[str, str]]]) -> None:
    finding = found["management"]
    assert finding["HSTS_time"][0] == "OK"
    assert "includes subdomains" in finding["HSTS_subdomains"][1]
    assert finding["banner_server"][1] == "nginx", "its version is nobody's business"


@pytest.mark.parametrize("suite", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES256-GCM-SHA384"])
def test_ciphers_without_forward_secrecy_or_with_cbc_get_no_answer(managed: ManagedBox, suite: str) -> None:
    """The same by OpenSSL, which is quicker at asking for one suite."""
    asked = subprocess.run(
        ("openssl", "s_client", "-connect", f"127.0.0.1:{managed.port}", "-tls1_2", "-cipher", suite),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert asked.returncode != 0
    assert "handshake failure" in asked.stderr or "no cipher" in asked.stderr.lower(), asked.stderr


def test_an_application_without_a_certificate_gets_no_answer(managed: ManagedBox) -> None:
    asked = subprocess.run(
        ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", managed.home.trust / "box-ca.pem",
         managed.running.url + "/v1/health"),
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert asked.stdout in {"400", "000"}, asked.stdout
