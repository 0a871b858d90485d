"""Make a rehearsal box in a home: tokens, keys, certificates, logs, one application for each tenant.

What it makes is complete and real but for its authority: one person made it without a ceremony, and every name, policy
and log origin says so for ever.
"""

from __future__ import annotations

import datetime
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import hsm
from appliance.api.callers import public_certificate
from appliance.box import settings as box
from appliance.box.home import Home
from appliance.box.witnesses import known_witnesses
from appliance.evidence import LogEntry
from appliance.files import write_file
from appliance.keymaster.certificates import profiles
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped
from appliance.log import VerifierKey
from appliance.log.witnesses import WitnessPolicy, by_name
from appliance.recorder.counts import CallCounter, new_run_id
from hsm.keys import generate_key_pair
from hsm.mac import generate_mac_key
from provisioning import names, tokens
from provisioning.genesis import EnrolledApplication, enrolled, record_genesis
from provisioning.rehearsal_certificates import (
    AUTHORITY_SCHEME,
    RESPONDER_SCHEME,
    Certificates,
    write_software_key,
)
from provisioning.rehearsal_seal import write_seal
from provisioning.rehearsal_tenants import UNITS, Tenants, new_key
from provisioning.rehearsal_trust import AUTHORITIES, add_trust_bundle

FRONT_LIFETIME = profiles.LONGEST_SERVER
"""Browsers take no certificate of a server for longer."""
APPLICATION_LIFETIME = datetime.timedelta(days=365)
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
        self.certificates = Certificates(home, self.box_id, revocation_url, self.now)
        self.enrolled: list[EnrolledApplication] = []
        self.log_keys: list[LogEntry] = []
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
        makes = Tenants(self.open, self.certificates)
        self._server()
        for label, scheme in self.accounts.items():
            generate_key_pair(self.open["box"], label, scheme)
        units, seal_keys = [], []
        for tenant in self.tenants:
            units += [makes.unit(tenant, unit) for unit in UNITS]
            seal_keys.append(makes.seal_key(tenant))
        settings = box.BoxSettings(
            box_id=self.box_id,
            name=self.name,
            rehearsal=True,
            environment={tokens.SOFTHSM_VARIABLE: "{home}/tokens/softhsm2.conf"},
            workers=self.workers,
            tokens=[self._token_settings(label) for label in self.new],
            tenants=[makes.tenant(tenant) for tenant in self.tenants],
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
        self.enrolled += [self._listener(unit) for unit in units if unit.public]
        applications = {f"{tenant}-app": self._application(tenant) for tenant in self.tenants}
        device = new_key(self.open["box"], "device", AUTHORITY_SCHEME)
        add_trust_bundle(self.certificates, device, UNITS[0].policies, self.log_keys, self.witnesses, self.policy)
        box.write_settings(self.home.settings, settings)
        try:
            record_genesis(self.home, settings, counter, self.certificates.signed, self.enrolled)
        except BaseException:
            self.home.settings.unlink()
            raise
        counter.close(remove=True)
        for path, content in self.certificates.outputs.items():
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
            chain = self.certificates.outputs[self.home.root / f"certificates/{tenant}-seal.pem"]
            certificate = x509.load_pem_x509_certificate(chain)
            write_seal(self.home, tenant, tenant, certificate.public_bytes(serialization.Encoding.DER), self.now)

    def _token_settings(self, label: str) -> box.TokenSettings:
        return box.TokenSettings(
            name=label, uri=str(self.new[label].uri), pin_file=str(self.new[label].pin_file.relative_to(self.home.root))
        )

    def _authority(self, name: str) -> box.CertificateAuthoritySettings:
        token = self.open["box"]
        made = self.certificates.authority(name, new_key(token, name, AUTHORITY_SCHEME))
        generate_key_pair(token, f"{name}-ocsp", RESPONDER_SCHEME)
        return made

    def _listener(self, unit: box.UnitSettings) -> EnrolledApplication:
        """Requests without a certificate are charged to the unit's tenant, under a caller of their own."""
        chain = self.certificates.outputs[self.home.root / unit.certificate]
        certificate = x509.load_pem_x509_certificate(chain)
        return EnrolledApplication(
            unit.tenant,
            f"{unit.name}-listener",
            [unit.name],
            public_certificate(unit.name),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )

    def _server(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificates.issuers["box-ca"]
        certificate = profiles.tls_server(
            issuer,
            profiles.name(names.common_name("front"), names.ORGANISATION),
            key.public_key(),
            self.now,
            FRONT_LIFETIME,
            list(dict.fromkeys([self.host, f"approve.{self.host}", *LOOPBACK])),
        )
        self.certificates.keep("box-ca", self.home.front / "server.crt", certificate)
        write_software_key(self.home.front / "server.key", key)

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
        key = new_key(self.open[label], f"{label}-log-1", "ed25519")
        verifier = VerifierKey(
            origin, key.public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )
        self.log_keys.append(LogEntry(origin=origin, key=str(verifier)))
        self.certificates.outputs[self.home.trust / f"{label}-log.vkey"] = f"{verifier}\n".encode()
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
            self.certificates.issuers["box-ca"],
            profiles.name(names.common_name(name), names.ORGANISATION),
            key.public_key(),
            self.now,
            APPLICATION_LIFETIME,
        )
        path = self.home.clients / f"{name}.crt"
        self.certificates.keep("box-ca", path, certificate)
        write_software_key(path.with_suffix(".key"), key)
        self.enrolled.append(enrolled(tenant, name, certificate))
        return path
