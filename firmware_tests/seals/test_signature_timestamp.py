"""B-T of B-B: the time-stamp goes to the signer whose signature value it covers."""

from __future__ import annotations

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.seals import ContentMismatch, SignedDataRejected, add_signature_timestamp
from firmware_tests.seals.sealing import NOW_US, Sealer, openssl_verify

DOCUMENT = b"a letter"


def test_attribute(sealer: Sealer, openssl_tsa, authority, tmp_path) -> None:
    prepared = sealer.prepare_digest(DOCUMENT)
    signature = sealer.sign(prepared.to_be_signed)
    sealed = sealer.profile.complete(prepared, signature)
    token = openssl_tsa.token(sealer.digest(signature))
    stamped = add_signature_timestamp(sealed, token)
    signer = cms.ContentInfo.load(stamped, strict=True)["content"]["signer_infos"][0]
    (attribute,) = signer["unsigned_attrs"]
    assert attribute["type"].native == "signature_time_stamp_token"
    assert attribute["values"][0].dump() == token
    assert stamped.replace(attribute.dump(), b"") != stamped
    before = cms.ContentInfo.load(sealed)["content"]["signer_infos"][0]
    assert signer["signed_attrs"].dump() == before["signed_attrs"].dump()
    assert signer["signature"].native == signature
    ca = authority.certificate.public_bytes(Encoding.PEM)
    assert openssl_verify(tmp_path, stamped, ca, DOCUMENT).returncode == 0
    assert add_signature_timestamp(stamped, token) == stamped


def test_the_right_signer_is_found(sealer: Sealer, sealers, openssl_tsa) -> None:
    other = sealers("rsa-pss-sha256")
    enveloping = other.seal(other.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True))
    prepared = sealer.profile.prepare_further(enveloping, NOW_US)
    signature = sealer.sign(prepared.to_be_signed)
    both = sealer.profile.complete(prepared, signature)
    stamped = add_signature_timestamp(both, openssl_tsa.token(sealer.digest(signature)))
    parsed = cms.ContentInfo.load(stamped, strict=True)["content"]
    assert parsed["encap_content_info"]["content"].native == DOCUMENT
    for signer in parsed["signer_infos"]:
        assert (len(signer["unsigned_attrs"]) == 1) == (signer["signature"].native == signature)


def test_refusals(sealer: Sealer, openssl_tsa) -> None:
    sealed = sealer.seal(sealer.prepare_digest(DOCUMENT))
    token = openssl_tsa.token(sealer.digest(DOCUMENT))
    with pytest.raises(ContentMismatch, match="covers no signature"):
        add_signature_timestamp(sealed, token)
    with pytest.raises(SignedDataRejected, match="not an RFC 3161 token"):
        add_signature_timestamp(sealed, sealed)
    with pytest.raises(SignedDataRejected, match="not an RFC 3161 token"):
        add_signature_timestamp(sealed, token + b"\x00")
    with pytest.raises(SignedDataRejected, match="not over data"):
        add_signature_timestamp(token, token)


def test_completing_with_the_stamp_is_the_same_to_the_byte(sealers, openssl_tsa) -> None:
    first, second = sealers("ecdsa-p256-sha256"), sealers("rsa-pkcs1-sha256")
    there = first.seal(first.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True))
    for prepared in (
        second.prepare_digest(DOCUMENT),
        second.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True),
        second.profile.prepare_further(there, NOW_US),
    ):
        signature = second.sign(prepared.to_be_signed)
        token = openssl_tsa.token(second.digest(signature))
        at_once = second.profile.complete(prepared, signature, token)
        assert at_once == add_signature_timestamp(second.profile.complete(prepared, signature), token)
