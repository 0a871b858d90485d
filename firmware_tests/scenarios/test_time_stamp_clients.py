"""Time-stamping by programs that know nothing of Cinnabar: curl with openssl ts, and Java's jarsigner."""

from __future__ import annotations

import http.client
import secrets
import subprocess
import zipfile
from pathlib import Path

import pytest

from firmware_tests.running import RunningBox

QUERY_TYPE = "application/timestamp-query"
REPLY_TYPE = "application/timestamp-reply"


def run(*command: str | Path, **options: object) -> str:
    ran = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=60, **options
    )  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said: str = ran.stdout + ran.stderr
    return said


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.pdf"
    path.write_bytes(b"%PDF-1.7 a letter\n")
    return path


@pytest.fixture
def query(letter: Path, tmp_path: Path) -> Path:
    path = tmp_path / "query.tsq"
    run("openssl", "ts", "-query", "-data", letter, "-sha384", "-cert", "-out", path)
    return path


def post(url: str, query: Path, reply: Path, *options: str | Path) -> tuple[str, str]:
    """What curl was answered: HTTP version and status. The body goes to `reply`."""
    said = run(
        "curl", "--silent", "--show-error", "--header", f"Content-Type: {QUERY_TYPE}", "--data-binary", f"@{query}",
        "--output", reply, "--write-out", "%{http_version} %{http_code} %{content_type}", *options, url,
    )  # fmt: skip
    version, status, kind = said.split()
    assert kind == REPLY_TYPE or status != "200"
    return version, status


def verified_by_openssl(box: RunningBox, query: Path, reply: Path, letter: Path) -> None:
    authority = box.home.trust / "tsa-ca.pem"
    for what in (("-data", letter), ("-queryfile", query)):
        said = run("openssl", "ts", "-verify", *what, "-in", reply, "-CAfile", authority)
        assert "Verification: OK" in said


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("path", ["/v1/stamps", "/tsa/demo-tsu", "/tsa/demo-tsu-rsa"])
def test_curl_and_openssl_with_a_client_certificate(
    box: RunningBox, letter: Path, query: Path, tmp_path: Path, version: str, path: str
) -> None:
    certificate, key = box.credentials()
    answered = post(
        f"{box.url}{path}", query, tmp_path / "reply.tsr",
        f"--http{version}", "--cert", certificate, "--key", key, "--cacert", box.home.trust / "box-ca.pem",
    )  # fmt: skip
    assert answered == (version, "200")
    verified_by_openssl(box, query, tmp_path / "reply.tsr", letter)


def test_curl_and_openssl_on_the_plain_listener(box: RunningBox, letter: Path, query: Path, tmp_path: Path) -> None:
    answered = post(f"http://{box.address('tsa')}/tsa/demo-tsu-rsa", query, tmp_path / "reply.tsr")
    assert answered == ("1.1", "200")
    verified_by_openssl(box, query, tmp_path / "reply.tsr", letter)


@pytest.mark.parametrize("path", ["/tsa/demo-tsu", "/tsa/nobodys", "/v1/stamps", "/v1/records/" + "0" * 44])
def test_the_plain_listener_serves_public_units_and_nothing_else(
    box: RunningBox, query: Path, tmp_path: Path, path: str
) -> None:
    answered = post(f"http://{box.address('tsa')}{path}", query, tmp_path / "reply.tsr")
    assert answered == ("1.1", "404")


def test_the_plain_listener_refuses_networks_that_are_not_on_its_list(box: RunningBox, query: Path) -> None:
    host, _, port = box.address("tsa").rpartition(":")
    seen = {}
    for source in ("127.0.0.1", "127.0.0.2"):
        connection = http.client.HTTPConnection(host, int(port), timeout=10, source_address=(source, 0))
        connection.request("POST", "/tsa/demo-tsu-rsa", query.read_bytes(), {"Content-Type": QUERY_TYPE})
        seen[source] = connection.getresponse().status
        connection.close()
    assert seen == {"127.0.0.1": 200, "127.0.0.2": 403}


def test_jarsigner_stamps_a_jar_and_verifies_it_strictly(box: RunningBox, tmp_path: Path) -> None:
    store, jar = tmp_path / "keys.p12", tmp_path / "program.jar"
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text(secrets.token_hex(8))
    using = ("-keystore", store, "-storepass:file", password)
    run("keytool", "-genkeypair", "-alias", "signer", "-keyalg", "EC", "-dname", "CN=A signer", "-validity", "30",
        "-ext", "KeyUsage=digitalSignature", "-ext", "ExtendedKeyUsage=codeSigning", *using)  # fmt: skip
    run("keytool", "-importcert", "-noprompt", "-alias", "tsa", "-file", box.home.trust / "tsa-ca.pem", *using)
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("letter.txt", "a letter\n")
    run("jarsigner", *using, "-tsa", f"http://{box.address('tsa')}/tsa/demo-tsu-rsa", jar, "signer")
    said = run("jarsigner", "-verify", "-strict", "-verbose", "-certs", *using, jar)
    assert "jar verified." in said
    assert "Timestamped by" in said
    assert "invalid" not in said  # -strict answers each grave warning by its exit status, which run() has checked
