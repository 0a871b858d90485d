"""A small time-stamping authority with software keys: a root, an issuing CA, and units of any scheme."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.algorithms import signature_scheme
from appliance.clock import Clock, Reading, unverified_clock
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile

POLICY = "1.3.6.1.4.1.59999.1.1"
OTHER_POLICY = "1.3.6.1.4.1.59999.1.2"
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def software_key(scheme: str) -> Any:
    if scheme.startswith("ecdsa-"):
        curve = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "secp256k1": ec.SECP256K1()}[scheme.split("-")[1]]
        return ec.generate_private_key(curve)
    if scheme.startswith("rsa-"):
        return rsa.generate_private_key(65537, 2048)
    if scheme == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return {"44": mldsa.MLDSA44PrivateKey, "65": mldsa.MLDSA65PrivateKey, "87": mldsa.MLDSA87PrivateKey}[
        scheme.removeprefix("ml-dsa-")
    ].generate()


def software_signer(scheme: str, key: Any) -> Callable[[bytes], bytes]:
    if scheme.startswith("ecdsa-"):
        algorithm = ec.ECDSA(HASHES[scheme.rsplit("-", 1)[1]])
        return lambda message: key.sign(message, algorithm)
    if scheme.startswith("rsa-"):
        algorithm = HASHES[scheme.rsplit("-", 1)[1]]
        if "pkcs1" in scheme:
            return lambda message: key.sign(message, padding.PKCS1v15(), algorithm)
        pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        return lambda message: key.sign(message, pss, algorithm)
    return key.sign


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NL"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cinnabar Rehearsal 朱砂"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass
class SoftwareUnit:
    """A unit, with what a test needs to use and to verify it."""

    unit: TimeStampUnit
    mark: HighWaterMark
    sign: Callable[[bytes], bytes]
    key: Any
    profile: UnitProfile
    clock: Clock = field(default_factory=unverified_clock)

    def reading(self) -> Reading:
        """The true time, as if it were shown to the microsecond."""
        return Reading(self.clock.read().time_us, 1, "chrony")

    def token(self, request: bytes) -> bytes:
        prepared = self.unit.prepare(request, self.reading())
        return self.unit.complete(prepared, self.sign(prepared.to_be_signed))


class Authority:
    def __init__(self) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.issuing_key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.not_before = now - datetime.timedelta(days=1)
        self.not_after = now + datetime.timedelta(days=365)
        self.root = self._ca(name("Rehearsal Root"), name("Rehearsal Root"), self.root_key, self.root_key)
        self.issuing = self._ca(
            name("Rehearsal TSA CA"), name("Rehearsal Root"), self.issuing_key, self.root_key, path_length=0
        )

    def _ca(
        self, subject: x509.Name, issuer: x509.Name, key: Any, signer: Any, path_length: int | None = None
    ) -> x509.Certificate:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
            .add_extension(x509.BasicConstraints(True, path_length), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key()), critical=False
            )
            .sign(signer, hashes.SHA256())
        )

    def unit_certificate(
        self,
        public_key: Any,
        *,
        purposes: list[x509.ObjectIdentifier] | None = None,
        purposes_critical: bool = True,
        usage: x509.KeyUsage | None = None,
        ca: bool = False,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        key_period: tuple[datetime.datetime | None, datetime.datetime | None] | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name("Rehearsal TSU 1"))
            .issuer_name(self.issuing.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before or self.not_before)
            .not_valid_after(not_after or self.not_after)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(
                usage or x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuing_key.public_key()), critical=False
            )
        )
        if purposes is None:
            purposes = [ExtendedKeyUsageOID.TIME_STAMPING]
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=purposes_critical)
        if key_period is not None:
            builder = builder.add_extension(x509.PrivateKeyUsagePeriod(*key_period), critical=False)
        return builder.sign(self.issuing_key, hashes.SHA256())

    def trust(self, directory: Path) -> tuple[Path, Path]:
        """PEM files of the root and of the issuing CA."""
        root, issuing = directory / "root.pem", directory / "issuing.pem"
        root.write_bytes(self.root.public_bytes(Encoding.PEM))
        issuing.write_bytes(self.issuing.public_bytes(Encoding.PEM))
        return root, issuing


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


MakeUnit = Callable[..., SoftwareUnit]


@pytest.fixture(scope="session")
def software_keys() -> Callable[[str], Any]:
    """One software key a scheme, made when first asked for."""
    keys: dict[str, Any] = {}

    def key(scheme: str) -> Any:
        if scheme not in keys:
            keys[scheme] = software_key(scheme)
        return keys[scheme]

    return key


@pytest.fixture(scope="session")
def make_unit(
    authority: Authority, software_keys: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeUnit]:
    directory = tmp_path_factory.mktemp("marks")
    numbers = itertools.count()
    marks: list[HighWaterMark] = []

    def make(scheme: str = "ecdsa-p256-sha256", **settings: Any) -> SoftwareUnit:
        key = software_keys(scheme)
        certificate = settings.pop("certificate", None) or authority.unit_certificate(key.public_key())
        settings.setdefault("accuracy_us", 1_000_000)
        profile = UnitProfile(
            name="tsu-1",
            scheme=signature_scheme(scheme),
            certificate=certificate,
            chain=settings.pop("chain", (authority.issuing,)),
            default_policy=POLICY,
            accepted_policies=(OTHER_POLICY,),
            **settings,
        )
        mark = HighWaterMark(
            directory / f"{next(numbers)}", tolerance_us=profile.accuracy_us, ordering=profile.ordering
        )
        marks.append(mark)
        return SoftwareUnit(TimeStampUnit(profile, mark), mark, software_signer(scheme, key), key, profile)

    yield make
    for mark in marks:
        mark.close()


@pytest.fixture(scope="session")
def software_unit(make_unit: MakeUnit) -> SoftwareUnit:
    return make_unit()
