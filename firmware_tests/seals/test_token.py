"""Seals whose keys stand in a token: the bytes go to C_Sign as they are prepared."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.seals import SealProfile
from firmware_tests.seals.sealing import NOW, NOW_US
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm

SCHEMES = ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ecdsa-secp256k1-sha256", "rsa-pkcs1-sha256", "rsa-pss-sha512",
           "ed25519"]  # fmt: skip
DOCUMENT = b"sealed by a token"


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm):
    opened = softhsm.token().open()
    yield opened
    opened.close()


def test_every_scheme_of_the_token(token, authority, bouncycastle, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "document").write_bytes(DOCUMENT)
    arguments: list[str | Path] = [tmp_path / "ca.pem", str(NOW)]
    for scheme in SCHEMES:
        key = token.signing_key(generate_key_pair(token, scheme, scheme, rsa_bits=2048), scheme)
        certificates = [authority.issue(key.public_key, scheme), authority.certificate]
        profile = SealProfile(scheme, certificates, scheme)
        prepared = profile.prepare_document(DOCUMENT, NOW_US)
        (tmp_path / scheme).write_bytes(profile.complete(prepared, key.sign(prepared.to_be_signed)))
        arguments += [tmp_path / scheme, tmp_path / "document"]
    assert bouncycastle.run("CadesVerify", *arguments) == [
        f"ok signers=1 timestamps=0 content={len(DOCUMENT)}" for _ in SCHEMES
    ]
