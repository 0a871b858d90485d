"""The hand-built token against asn1crypto: every byte equal, over requests and units that hypothesis makes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.algorithms import DIGESTS
from appliance.clock import Reading
from appliance.timestamps import PreparedStamp, granted

POLICY = "1.3.6.1.4.1.59999.1.1"
OTHER_POLICY = "1.3.6.1.4.1.59999.1.2"
UNITS: list[tuple[str, dict[str, Any]]] = [
    ("ecdsa-p256-sha256", {}),
    ("ecdsa-p384-sha384", {"accuracy_us": 250_300, "tsa_name": False}),
    ("ecdsa-secp256k1-sha256", {"accuracy_us": None, "rehearsal": True, "chain": ()}),
    ("rsa-pkcs1-sha256", {"accuracy_us": 1, "qualified": True}),
    ("rsa-pss-sha512", {"accuracy_us": 61_000_000, "ordering": True}),
    ("ed25519", {"accuracy_us": 2_000_001}),
    ("ml-dsa-65", {"accuracy_us": 500_000, "qualified": True, "tsa_name": False}),
]


class PlainAlgorithm(core.Sequence):
    """AlgorithmIdentifier as it is: asn1crypto's own would put NULL where RFC 5754 wants nothing."""

    _fields: ClassVar = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]


class PlainImprint(core.Sequence):
    _fields: ClassVar = [("hash_algorithm", PlainAlgorithm), ("hashed_message", core.OctetString)]


class PlainRequest(core.Sequence):
    _fields: ClassVar = [
        ("version", core.Integer),
        ("message_imprint", PlainImprint),
        ("req_policy", core.ObjectIdentifier, {"optional": True}),
        ("nonce", core.Integer, {"optional": True}),
        ("cert_req", core.Boolean, {"default": False}),
    ]


class QualifiedStatement(core.Sequence):
    _fields: ClassVar = [("statement_id", core.ObjectIdentifier)]


class QualifiedStatements(core.SequenceOf):
    _child_spec = QualifiedStatement


def imprint(name: str, digest: bytes, null: bool) -> dict[str, Any]:
    algorithm: dict[str, Any] = {"algorithm": DIGESTS[name].oid}
    if null:
        algorithm["parameters"] = core.Null()
    return {"hash_algorithm": algorithm, "hashed_message": digest}


def plain_algorithm(name: str) -> Any:
    return algos.DigestAlgorithm.load(PlainAlgorithm({"algorithm": DIGESTS[name].oid}).dump())


SIGNATURES = {
    "ecdsa-p256-sha256": {"algorithm": "sha256_ecdsa"},
    "ecdsa-secp256k1-sha256": {"algorithm": "sha256_ecdsa"},
    "ecdsa-p384-sha384": {"algorithm": "sha384_ecdsa"},
    "rsa-pkcs1-sha256": {"algorithm": "sha256_rsa"},
    "rsa-pss-sha512": {
        "algorithm": "rsassa_pss",
        "parameters": {
            "hash_algorithm": {"algorithm": "sha512"},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha512"}},
            "salt_length": 64,
        },
    },
    "ed25519": {"algorithm": "1.3.101.112"},
    "ml-dsa-65": {"algorithm": "2.16.840.1.101.3.4.3.18"},
}


def signature_algorithm(scheme: str) -> Any:
    if "." in SIGNATURES[scheme]["algorithm"]:  # type: ignore[operator]
        return algos.SignedDigestAlgorithm.load(PlainAlgorithm(SIGNATURES[scheme]).dump())
    return algos.SignedDigestAlgorithm(SIGNATURES[scheme])


def expected_tst_info(
    profile: Any, imprint_der: bytes, policy: str, serial: int, time_us: int, nonce: int | None
) -> bytes:
    info: dict[str, Any] = {
        "version": "v1",
        "policy": policy,
        "message_imprint": tsp.MessageImprint.load(imprint_der),
        "serial_number": serial,
        "gen_time": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us),
    }
    if profile.accuracy_us is not None:
        seconds, rest = divmod(profile.accuracy_us, 1_000_000)
        parts = {"seconds": seconds, "millis": rest // 1000, "micros": rest % 1000}
        info["accuracy"] = {part: value for part, value in parts.items() if value}
    if profile.ordering:
        info["ordering"] = True
    if nonce is not None:
        info["nonce"] = nonce
    if profile.tsa_name:
        certificate = x509.Certificate.load(profile.certificate.public_bytes(Encoding.DER))
        info["tsa"] = x509.GeneralName("directory_name", certificate.subject)
    if profile.qualified:
        statement = QualifiedStatements([{"statement_id": "0.4.0.19422.1.1"}]).dump()
        info["extensions"] = [{"extn_id": "1.3.6.1.5.5.7.1.3", "extn_value": statement}]
    encoded: bytes = tsp.TSTInfo(info).dump()
    return encoded


def expected_attributes(profile: Any, tst_info: bytes) -> Any:
    digest = profile.scheme.digest.name
    certificate_der = profile.certificate.public_bytes(Encoding.DER)
    certificate = x509.Certificate.load(certificate_der)
    identifier: dict[str, Any] = {
        "cert_hash": hashlib.new(digest, certificate_der).digest(),
        "issuer_serial": {
            "issuer": [x509.GeneralName("directory_name", certificate.issuer)],
            "serial_number": certificate.serial_number,
        },
    }
    if digest != "sha256":
        identifier["hash_algorithm"] = plain_algorithm(digest)
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.new(digest, tst_info).digest()]},
            {"type": "signing_certificate_v2", "values": [{"certs": [identifier]}]},
        ]
    )


