"""What a tenant of a rehearsal box signs and keeps secrets with: units, a seal key, keys of its values."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import hsm
from appliance.box import settings as box
from appliance.files import write_file
from appliance.keymaster.certificates import profiles
from hsm import vault
from hsm.agreement import AgreementKey, generate_agreement_key
from hsm.keys import generate_key_pair
from hsm.mac import generate_mac_key
from provisioning import names
from provisioning.rehearsal_certificates import Certificates

END_ENTITY_LIFETIME: Final = datetime.timedelta(days=825)
SEAL_SCHEME: Final = "ecdsa-p256-sha256"


@dataclass(frozen=True)
class Unit:
    """A time-stamping unit that every tenant gets."""

    suffix: str
    scheme: str
    policies: tuple[str, ...]
    public: bool


# An EC unit for speed and an RSA unit for older clients; the second is open to listener (b) when that is turned on.
UNITS: Final = (
    Unit("tsu", "ecdsa-p256-sha256", (names.REHEARSAL_STAMP_POLICY, names.REHEARSAL_SECOND_POLICY), public=False),
    Unit("tsu-rsa", "rsa-pkcs1-sha256", (names.REHEARSAL_STAMP_POLICY,), public=True),
)


def new_key(token: hsm.Token, label: str, scheme: str) -> hsm.SigningKey:
    """Make a key in a token."""
    generate_key_pair(token, label, scheme)
    return token.signing_key(hsm.Pkcs11Uri.parse(f"pkcs11:object={label}"), scheme)


class Tenants:
    """Makes tenants in open tokens, by the token's label."""

    def __init__(self, tokens: Mapping[str, hsm.Token], certificates: Certificates) -> None:
        self._tokens = tokens
        self._certificates = certificates

    def unit(self, tenant: str, unit: Unit) -> box.UnitSettings:
        """A unit with its certificate."""
        label, made = f"{tenant}-{unit.suffix}", self._certificates
        key = new_key(self._tokens[tenant], label, unit.scheme)
        certificate = profiles.time_stamping_unit(
            made.issuers["tsa-ca"],
            profiles.name(names.common_name(f"time-stamping unit {label}"), names.ORGANISATION),
            key.public_key,
            made.now,
            END_ENTITY_LIFETIME,
        )
        path = f"certificates/{label}.pem"
        made.keep("tsa-ca", made.home.root / path, certificate)
        return box.UnitSettings(
            name=label,
            tenant=tenant,
            token=tenant,
            key_uri=f"pkcs11:object={label}",
            scheme=unit.scheme,
            certificate=path,
            default_policy=unit.policies[0],
            accepted_policies=list(unit.policies),
            accuracy_us=None,  # a system clock cannot be shown to be right (control TIME)
            public=unit.public,
        )

    def seal_key(self, tenant: str) -> box.SealKeySettings:
        """A seal key with its certificate."""
        label, made = f"{tenant}-seal", self._certificates
        key = new_key(self._tokens[tenant], label, SEAL_SCHEME)
        certificate = profiles.seal(
            made.issuers["seal-ca"],
            profiles.name(names.common_name(f"seal of {tenant}"), names.ORGANISATION),
            key.public_key,
            made.now,
            END_ENTITY_LIFETIME,
        )
        path = f"certificates/{label}.pem"
        made.keep("seal-ca", made.home.root / path, certificate)
        return box.SealKeySettings(
            name=label,
            tenant=tenant,
            token=tenant,
            key_uri=f"pkcs11:object={label}",
            scheme=SEAL_SCHEME,
            certificate=path,
        )

    def tenant(self, tenant: str) -> box.TenantSettings:
        """A tenant: the keys of its stored content, unique values, veils and messages."""
        made = self._certificates
        wrapped = vault.create_content_key(self._tokens[tenant])
        path = f"secrets/{tenant}.content-key"
        write_file(made.home.root / path, wrapped, 0o600)
        label = f"{tenant}-uniqueness"
        generate_mac_key(self._tokens[tenant], label)
        # On a token of its own: what opens veiled values shares a login with nothing that is used every second.
        token, release = names.release_token(tenant), f"{tenant}-release-1"
        generate_agreement_key(self._tokens[token], release)
        uri = f"pkcs11:object={release}"
        certificate = profiles.release(
            made.issuers["seal-ca"],
            profiles.name(names.common_name(f"release key of {tenant}"), names.ORGANISATION),
            AgreementKey.find(self._tokens[token], hsm.Pkcs11Uri.parse(uri)).public_key,
            made.now,
            END_ENTITY_LIFETIME,
        )
        message = f"{tenant}-message-1"
        generate_agreement_key(self._tokens[token], message)
        chain = f"certificates/{release}.pem"
        made.keep("seal-ca", made.home.root / chain, certificate)
        return box.TenantSettings(
            name=tenant,
            token=tenant,
            data_key=path,
            uniqueness_key=f"pkcs11:object={label};type=secret-key",
            release_keys=[box.ReleaseKeySettings(name=release, token=token, key_uri=uri, certificate=chain)],
            message_keys=[box.MessageKeySettings(token=token, key_uri=f"pkcs11:object={message}")],
        )
