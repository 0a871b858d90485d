"""BouncyCastle verifies what the profile makes: signatures, digests, attributes, paths, signature time-stamps."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.seals import SealOptions, add_signature_timestamp
from firmware_tests.others.bouncycastle import BouncyCastle
from firmware_tests.seals.sealing import NOW, NOW_US, OPENSSL_SCHEMES

DOCUMENT = b'{"beneficiary":"\xe6\x9d\xad\xe5\xb7\x9e","amount":"1000000.00","currency":"CNY"}'
# BouncyCastle 1.72 is older than ML-DSA; test_oracle.py checks those signatures.
SCHEMES = [*OPENSSL_SCHEMES, "ed25519"]
OPTIONS = SealOptions(mime_type="application/json", commitment="proof-of-approval", country="CN", locality="杭州")


@pytest.fixture
def verify(bouncycastle: BouncyCastle, authority, tmp_path: Path):
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))

    def run(cases: list[tuple[bytes, bytes | None]]) -> list[str]:
        arguments: list[str | Path] = []
        for number, (cms, document) in enumerate(cases):
            (tmp_path / f"{number}.p7m").write_bytes(cms)
            arguments.append(tmp_path / f"{number}.p7m")
            if document is None:
                arguments.append("-")
            else:
                (tmp_path / f"{number}.bin").write_bytes(document)
                arguments.append(tmp_path / f"{number}.bin")
        return bouncycastle.run("CadesVerify", tmp_path / "ca.pem", str(NOW), *arguments)

    return run


def test_every_scheme_detached_enveloping_and_further(verify, sealers) -> None:
    cases: list[tuple[bytes, bytes | None]] = []
    for scheme in SCHEMES:
        sealer, second = sealers(scheme), sealers("ecdsa-p384-sha384")
        cases.append((sealer.seal(sealer.prepare_digest(DOCUMENT, options=OPTIONS)), DOCUMENT))
        enveloping = sealer.seal(sealer.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True))
        cases.append((enveloping, None))
        if scheme != second.scheme:
            cases.append((second.seal(second.profile.prepare_further(enveloping, NOW_US)), None))
    verdicts = verify(cases)
    assert len(verdicts) == len(cases)
    assert all(verdict.startswith("ok signers=") for verdict in verdicts), verdicts
    assert f"ok signers=2 timestamps=0 content={len(DOCUMENT)}" in verdicts


def test_b_t_with_two_signers_and_two_timestamps(verify, sealers, openssl_tsa) -> None:
    first, second = sealers("ecdsa-p256-sha256"), sealers("rsa-pss-sha512")
    prepared = first.prepare_digest(DOCUMENT)
    signature = first.sign(prepared.to_be_signed)
    stamped = add_signature_timestamp(
        first.profile.complete(prepared, signature), openssl_tsa.token(first.digest(signature))
    )
    prepared = second.profile.prepare_further(stamped, NOW_US, document=DOCUMENT)
    signature = second.sign(prepared.to_be_signed)
    token = openssl_tsa.token(second.digest(signature), "sha512")
    both = add_signature_timestamp(second.profile.complete(prepared, signature), token)
    twice = add_signature_timestamp(both, openssl_tsa.token(second.digest(signature), "sha512"))
    verdicts = verify([(stamped, DOCUMENT), (both, DOCUMENT), (twice, DOCUMENT)])
    size = len(DOCUMENT)
    assert verdicts == [
        f"ok signers=1 timestamps=1 content={size}",
        f"ok signers=2 timestamps=2 content={size}",
        f"ok signers=2 timestamps=3 content={size}",
    ]


def test_what_is_wrong_is_refused(verify, sealer) -> None:
    prepared = sealer.prepare_digest(DOCUMENT)
    good = sealer.seal(prepared)
    wrong_signature = sealer.profile.complete(prepared, sealer.sign(b"something else"))
    verdicts = verify([(good, DOCUMENT), (good, DOCUMENT + b" "), (wrong_signature, DOCUMENT)])
    assert verdicts[0].startswith("ok")
    assert verdicts[1].startswith("failed")
    assert verdicts[2].startswith("failed")
