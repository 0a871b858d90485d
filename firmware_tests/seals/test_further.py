"""Further signatures on a CMS that others made: nothing in it changes, and it must be about the same content."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.seals import ContentMismatch, SealRefused, SignedDataRejected, parse_signed_data
from firmware_tests.seals.sealing import NOW_US, Sealer, new_key, openssl_verify

DOCUMENT = "凭证 voucher".encode() * 10


def openssl_sign(directory: Path, authority, *options: str, scheme: str = "rsa-pkcs1-sha256") -> bytes:
    """What `openssl cms -sign` makes of DOCUMENT, with a certificate of its own."""
    key = new_key(scheme)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = authority.issue(key.public_key(), "A bank").public_bytes(Encoding.PEM)
    (directory / "bank.key").write_bytes(private)
    (directory / "bank.pem").write_bytes(certificate)
    (directory / "in").write_bytes(DOCUMENT)
    command = ["openssl", "cms", "-sign", "-binary", "-in", "in", "-signer", "bank.pem", "-inkey", "bank.key",
               "-outform", "DER", "-out", "bank.p7s", *options]  # fmt: skip
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)
    return (directory / "bank.p7s").read_bytes()


def check_kept(before: bytes, after: bytes) -> None:
    old, new = parse_signed_data(before), parse_signed_data(after)
    assert {signer.raw for signer in old.signers} < {signer.raw for signer in new.signers}
    assert set(old.certificates) <= set(new.certificates)
    assert set(old.digest_algorithms) <= set(new.digest_algorithms)
    assert (old.content, old.crls, old.version) == (new.content, new.crls, new.version)


@pytest.mark.parametrize("scheme", ["ecdsa-p256-sha256", "rsa-pkcs1-sha512", "rsa-pss-sha384"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-nodetach",),
        ("-nodetach", "-cades", "-keyid"),
        ("-md", "sha512"),
        ("-stream",),  # BER
        ("-nodetach", "-stream"),
    ],
)
def test_on_what_openssl_made(scheme, options, sealers, authority, tmp_path: Path) -> None:
    sealer = sealers(scheme)
    theirs = openssl_sign(tmp_path, authority, *options)
    prepared = sealer.profile.prepare_further(theirs, NOW_US, document=DOCUMENT)
    both = sealer.seal(prepared)
    check_kept(theirs, both)
    content = None if "-nodetach" in options else DOCUMENT
    ca = authority.certificate.public_bytes(Encoding.PEM)
    result = openssl_verify(tmp_path, both, ca, content, cades="-cades" in options)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == DOCUMENT
    assert len(cms.ContentInfo.load(both, strict=True)["content"]["signer_infos"]) == 2


def test_detached_by_digest_alone(sealers, authority, tmp_path) -> None:
    sealer = sealers("ecdsa-p256-sha256")
    theirs = openssl_sign(tmp_path, authority)
    both = sealer.seal(sealer.profile.prepare_further(theirs, NOW_US, digest=sealer.digest(DOCUMENT)))
    check_kept(theirs, both)


def test_the_same_key_twice(sealer: Sealer) -> None:
    first = sealer.seal(sealer.prepare_digest(DOCUMENT))
    later = sealer.profile.prepare_further(first, NOW_US + 1_000_000, document=DOCUMENT)
    both = sealer.seal(later)
    check_kept(first, both)
    parsed = parse_signed_data(both)
    assert len(parsed.certificates) == len(sealer.certificates)
    assert len(parsed.digest_algorithms) == 1


def test_other_content_is_refused(sealer: Sealer) -> None:
    detached = sealer.seal(sealer.prepare_digest(DOCUMENT))
    enveloping = sealer.seal(sealer.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True))
    further = sealer.profile.prepare_further
    with pytest.raises(ContentMismatch, match="a signer of the CMS covers other content"):
        further(detached, NOW_US, digest=sealer.digest(b"other"))
    with pytest.raises(ContentMismatch, match="a signer of the CMS covers other content"):
        further(detached, NOW_US, document=b"other")
    with pytest.raises(ContentMismatch, match="carries another document"):
        further(enveloping, NOW_US, document=b"other")
    with pytest.raises(ContentMismatch, match="not that of the document"):
        further(enveloping, NOW_US, digest=sealer.digest(b"other"))
    with pytest.raises(SealRefused, match="give the digest or the document"):
        further(detached, NOW_US)
    with pytest.raises(SealRefused, match="32 bytes"):
        further(detached, NOW_US, digest=b"short")


def test_an_enveloping_cms_whose_content_was_swapped(sealer: Sealer) -> None:
    enveloping = sealer.seal(sealer.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True))
    swapped = enveloping.replace(DOCUMENT, DOCUMENT.swapcase())
    assert swapped != enveloping
    with pytest.raises(ContentMismatch):
        sealer.profile.prepare_further(swapped, NOW_US)


def test_another_digest_algorithm_needs_the_document(sealers) -> None:
    first, second = sealers("ecdsa-p256-sha256"), sealers("rsa-pss-sha512")
    detached = first.seal(first.prepare_digest(DOCUMENT))
    with pytest.raises(SignedDataRejected, match="without the document"):
        second.profile.prepare_further(detached, NOW_US, digest=second.digest(DOCUMENT))
    assert second.profile.prepare_further(detached, NOW_US, document=DOCUMENT).existing is not None


@pytest.mark.parametrize(
    ("options", "reason"),
    [(("-noattr",), "no signed attributes"), (("-econtent_type", "1.2.840.113549.1.9.16.1.4"), "not over data")],
)
def test_what_cannot_be_added_to(options, reason, sealer: Sealer, authority, tmp_path) -> None:
    theirs = openssl_sign(tmp_path, authority, *options)
    with pytest.raises(SignedDataRejected, match=reason):
        sealer.profile.prepare_further(theirs, NOW_US, document=DOCUMENT)


def test_a_time_stamp_token_is_not_added_to(sealer: Sealer, openssl_tsa) -> None:
    with pytest.raises(SignedDataRejected, match="not over data"):
        sealer.profile.prepare_further(openssl_tsa.token(bytes(32)), NOW_US, digest=bytes(32))


def test_an_archive_time_stamp_over_all_certificates_would_break(sealer: Sealer, openssl_tsa) -> None:
    sealed = sealer.seal(sealer.prepare_digest(DOCUMENT))
    info = cms.ContentInfo.load(sealed)
    token = cms.ContentInfo.load(openssl_tsa.token(bytes(32)))
    signer = info["content"]["signer_infos"][0]
    signer["unsigned_attrs"] = cms.CMSAttributes(
        [cms.CMSAttribute({"type": "1.2.840.113549.1.9.16.2.48", "values": [token]})]
    )
    with pytest.raises(SignedDataRejected, match="archive-time-stamp-v2"):
        sealer.profile.prepare_further(info.dump(force=True), NOW_US, document=DOCUMENT)


def test_at_most_64_signers(sealer: Sealer) -> None:
    sealed = sealer.seal(sealer.prepare_digest(DOCUMENT))
    for second in range(1, 64):
        further = sealer.profile.prepare_further(sealed, NOW_US + second * 1_000_000, document=DOCUMENT)
        sealed = sealer.seal(further)
    with pytest.raises(SignedDataRejected, match="64 signers"):
        sealer.profile.prepare_further(sealed, NOW_US, document=DOCUMENT)