def expected_token(profile: Any, tst_info: bytes, attributes: Any, signature: bytes, certificates: bool) -> bytes:
    certificate = x509.Certificate.load(profile.certificate.public_bytes(Encoding.DER))
    digest = profile.scheme.digest.name
    signed: dict[str, Any] = {
        "version": "v3",
        "digest_algorithms": [plain_algorithm(digest)],
        "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(tst_info)},
        "signer_infos": [
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                ),
                "digest_algorithm": plain_algorithm(digest),
                "signed_attrs": attributes,
                "signature_algorithm": signature_algorithm(profile.scheme.name),
                "signature": signature,
            }
        ],
    }
    if certificates:
        signed["certificates"] = [
            cms.CertificateChoices("certificate", x509.Certificate.load(each.public_bytes(Encoding.DER)))
            for each in (profile.certificate, *profile.chain)
        ]
    encoded: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()
    return encoded


def check(unit: Any, prepared: PreparedStamp, imprint_der: bytes, policy: str, nonce: int | None) -> None:
    profile = unit.profile
    serial = int(prepared.serial, 16)
    tst_info = expected_tst_info(profile, imprint_der, policy, serial, prepared.time_us, nonce)
    assert prepared.tst_info == tst_info
    attributes = expected_attributes(profile, tst_info)
    assert prepared.to_be_signed == attributes.dump()
    signature = unit.sign(prepared.to_be_signed)
    token = unit.unit.complete(prepared, signature)
    assert token == expected_token(profile, tst_info, attributes, signature, prepared.certificates)
    response = tsp.TimeStampResp.load(granted(token), strict=True)
    assert response["status"]["status"].native == "granted"
    assert response["time_stamp_token"].dump() == token


@pytest.mark.parametrize(("scheme", "options"), UNITS, ids=[scheme for scheme, _ in UNITS])
def test_every_byte_is_what_asn1crypto_writes(make_unit: Any, scheme: str, options: dict[str, Any]) -> None:
    unit = make_unit(scheme, **options)
    latest = unit.reading().time_us

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(
        name=st.sampled_from(unit.profile.digests),
        digest=st.binary(min_size=64, max_size=64),
        null=st.booleans(),
        policy=st.sampled_from([None, POLICY, OTHER_POLICY]),
        nonce=st.none() | st.integers(-(2**255), 2**255 - 1) | st.integers(-300, 300) | st.integers(0, 2**64),
        certificates=st.booleans(),
        step=st.integers(0, 2_000_000) | st.sampled_from([1_000_000, 100_000, 10]),
    )
    def run(
        name: str,
        digest: bytes,
        null: bool,
        policy: str | None,
        nonce: int | None,
        certificates: bool,
        step: int,
    ) -> None:
        nonlocal latest
        latest += step
        if step == 1_000_000:
            latest -= latest % 1_000_000  # a whole second: no fraction
        reading = Reading(max(latest, unit.mark.mark_us), 1, "chrony")
        digest = digest[: DIGESTS[name].size]
        fields: dict[str, Any] = {"version": 1, "message_imprint": imprint(name, digest, null)}
        if policy is not None:
            fields["req_policy"] = policy
        if nonce is not None:
            fields["nonce"] = nonce
        if certificates:
            fields["cert_req"] = True
        request = PlainRequest(fields).dump()
        prepared = unit.unit.prepare(request, reading)
        assert (prepared.digest_name, prepared.digest) == (name, digest)
        assert prepared.policy == (policy or POLICY)
        assert prepared.certificates is certificates
        assert 0 <= prepared.time_us - reading.time_us <= 1
        check(unit, prepared, PlainImprint(imprint(name, digest, null)).dump(), policy or POLICY, nonce)
        prepared = unit.unit.prepare_digest(
            name, digest, reading, policy=policy, nonce=nonce, certificates=certificates
        )
        check(unit, prepared, PlainImprint(imprint(name, digest, False)).dump(), policy or POLICY, nonce)

    run()


def test_serial_numbers_are_positive_random_and_short(software_unit: Any) -> None:
    digest = bytes(32)
    serials = [software_unit.unit.prepare_digest("sha256", digest, software_unit.reading()).serial for _ in range(1000)]
    assert len(set(serials)) == 1000
    for serial in serials:
        encoded = core.Integer(int(serial, 16)).contents
        assert len(encoded) == 17
        assert int(serial, 16) > 0
    bits = [sum(int(serial, 16) >> bit & 1 for serial in serials) for bit in range(128)]
    assert min(bits) > 380  # six standard deviations from a half
    assert max(bits) < 620


@pytest.mark.parametrize("time_us", [0, 1, 999_999, 1_000_000, 951_782_400_000_000, 4_102_444_799_999_990])
def test_general_time_has_no_trailing_zeros(make_unit: Any, time_us: int) -> None:
    builder = make_unit().unit._builder
    prepared = builder.prepare(b"\x06\x01\x2a", "1.2", "sha256", b"", b"\x30\x00", b"", time_us, False)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).strftime("%Y%m%d%H%M%S.%f")
    text = text.rstrip("0").rstrip(".") if time_us % 1_000_000 else text[:14]
    assert b"\x18" + bytes((len(text) + 1,)) + text.encode() + b"Z" in prepared.tst_info
