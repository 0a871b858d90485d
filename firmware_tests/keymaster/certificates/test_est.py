"""EST on a whole box: curl and openssl, our own commands, what the front lets through, what a renewed caller may."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7

from appliance.ceremonies import Action, encode
from appliance.ceremonies.actions import AuthoriseEnrolment, SetCertificateProfile
from appliance.keymaster.client import DeskClient
from appliance.keymaster.console.client import ConsoleClient
from firmware_tests.keymaster.test_box import NAMES, Officers, found
from firmware_tests.running import RunningBox, cinnabar, wait_until

EST = "/.well-known/est"


@pytest.fixture(scope="module")
def officers() -> Officers:
    return Officers()


@pytest.fixture(scope="module")
def est_box(open_directory: Path, officers: Officers) -> Iterator[RunningBox]:
    """A governed box with a profile for its tenant's applications."""
    box = RunningBox(open_directory / "est", "demo")
    box.provision()
    box.start("--public", "127.0.0.1:0", "--revocation", "127.0.0.1:0")
    for name in NAMES:
        officers.enrol(box, name)
    assert found(box).returncode == 0
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    decide(
        box,
        officers,
        SetCertificateProfile(
            profile="apps",
            authority="box-ca",
            tenant="demo",
            use="tls-client",
            common_name_pattern="pay-[0-9]",
            days=90,
            most=20,
            until=until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    )
    yield box
    if box.running:
        assert box.stop() == 0, box.said()


def decide(box: RunningBox, officers: Officers, *actions: msgspec.Struct) -> list[str]:
    """Approved and executed; what the console showed meanwhile."""
    shown: list[str] = []
    with DeskClient(box.home.desk_socket) as desk, ConsoleClient(box.home.console_socket) as console:
        digest = desk.submit(desk.draft("ann", "Enrolment", "A test", msgspec.json.encode(list(actions)), 24))
        for verb, name in (("request", "ann"), ("approve", "bo"), ("approve", "cai")):
            desk.state_(encode(officers[name].sign(verb, digest)))  # type: ignore[arg-type]
        desk.execute(digest)

        def ended() -> bool:
            for waiting in console.pending():
                shown.append(console.text(waiting["number"]))
                console.answer(waiting["number"], "")
            return desk.proposal(digest)["state"] != "executing"

        wait_until(ended, 30, "the end of the ceremony")
        row = desk.proposal(digest)
        assert row["state"] == "executed", row["error"]
    return shown


@pytest.fixture
def secret(est_box: RunningBox, officers: Officers, tmp_path: Path) -> Path:
    (said,) = decide(est_box, officers, AuthoriseEnrolment(tenant="demo", profile="apps", application="demo-app"))
    path = tmp_path / "secret"
    path.write_text(said + "\n")
    return path


PAGE = Path(__file__).parents[3] / "docs" / "certificates.md"


def test_the_page_to_paste(est_box: RunningBox, officers: Officers, tmp_path: Path) -> None:
    """docs/certificates.md, step by step, as somebody who has only that page does it."""
    text = PAGE.read_text()
    (example,) = re.findall(r"<!-- enrolment.json -->\n```json\n(.*?)```", text, re.S)
    actions = msgspec.json.decode(example, type=list[Action])
    secrets = decide(est_box, officers, *actions)
    secrets += decide(est_box, officers, actions[-1])
    pieces = re.findall(r"<!-- follow -->\n```sh\n(.*?)^```", text, re.S | re.M)
    assert [len(secrets), len(pieces)] == [2, 3]
    places = {"8443": "applications", "8445": "public", "8446": "revocation"}
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = []
    for number, piece in enumerate(pieces):
        (tmp_path / "secret").write_text(f"{secrets[min(number, 1)]}\n")
        shell = piece.replace("DIR/", f"{est_box.home.root}/")
        for port, listener in places.items():
            shell = shell.replace(f"127.0.0.1:{port}", est_box.address(listener))
        done = run("bash", "-euo", "pipefail", "-c", shell, cwd=tmp_path, env=environment)
        assert done.returncode == 0, f"{piece}\n{done.stdout}{done.stderr}"
        said.append(done.stdout + done.stderr)
    assert "holds until" in said[0]
    assert '"signatures"' in said[0]
    assert "pay-2b.crt: OK" in said[1]
    assert "pay-2b.crt: good" in said[2]
    assert "verify OK" in said[2]


def public(box: RunningBox) -> str:
    return f"https://{box.address('public')}"


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


def may_stamp(box: RunningBox, certificate: Path, key: Path) -> int:
    import ssl

    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    context.load_cert_chain(certificate, key)
    digest = {"digest": base64.b64encode(bytes(32)).decode(), "hash": "sha256"}
    with httpx.Client(base_url=box.url, verify=context, timeout=30) as http:
        health = http.get("/v1/quota")
        assert health.status_code in {200, 401}, digest
        return health.status_code


def test_by_curl_and_openssl(est_box: RunningBox, secret: Path, tmp_path: Path) -> None:
    ca = est_box.home.trust / "box-ca.pem"
    # The CA, fetched and compared.
    got = run("curl", "-sS", "--cacert", str(ca), f"{public(est_box)}{EST}/cacerts", "-D", str(tmp_path / "headers"))
    assert got.returncode == 0, got.stderr
    assert "application/pkcs7-mime; smime-type=certs-only" in (tmp_path / "headers").read_text()
    (tmp_path / "ca.p7").write_bytes(base64.b64decode(got.stdout))
    printed = run("openssl", "pkcs7", "-inform", "DER", "-in", str(tmp_path / "ca.p7"), "-print_certs")
    assert x509.load_pem_x509_certificate(printed.stdout.encode()) == x509.load_pem_x509_certificate(ca.read_bytes())
    attributes = run("curl", "-sS", "--cacert", str(ca), f"{public(est_box)}{EST}/csrattrs").stdout
    parsed = run("sh", "-c", f"echo '{attributes.strip()}' | base64 -d | openssl asn1parse -inform DER")
    assert "ecdsa-with-SHA256" in parsed.stdout
    assert "prime256v1" in parsed.stdout

    def request(name: str) -> tuple[Path, Path]:
        key, body = tmp_path / f"{name}.key", tmp_path / f"{name}.p10"
        made = run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", str(key), "-subj", "/CN=pay-1", "-outform", "DER", "-out", str(tmp_path / "der"),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        body.write_bytes(base64.encodebytes((tmp_path / "der").read_bytes()))
        return key, body

    def ask(where: str, body: Path, *more: str) -> tuple[str, Path]:
        answer = tmp_path / f"{body.stem}.p7"
        done = run(
            "curl", "-sS", "--cacert", str(ca), "-H", "Content-Type: application/pkcs10", "--data-binary", f"@{body}",
            "-w", "%{http_code}", "-o", str(answer), *more, where,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout, answer

    def certificate(answer: Path) -> Path:
        der, pem = tmp_path / f"{answer.stem}.der", tmp_path / f"{answer.stem}.crt"
        der.write_bytes(base64.b64decode(answer.read_bytes()))
        pem.write_text(run("openssl", "pkcs7", "-inform", "DER", "-in", str(der), "-print_certs").stdout)
        assert run("openssl", "verify", "-purpose", "sslclient", "-CAfile", str(ca), str(pem)).returncode == 0
        return pem

    key, body = request("first")
    enrol = f"{public(est_box)}{EST}/simpleenroll"
    status, answer = ask(enrol, body)
    assert status == "401"
    head = run("curl", "-sS", "--cacert", str(ca), "-X", "POST", "-D", "-", "-o", "/dev/null",
               "-H", "Content-Type: application/pkcs10", "-d", "x", enrol).stdout  # fmt: skip
    assert "www-authenticate: Basic" in head
    netrc = tmp_path / "netrc"  # a secret is never in argv, not even curl's
    user, _, password = secret.read_text().strip().partition(":")
    netrc.write_text(f"machine 127.0.0.1 login {user} password {password}\n")
    netrc.chmod(0o600)
    status, answer = ask(enrol, body, "--netrc-file", str(netrc))
    assert status == "200", answer.read_text()
    first = certificate(answer)
    assert may_stamp(est_box, first, key) == 200
    _, other = request("other")
    assert ask(enrol, other, "--netrc-file", str(netrc))[0] == "401"

    renewed_key, again = request("renewed")
    renew = f"{est_box.url}{EST}/simplereenroll"
    status, answer = ask(renew, again, "--cert", str(first), "--key", str(key))
    assert status == "200", answer.read_text()
    assert may_stamp(est_box, certificate(answer), renewed_key) == 200
    assert may_stamp(est_box, first, key) == 200  # until it ends by itself
    assert ask(renew, other, "--cert", str(first), "--key", str(key))[0] == "403"
    # What provisioning made was not enrolled here.
    mine, mine_key = est_box.credentials()
    assert ask(renew, other, "--cert", str(mine), "--key", str(mine_key))[0] == "403"
    # Neither endpoint stands on the other's listener.
    assert ask(f"{est_box.url}{EST}/simpleenroll", body, "--cert", str(first), "--key", str(key))[0] == "404"
    assert ask(f"{public(est_box)}{EST}/simplereenroll", body)[0] == "404"


def test_by_our_own_commands(est_box: RunningBox, secret: Path, tmp_path: Path) -> None:
    out = tmp_path / "credentials"
    ca = x509.load_pem_x509_certificate((est_box.home.trust / "box-ca.pem").read_bytes())
    where = ("--est", public(est_box), "--out", str(out), "--name", "pay-2", "--secret-file", str(secret))
    wrong = cinnabar("enrol", *where, "--ca-sha256", "00" * 32)
    assert wrong.returncode == 1
    assert "nothing was sent to it" in wrong.stderr
    at_applications = cinnabar(
        "enrol", "--est", est_box.url, *where[2:], "--ca-sha256", ca.fingerprint(hashes.SHA256()).hex(":")
    )
    assert at_applications.returncode == 1
    assert "This port is for applications, which show a certificate" in at_applications.stderr
    assert "`public` listener" in at_applications.stderr
    outside = [word if word != "pay-2" else "pay-x" for word in where]
    refused = cinnabar("enrol", *outside, "--ca-sha256", ca.fingerprint(hashes.SHA256()).hex(":"))
    assert refused.returncode == 1
    assert "Refused" in refused.stderr
    assert not list(out.glob("*.key")), "the key of a request that was refused stays nowhere"
    done = cinnabar("enrol", *where, "--ca-sha256", ca.fingerprint(hashes.SHA256()).hex(":"))
    assert done.returncode == 0, done.stderr
    certificate, key = out / "pay-2.crt", out / "pay-2.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert may_stamp(est_box, certificate, key) == 200
    assert cinnabar("enrol", *where, "--ca", str(out / "ca.pem")).returncode == 1
    before = certificate.read_bytes(), key.read_bytes()
    certificate.unlink()  # the answer was lost: the same key gets the same certificate
    assert cinnabar("enrol", *where, "--ca", str(out / "ca.pem")).returncode == 0
    assert (certificate.read_bytes(), key.read_bytes()) == before

    renewal = ("renew", "--est", est_box.url, "--out", str(out), "--name", "pay-2")
    early = cinnabar(*renewal, "--within", "30")
    assert early.returncode == 0
    assert "holds until" in early.stdout
    assert certificate.read_bytes() == before[0]
    renewed = cinnabar(*renewal)
    assert renewed.returncode == 0, renewed.stderr
    assert certificate.read_bytes() != before[0]
    assert key.read_bytes() != before[1]
    assert may_stamp(est_box, certificate, key) == 200
    assert sorted(path.name for path in out.iterdir()) == ["ca.pem", "pay-2.crt", "pay-2.key"]
    # Suspended: it renews no more.
    digest = hashlib.sha256(x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_bytes(_der())).digest()
    with est_box.admin() as admin:
        admin.set_state("suspended", "demo", "demo-app", digest)
    assert cinnabar(*renewal).returncode == 1
    # No certificate was made for the key of the refused renewal: it goes.
    assert sorted(path.name for path in out.iterdir()) == ["ca.pem", "pay-2.crt", "pay-2.key"]


def _der() -> object:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def test_the_log_and_the_desk_tell(est_box: RunningBox, secret: Path) -> None:
    with DeskClient(est_box.home.desk_socket) as desk:
        (profile,) = [one for one in desk.call("profiles") if one["name"] == "apps"]
        assert profile["name"] == "apps"
        assert secret.read_text().strip().partition(":")[2] not in repr(profile)
    with est_box.admin() as admin:
        rows = admin.query("read_records", "demo", 0, 1000)
    bodies = [msgspec.json.decode(msgspec.msgpack.decode(row[7])[1]) for row in rows if row[3] == "administration"]
    enrolled = [body for body in bodies if body["action"] == "enrol-certificate" and body.get("ceremony")]
    assert all(len(body["ceremony"]) == 64 for body in enrolled)


def test_only_workers_reach_the_socket_and_it_does_one_thing(est_box: RunningBox) -> None:
    assert os.geteuid() != 0 or est_box.home.enrol_socket.exists()
    from appliance.calls.client import CallClient
    from appliance.errors import CinnabarError

    with CallClient(est_box.home.enrol_socket) as narrow:
        for method in ("status", "execute", "draft", "submit", "profiles"):
            with pytest.raises(CinnabarError):
                narrow.call(method)
        with pytest.raises(CinnabarError):
            narrow.call("enrol", "x", "y", b"\x30" * 20_000)


def test_the_public_answer_is_pkcs7_of_one(est_box: RunningBox) -> None:
    with httpx.Client(verify=False) as http:  # noqa: S501 - the bytes are compared with the CA's own
        body = http.get(f"{public(est_box)}{EST}/cacerts").content
    assert len(pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))) == 1
