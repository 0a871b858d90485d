"""Make a rehearsal box in a home: tokens, keys, certificates, logs, one application for each tenant.

What it makes is complete and real but for its authority: one person made it without a ceremony, and every name, policy
and log origin says so for ever.
"""

from __future__ import annotations

import base64
import datetime
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import hsm
from appliance.api.callers import public_certificate
from appliance.box import settings as box
from appliance.box.home import Home
from appliance.box.witnesses import known_witnesses
from appliance.evidence import AuthorityEntry, CosigningEntry, LogEntry, TimeRules, WitnessEntry
from appliance.files import write_file
from appliance.keymaster.certificates import profiles, revocation
from appliance.keymaster.certificates.trust_bundles import make_bundle
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped
from appliance.log import VerifierKey
from appliance.log.witnesses import WitnessPolicy, by_name
from appliance.recorder.counts import CallCounter, new_run_id
from hsm import vault
from hsm.agreement import AgreementKey, generate_agreement_key
from hsm.keys import generate_key_pair
from hsm.mac import generate_mac_key
from hsm.x509 import private_key
from provisioning import names, tokens
from provisioning.genesis import EnrolledApplication, SignedThing, enrolled, record_genesis
from provisioning.rehearsal_seal import write_seal

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
END_ENTITY_LIFETIME = datetime.timedelta(days=825)
FRONT_LIFETIME = profiles.LONGEST_SERVER
"""Browsers take no certificate of a server for longer."""
APPLICATION_LIFETIME = datetime.timedelta(days=365)
AUTHORITIES = ("box-ca", "tsa-ca", "seal-ca")
AUTHORITY_SCHEME = "ecdsa-p384-sha384"
RESPONDER_SCHEME = "ecdsa-p256-sha256"
BUNDLE_LIFETIME = datetime.timedelta(days=365)
_ROLES: dict[str, Literal["tsa", "seal", "tls"]] = {"box-ca": "tls", "tsa-ca": "tsa", "seal-ca": "seal"}
MANAGEMENT = "127.0.0.1:8444"
"""Where officers' browsers find the box."""
LOOPBACK = ["localhost", "approve.localhost", "127.0.0.1", "::1"]
"""Names that every front answers to."""


class AlreadyProvisioned(Exception):
    """The home has a box in it already."""


@dataclass(frozen=True)
class Provisioned:
    """What provisioning made."""

    home: Home
    settings: box.BoxSettings
    applications: dict[str, Path] = field(default_factory=dict)
    """Name of each application to its certificate file; the key stands beside it as .key."""


class _TrustedWitnesses(TypedDict, total=False):
    """What a trust bundle says of witnesses."""

    witnesses: list[WitnessEntry]
    cosigning: list[CosigningEntry]
    time: TimeRules


@dataclass(frozen=True)
class _Unit:
    suffix: str
    scheme: str
    policies: tuple[str, ...]
    public: bool


# An EC unit for speed and an RSA unit for older clients; the second is open to listener (b) when that is turned on.
_UNITS = (
    _Unit("tsu", "ecdsa-p256-sha256", (names.REHEARSAL_STAMP_POLICY, names.REHEARSAL_SECOND_POLICY), public=False),
    _Unit("tsu-rsa", "rsa-pkcs1-sha256", (names.REHEARSAL_STAMP_POLICY,), public=True),
)


