"""Sign-in passkeys (WebAuthn level 3): of the management origin, with user verification, found without a name.

They let a person in to see and to write; they approve nothing. Approvals are made with other credentials on the
keymaster's own origin, which this service cannot reach into.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from appliance.base64url import from_base64url, to_base64url
from mgmt_service.people import Passkey
from mgmt_service.problems import SignInRefused


@dataclass(frozen=True)
class Site:
    """Whom passkeys are made for."""

    rp_id: str
    origin: str


@dataclass(frozen=True)
class MadePasskey:
    id: str
    """base64url without padding."""
    public_key: bytes
    """COSE."""
    sign_count: int


def creation_options(site: Site, box: str, person: str, name: str, known: list[Passkey], challenge: bytes) -> Any:
    """What navigator.credentials.create is called with, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name=f"Cinnabar {box}",
        user_id=hashlib.sha256(b"cinnabar sign-in\0" + person.encode()).digest(),
        user_name=person,
        user_display_name=name,
        challenge=challenge,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=from_base64url(one.id)) for one in known],
    )
    return json.loads(webauthn.options_to_json(options))


def request_options(site: Site, challenge: bytes, allowed: list[Passkey] | None = None) -> Any:
    """What navigator.credentials.get is called with, as JSON. `allowed`: of a person who is known already."""
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
        allow_credentials=[PublicKeyCredentialDescriptor(id=from_base64url(one.id)) for one in allowed or []],
    )
    return json.loads(webauthn.options_to_json(options))


def verify_creation(site: Site, credential: dict[str, Any], challenge: bytes) -> MadePasskey:
    """The passkey that a browser made. Raises SignInRefused."""
    _refuse_framed(credential)
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignInRefused("the new passkey does not hold") from error
    return MadePasskey(to_base64url(made.credential_id), made.credential_public_key, made.sign_count)


def verify_assertion(site: Site, credential: dict[str, Any], challenge: bytes, passkey: Passkey) -> int:
    """The new signature count of a passkey whose assertion holds. Raises SignInRefused."""
    _refuse_framed(credential)
    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignInRefused("the passkey's signature does not hold") from error
    return verified.new_sign_count


def credential_id(credential: dict[str, Any]) -> str:
    """The id that an assertion claims. Raises SignInRefused."""
    claimed = credential.get("id")
    if not isinstance(claimed, str) or len(claimed) > 2048:
        raise SignInRefused("the passkey says no id")
    try:
        from_base64url(claimed)
    except ValueError:
        raise SignInRefused("the passkey's id cannot be read") from None
    return claimed


def _refuse_framed(credential: dict[str, Any]) -> None:
    """Refuse what was made in a frame of another origin."""
    try:
        client = json.loads(from_base64url(credential["response"]["clientDataJSON"]))
        framed = bool(client.get("crossOrigin")) or "topOrigin" in client
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SignInRefused("the passkey's answer cannot be read") from None
    if framed:
        raise SignInRefused("passkeys are not used in frames of other pages")
