"""A new approval passkey: what a browser's registration must be like to become a candidate's (control QUORUM).

The client data and the authenticator data are held to the same strict rules as statements are; the attestation itself,
of which there are many forms, is checked by the `webauthn` library. Where the constitution names makers of
authenticators, the attestation must be a packed one (WebAuthn level 3, section 8.2) by one of them, and its certificate
must be for the very model that the passkey claims: the library does not compare the two.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import webauthn
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AttestationFormat

from appliance.base64url import to_base64url
from appliance.ceremonies import StatementRefused
from appliance.ceremonies.constitution import ApprovalRules, Credential
from appliance.ceremonies.cose import ALGORITHMS, read_cbor, read_cose_key
from appliance.ceremonies.webauthn import (
    AttestedCredential,
    check_client_data,
    check_presence,
    read_authenticator_data,
    read_base64url,
)
from appliance.certificate_reading import read_certificate
from appliance.der import OCTET_STRING, DerError, Reader

_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
"""id-fido-gen-ce-aaguid (WebAuthn level 3, section 8.2.1)."""
_KNOWN = {one.value for one in COSEAlgorithmIdentifier}
_OFFERED = [number for number in ALGORITHMS if number in _KNOWN]
_SUPPORTED = [COSEAlgorithmIdentifier(number) for number in _OFFERED]


class AttestationResponse(msgspec.Struct, frozen=True):
    """Members of PublicKeyCredential.toJSON() that count (WebAuthn level 3, section 5.2.1); others are left aside."""

    client_data: str = msgspec.field(name="clientDataJSON")
    attestation_object: str = msgspec.field(name="attestationObject")


class Registration(msgspec.Struct, frozen=True):
    id: str
    raw_id: str = msgspec.field(name="rawId")
    type: str
    response: AttestationResponse


class PasskeyRefused(StatementRefused):
    """A registration that makes no approval passkey."""

    code = "passkey-refused"
    title = "This passkey cannot be used for approvals"


def verify_registration(rules: ApprovalRules, registration: Registration, challenge: bytes) -> Credential:
    """The credential that a registration brings. Pure. Raises PasskeyRefused, saying why."""
    try:
        return _verify(rules, registration, challenge)
    except PasskeyRefused:
        raise
    except StatementRefused as error:
        raise PasskeyRefused(str(error)) from None


def _verify(rules: ApprovalRules, registration: Registration, challenge: bytes) -> Credential:
    response = registration.response
    check_client_data(read_base64url(response.client_data, "client data"), "webauthn.create", challenge, rules.origins)
    attestation = read_cbor(read_base64url(response.attestation_object, "attestation"))
    if not isinstance(attestation, dict) or not isinstance(attestation.get("authData"), bytes):
        raise PasskeyRefused("the attestation has no authenticator data")
    data = read_authenticator_data(attestation["authData"])
    check_presence(data, rules.rp_id)
    made = data.attested
    if made is None or to_base64url(made.credential_id) != registration.id:
        raise PasskeyRefused("the registration brings another credential than it names")
    read_cose_key(made.public_key)
    if data.backup_eligible and not rules.backup_eligible:
        raise PasskeyRefused("this passkey can be copied to other devices, which the rules of approval do not permit")
    if rules.models and made.model not in rules.models:
        raise PasskeyRefused(f"authenticators of model {made.model} are not permitted")
    if rules.attestation_roots:
        _check_maker(attestation, made)
    _check_attestation(rules, registration, challenge)
    return Credential(
        kind="passkey",
        id=to_base64url(made.credential_id),
        public_key=base64.b64encode(made.public_key).decode(),
        model=made.model,
        backup_eligible=data.backup_eligible,
        rp_id=rules.rp_id,
    )


def _check_attestation(rules: ApprovalRules, registration: Registration, challenge: bytes) -> None:
    roots = [_pem(root) for root in rules.attestation_roots]
    try:
        webauthn.verify_registration_response(
            credential=msgspec.to_builtins(registration),
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=rules.origins,
            require_user_verification=True,
            supported_pub_key_algs=_SUPPORTED,
            pem_root_certs_bytes_by_fmt={AttestationFormat.PACKED: roots} if roots else None,
        )
    except (
        *(WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError, UnsupportedAlgorithm),
        *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
    ) as error:
        raise PasskeyRefused(f"the attestation does not hold ({type(error).__name__})") from None


def _check_maker(attestation: dict[str, object], made: AttestedCredential) -> None:
    """The attestation is by a certificate, and that certificate is for this model."""
    statement = attestation.get("attStmt")
    chain = statement.get("x5c") if isinstance(statement, dict) else None
    if attestation.get("fmt") != "packed" or not isinstance(chain, list) or not chain:
        raise PasskeyRefused("the authenticator does not prove its model: its maker's attestation is missing")
    try:
        leaf = read_certificate(bytes(chain[0]))
        extension = leaf.extensions.get_extension_for_oid(_AAGUID).value
        assert isinstance(extension, x509.UnrecognizedExtension)  # noqa: S101 - the library knows no such extension
        named = Reader(extension.value).read(OCTET_STRING)
    except (ValueError, TypeError, x509.ExtensionNotFound, DerError):
        raise PasskeyRefused("the maker's attestation names no model") from None
    if not hmac.compare_digest(named.hex(), made.model.replace("-", "")):
        raise PasskeyRefused("the maker's attestation is for another model")


def _pem(root: str) -> bytes:
    try:
        certificate = read_certificate(base64.b64decode(root, validate=True))
    except ValueError:
        raise PasskeyRefused("the constitution names a maker whose certificate cannot be read") from None
    return certificate.public_bytes(serialization.Encoding.PEM)


def creation_options(
    rules: ApprovalRules, box: str, person: str, name: str, challenge: bytes, known: list[Credential]
) -> dict[str, object]:
    """What navigator.credentials.create is called with (PublicKeyCredentialCreationOptionsJSON)."""
    return {
        "rp": {"id": rules.rp_id, "name": f"Cinnabar {box}"},
        "user": {
            "id": to_base64url(hashlib.sha256(b"cinnabar approvals\0" + person.encode()).digest()),
            "name": person,
            "displayName": name,
        },
        "challenge": to_base64url(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in _OFFERED],
        "timeout": 300_000,
        "excludeCredentials": [{"type": "public-key", "id": one.id} for one in known if one.kind == "passkey"],
        "authenticatorSelection": {"residentKey": "discouraged", "userVerification": "required"},
        "attestation": "direct" if rules.models else "none",
    }
