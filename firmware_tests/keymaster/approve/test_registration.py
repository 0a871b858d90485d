"""Registrations: what makes an approval passkey, and everything else that a browser or its user could send."""

from __future__ import annotations

import base64
import datetime
import hashlib
from typing import Any

import cbor2
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.base64url import from_base64url, to_base64url
from appliance.ceremonies.constitution import ApprovalRules, Credential
from appliance.ceremonies.cose import read_cose_key
from appliance.der import octet_string
from appliance.keymaster.approve.registration import (
    PasskeyRefused,
    Registration,
    creation_options,
    verify_registration,
)
from firmware_tests.officers import (
    BACKUP_ELIGIBLE,
    MODEL,
    ORIGIN,
    RP_ID,
    USER_PRESENT,
    USER_VERIFIED,
    SoftwareOfficer,
    cose_key,
)

CHALLENGE = b"c" * 32
PRESENT = USER_PRESENT | USER_VERIFIED
RULES = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN])
NOW = datetime.datetime.now(datetime.UTC)


def check(made: dict[str, Any], rules: ApprovalRules = RULES, challenge: bytes = CHALLENGE) -> Credential:
    return verify_registration(rules, msgspec.convert(made, Registration), challenge)


@pytest.mark.parametrize("algorithm", ["es256", "es512", "eddsa", "rs256"])
@pytest.mark.parametrize("attestation", ["none", "packed"])
def test_a_registration_gives_the_credential(algorithm: str, attestation: str) -> None:
    officer = SoftwareOfficer("ann", algorithm)
    assert check(officer.register(CHALLENGE, attestation=attestation)) == officer.credential()


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"kind": "webauthn.get"}, "another type"),
        ({"origin": "https://localhost:8443"}, "origin"),
        ({"origin": "https://127.0.0.1:8443"}, "origin"),
        ({"rp_id": "localhost"}, "another relying party"),
        ({"flags": USER_PRESENT}, "verify its user"),
        ({"flags": 0}, "verify its user"),
        ({"flags": PRESENT | BACKUP_ELIGIBLE}, "copied"),
        ({"more": {"crossOrigin": True}}, "another site"),
        ({"more": {"topOrigin": "https://evil.example"}}, "another site"),
        ({"public_key": cose_key(ec.generate_private_key(ec.SECP256R1())) + b"\x00"}, "bytes follow"),
        ({"public_key": cbor2.dumps({1: 2, 3: -7})}, "malformed|not permitted"),
        ({"attestation": "android-safetynet"}, "does not hold"),
        ({"attestation": "fido-u2f"}, "does not hold"),
        ({"attestation": "none "}, "does not hold"),
    ],
)
def test_other_registrations_are_refused(knobs: dict[str, Any], why: str) -> None:
    with pytest.raises(PasskeyRefused, match=why):
        check(SoftwareOfficer("ann").register(CHALLENGE, **knobs))


def test_another_challenge_or_credential_id_is_refused() -> None:
    officer = SoftwareOfficer("ann")
    with pytest.raises(PasskeyRefused, match="another challenge"):
        check(officer.register(b"d" * 32))
    made = officer.register(CHALLENGE)
    with pytest.raises(PasskeyRefused, match="another credential"):
        check({**made, "id": to_base64url(b"x" * 32), "rawId": to_base64url(b"x" * 32)})
    with pytest.raises(PasskeyRefused):
        check({**made, "rawId": to_base64url(b"x" * 32)})
    with pytest.raises(PasskeyRefused):
        check({**made, "type": "password"})


def test_a_sign_in_passkey_of_the_management_origin_is_refused() -> None:
    other = SoftwareOfficer("ann", rp_id="localhost", origin="https://localhost:8443")
    with pytest.raises(PasskeyRefused):
        check(other.register(CHALLENGE))


def test_copies_are_permitted_by_the_rules_only() -> None:
    copied = SoftwareOfficer("ann", backup_eligible=True)
    with pytest.raises(PasskeyRefused, match="copied"):
        check(copied.register(CHALLENGE))
    rules = msgspec.structs.replace(RULES, backup_eligible=True)
    assert check(copied.register(CHALLENGE), rules).backup_eligible


def test_models_are_held_to_their_list() -> None:
    officer = SoftwareOfficer("ann")
    assert check(officer.register(CHALLENGE), msgspec.structs.replace(RULES, models=[MODEL])).model == MODEL
    other = msgspec.structs.replace(RULES, models=["00000000-0000-0000-0000-000000000001"])
    with pytest.raises(PasskeyRefused, match="not permitted"):
        check(officer.register(CHALLENGE), other)


# Makers of authenticators


