"""OpenSSL makes the request and verifies the answer."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance.timestamps import FailureInfo, granted, rejection


def run(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("options", [(), ("-cert",), ("-no_nonce",), ("-cert", "-tspolicy", "1.3.6.1.4.1.59999.1.2")])
def test_openssl_verifies(
    tmp_path: Path, authority: Any, software_unit: Any, digest: str, options: tuple[str, ...]
) -> None:
    document, query, reply = tmp_path / "letter", tmp_path / "q.tsq", tmp_path / "r.tsr"
    document.write_bytes("a letter 朱砂".encode())
    run("ts", "-query", "-data", document, f"-{digest}", *options, "-out", query)
    reply.write_bytes(granted(software_unit.token(query.read_bytes())))
    root, issuing = authority.trust(tmp_path)
    unit = tmp_path / "unit.pem"
    from cryptography.hazmat.primitives.serialization import Encoding

    unit.write_bytes(software_unit.profile.certificate.public_bytes(Encoding.PEM) + issuing.read_bytes())
    assert "Verification: OK" in run(
        "ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, "-untrusted", unit
    )
    text = run("ts", "-reply", "-in", reply, "-text")
    assert "Status: Granted." in text
    assert "Accuracy: 0x01 seconds" in text
    assert "DirName:/C=NL/O=Cinnabar Rehearsal" in text


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("ecdsa-p384-sha384", {"accuracy_us": 250_300, "tsa_name": False}),
        ("ecdsa-secp256k1-sha256", {"accuracy_us": 1, "qualified": True}),
        ("rsa-pkcs1-sha256", {"ordering": True}),
        ("rsa-pkcs1-sha384", {"accuracy_us": None, "rehearsal": True}),
        ("rsa-pkcs1-sha512", {"chain": ()}),
    ],
)
def test_openssl_verifies_other_schemes_and_fields(
    tmp_path: Path, authority: Any, make_unit: Any, scheme: str, options: dict[str, Any]
) -> None:
    unit = make_unit(scheme, **options)
    query, reply = tmp_path / "q.tsq", tmp_path / "r.tsr"
    run("ts", "-query", "-digest", "5a" * 64, "-sha512", "-cert", "-out", query)
    reply.write_bytes(granted(unit.token(query.read_bytes())))
    root, issuing = authority.trust(tmp_path)
    verified = run("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, "-untrusted", issuing)
    assert "Verification: OK" in verified
    text = run("ts", "-reply", "-in", reply, "-text")
    assert ("Ordering: yes" in text) is unit.profile.ordering
    assert ("TSA: unspecified" in text) is not unit.profile.tsa_name
    assert ("Accuracy: unspecified\n" in text) is (unit.profile.accuracy_us is None)
    assert ("qcStatements" in text) is unit.profile.qualified


@pytest.mark.parametrize("failure", list(FailureInfo))
def test_openssl_reads_every_rejection(tmp_path: Path, failure: FailureInfo) -> None:
    reply = tmp_path / "r.tsr"
    reply.write_bytes(rejection(failure, "not now — 朱砂"))
    text = run("ts", "-reply", "-in", reply, "-text")
    assert "Status: Rejected." in text
    assert "not now" in text
    words = {
        FailureInfo.badAlg: "unrecognized or unsupported algorithm identifier",
        FailureInfo.badRequest: "transaction not permitted or supported",
        FailureInfo.badDataFormat: "the data submitted has the wrong format",
        FailureInfo.timeNotAvailable: "the TSA's time source is not available",
        FailureInfo.unacceptedPolicy: "the requested TSA policy is not supported by the TSA",
        FailureInfo.unacceptedExtension: "the requested extension is not supported by the TSA",
        FailureInfo.addInfoNotAvailable: "the additional information requested could not be understood",
        FailureInfo.systemFailure: "the request cannot be handled due to system failure",
    }
    assert words[failure] in text
