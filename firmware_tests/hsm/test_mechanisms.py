"""The choice of mechanisms, and the encodings around them."""

from __future__ import annotations

import hashlib
import struct

import pytest
from asn1crypto.algos import DSASignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st

from hsm import MechanismUnavailable, SigningFailed
from hsm import constants as ck
from hsm.encodings import CURVE_ORDERS, ecdsa_signature_to_der, low_s, unwrap_octet_string
from hsm.mechanisms import SCHEMES, SECP256K1_DIGEST, choose

ALL = frozenset(value for name, value in vars(ck).items() if name.startswith("CKM_"))


def test_every_scheme_finds_a_mechanism_on_a_token_that_has_all() -> None:
    for name in SCHEMES:
        spec = choose(name, ALL)
        assert spec.scheme == name
        assert spec.maximum_bytes >= 64


@pytest.mark.parametrize(
    ("scheme", "outside", "inside"),
    [
        ("ecdsa-p256-sha256", ck.CKM_ECDSA, ck.CKM_ECDSA_SHA256),
        ("ecdsa-p384-sha384", ck.CKM_ECDSA, ck.CKM_ECDSA_SHA384),
        ("ecdsa-secp256k1-sha256", ck.CKM_ECDSA, ck.CKM_ECDSA_SHA256),
        ("rsa-pkcs1-sha384", ck.CKM_RSA_PKCS, ck.CKM_SHA384_RSA_PKCS),
        ("rsa-pss-sha512", ck.CKM_RSA_PKCS_PSS, ck.CKM_SHA512_RSA_PKCS_PSS),
    ],
)
def test_the_digest_is_made_here_where_the_token_lets_us(scheme: str, outside: int, inside: int) -> None:
    digest = hashlib.new(SCHEMES[scheme].digest, b"message").digest()
    first = choose(scheme, frozenset({outside, inside}))
    assert first.mechanism == outside
    assert first.prepare(b"message").endswith(digest)
    second = choose(scheme, frozenset({inside}))
    assert second.mechanism == inside
    assert second.prepare(b"message") == b"message"
    assert first.parameter == second.parameter


def test_the_pss_parameters_say_one_hash_everywhere() -> None:
    spec = choose("rsa-pss-sha384", ALL)
    assert spec.parameter is not None
    assert struct.unpack("LLL", spec.parameter) == (ck.CKM_SHA384, ck.CKG_MGF1_SHA384, 48)


@pytest.mark.parametrize(("scheme", "size"), [("ml-dsa-44", 2420), ("ml-dsa-65", 3309), ("ml-dsa-87", 4627)])
def test_ml_dsa_is_left_whole_to_a_token_that_has_it(scheme: str, size: int) -> None:
    spec = choose(scheme, frozenset({ck.CKM_ML_DSA}))
    assert (spec.mechanism, spec.maximum_bytes, spec.prepare(b"m")) == (ck.CKM_ML_DSA, size, b"m")


@pytest.mark.parametrize("scheme", [*SCHEMES, "ecdsa-p256-sha512", ""])
def test_a_token_without_the_mechanism_is_told_so(scheme: str) -> None:
    with pytest.raises(MechanismUnavailable):
        choose(scheme, frozenset({ck.CKM_AES_GCM}))


@pytest.mark.parametrize("scheme", ["ed25519", "rsa-pss-sha256", "ml-dsa-44"])
def test_low_s_is_for_ecdsa(scheme: str) -> None:
    with pytest.raises(MechanismUnavailable):
        choose(scheme, ALL, lower_s=True)


@given(st.sampled_from([32, 48]).flatmap(lambda n: st.tuples(st.just(n), st.binary(min_size=2 * n, max_size=2 * n))))
def test_ecdsa_signatures_are_encoded_as_others_do(sized: tuple[int, bytes]) -> None:
    half, raw = sized
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    if not r or not s:
        with pytest.raises(SigningFailed):
            ecdsa_signature_to_der(raw)
        return
    der = ecdsa_signature_to_der(raw)
    assert der == DSASignature({"r": r, "s": s}).dump() == utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("raw", [b"", bytes(64), b"\1" * 63, b"\1" * 132, b"\1" * 32 + bytes(32)])
def test_what_cannot_be_a_signature_is_refused(raw: bytes) -> None:
    with pytest.raises(SigningFailed):
        ecdsa_signature_to_der(raw)


@given(st.integers(1, CURVE_ORDERS["secp256k1"] - 1))
def test_low_s_is_low_and_the_same_signature(s: int) -> None:
    order = CURVE_ORDERS["secp256k1"]
    raw = b"\1" * 32 + s.to_bytes(32, "big")
    lowered = int.from_bytes(low_s(raw, order)[32:], "big")
    assert lowered in (s, order - s)
    assert lowered <= order // 2


def test_the_curve_orders_are_those_of_the_curves() -> None:
    curves: list[ec.EllipticCurve] = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP256K1()]
    for curve in curves:
        assert curve.group_order == CURVE_ORDERS[curve.name]


@given(st.binary(min_size=1, max_size=200))
def test_octet_strings_are_unwrapped(content: bytes) -> None:
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    assert unwrap_octet_string(b"\x04" + length + content) == content


def test_a_digest_that_was_made_elsewhere_is_signed_as_it_is_and_nothing_else() -> None:
    spec = choose(SECP256K1_DIGEST, ALL, lower_s=True)
    assert (spec.mechanism, spec.prepare(bytes(range(32)))) == (ck.CKM_ECDSA, bytes(range(32)))
    for message in (b"", b"a message", bytes(33), bytes(64)):
        with pytest.raises(MechanismUnavailable):
            spec.prepare(message)
    with pytest.raises(MechanismUnavailable):
        choose(SECP256K1_DIGEST, frozenset({ck.CKM_ECDSA_SHA256}))
    assert SECP256K1_DIGEST not in SCHEMES, "no officer can make a seal key of it"