class Maker:
    """A maker of authenticators: a root, and attestation certificates for models."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Maker")])
        self.root = self._sign(self.name, self.key, None)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, model: str | None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=model is None, path_length=None), critical=True)
        )
        if model:
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
            value = octet_string(bytes.fromhex(model.replace("-", "")))
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def attest(self, officer: SoftwareOfficer, model: str) -> dict[str, Any]:
        """A registration with a packed attestation; `model`: what the certificate says, empty for none."""
        made = officer.register(CHALLENGE)
        client_data = from_base64url(made["response"]["clientDataJSON"])
        data = cbor2.loads(from_base64url(made["response"]["attestationObject"]))["authData"]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Attestation")])
        leaf = self._sign(subject, key, model)
        signature = key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        statement = {"alg": -7, "sig": signature, "x5c": [leaf.public_bytes(serialization.Encoding.DER)]}
        encoded = cbor2.dumps({"fmt": "packed", "attStmt": statement, "authData": data})
        return {**made, "response": {**made["response"], "attestationObject": to_base64url(encoded)}}

    def rules(self) -> ApprovalRules:
        root = base64.b64encode(self.root.public_bytes(serialization.Encoding.DER)).decode()
        return msgspec.structs.replace(RULES, models=[MODEL], attestation_roots=[root])


def test_where_makers_are_named_the_model_is_proven() -> None:
    maker, officer = Maker(), SoftwareOfficer("ann")
    assert check(maker.attest(officer, MODEL), maker.rules()) == officer.credential()


def test_a_model_without_its_maker_s_word_is_refused() -> None:
    maker, officer = Maker(), SoftwareOfficer("ann")
    for made, why in (
        (officer.register(CHALLENGE), "attestation is missing"),
        (officer.register(CHALLENGE, attestation="packed"), "attestation is missing"),
        (Maker().attest(officer, MODEL), "does not hold"),
        (maker.attest(officer, "00000000-0000-0000-0000-000000000001"), "for another model"),
        (maker.attest(officer, ""), "names no model"),
    ):
        with pytest.raises(PasskeyRefused, match=why):
            check(made, maker.rules())
    with pytest.raises(PasskeyRefused, match="cannot be read"):
        check(maker.attest(officer, MODEL), msgspec.structs.replace(maker.rules(), attestation_roots=["AAAA"]))


@settings(max_examples=150)
@given(st.sampled_from(["attestationObject", "clientDataJSON"]), st.integers(0), st.integers(1, 255))
def test_altered_registrations_never_pass_as_another_key(part: str, place: int, change: int) -> None:
    """Without attestation nothing signs a registration: what passes must still be this officer's id, or a sound key."""
    officer = SoftwareOfficer("ann")
    made = officer.register(CHALLENGE, attestation="packed")
    data = bytearray(from_base64url(made["response"][part]))
    data[place % len(data)] ^= change
    made["response"][part] = to_base64url(bytes(data))
    with pytest.raises(PasskeyRefused):
        check(made)


@settings(max_examples=200)
@given(st.binary(max_size=400), st.binary(max_size=200))
def test_nonsense_is_refused(attestation: bytes, client_data: bytes) -> None:
    made = SoftwareOfficer("ann").register(CHALLENGE)
    good = made["response"]["clientDataJSON"]
    for text in (good, to_base64url(client_data)):
        response = {"attestationObject": to_base64url(attestation), "clientDataJSON": text}
        with pytest.raises(PasskeyRefused):
            check({**made, "response": response})


def test_the_options_ask_for_what_is_checked() -> None:
    known = SoftwareOfficer("ann").credential()
    options: Any = creation_options(RULES, "box", "ann", "Ann", CHALLENGE, [known])
    assert options["rp"]["id"] == RP_ID
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["excludeCredentials"] == [{"type": "public-key", "id": known.id}]
    assert options["attestation"] == "none"
    assert creation_options(Maker().rules(), "box", "ann", "Ann", CHALLENGE, [])["attestation"] == "direct"
    for algorithm in ("es256", "es512", "eddsa", "rs256"):
        key = SoftwareOfficer("x", algorithm).public_key
        read_cose_key(key)
        assert {"type": "public-key", "alg": cbor2.loads(key)[3]} in options["pubKeyCredParams"]


@pytest.mark.parametrize("change", [{True: 2}, {1.0: 2}, {1: 2.0}, {-1: True}])
def test_one_authenticator_registers_one_key(change: dict[Any, Any]) -> None:
    """The same key in other bytes would be another person's, with words of its own."""
    officer = SoftwareOfficer("ann")
    known = cbor2.loads(officer.public_key)
    (label,) = change
    other = {one: value for one, value in known.items() if one != label} | change
    encoded = cbor2.dumps(other, canonical=True)
    assert encoded != officer.public_key
    with pytest.raises(PasskeyRefused):
        check(officer.register(CHALLENGE, public_key=encoded))