def provision(
    root: Path,
    *,
    tenants: Sequence[str] = ("demo",),
    name: str = "rehearsal",
    workers: int = 2,
    revocation_url: str = names.REVOCATION_URL,
    host: str = "localhost",
    federations: Mapping[str, Sequence[str]] | None = None,
    witnesses: Sequence[box.WitnessSettings] = (),
    witness_quorum: int = 0,
    accounts: Mapping[str, str] | None = None,
) -> Provisioned:
    """Make a rehearsal box under `root`; `revocation_url`: http://HOST:PORT, where clients will find CRLs and OCSP;
    `host`: the domain name that others know the box by; `federations`: names with their tenants, if they are not to be
    of all tenants: one for rehearsals, and those that the kinds that ship name; `witnesses`: of every log of the box,
    `witness_quorum` of which must cosign a head; `accounts`: names and schemes of keys in the box's token, for
    accounts on ledgers.

    Raises AlreadyProvisioned when there is one, WitnessesRefused where the witnesses cannot be."""
    shared = {name: list(tenants) for name in (names.FEDERATION, *_named())} if federations is None else federations
    keys = [witness.key for witness in known_witnesses(witnesses)]
    policy = by_name(keys, [key.name for key in keys], witness_quorum)
    place = Home(root.resolve())
    return _Provisioning(
        place, list(tenants), name, workers, revocation_url, host, shared, list(witnesses), policy, accounts or {}
    ).run()


def _named() -> list[str]:
    """Federations in which kinds that ship are unique."""
    scopes = {unique.scope for text in shipped().values() for unique in read_kind(text).kind.unique.values()}
    return sorted(scope.removeprefix("@") for scope in scopes if scope.startswith("@"))


