"""Which certificates a seal key takes, and that a seal's path is found by a validator that is not ours."""

from __future__ import annotations

import asyncio

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext

from appliance.algorithms import UnknownAlgorithm
from appliance.seals import CertificateUnfit, SealOptions, SealProfile, SealRefused
from firmware_tests.seals.sealing import NOW_US, Authority, Sealer, key_usage, new_key

SCHEME = "ecdsa-p256-sha256"
USAGE = (key_usage(digital_signature=True), True)


def profile(authority: Authority, extensions, scheme: str = SCHEME, key=None) -> SealProfile:
    key = key or new_key(SCHEME)
    return SealProfile("a seal", [authority.issue(key.public_key(), extensions=extensions)], scheme)


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        ((), "no key usage"),
        (((key_usage(key_agreement=True), True),), "not that of signatures"),
        (((key_usage(digital_signature=True, key_cert_sign=True), True),), "not that of signatures"),
        ((USAGE, (x509.BasicConstraints(ca=True, path_length=None), True)), "is a CA's"),
        ((USAGE, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)), "for time-stamping"),
        ((USAGE, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)), "for OCSP"),
    ],
)
def test_unfit(authority: Authority, extensions, reason: str) -> None:
    with pytest.raises(CertificateUnfit, match=reason):
        profile(authority, extensions)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_key_of_another_scheme(authority: Authority, key) -> None:
    with pytest.raises(CertificateUnfit, match="not one of ecdsa-p256-sha256"):
        profile(authority, (USAGE,), key=key)


def test_settings(authority: Authority, sealer: Sealer) -> None:
    with pytest.raises(UnknownAlgorithm):
        profile(authority, (USAGE,), scheme="dsa")
    with pytest.raises(CertificateUnfit, match="needs its certificate"):
        SealProfile("a seal", [], SCHEME)
    with pytest.raises(CertificateUnfit, match="settings do not list"):
        SealProfile("a seal", sealer.certificates, SCHEME, ["sha512"])
    with pytest.raises(CertificateUnfit, match="chain breaks"):
        SealProfile("a seal", [sealer.certificates[0], sealer.certificates[0]], SCHEME)


def test_path_by_certvalidator(any_sealer: Sealer, authority: Authority) -> None:
    sealed = any_sealer.seal(any_sealer.prepare_digest(b"x"))
    found = [each.chosen for each in cms.ContentInfo.load(sealed)["content"]["certificates"]]
    own = next(each for each in found if each.ca is not True)
    trusted = asn1_x509.Certificate.load(authority.certificate.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[trusted], other_certs=found, allow_fetching=False)
    validator = CertificateValidator(own, validation_context=context)
    asyncio.run(validator.async_validate_usage({"digital_signature", "non_repudiation"}))


@pytest.mark.parametrize(
    "options",
    [
        {"mime_type": "text"},
        {"mime_type": "text/html\n"},
        {"mime_type": "a/" + "b" * 300},
        {"mime_type": ""},
        {"commitment": "proof-of-nothing"},
        {"country": "cn"},
        {"country": "CHN"},
        {"locality": ""},
        {"locality": "a\u202eb"},
        {"locality": "a\x00b"},
        {"locality": "x" * 129},
        {"locality": "\ud800"},
    ],
)
def test_options(options) -> None:
    with pytest.raises(SealRefused):
        SealOptions(**options)


@pytest.mark.parametrize(("digest", "name"), [(bytes(32), "sha512"), (bytes(31), "sha256"), (b"", "sha256")])
def test_digest(sealer: Sealer, digest: bytes, name: str) -> None:
    with pytest.raises(SealRefused):
        sealer.profile.prepare(digest, name, NOW_US)
