"""The hand-built DER is what asn1crypto builds from the same values, byte for byte, and its signatures verify."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.seals import CertificateNotValid, SealOptions
from firmware_tests.seals.sealing import HASHES, NOW, NOW_US, Sealer

COMMITMENTS = ["proof-of-origin", "proof-of-receipt", "proof-of-delivery", "proof-of-sender", "proof-of-approval",
               "proof-of-creation"]  # fmt: skip


def attribute(oid: str, value: core.Asn1Value) -> bytes:
    content = core.ObjectIdentifier(oid).dump() + core.SetOf([value], spec=type(value)).dump()
    return core.Sequence(contents=content).dump()


def digest_identifier(sealer: Sealer) -> algos.DigestAlgorithm:
    """Without parameters: asn1crypto by itself writes NULL."""
    oid = {"sha256": 1, "sha384": 2, "sha512": 3}[sealer.profile.digest_algorithm.name]
    encoded = core.Sequence(contents=core.ObjectIdentifier(f"2.16.840.1.101.3.4.2.{oid}").dump()).dump()
    return algos.DigestAlgorithm.load(encoded)


def tagged(number: int, text: str) -> bytes:
    return core.UTF8String(text, explicit=number).dump()


def expected_attributes(sealer: Sealer, digest: bytes, seconds: int, options: SealOptions) -> bytes:
    """The signed attributes by asn1crypto."""
    hash_name = sealer.profile.digest_algorithm.name
    own = x509.Certificate.load(sealer.certificates[0].public_bytes(Encoding.DER))
    certificate_id = {"cert_hash": hashlib.new(hash_name, own.dump()).digest()}
    if hash_name != "sha256":
        certificate_id["hash_algorithm"] = digest_identifier(sealer)
    ess = tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2(certificate_id)]})
    moment = datetime.fromtimestamp(seconds, UTC)
    time = core.UTCTime(moment) if moment.year < 2050 else core.GeneralizedTime(moment)
    # [1] IMPLICIT, which asn1crypto's own class for this attribute does too
    protection = cms.CMSAlgorithmProtection(
        {
            "digest_algorithm": digest_identifier(sealer),
            "signature_algorithm": algos.SignedDigestAlgorithm.load(sealer.profile.scheme.identifier),
        }
    )
    attributes = [
        attribute("1.2.840.113549.1.9.3", core.ObjectIdentifier("1.2.840.113549.1.7.1")),
        attribute("1.2.840.113549.1.9.5", time),
        attribute("1.2.840.113549.1.9.4", core.OctetString(digest)),
        attribute("1.2.840.113549.1.9.16.2.47", ess),
        attribute("1.2.840.113549.1.9.52", protection),
    ]
    if options.mime_type is not None:
        attributes.append(attribute("0.4.0.1733.2.1", core.UTF8String(options.mime_type)))
    if options.commitment is not None:
        oid = f"1.2.840.113549.1.9.16.6.{COMMITMENTS.index(options.commitment) + 1}"
        attributes.append(
            attribute("1.2.840.113549.1.9.16.2.16", core.Sequence(contents=core.ObjectIdentifier(oid).dump()))
        )
    if options.country is not None or options.locality is not None:
        parts = b"".join(tagged(n, text) for n, text in enumerate((options.country, options.locality)) if text)
        attributes.append(attribute("1.2.840.113549.1.9.16.2.17", core.Sequence(contents=parts)))
    return core.SetOf(contents=b"".join(sorted(attributes)), spec=core.Any).dump()


def expected_cms(sealer: Sealer, signed_attributes: bytes, signature: bytes, content: bytes | None) -> bytes:
    certificates = [x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in sealer.certificates]
    digest = digest_identifier(sealer)
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": certificates[0].issuer, "serial_number": certificates[0].serial_number}
                    )
                }
            ),
            "digest_algorithm": digest,
            "signed_attrs": cms.CMSAttributes.load(signed_attributes),
            "signature_algorithm": algos.SignedDigestAlgorithm.load(sealer.profile.scheme.identifier),
            "signature": signature,
        }
    )
    encapsulated: dict[str, object] = {"content_type": "data"}
    if content is not None:
        encapsulated["content"] = content
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [digest],
            "encap_content_info": encapsulated,
            "certificates": sorted(certificates, key=lambda each: each.dump()),
            "signer_infos": [signer],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()


def verify_signature(sealer: Sealer, signature: bytes, message: bytes) -> None:
    key = sealer.certificates[0].public_key()
    digest = HASHES.get(sealer.scheme.rsplit("-", 1)[-1])
    if sealer.scheme.startswith("ecdsa"):
        key.verify(signature, message, ec.ECDSA(digest()))
    elif sealer.scheme.startswith("rsa-pkcs1"):
        key.verify(signature, message, padding.PKCS1v15(), digest())
    elif sealer.scheme.startswith("rsa-pss"):
        key.verify(signature, message, padding.PSS(padding.MGF1(digest()), digest.digest_size), digest())
    else:
        key.verify(signature, message)


def test_every_scheme(any_sealer: Sealer) -> None:
    prepared = any_sealer.prepare_digest(b"a document")
    digest = any_sealer.digest(b"a document")
    assert prepared.to_be_signed == expected_attributes(any_sealer, digest, NOW, SealOptions())
    signature = any_sealer.sign(prepared.to_be_signed)
    encoded = any_sealer.profile.complete(prepared, signature)
    assert encoded == expected_cms(any_sealer, prepared.to_be_signed, signature, None)
    info = cms.ContentInfo.load(encoded, strict=True)["content"]["signer_infos"][0]
    verify_signature(any_sealer, info["signature"].native, info["signed_attrs"].untag().dump())


options_strategy = st.builds(
    SealOptions,
    mime_type=st.none() | st.sampled_from(["application/pdf", "text/plain; charset=utf-8", "a/" + "b" * 120]),
    commitment=st.none() | st.sampled_from(COMMITMENTS),
    country=st.none() | st.sampled_from(["CN", "DE"]),
    locality=st.none() | st.text(st.sampled_from("aZ 杭州éß-"), min_size=1, max_size=128),
)


@given(
    digest=st.binary(min_size=32, max_size=32),
    options=options_strategy,
    time_us=st.integers(NOW_US - 10**9, NOW_US + 10**13),
    signature=st.binary(min_size=1, max_size=5000),
    content=st.none() | st.binary(max_size=70_000),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_equal(sealer: Sealer, digest, options, time_us, signature, content) -> None:
    profile = sealer.profile
    if content is None:
        prepared = profile.prepare(digest, "sha256", time_us, options)
    else:
        prepared = profile.prepare_document(content, time_us, options, enveloping=True)
        digest = hashlib.sha256(content).digest()
    assert prepared.to_be_signed == expected_attributes(sealer, digest, time_us // 10**6, options)
    assert prepared.time == time_us // 10**6
    assert profile.complete(prepared, signature) == expected_cms(sealer, prepared.to_be_signed, signature, content)


@pytest.mark.parametrize("distance", [-100_000_000, 400 * 86_400])
def test_certificate_not_valid(sealer: Sealer, distance: int) -> None:
    with pytest.raises(CertificateNotValid):
        sealer.prepare_digest(b"", NOW_US + distance * 1_000_000)
    sealer.prepare_digest(b"")  # and no trace of it stays behind


def test_signing_time_after_2049_is_a_generalized_time(authority, sealers, monkeypatch) -> None:
    sealer = sealers("ed25519")
    far = int(datetime(2051, 1, 1, tzinfo=UTC).timestamp())
    monkeypatch.setattr(sealer.profile, "certificate", type(sealer.profile.certificate)(b"", (), b"", 0, far + 1))
    prepared = sealer.prepare_digest(b"", far * 1_000_000)
    assert prepared.to_be_signed == expected_attributes(sealer, sealer.digest(b""), far, SealOptions())
