"""Content keys, and HSM keys as `cryptography` private keys."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_tests.hsm.words import P256
from hsm import KeyNotFound, MechanismUnavailable, Token, VaultError, WeakKey
from hsm import constants as ck
from hsm.cryptoki import Mechanism
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm
from hsm.vault import WRAPPED_BYTES, WRAPPING_KEY_LABEL, create_content_key, open_content_key
from hsm.x509 import hash_algorithm, private_key

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rehearsal CA")])
NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def test_content_keys_differ_and_come_back(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    throwaway = softhsm.token()
    token = open_with(throwaway)
    wrapped = [create_content_key(token) for _ in range(5)]
    keys = {open_content_key(token, one) for one in wrapped}
    assert len(keys) == 5
    assert all(len(key) == 32 for key in keys)
    assert all(len(one) == WRAPPED_BYTES for one in wrapped)
    token.close()
    again = open_with(throwaway)
    assert open_content_key(again, wrapped[0]) in keys


def test_an_altered_content_key_is_refused(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    wrapped = create_content_key(token)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 8 * WRAPPED_BYTES - 1))
    def flip(bit: int) -> None:
        altered = bytearray(wrapped)
        altered[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(VaultError):
            open_content_key(token, bytes(altered))

    flip()
    for bad in (b"", wrapped[:-1], wrapped + b"\0", bytes(WRAPPED_BYTES)):
        with pytest.raises(VaultError):
            open_content_key(token, bad)
    assert len(open_content_key(token, wrapped)) == 32


def test_another_token_cannot_open_it(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    first, second = open_with(softhsm.token()), open_with(softhsm.token())
    wrapped = create_content_key(first)
    with pytest.raises(KeyNotFound):
        open_content_key(second, wrapped)
    create_content_key(second)
    with pytest.raises(VaultError):
        open_content_key(second, wrapped)
    create_content_key(first, "another")
    with pytest.raises(VaultError):
        open_content_key(first, wrapped, "another")


def test_the_wrapping_key_has_one_purpose_or_is_refused(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    create_content_key(token)
    with token.session() as (cryptoki, session):
        (handle,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY})
        others = (ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_SIGN, ck.CKA_VERIFY, ck.CKA_DERIVE)
        shown = cryptoki.get_attributes(
            session, handle, (*others, ck.CKA_EXTRACTABLE, ck.CKA_MODIFIABLE, ck.CKA_COPYABLE)
        )
        assert not any(shown.values())
    weak = open_with(softhsm.token())
    with weak.session(writable=True) as (cryptoki, session):
        cryptoki.generate_key(
            session,
            Mechanism.of(ck.CKM_AES_KEY_GEN),
            {ck.CKA_VALUE_LEN: 32, ck.CKA_TOKEN: True, ck.CKA_LABEL: WRAPPING_KEY_LABEL, ck.CKA_WRAP: True},
        )
    with pytest.raises(WeakKey):
        create_content_key(weak)


def self_signed(token: Token, scheme: str) -> x509.Certificate:
    key = token.signing_key(generate_key_pair(token, scheme, scheme, rsa_bits=2048), scheme)
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key)
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    form = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if "pss" in scheme else None
    return builder.sign(private_key(key), hash_algorithm(key), rsa_padding=form)


@pytest.mark.parametrize(
    "scheme", [P256, "ecdsa-p384-sha384", "rsa-pkcs1-sha256", "rsa-pss-sha256", "ed25519", "ecdsa-secp256k1-sha256"]
)
def test_openssl_verifies_certificates_that_a_token_signed(
    softhsm: SoftHsm, open_with: Callable[..., Token], tmp_path: Path, scheme: str
) -> None:
    certificate = self_signed(open_with(softhsm.token()), scheme)
    path = tmp_path / "ca.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-check_ss_sig", "-CAfile", str(path), "-attime", str(int(NOW.timestamp()) + 10)]
    outcome = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("scheme", [P256, "rsa-pkcs1-sha256"])
def test_requests_and_revocation_lists(softhsm: SoftHsm, open_with: Callable[..., Token], scheme: str) -> None:
    token = open_with(softhsm.token())
    key = token.signing_key(generate_key_pair(token, "ca", scheme, rsa_bits=2048), scheme)
    signer = private_key(key)
    request = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(signer, hash_algorithm(key))  # type: ignore[arg-type]
    assert request.is_signature_valid
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOW)
        .next_update(NOW + datetime.timedelta(days=7))
        .sign(signer, hash_algorithm(key))  # type: ignore[arg-type]
    )
    assert revoked.is_signature_valid(key.public_key)  # type: ignore[arg-type]


def test_the_private_key_stays_and_signs_by_its_scheme_only(softhsm: SoftHsm, open_with: Callable[..., Token]) -> None:
    token = open_with(softhsm.token())
    signer = private_key(token.signing_key(generate_key_pair(token, "k", P256), P256))
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    assert isinstance(signer.curve, ec.SECP256R1)
    with pytest.raises(MechanismUnavailable):
        signer.private_numbers()
    with pytest.raises(MechanismUnavailable):
        signer.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(MechanismUnavailable):
        signer.sign(b"m", ec.ECDSA(hashes.SHA384()))
    rsa_signer = private_key(
        token.signing_key(generate_key_pair(token, "r", "rsa-pss-sha256", rsa_bits=2048), "rsa-pss-sha256")
    )
    assert isinstance(rsa_signer, rsa.RSAPrivateKey)
    with pytest.raises(MechanismUnavailable):
        rsa_signer.sign(b"m", padding.PKCS1v15(), hashes.SHA256())
