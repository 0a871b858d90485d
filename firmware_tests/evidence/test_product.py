"""What the product makes, in every signature scheme, under the product's own verifier."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from appliance.algorithms import SCHEMES, signature_scheme
from appliance.clock import Reading
from appliance.evidence import Indication
from appliance.seals import SealProfile, add_signature_timestamp
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile
from firmware_tests.evidence.material import DAY, POLICY, World, certify, crl, microseconds, time_stamper

DOCUMENT = b'{"amount":"100.00","currency":"CNY"}'
PASSED = Indication.PASSED
NOW = datetime.now(UTC).replace(microsecond=0)
NOW_US = microseconds(NOW) + 123_456


def software_key(scheme: str) -> Any:
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "secp256k1": ec.SECP256K1()}
    if scheme.startswith("ecdsa-"):
        return ec.generate_private_key(curves[scheme.split("-")[1]])
    if scheme.startswith("rsa-"):
        return rsa.generate_private_key(65537, 2048)
    makers = {"ed25519": ed25519.Ed25519PrivateKey, "ml-dsa-44": mldsa.MLDSA44PrivateKey,
              "ml-dsa-65": mldsa.MLDSA65PrivateKey, "ml-dsa-87": mldsa.MLDSA87PrivateKey}  # fmt: skip
    return makers[scheme].generate()


def signer(scheme: str, key: Any) -> Callable[[bytes], bytes]:
    digests = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}
    digest = digests.get(scheme.rsplit("-", 1)[-1])
    if scheme.startswith("ecdsa-"):
        assert digest is not None
        return lambda message: key.sign(message, ec.ECDSA(digest))
    if scheme.startswith("rsa-"):
        assert digest is not None
        pad = padding.PKCS1v15() if "pkcs1" in scheme else padding.PSS(padding.MGF1(digest), digest.digest_size)
        return lambda message: key.sign(message, pad, digest)
    return key.sign  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def current(world: World) -> World:
    """The same world with revocation lists of today."""
    fresh = {"issued": NOW - DAY, "until": NOW + DAY}
    return World(
        **{
            **world.__dict__,
            "crls": {"tsa.crl": crl(world.tsa_ca, **fresh), "seal.crl": crl(world.seal_ca, **fresh)},  # type: ignore[arg-type]
        }
    )


def stamp(world: World, scheme: str, message: bytes, page: Path) -> bytes:
    key = software_key(scheme)
    holder = time_stamper("TSU", world.tsa_ca, key=key, not_after=NOW + 300 * DAY)
    profile = UnitProfile(
        name="tsu",
        scheme=signature_scheme(scheme),
        certificate=holder.certificate,
        chain=(),
        default_policy=POLICY,
        accepted_policies=(),
        accuracy_us=1_000_000,
    )
    mark = HighWaterMark(page, tolerance_us=1_000_000, ordering=False)
    try:
        unit = TimeStampUnit(profile, mark)
        import hashlib

        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(message).digest()}
        request = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True, "nonce": 7})
        prepared = unit.prepare(request.dump(), Reading(NOW_US, 1, "chrony"))
        return unit.complete(prepared, signer(scheme, key)(prepared.to_be_signed))
    finally:
        mark.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_stamps_and_seals_in_every_scheme(current: World, scheme: str, tmp_path: Path) -> None:
    token = stamp(current, scheme, DOCUMENT, tmp_path / "document")
    key = software_key(scheme)
    holder = certify("Bank", current.seal_ca, key=key, not_after=NOW + 300 * DAY)
    profile = SealProfile("bank", [holder.certificate], scheme)
    prepared = profile.prepare(profile.digest_algorithm.digest(DOCUMENT), profile.digest_algorithm.name, NOW_US)
    signature = signer(scheme, key)(prepared.to_be_signed)
    basic = profile.complete(prepared, signature)
    stamped = add_signature_timestamp(basic, stamp(current, scheme, signature, tmp_path / "signature"))
    files = (("letter", DOCUMENT), ("letter.tst", token), ("basic.p7s", basic), ("stamped.p7s", stamped))
    now = NOW + timedelta(minutes=1)
    report = current.verify(*files, now=now)
    assert report.indication is PASSED, report
    assert "CAdES-B-T" in report.files[3].parts[0].title
    assert current.verify(files[0], files[1], now=now, nonce=7).indication is PASSED
    assert current.verify(files[0], files[1], now=now, nonce=8).indication is Indication.INDETERMINATE