class _Provisioning:
    def __init__(
        self,
        home: Home,
        tenants: list[str],
        name: str,
        workers: int,
        revocation_url: str,
        host: str,
        federations: Mapping[str, Sequence[str]],
        witnesses: list[box.WitnessSettings],
        policy: WitnessPolicy,
        accounts: Mapping[str, str],
    ) -> None:
        self.home = home
        self.accounts = accounts
        self.witnesses = witnesses
        self.policy = policy
        self.federations = federations
        self.revocation_url = revocation_url.rstrip("/")
        self.host = host
        self.tenants = tenants
        self.name = name
        self.workers = workers
        self.box_id = secrets.token_hex(16)
        self.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.signed: list[SignedThing] = []
        self.outputs: dict[Path, bytes] = {}
        """Public files, let out once what was signed is on record."""
        self.enrolled: list[EnrolledApplication] = []
        self.log_keys: list[LogEntry] = []
        self.issuers: dict[str, profiles.Issuer] = {}
        self.open: dict[str, hsm.Token] = {}
        self.new: dict[str, tokens.NewToken] = {}

    def run(self) -> Provisioned:
        home = self.home
        if home.settings.exists():
            raise AlreadyProvisioned(f"{home.root} has a box in it already")
        for path in (home.root, home.trust, home.clients, home.front, home.counters):
            path.mkdir(parents=True, exist_ok=True)
        counter = CallCounter(home.counters, new_run_id())
        os.environ[tokens.SOFTHSM_VARIABLE] = str(tokens.write_softhsm_configuration(home))
        shared = [names.REGISTRY] if self.federations else []
        for label in ("box", *shared, *self.tenants, *map(names.release_token, self.tenants)):
            self.new[label] = tokens.make_token(home, label)
            self.open[label] = hsm.open_token(
                self.new[label].uri,
                hsm.PinFile(self.new[label].pin_file),
                hsm.LaneSettings(),
                count_call=counter.count,
                count_drop=counter.drop,
            )
        try:
            return self._make(counter)
        finally:
            for token in self.open.values():
                token.close()

    def _make(self, counter: CallCounter) -> Provisioned:
        authorities = [self._authority(name) for name in AUTHORITIES]
        self._server()
        for label, scheme in self.accounts.items():
            generate_key_pair(self.open["box"], label, scheme)
        units, seal_keys = [], []
        for tenant in self.tenants:
            units += [self._unit(tenant, unit) for unit in _UNITS]
            seal_keys.append(self._seal_key(tenant))
        settings = box.BoxSettings(
            box_id=self.box_id,
            name=self.name,
            rehearsal=True,
            environment={tokens.SOFTHSM_VARIABLE: "{home}/tokens/softhsm2.conf"},
            workers=self.workers,
            tokens=[self._token_settings(label) for label in self.new],
            tenants=[self._tenant(tenant) for tenant in self.tenants],
            units=units,
            seal_keys=seal_keys,
            logs=[self._log("box", None), *(self._log(tenant, tenant) for tenant in self.tenants)],
            witnesses=self.witnesses,
            authorities=authorities,
            federations=[self._federation(name, members) for name, members in self.federations.items()],
            users=names.USERS,
            front=box.FrontSettings(
                management=MANAGEMENT, management_name=self.host, revocation_url=self.revocation_url
            ),
        )
        applications = {f"{tenant}-app": self._application(tenant) for tenant in self.tenants}
        self._trust_bundle()
        box.write_settings(self.home.settings, settings)
        try:
            record_genesis(self.home, settings, counter, self.signed, self.enrolled)
        except BaseException:
            self.home.settings.unlink()
            raise
        counter.close(remove=True)
        for path, content in self.outputs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content)
        self._kinds()
        self._seals()
        return Provisioned(self.home, settings, applications)

    def _kinds(self) -> None:
        """Every kind of letter that ships, for every tenant: as if its quorum had installed it. What letters that need
        approval wait for are policies, and those name persons of the constitution that officers found later."""
        for name, text in shipped().items():
            version = read_kind(text).kind.version
            for tenant in self.tenants:
                path = self.home.kinds / tenant / name / f"{version}.toml"
                path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                write_file(path, text, 0o640)

    def _seals(self) -> None:
        """A seal to be seen for every tenant."""
        for tenant in self.tenants:
            chain = self.outputs[self.home.root / f"certificates/{tenant}-seal.pem"]
            certificate = x509.load_pem_x509_certificate(chain)
            write_seal(self.home, tenant, tenant, certificate.public_bytes(serialization.Encoding.DER), self.now)

    def _token_settings(self, label: str) -> box.TokenSettings:
        return box.TokenSettings(
            name=label, uri=str(self.new[label].uri), pin_file=str(self.new[label].pin_file.relative_to(self.home.root))
        )

    def _key(self, token: str, label: str, scheme: str) -> hsm.SigningKey:
        generate_key_pair(self.open[token], label, scheme)
        return self.open[token].signing_key(hsm.Pkcs11Uri.parse(f"pkcs11:object={label}"), scheme)

    def _authority(self, name: str) -> box.CertificateAuthoritySettings:
        key = self._key("box", name, AUTHORITY_SCHEME)
        signer = private_key(key)
        subject = names.common_name(f"{name} {self.box_id[:8]}")
        certificate = profiles.authority(
            profiles.name(subject, names.ORGANISATION),
            signer,
            key.public_key,
            hashes.SHA384(),
            self.now,
            AUTHORITY_LIFETIME,
        )
        base = self.revocation_url
        issuer = profiles.Issuer(certificate, signer, hashes.SHA384(), f"{base}/crl/{name}.crl", f"{base}/ocsp/{name}")
        self.issuers[name] = issuer
        settings = box.CertificateAuthoritySettings(
            name=name,
            token="box",
            key_uri=f"pkcs11:object={name}",
            scheme=AUTHORITY_SCHEME,
            certificate=f"trust/{name}.pem",
            crl=f"trust/{name}.crl",
            responder=box.ResponderSettings(
                token="box",
                key_uri=f"pkcs11:object={name}-ocsp",
                scheme=RESPONDER_SCHEME,
                certificate=f"certificates/{name}-ocsp.pem",
            ),
        )
        self._key("box", f"{name}-ocsp", RESPONDER_SCHEME)  # the keymaster certifies it in its first round
        self._write_pem(self.home.root / settings.certificate, certificate)
        crl = revocation.next_crl(issuer, None, [], self.now, settings.crl_days)
        der = crl.public_bytes(serialization.Encoding.DER)
        self.signed += [self._certificate_row(name, certificate), SignedThing("crl", name, name, der)]
        self.outputs[self.home.root / settings.crl] = der
        return settings

    def _write_pem(self, path: Path, *chain: x509.Certificate) -> None:
        encoded = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
        self.outputs[path] = b"".join(encoded)

    @staticmethod
    def _certificate_row(issuer: str, certificate: x509.Certificate) -> SignedThing:
        der = certificate.public_bytes(serialization.Encoding.DER)
        return SignedThing("certificate", issuer, certificate.subject.rfc4514_string(), der)

    def _issue(self, issuer: str, path: Path, certificate: x509.Certificate) -> None:
        """Keep an end-entity certificate: its row, its file with its chain, and its copy among the issued ones."""
        self.signed.append(self._certificate_row(issuer, certificate))
        self._write_pem(path, certificate, self.issuers[issuer].certificate)
        self._write_pem(self.home.issued / f"{certificate.fingerprint(hashes.SHA256()).hex()}.pem", certificate)

    def _server(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.issuers["box-ca"]
        certificate = profiles.tls_server(
            issuer,
            profiles.name(names.common_name("front"), names.ORGANISATION),
            key.public_key(),
            self.now,
            FRONT_LIFETIME,
            list(dict.fromkeys([self.host, f"approve.{self.host}", *LOOPBACK])),
        )
        self._issue("box-ca", self.home.front / "server.crt", certificate)
        self._write_software_key(self.home.front / "server.key", key)

    @staticmethod
    def _write_software_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )

    def _unit(self, tenant: str, unit: _Unit) -> box.UnitSettings:
        label = f"{tenant}-{unit.suffix}"
        key = self._key(tenant, label, unit.scheme)
        certificate = profiles.time_stamping_unit(
            self.issuers["tsa-ca"],
            profiles.name(names.common_name(f"time-stamping unit {label}"), names.ORGANISATION),
            key.public_key,
            self.now,
            END_ENTITY_LIFETIME,
        )
        path = f"certificates/{label}.pem"
        self._issue("tsa-ca", self.home.root / path, certificate)
        if unit.public:
            # Requests without a certificate are charged to the unit's tenant, under a caller of their own.
            self.enrolled.append(
                EnrolledApplication(
                    tenant,
                    f"{label}-listener",
                    [label],
                    public_certificate(label),
                    certificate.not_valid_before_utc,
                    certificate.not_valid_after_utc,
                )
            )
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

    def _seal_key(self, tenant: str) -> box.SealKeySettings:
        label = f"{tenant}-seal"
        key = self._key(tenant, label, "ecdsa-p256-sha256")
        certificate = profiles.seal(
            self.issuers["seal-ca"],
            profiles.name(names.common_name(f"seal of {tenant}"), names.ORGANISATION),
            key.public_key,
            self.now,
            END_ENTITY_LIFETIME,
        )
        path = f"certificates/{label}.pem"
        self._issue("seal-ca", self.home.root / path, certificate)
        return box.SealKeySettings(
            name=label,
            tenant=tenant,
            token=tenant,
            key_uri=f"pkcs11:object={label}",
            scheme="ecdsa-p256-sha256",
            certificate=path,
        )

    def _tenant(self, tenant: str) -> box.TenantSettings:
        wrapped = vault.create_content_key(self.open[tenant])
        path = f"secrets/{tenant}.content-key"
        write_file(self.home.root / path, wrapped, 0o600)
        label = f"{tenant}-uniqueness"
        generate_mac_key(self.open[tenant], label)
        # On a token of its own: what opens veiled values shares a login with nothing that is used every second.
        token, release = names.release_token(tenant), f"{tenant}-release-1"
        generate_agreement_key(self.open[token], release)
        uri = f"pkcs11:object={release}"
        certificate = profiles.release(
            self.issuers["seal-ca"],
            profiles.name(names.common_name(f"release key of {tenant}"), names.ORGANISATION),
            AgreementKey.find(self.open[token], hsm.Pkcs11Uri.parse(uri)).public_key,
            self.now,
            END_ENTITY_LIFETIME,
        )
        message = f"{tenant}-message-1"
        generate_agreement_key(self.open[token], message)
        chain = f"certificates/{release}.pem"
        self._issue("seal-ca", self.home.root / chain, certificate)
        return box.TenantSettings(
            name=tenant,
            token=tenant,
            data_key=path,
            uniqueness_key=f"pkcs11:object={label};type=secret-key",
            release_keys=[box.ReleaseKeySettings(name=release, token=token, key_uri=uri, certificate=chain)],
            message_keys=[box.MessageKeySettings(token=token, key_uri=f"pkcs11:object={message}")],
        )

    def _federation(self, name: str, tenants: Sequence[str]) -> box.FederationSettings:
        label = f"{name}-uniqueness"
        generate_mac_key(self.open[names.REGISTRY], label)
        return box.FederationSettings(
            name=name,
            tenants=list(tenants),
            institutions=list(tenants),
            token=names.REGISTRY,
            key_uri=f"pkcs11:object={label};type=secret-key",
        )

    def _log(self, label: str, tenant: str | None) -> box.LogSettings:
        origin = names.log_origin(self.box_id, label)
        key = self._key(label, f"{label}-log-1", "ed25519")
        verifier = VerifierKey(
            origin, key.public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )
        self.log_keys.append(LogEntry(origin=origin, key=str(verifier)))
        self.outputs[self.home.trust / f"{label}-log.vkey"] = f"{verifier}\n".encode()
        return box.LogSettings(
            origin=origin,
            tenant=tenant,
            keys=[box.LogKeySettings(key_uri=f"pkcs11:object={label}-log-1", token=label, name=origin)],
            witnesses=[key.name for key in self.policy.keys],
            witness_quorum=self.policy.quorum,
        )

    def _application(self, tenant: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = f"{tenant}-app"
        certificate = profiles.tls_client(
            self.issuers["box-ca"],
            profiles.name(names.common_name(name), names.ORGANISATION),
            key.public_key(),
            self.now,
            APPLICATION_LIFETIME,
        )
        path = self.home.clients / f"{name}.crt"
        self._issue("box-ca", path, certificate)
        self._write_software_key(path.with_suffix(".key"), key)
        self.enrolled.append(enrolled(tenant, name, certificate))
        return path

    def _trust_bundle(self) -> None:
        """What a verifier trusts, signed by the device key, which stands in for a constitution on a rehearsal box."""
        device = self._key("box", "device", AUTHORITY_SCHEME)

        def sign(encoded: bytes) -> bytes:
            signature = device.sign(encoded)
            self.signed.append(SignedThing("certificate", "device", "trust bundle", encoded))
            return signature

        bundle = make_bundle(
            signer=device.public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            sign=sign,
            previous=None,
            rehearsal=True,
            issued=self.now,
            expires=self.now + BUNDLE_LIFETIME,
            authorities=[self._authority_entry(name, role) for name, role in _ROLES.items()],
            revocation_lists={f"{name}.crl": self.outputs[self.home.trust / f"{name}.crl"] for name in AUTHORITIES},
            logs=self.log_keys,
            **self._trusted_witnesses(),
        )
        self.outputs |= {self.home.trust / file: content for file, content in bundle.items()}

    def _trusted_witnesses(self) -> _TrustedWitnesses:
        """Every log's policy on witnesses, whose word then counts for time."""
        if not self.witnesses:
            return {}
        names = [key.name for key in self.policy.keys]
        return {
            "witnesses": [WitnessEntry(key=one.key) for one in self.witnesses],
            "cosigning": [
                CosigningEntry(origin=log.origin, witnesses=names, quorum=self.policy.quorum) for log in self.log_keys
            ],
            "time": TimeRules(accepted=["witness"]),
        }

    def _authority_entry(self, name: str, role: Literal["tsa", "seal", "tls"]) -> AuthorityEntry:
        der = self.issuers[name].certificate.public_bytes(serialization.Encoding.DER)
        policies = list(_UNITS[0].policies) if role == "tsa" else []
        return AuthorityEntry(certificate=base64.b64encode(der).decode(), role=role, policies=policies)
