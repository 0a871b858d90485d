"""Stamps verified by BouncyCastle and by rfc3161-client, and its requests answered."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import rfc3161_client
from cryptography.x509 import ObjectIdentifier

from appliance import der
from appliance.algorithms import DIGESTS
from appliance.timestamps import FailureInfo, granted, rejection
from appliance.timestamps.request import imprint_heads
from firmware_tests.others.bouncycastle import BouncyCastle

POLICY = "1.3.6.1.4.1.59999.1.1"
OTHER_POLICY = "1.3.6.1.4.1.59999.1.2"
LETTER = "a letter 朱砂".encode()


def request(digest: str, *, nonce: int | None = 2**63 + 1, policy: str | None = None, null: bool = True) -> bytes:
    head = imprint_heads(DIGESTS[digest])[int(null)]
    return der.sequence(
        der.integer(1),
        head + DIGESTS[digest].digest(LETTER),
        b"" if policy is None else der.oid(policy),
        b"" if nonce is None else der.integer(nonce),
        der.ENCODED_TRUE,
    )


# BouncyCastle 1.72 knows the schemes below; ML-DSA came later and is held by the byte-for-byte tests.
UNITS: list[tuple[str, dict[str, Any]]] = [
    ("ecdsa-p256-sha256", {}),
    ("ecdsa-p384-sha384", {"accuracy_us": 250_300}),
    ("ecdsa-secp256k1-sha256", {"accuracy_us": 1_000_001, "tsa_name": False}),
    ("rsa-pkcs1-sha256", {"qualified": True}),
    ("rsa-pkcs1-sha384", {}),
    ("rsa-pkcs1-sha512", {"accuracy_us": 7}),
    ("rsa-pss-sha256", {}),
    ("rsa-pss-sha384", {}),
    ("rsa-pss-sha512", {"ordering": True}),
    ("ed25519", {"accuracy_us": None, "rehearsal": True}),
]


def test_bouncycastle_verifies_every_scheme(
    tmp_path: Path, authority: Any, make_unit: Any, bouncycastle: BouncyCastle
) -> None:
    root, _ = authority.trust(tmp_path)
    cases: list[Path] = []
    expected: list[str] = []
    for number, (scheme, options) in enumerate(UNITS):
        unit = make_unit(scheme, **options)
        for digest in unit.profile.digests:
            policy = (None, OTHER_POLICY)[number % 2]
            nonce = (None, 0, 2**255 - 1, 12345)[number % 4]
            query = tmp_path / f"{number}-{digest}.tsq"
            reply = query.with_suffix(".tsr")
            query.write_bytes(request(digest, nonce=nonce, policy=policy, null=number % 3 == 0))
            prepared = unit.unit.prepare(query.read_bytes(), unit.reading())
            token = unit.unit.complete(prepared, unit.sign(prepared.to_be_signed))
            reply.write_bytes(granted(token))
            cases += [query, reply]
            accuracy = -1 if unit.profile.accuracy_us is None else unit.profile.accuracy_us
            named = "named" if unit.profile.tsa_name else "unnamed"
            expected.append(
                f"ok {prepared.time_us // 1000} {accuracy} {int(prepared.serial, 16):x} {policy or POLICY}"
                f" {named} {int(unit.profile.qualified)}"
            )
    assert bouncycastle.run("TimeStampVerify", root, *cases) == expected


def test_bouncycastle_finds_what_is_wrong(
    tmp_path: Path, authority: Any, software_unit: Any, bouncycastle: BouncyCastle
) -> None:
    root, _ = authority.trust(tmp_path)
    query, other, good, flipped = (tmp_path / name for name in ("q", "o", "g", "f"))
    query.write_bytes(request("sha256"))
    other.write_bytes(request("sha256", nonce=5))
    response = granted(software_unit.token(query.read_bytes()))
    good.write_bytes(response)
    flipped.write_bytes(response[:-1] + bytes((response[-1] ^ 1,)))
    rejections = []
    for failure in FailureInfo:
        path = tmp_path / failure.name
        path.write_bytes(rejection(failure, "no"))
        rejections += [query, path]
    lines = bouncycastle.run("TimeStampVerify", root, query, good, other, good, query, flipped, *rejections)
    assert lines[0].startswith("ok ")
    assert "nonce" in lines[1]
    assert lines[2].startswith("failed ")
    # A PKIFailureInfo as an integer has bit n of the string at n within each byte counted from the left.
    bits = {failure: 1 << (8 * (failure // 8) + 7 - failure % 8) for failure in FailureInfo}
    assert lines[3:] == [f"rejected {bits[failure]} no" for failure in FailureInfo]


CLIENT_HASHES = [rfc3161_client.HashAlgorithm.SHA256, rfc3161_client.HashAlgorithm.SHA512]


@pytest.mark.parametrize("algorithm", CLIENT_HASHES)
@pytest.mark.parametrize("nonce", [True, False])
@pytest.mark.parametrize("scheme", ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pkcs1-sha256"])
def test_rfc3161_client_verifies(authority: Any, make_unit: Any, algorithm: Any, nonce: bool, scheme: str) -> None:
    unit = make_unit(scheme)
    asked = rfc3161_client.TimestampRequestBuilder(LETTER).hash_algorithm(algorithm).nonce(nonce=nonce).build()
    response = rfc3161_client.decode_timestamp_response(granted(unit.token(asked.as_bytes())))
    verifier = (
        rfc3161_client.VerifierBuilder.from_request(asked)
        .policy_id(ObjectIdentifier(POLICY))
        .tsa_certificate(unit.profile.certificate)
        .add_intermediate_certificate(authority.issuing)
        .add_root_certificate(authority.root)
        .build()
    )
    assert verifier.verify_message(response, LETTER)
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(response, LETTER + b".")
    assert response.tst_info.policy.dotted_string == POLICY
    assert response.tst_info.nonce == asked.nonce
    assert response.tst_info.accuracy.seconds == 1
    digest = {rfc3161_client.HashAlgorithm.SHA256: hashlib.sha256, rfc3161_client.HashAlgorithm.SHA512: hashlib.sha512}
    assert response.tst_info.message_imprint.message == digest[algorithm](LETTER).digest()
