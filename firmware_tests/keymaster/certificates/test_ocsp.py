"""CRL and OCSP as strangers' tools ask for them: openssl by the addresses in the certificates, cryptography by hand."""

from __future__ import annotations

import base64
import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from appliance.ceremonies.actions import (
    ActivateKey,
    CreateAuthority,
    DeclareCompromised,
    GenerateKey,
    HoldCertificate,
    IssueCertificate,
    ReleaseCertificate,
    RevokeCertificate,
    RotateKey,
    SuspendKey,
)
from appliance.errors import CinnabarError
from appliance.recorder.messages import BOX_LOG
from firmware_tests.keymaster.governed import LATER, GovernedBox, now_text
from firmware_tests.ports import HeldPort
from firmware_tests.running import RunningBox, wait_until


@pytest.fixture(scope="module")
def told_box(open_directory: Path) -> Iterator[GovernedBox]:
    """A box with officers, whose certificates name the address at which it answers."""
    box = GovernedBox(open_directory / "ocsp", "demo")
    port = HeldPort()  # the certificates name it before the box runs
    box.begin(
        provisioned=("--revocation-url", f"http://127.0.0.1:{port.number}"),
        run=("--revocation", f"127.0.0.1:{port.number}", "--public", "127.0.0.1:0"),
    )
    wait_until(lambda: len(list(box.home.ocsp.glob("*/*.der"))) >= 2 * 5, what="answers")
    yield box
    if box.running:
        assert box.stop() == 0, box.said()


def certificate(box: RunningBox, name: str = "clients/demo-app.crt") -> x509.Certificate:
    return x509.load_pem_x509_certificates((box.home.root / name).read_bytes())[0]


def authority(box: RunningBox, name: str = "box-ca") -> x509.Certificate:
    return x509.load_pem_x509_certificate((box.home.trust / f"{name}.pem").read_bytes())


def ask(box: RunningBox, der: bytes, *, name: str = "box-ca", get: bool = False) -> httpx.Response:
    with httpx.Client(base_url=f"http://{box.address('revocation')}") as http:
        if get:
            return http.get(f"/ocsp/{name}/{quote(base64.b64encode(der).decode(), safe='')}")
        return http.post(f"/ocsp/{name}", content=der, headers={"Content-Type": "application/ocsp-request"})


def request(made: x509.Certificate, issuer: x509.Certificate, by: hashes.HashAlgorithm) -> bytes:
    return ocsp.OCSPRequestBuilder().add_certificate(made, issuer, by).build().public_bytes(serialization.Encoding.DER)


