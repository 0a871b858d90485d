"""OpenSSL verifies what the profile makes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from firmware_tests.seals.sealing import NOW_US, OPENSSL_SCHEMES, openssl_verify

DOCUMENT = "投标保函 / bid bond: 1,000,000.00 CNY".encode()


@pytest.mark.parametrize("scheme", OPENSSL_SCHEMES)
@pytest.mark.parametrize("enveloping", [False, True])
def test_openssl_verifies(scheme: str, enveloping: bool, sealers, authority, tmp_path) -> None:
    sealer = sealers(scheme)
    if enveloping:
        prepared = sealer.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True)
    else:
        prepared = sealer.prepare_digest(DOCUMENT)
    cms = sealer.seal(prepared)
    ca = authority.certificate.public_bytes(Encoding.PEM)
    result = openssl_verify(tmp_path, cms, ca, None if enveloping else DOCUMENT)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == DOCUMENT


def test_openssl_refuses_another_document(sealer, authority, tmp_path) -> None:
    cms = sealer.seal(sealer.prepare_digest(DOCUMENT))
    ca = authority.certificate.public_bytes(Encoding.PEM)
    assert openssl_verify(tmp_path, cms, ca, DOCUMENT + b".").returncode != 0
