"""Stamps signed in a token: the whole way from request to response, checked by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance import der
from appliance.algorithms import DIGESTS, signature_scheme
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile, check_unit_certificate, granted
from appliance.timestamps.request import imprint_heads
from firmware_tests.others.bouncycastle import BouncyCastle
from hsm.keys import generate_key_pair

SCHEMES = [
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "ecdsa-secp256k1-sha256",
    "rsa-pkcs1-sha256",
    "rsa-pss-sha384",
    "ed25519",
]


def test_stamps_from_a_token(
    tmp_path: Path, softhsm: Any, authority: Any, software_unit: Any, bouncycastle: BouncyCastle
) -> None:
    root, _ = authority.trust(tmp_path)
    token = softhsm.token().open()
    cases: list[Path] = []
    for scheme in SCHEMES:
        key = token.signing_key(generate_key_pair(token, scheme, scheme), scheme)
        profile = UnitProfile(
            name=scheme,
            scheme=signature_scheme(scheme),
            certificate=authority.unit_certificate(key.public_key),
            chain=(authority.issuing,),
            default_policy="1.3.6.1.4.1.59999.1.1",
            accuracy_us=1_000_000,
        )
        check_unit_certificate(profile, key.public_key, software_unit.reading().time_us)
        mark = HighWaterMark(tmp_path / f"mark-{scheme}", tolerance_us=profile.accuracy_us)
        unit = TimeStampUnit(profile, mark)
        query, reply = tmp_path / f"{scheme}.tsq", tmp_path / f"{scheme}.tsr"
        query.write_bytes(der.sequence(der.integer(1), imprint_heads(DIGESTS["sha256"])[1] + bytes(32), b"\1\1\xff"))
        prepared = unit.prepare(query.read_bytes(), software_unit.reading())
        reply.write_bytes(granted(unit.complete(prepared, key.sign(prepared.to_be_signed))))
        cases += [query, reply]
        mark.close()
    token.close()
    lines = bouncycastle.run("TimeStampVerify", root, *cases)
    assert [line.split()[0] for line in lines] == ["ok"] * len(SCHEMES), lines
