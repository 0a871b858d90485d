"""The vectors of docs/veil.md: opened here, and by a program of the JDK alone that was written after the page."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.letters.bid_code import new_code
from appliance.letters.uniqueness import encoded, normalised, uniqueness_key
from appliance.letters.veil import Context, open_envelope, platform_share, read_envelope, reopen, veil
from firmware_tests.others.bouncycastle import BouncyCastle

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "vectors" / "veil.json").read_text())


def key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(VECTORS[name], 16), ec.SECP256R1())


@pytest.mark.parametrize("vector", VECTORS["veiled"], ids=lambda vector: str(vector["outside"]))
def test_veiled_values(vector: dict[str, str]) -> None:
    envelope = read_envelope(vector["envelope"].encode())
    release = key("release_key")

    def agree(point: bytes) -> bytes:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        agreed = release.exchange(ec.ECDH(), peer)
        assert agreed.hex() == vector["agreed"]
        return agreed

    context = envelope.header.context
    found = open_envelope(envelope, context, context.not_before or 0, release.public_key(), agree, vector["opens_with"])
    assert (found.plaintext.decode(), found.salt.hex()) == (vector["plaintext"], vector["salt"])
    assert reopen(envelope, bytes.fromhex(vector["agreed"]), vector["opens_with"]) == found
    if vector["outside"] == "share":
        assert platform_share(envelope, key("platform_key")) == vector["opens_with"]


@pytest.mark.parametrize("claim", VECTORS["uniqueness"]["claims"], ids=lambda claim: str(claim["name"]))
def test_uniqueness_keys(claim: dict[str, Any]) -> None:
    secret = bytes.fromhex(VECTORS["uniqueness"]["key"])
    where = (claim["scope"], claim["name"], claim["values"])
    assert [normalised(value) for value in claim["values"]] == claim["normalised"]
    assert encoded(*where).hex() == claim["message"]
    assert uniqueness_key(lambda message: hmac.digest(secret, message, "sha256"), *where).hex() == claim["hash"]


def test_the_jdk_alone_opens_them(bouncycastle: BouncyCastle, tmp_path: Path) -> None:
    arguments: list[str | Path] = []
    expected = []
    fresh = new_code()
    place = Context(tenant="demo", kind="0" * 64, field="price", reference="一")
    made = veil(b"fresh", place, key("release_key").public_key(), code=fresh).envelope.encoded()
    cases = [(vector["envelope"].encode(), vector["opens_with"], vector["plaintext"]) for vector in VECTORS["veiled"]]
    for at, (envelope, outside, plaintext) in enumerate([*cases, (made, fresh, "fresh")]):
        (tmp_path / f"{at}.json").write_bytes(envelope)
        arguments += [tmp_path / f"{at}.json", VECTORS["release_key"], outside]
        expected.append(plaintext.encode().hex())
    assert bouncycastle.run("VeilOpen", *arguments) == expected
