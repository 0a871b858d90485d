"""The verifier's verdicts beside those of OpenSSL and BouncyCastle, on the same files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.evidence import Indication
from firmware_tests.evidence.material import (
    DAY,
    T0,
    Holder,
    World,
    certify,
    microseconds,
    seal,
    seal_signer,
    signed_data,
    time_stamper,
    token,
)
from firmware_tests.others.bouncycastle import BouncyCastle

DOCUMENT = b'{"amount":"100.00"}'
PASSED = Indication.PASSED
SECONDS = str(microseconds(T0) // 1_000_000)

RSA = rsa.generate_private_key(65537, 2048)
Make = Callable[[World], bytes]

STAMPS: dict[str, tuple[Make, bool]] = {
    "good": (lambda world: token(world.tsa, DOCUMENT), True),
    "sha512": (lambda world: token(world.tsa, DOCUMENT, info={"hash_name": "sha512"}, hash_name="sha512"), True),
    "rsa": (lambda world: token(time_stamper("R", world.tsa_ca, key=RSA), DOCUMENT), True),
    "wrong key": (lambda world: token(world.tsa, DOCUMENT, sign_with=ec.generate_private_key(ec.SECP256R1())), False),
    "wrong digest": (lambda world: token(world.tsa, DOCUMENT, attributes={"message_digest": b"\0" * 32}), False),
    "other document": (lambda world: token(world.tsa, b"other"), False),
    "unknown authority": (lambda _: token(time_stamper("T", certify("CA", ca=True)), DOCUMENT), False),
    "no purpose": (lambda world: token(time_stamper("T", world.tsa_ca, eku=None), DOCUMENT), False),
    "purpose not critical": (lambda world: token(time_stamper("T", world.tsa_ca, eku_critical=False), DOCUMENT), False),
    "two purposes": (
        lambda world: token(
            time_stamper(
                "T", world.tsa_ca, eku=[ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]
            ),
            DOCUMENT,
        ),
        False,
    ),
    "certificate expired": (lambda world: token(time_stamper("T", world.tsa_ca, not_after=T0 - DAY), DOCUMENT), False),
    "certificate to come": (lambda world: token(time_stamper("T", world.tsa_ca, not_before=T0 + DAY), DOCUMENT), False),
    "another certificate bound": (
        lambda world: token(world.tsa, DOCUMENT, bound=time_stamper("T", world.tsa_ca).der),
        False,
    ),
}  # fmt: skip

SEALS: dict[str, tuple[Make, bool]] = {
    "good": (lambda world: seal(world.sealer, DOCUMENT), True),
    "time-stamped": (lambda world: seal(world.sealer, DOCUMENT, stamped_by=world.tsa), True),
    "ed25519": (
        lambda world: seal(
            certify("E", world.seal_ca, key=ed25519.Ed25519PrivateKey.generate()), DOCUMENT, hash_name="sha512"
        ),
        True,
    ),
    "p384": (
        lambda world: seal(
            certify("P", world.seal_ca, key=ec.generate_private_key(ec.SECP384R1())), DOCUMENT, hash_name="sha384"
        ),
        True,
    ),
    "two signers": (
        lambda world: _two(world, certify("Second", world.seal_ca)),
        True,
    ),
    "wrong key": (lambda world: seal(world.sealer, DOCUMENT, sign_with=ec.generate_private_key(ec.SECP256R1())), False),
    "other document": (lambda world: seal(world.sealer, b"other"), False),
    "unknown authority": (lambda _: seal(certify("X", certify("CA", ca=True)), DOCUMENT), False),
    "certificate expired": (lambda world: seal(certify("X", world.seal_ca, not_after=T0 - DAY), DOCUMENT), False),
    "certificate to come": (lambda world: seal(certify("X", world.seal_ca, not_before=T0 + 2 * DAY), DOCUMENT), False),
    "another certificate bound": (
        lambda world: seal(world.sealer, DOCUMENT, bound=certify("X", world.seal_ca).der),
        False,
    ),
    "no digest": (lambda world: seal(world.sealer, DOCUMENT, attributes={"message_digest": None}), False),
}


def _two(world: World, second: Holder) -> bytes:
    signers = [seal_signer(world.sealer, DOCUMENT), seal_signer(second, DOCUMENT)]
    return signed_data(signers, [world.sealer.der, second.der])


def openssl(*arguments: str | Path, cwd: Path) -> bool:
    return (
        subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, check=False, timeout=30).returncode == 0
    )


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    place = tmp_path_factory.mktemp("others")
    (place / "document").write_bytes(DOCUMENT)
    (place / "tsa-ca.pem").write_bytes(world.tsa_ca.certificate.public_bytes(Encoding.PEM))
    (place / "seal-ca.pem").write_bytes(world.seal_ca.certificate.public_bytes(Encoding.PEM))
    return place


@pytest.mark.parametrize("name", STAMPS)
def test_stamps_beside_openssl(world: World, room: Path, name: str) -> None:
    make, good = STAMPS[name]
    encoded = make(world)
    (room / "one.tst").write_bytes(encoded)
    theirs = openssl(
        "ts", "-verify", "-data", "document", "-in", "one.tst", "-token_in", "-CAfile", "tsa-ca.pem",
        "-attime", SECONDS, cwd=room,
    )  # fmt: skip
    ours = world.verify(("document", DOCUMENT), ("one.tst", encoded), now=T0 + timedelta(hours=1)).indication is PASSED
    assert (ours, theirs) == (good, good)


@pytest.mark.parametrize("name", [name for name in SEALS if name != "ed25519"])  # OpenSSL 3.0's CMS has no Ed25519
def test_seals_beside_openssl(world: World, room: Path, name: str) -> None:
    make, good = SEALS[name]
    encoded = make(world)
    (room / "one.p7s").write_bytes(encoded)
    theirs = openssl(
        "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "one.p7s", "-content", "document",
        "-CAfile", "seal-ca.pem", "-purpose", "any", "-attime", SECONDS, "-out", "out", cwd=room,
    )  # fmt: skip
    ours = world.verify(("document", DOCUMENT), ("one.p7s", encoded), now=T0 + timedelta(hours=1)).indication is PASSED
    assert (ours, theirs) == (good, good)


def test_stamps_beside_bouncycastle(world: World, room: Path, tmp_path: Path) -> None:
    import hashlib

    arguments: list[Path] = []
    for number, (make, _) in enumerate(STAMPS.values()):
        stamp = tsp.ContentInfo.load(make(world))
        name = "sha512" if "sha512" in list(STAMPS)[number] else "sha256"
        imprint = {"hash_algorithm": {"algorithm": name}, "hashed_message": hashlib.new(name, DOCUMENT).digest()}
        request = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True})
        response = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": stamp})
        for suffix, content in ((".tsq", request.dump()), (".tsr", response.dump())):
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(content)
            arguments.append(path)
    lines = BouncyCastle(tmp_path).run("TimeStampVerify", room / "tsa-ca.pem", *arguments)
    assert {name: line.startswith("ok") for name, line in zip(STAMPS, lines, strict=True)} == {
        name: good for name, (_, good) in STAMPS.items()
    }, lines


def test_seals_beside_bouncycastle(world: World, room: Path, tmp_path: Path) -> None:
    arguments: list[Path] = []
    for number, (make, _) in enumerate(SEALS.values()):
        path = tmp_path / f"{number}.p7s"
        path.write_bytes(make(world))
        arguments += [path, room / "document"]
    lines = BouncyCastle(tmp_path).run("CadesVerify", room / "seal-ca.pem", SECONDS, *arguments)
    theirs = {name: line.startswith("ok") for name, line in zip(SEALS, lines, strict=True)}
    assert theirs == {name: good for name, (_, good) in SEALS.items()}, lines


# --- what others make ------------------------------------------------------------------------------------------------


def test_seals_made_by_openssl(world: World, room: Path) -> None:
    """CAdES by `openssl cms -sign -cades`, in DER, in streamed BER with indefinite lengths, and in PEM."""
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    key = world.sealer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (room / "sealer.key").write_bytes(key)
    (room / "sealer.pem").write_bytes(world.sealer.certificate.public_bytes(Encoding.PEM))
    sign = ["cms", "-sign", "-cades", "-binary", "-md", "sha256", "-in", "document", "-signer", "sealer.pem",
            "-inkey", "sealer.key", "-out"]  # fmt: skip
    from datetime import UTC, datetime

    now = datetime.now(UTC) + timedelta(minutes=1)
    fresh = world.with_crl("seal-ca.crl", _fresh_crl(world, now))
    for arguments in (["-outform", "DER"], ["-outform", "DER", "-stream"], ["-outform", "PEM"]):
        for detached in ([], ["-nodetach"]):
            assert openssl(*sign, "made.p7s", *arguments, *detached, cwd=room)
            made = (room / "made.p7s").read_bytes()
            report = fresh.verify(("document", DOCUMENT), ("made.p7s", made), now=now)
            assert [file.indication for file in report.files] == [PASSED, PASSED], (arguments, report)


def _fresh_crl(world: World, now: object) -> bytes:
    from firmware_tests.evidence.material import crl

    return crl(world.seal_ca, issued=now - timedelta(minutes=5), until=now + DAY)  # type: ignore[operator]