def openssl_says(box: RunningBox, pem: Path, ca: str, *more: str) -> str:
    made = certificate(box, str(pem.relative_to(box.home.root)))
    access = made.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    (url,) = [one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    issuer = str(box.home.trust / f"{ca}.pem") if "/" not in ca else ca
    said = subprocess.run(
        ("openssl", "ocsp", "-issuer", issuer, *more, "-cert", str(pem), "-url", url, "-CAfile", issuer),
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert "Response verify OK" in said.stderr, said.stderr
    return said.stdout


def test_openssl_asks_by_the_addresses_in_the_certificates(told_box: RunningBox) -> None:
    for name, ca in (
        ("clients/demo-app.crt", "box-ca"),
        ("front/server.crt", "box-ca"),
        ("certificates/demo-tsu.pem", "tsa-ca"),
        ("certificates/demo-seal.pem", "seal-ca"),
    ):
        pem = told_box.home.root / name
        for more in ((), ("-sha256",), ("-no_nonce",)):
            assert ": good" in openssl_says(told_box, pem, ca, *more), name
        made = certificate(told_box, name)
        points = made.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        (place,) = [full.value for point in points for full in point.full_name or ()]
        assert place.startswith("http://")  # RFC 5280, section 8: no TLS to ask about TLS
        crl = x509.load_der_x509_crl(httpx.get(place).content)
        assert crl.is_signature_valid(authority(told_box, ca).public_key())  # type: ignore[arg-type]


@pytest.mark.parametrize("by", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303
@pytest.mark.parametrize("get", [True, False])
def test_an_answer_made_in_advance(told_box: RunningBox, by: hashes.HashAlgorithm, get: bool) -> None:
    made, issuer = certificate(told_box), authority(told_box)
    response = ask(told_box, request(made, issuer, by), get=get)
    assert response.headers["content-type"] == "application/ocsp-response"
    answer = ocsp.load_der_ocsp_response(response.content)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert answer.serial_number == made.serial_number
    (responder,) = answer.certificates
    responder.verify_directly_issued_by(issuer)
    assert ExtendedKeyUsageOID.OCSP_SIGNING in responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    key = responder.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))  # type: ignore[arg-type]
    assert answer.next_update_utc is not None
    assert answer.next_update_utc - answer.this_update_utc == datetime.timedelta(days=7)
    if get:
        assert "max-age=3600" in response.headers["cache-control"]
        assert response.headers["expires"].endswith("GMT")
    else:
        assert response.headers["cache-control"] == "no-store"


def test_every_answer_is_a_row(told_box: RunningBox) -> None:
    made = certificate(told_box)
    with told_box.admin() as admin:
        rows = admin.query("housekeeping", "ocsp", f"{made.serial_number:x}", 0, 10)
    files = {path.read_bytes() for path in (told_box.home.ocsp / "box-ca").glob(f"{made.serial_number:x}-*.der")}
    assert len(files) == 2
    assert files <= {bytes(row[-1]) for row in rows}


def test_what_is_not_known_or_not_read(told_box: RunningBox) -> None:
    issuer = authority(told_box)
    stranger = ocsp.OCSPRequestBuilder().add_certificate_by_hash(b"\1" * 20, b"\2" * 20, 77, hashes.SHA1()).build()  # noqa: S303
    foreign = request(certificate(told_box), authority(told_box, "tsa-ca"), hashes.SHA1())  # noqa: S303
    for der in (stranger.public_bytes(serialization.Encoding.DER), foreign):
        answer = ocsp.load_der_ocsp_response(ask(told_box, der).content)
        assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    other = request(certificate(told_box), issuer, hashes.SHA512())
    assert (
        ocsp.load_der_ocsp_response(ask(told_box, other).content).response_status
        is ocsp.OCSPResponseStatus.UNAUTHORIZED
    )
    for der in (b"\x30\x00", b"x" * 300, b"\x30\x80" * 50):
        answer = ocsp.load_der_ocsp_response(ask(told_box, der).content)
        assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert ask(told_box, stranger.public_bytes(serialization.Encoding.DER), name="nobody-ca").status_code == 404
    with httpx.Client(base_url=f"http://{told_box.address('revocation')}") as http:
        for path in ("/ocsp/box-ca/..%2f..%2fbox.json", "/ocsp/%2e%2e/x", "/v1/records/" + "0" * 44, "/metrics"):
            assert http.get(path).status_code in {200, 404}
            assert b"box_id" not in http.get(path).content


# Authorities that ceremonies make, on each kind of key that they may have


def key_made(key: str, scheme: str, purpose: str, tenant: str | None = None) -> GenerateKey:
    return GenerateKey(
        tenant=tenant, token=tenant or "box", key=key, scheme=scheme, purpose=purpose, until=LATER  # type: ignore[arg-type]
    )  # fmt: skip


def certified(key: str, by: str, tenant: str | None = None, days: int = 90) -> IssueCertificate:
    return IssueCertificate(
        tenant=tenant, key=key, authority=by, common_name=key, organisation="Demo", country="CN", days=days
    )


def answering_authority(name: str, scheme: str, responder_scheme: str) -> list[Any]:
    """The ceremony from nothing to an authority whose answers are served."""
    root = {"common_name": f"Root {name}", "organisation": "Box", "country": "CN", "days": 3650, "role": "seal"}
    return [
        key_made(name, scheme, "authority"),
        CreateAuthority(key=name, **root),  # type: ignore[arg-type]
        ActivateKey(tenant=None, key=name),
        key_made(f"{name}-answers", responder_scheme, "ocsp"),
        certified(f"{name}-answers", name),
        ActivateKey(tenant=None, key=f"{name}-answers"),
    ]


def sealing(key: str, by: str) -> list[Any]:
    return [
        key_made(key, "ecdsa-p256-sha256", "seal", "demo"),
        certified(key, by, "demo"),
        ActivateKey(tenant="demo", key=key),
    ]


@pytest.mark.parametrize(
    ("name", "scheme", "responder"),
    [
        # Provisioning's own are P-384 with responders on P-256.
        ("p256-ca", "ecdsa-p256-sha256", "rsa-pkcs1-sha256"),
        ("rsa-ca", "rsa-pkcs1-sha384", "ecdsa-p384-sha384"),
    ],
)
def test_an_authority_of_a_ceremony_answers(
    told_box: GovernedBox, name: str, scheme: str, responder: str, tmp_path: Path
) -> None:
    shown = told_box.hold(*answering_authority(name, scheme, responder), *sealing(f"by-{name}", name))
    facts = [step["facts"] for step in shown["steps"]]
    assert facts[5]["authority"] == name
    pem = told_box.home.root / "certificates" / f"by-{name}.pem"
    root = told_box.home.root / "certificates" / f"{name}.pem"
    (tmp_path / f"{name}.pem").write_bytes(root.read_bytes())
    made = certificate(told_box, f"certificates/by-{name}.pem")
    answers = told_box.home.ocsp / name
    wait_until(lambda: len(list(answers.glob(f"{made.serial_number:x}-*.der"))) == 2, what="the answers")
    for more in ((), ("-sha256",)):
        assert ": good" in openssl_says(told_box, pem, str(root), *more)
    own = certificate(told_box, f"certificates/{name}-answers.pem")
    assert own.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert list(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.OCSP_SIGNING
    ]
    told_box.word(HoldCertificate(tenant="demo", certificate=facts[7]["certificate"]))
    wait_until(lambda: "certificateHold" in openssl_says(told_box, pem, str(root)), what="the hold")
    # The CRL too, by somebody else's tool.
    crl = told_box.home.trust / f"{name}.crl"
    for command in (
        ("openssl", "verify", "-x509_strict", "-CAfile", str(root), str(pem)),
        ("openssl", "crl", "-inform", "DER", "-in", str(crl), "-CAfile", str(root), "-noout"),
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "verify failure" not in ran.stderr, ran.stderr
    checked = subprocess.run(
        ("openssl", "verify", "-crl_check", "-CRLfile", str(crl), "-CAfile", str(root), str(pem)),
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert "certificate revoked" in checked.stdout + checked.stderr


def test_a_responder_is_followed_and_declared_compromised(told_box: GovernedBox) -> None:
    """The successor answers at once; what a compromised key signed is served no more."""
    pem = told_box.home.root / "certificates" / "demo-seal.pem"
    made = certificate(told_box, "certificates/demo-seal.pem")
    path = told_box.home.ocsp / "seal-ca" / f"{made.serial_number:x}-sha1.der"

    def signed_by(name: str) -> bool:
        own = certificate(told_box, f"certificates/{name}.pem").public_key()
        return path.exists() and ocsp.load_der_ocsp_response(path.read_bytes()).certificates[0].public_key() == own

    with pytest.raises(CinnabarError, match="rotate it"):
        told_box.hold(*second_responder("seal-ca-answers-1"), ActivateKey(tenant=None, key="seal-ca-answers-1"))
    told_box.hold(
        *second_responder("seal-ca-answers-2"),
        RotateKey(tenant=None, key="seal-ca-ocsp", successor="seal-ca-answers-2", overlap_hours=0),
    )
    wait_until(lambda: signed_by("seal-ca-answers-2"), what="answers of the successor")
    wait_until(lambda: told_box.key("seal-ca-ocsp", None)["state"] == "deactivated", what="the end of the overlap")
    told_box.word(SuspendKey(tenant=None, key="seal-ca-answers-2"))
    # Also what was being signed just then: the recorder takes no row of it, and what is on no record is not served.
    with told_box.admin() as admin:
        states = {one["key"]: one["state"] for one in admin.query("key_states") if one["tenant"] == BOX_LOG}
        rows = admin.query("housekeeping", "ocsp", f"{made.serial_number:x}", 0, 100)
    assert (states["seal-ca-answers-2"], rows[-1][1]) == ("suspended", "seal-ca-answers-2")
    told_box.hold(
        DeclareCompromised(tenant=None, key="seal-ca-answers-2", since=now_text(), because="The module was opened")
    )
    assert not path.exists()
    told_box.hold(*second_responder("seal-ca-answers-3"), ActivateKey(tenant=None, key="seal-ca-answers-3"))
    wait_until(lambda: signed_by("seal-ca-answers-3"), what="answers of the third")
    assert ": good" in openssl_says(told_box, pem, "seal-ca")


def second_responder(name: str) -> list[Any]:
    return [key_made(name, "ecdsa-p256-sha256", "ocsp"), certified(name, "seal-ca")]


@pytest.mark.parametrize(
    ("actions", "why"),
    [
        ([key_made("x", "ed25519", "authority")], "cannot be used"),
        ([key_made("x", "rsa-pss-sha256", "ocsp")], "cannot be used"),
        ([key_made("x", "ecdsa-secp256k1-sha256", "authority")], "cannot be used"),
        ([key_made("x", "ecdsa-p256-sha256", "ocsp"), certified("x", "seal-ca", days=91)], "90 days"),
        ([key_made("x", "ecdsa-p256-sha256", "ocsp"), ActivateKey(tenant=None, key="x")], "no certificate"),
        ([key_made("x", "ecdsa-p256-sha256", "ocsp"), certified("x", "unmade-ca")], "no authority"),
        ([key_made("x", "ecdsa-p256-sha256", "ocsp", "demo")], "box's own"),
    ],
)
def test_responders_and_authorities_that_are_refused(told_box: GovernedBox, actions: list[Any], why: str) -> None:
    with pytest.raises(CinnabarError, match=why):
        told_box.approved(*actions)


def test_an_authority_does_not_take_anothers_name(told_box: GovernedBox) -> None:
    own = authority(told_box, "seal-ca").subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    root = {"common_name": own, "organisation": "Box", "country": "CN", "days": 3650, "role": "seal"}
    with pytest.raises(CinnabarError, match="has that name"):
        told_box.approved(
            key_made("double-ca", "ecdsa-p256-sha256", "authority"),
            CreateAuthority(key="double-ca", **root),  # type: ignore[arg-type]
        )


def test_held_then_released_then_revoked(told_box: GovernedBox) -> None:
    made = certificate(told_box)
    pem = told_box.home.clients / "demo-app.crt"
    which: dict[str, Any] = {"tenant": "demo", "certificate": made.fingerprint(hashes.SHA256()).hex()}
    told_box.word(HoldCertificate(**which))
    wait_until(lambda: "revoked" in openssl_says(told_box, pem, "box-ca"), what="the hold")
    wait_until(lambda: "certificateHold" in openssl_says(told_box, pem, "box-ca", "-sha256"), what="the hold")
    told_box.hold(ReleaseCertificate(**which))
    wait_until(lambda: ": good" in openssl_says(told_box, pem, "box-ca"), what="the release")
    told_box.hold(RevokeCertificate(**which, reason="superseded"))
    wait_until(lambda: "revoked" in openssl_says(told_box, pem, "box-ca", "-sha256"), what="the revocation")
    # A new life of the keymaster finds its answers: nothing is signed anew.
    before = {path: path.stat().st_mtime_ns for path in told_box.home.ocsp.glob("*/*.der")}
    assert told_box.stop() == 0, told_box.said()
    told_box.start("--revocation", "127.0.0.1:0", "--public", "127.0.0.1:0")
    assert {path: path.stat().st_mtime_ns for path in told_box.home.ocsp.glob("*/*.der")} == before
