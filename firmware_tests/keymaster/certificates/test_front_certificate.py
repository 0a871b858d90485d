"""The front's certificate is renewed before it ends, while clients go on asking on connections that stand."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.box import front_certificate
from appliance.box.control import ControlClient
from appliance.box.front_certificate import FrontCertificateRefused
from appliance.box.home import Home
from appliance.errors import CinnabarError
from firmware_tests.running import RunningBox, wait_until

# Another process, since SoftHSM reads its configuration once: the front's certificate as it is after most of its life.
_AGE = """
import datetime, os, sys
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
import hsm
from appliance.box.settings import read_settings
from appliance.keymaster.certificates import profiles
from hsm.x509 import private_key
root = Path(sys.argv[1])
os.environ["SOFTHSM2_CONF"] = str(root / "tokens/softhsm2.conf")
settings = read_settings(root / "box.json")
token = next(one for one in settings.tokens if one.name == "box")
opened = hsm.open_token(hsm.Pkcs11Uri.parse(token.uri), hsm.PinFile(root / token.pin_file), hsm.LaneSettings())
key = opened.signing_key(hsm.Pkcs11Uri.parse("pkcs11:object=box-ca"), "ecdsa-p384-sha384")
own = x509.load_pem_x509_certificate((root / "trust/box-ca.pem").read_bytes())
issuer = profiles.Issuer(own, private_key(key), hashes.SHA384(), "")
server = x509.load_pem_x509_certificates((root / "front/server.crt").read_bytes())[0]
named = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=20)
made = profiles.tls_server(
    issuer, server.subject, server.public_key(), begin, datetime.timedelta(days=25), [str(one.value) for one in named]
)
pem = serialization.Encoding.PEM
(root / "front/server.crt").write_bytes(made.public_bytes(pem) + own.public_bytes(pem))
opened.close()
"""


def served(box: RunningBox) -> x509.Certificate:
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    host, _, port = box.address("public").rpartition(":")
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_it_is_renewed_and_nobody_is_cut_off(open_directory: Path) -> None:
    box = RunningBox(open_directory / "front-renewal", "demo")
    box.provision()
    aged = subprocess.run(
        (sys.executable, "-c", _AGE, str(box.home.root)), capture_output=True, text=True, check=False, timeout=60
    )
    assert aged.returncode == 0, aged.stderr
    old = x509.load_pem_x509_certificates((box.home.front / "server.crt").read_bytes())[0]
    key_before = (box.home.front / "server.key").read_bytes()
    box.start("--public", "127.0.0.1:0")
    failures: list[str] = []
    answers: list[int] = []
    enough = threading.Event()

    def client() -> None:
        try:
            with box.http() as http:
                while not enough.is_set():
                    answers.append(http.get("/v1/quota").status_code)
                    time.sleep(0.005)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(repr(error))

    clients = [threading.Thread(target=client) for _ in range(4)]
    try:
        for one in clients:
            one.start()
        wait_until(lambda: served(box) != old, 30, "the new certificate")
        time.sleep(1)
        enough.set()
        for one in clients:
            one.join(30)
        assert failures == []
        assert set(answers) == {200}
        new = served(box)
        san = x509.SubjectAlternativeName
        assert new.extensions.get_extension_for_class(san) == old.extensions.get_extension_for_class(san)
        assert new.public_key() != old.public_key()
        assert (box.home.front / "server.key").read_bytes() != key_before
        assert new.not_valid_after_utc - new.not_valid_before_utc == datetime.timedelta(days=25, minutes=5)
        with box.admin() as admin:
            rows = admin.query("housekeeping", "certificate", new.subject.rfc4514_string(), 0, 10)
        assert bytes(rows[-1][-1]) == new.public_bytes(serialization.Encoding.DER)
        _refuses(box)
    finally:
        enough.set()
        assert box.stop() == 0, box.said()
    box.start("--public", "127.0.0.1:0")
    assert served(box) == new
    assert box.stop() == 0, box.said()


def _refuses(box: RunningBox) -> None:
    """What the keymaster, or who speaks for it, cannot have the front take."""
    chain = (box.home.front / "server.crt").read_bytes()
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    client = (box.home.clients / "demo-app.crt").read_bytes(), (box.home.clients / "demo-app.key").read_bytes()
    with ControlClient(box.home.supervisor_socket) as control:
        for offered in ((chain, other), client, (b"", b""), (b"x" * 70_000, other)):
            with pytest.raises(CinnabarError):
                control.front_certificate(*offered)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_replacement_cut_off_is_the_old_or_the_new(tmp_path: Path, moved: int) -> None:
    home = Home(tmp_path)
    home.front.mkdir()
    (home.front / "server.key").write_bytes(b"old key")
    (home.front / "server.crt").write_bytes(b"old chain")
    (home.front / "next.key").write_bytes(b"new key")
    if moved >= 1:
        (home.front / "next.crt").write_bytes(b"new chain")
    if moved >= 2:
        (home.front / "next.key").replace(home.front / "server.key")
    front_certificate.finish(home)
    front_certificate.finish(home)
    expected = b"old" if moved == 0 else b"new"
    assert (home.front / "server.key").read_bytes() == expected + b" key"
    assert (home.front / "server.crt").read_bytes() == expected + b" chain"
    assert sorted(path.name for path in home.front.iterdir()) == ["server.crt", "server.key"]
    with pytest.raises(FrontCertificateRefused):
        front_certificate.check(home, b"new", b"key")
