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
