"""Seal keys in software, with a certificate chain each: a seal's bytes do not depend on where its key lives."""

from __future__ import annotations

import functools
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.x509.oid import NameOID

from appliance.seals import SealProfile

NOW = int(time.time())
NOW_US = NOW * 1_000_000 + 123_456

HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
# OpenSSL 3.0 knows no EdDSA in CMS ("invalid digest") and no ML-DSA.
OPENSSL_SCHEMES = [
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "ecdsa-secp256k1-sha256",
    "rsa-pkcs1-sha256",
    "rsa-pkcs1-sha384",
    "rsa-pkcs1-sha512",
    "rsa-pss-sha256",
    "rsa-pss-sha384",
    "rsa-pss-sha512",
]
ALL_SCHEMES = [*OPENSSL_SCHEMES, "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"]


def key_usage(**chosen: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]  # fmt: skip
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in names})


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def new_key(scheme: str):
    match scheme:
        case "ecdsa-p256-sha256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ecdsa-p384-sha384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ecdsa-secp256k1-sha256":
            return ec.generate_private_key(ec.SECP256K1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ml-dsa-44":
            return mldsa.MLDSA44PrivateKey.generate()
        case "ml-dsa-65":
            return mldsa.MLDSA65PrivateKey.generate()
        case "ml-dsa-87":
            return mldsa.MLDSA87PrivateKey.generate()
        case _:
            return rsa_key()


def sign(key, scheme: str, message: bytes) -> bytes:
    """What the HSM layer's SigningKey.sign does."""
    digest = HASHES.get(scheme.rsplit("-", 1)[-1])
    if scheme.startswith("ecdsa"):
        return key.sign(message, ec.ECDSA(digest()))
    if scheme.startswith("rsa-pkcs1"):
        return key.sign(message, padding.PKCS1v15(), digest())
    if scheme.startswith("rsa-pss"):
        return key.sign(message, padding.PSS(padding.MGF1(digest()), digest.digest_size), digest())
    return key.sign(message)


def name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "测试担保"),
         x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )  # fmt: skip


class Authority:
    """A root and the certificates it gives."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = (
            self._builder("Seal Root", self.key.public_key(), "Seal Root")
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _builder(self, subject: str, public_key, issuer: str) -> x509.CertificateBuilder:
        start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=365))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def issue(
        self, public_key, subject: str = "Seal", extensions: tuple[tuple[x509.ExtensionType, bool], ...] | None = None
    ) -> x509.Certificate:
        if extensions is None:
            extensions = ((key_usage(content_commitment=True, digital_signature=True), True),)
        builder = self._builder(subject, public_key, "Seal Root")
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Sealer:
    """A profile with its key in software."""

    profile: SealProfile
    key: object
    scheme: str
    certificates: list[x509.Certificate]

    def sign(self, message: bytes) -> bytes:
        return sign(self.key, self.scheme, message)

    def digest(self, document: bytes) -> bytes:
        return self.profile.digest_algorithm.digest(document)

    def seal(self, prepared) -> bytes:
        return self.profile.complete(prepared, self.sign(prepared.to_be_signed))

    def prepare_digest(self, document: bytes, time_us: int = NOW_US, **more):
        return self.profile.prepare(self.digest(document), self.profile.digest_algorithm.name, time_us, **more)


def openssl_verify(
    directory: Path, cms: bytes, ca: bytes, document: bytes | None, *, cades: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """`openssl cms -verify`, which gives the document back. `cades` has it check the signing certificate too."""
    (directory / "seal.p7m").write_bytes(cms)
    (directory / "ca.pem").write_bytes(ca)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", "seal.p7m", "-CAfile", "ca.pem", "-binary",
               "-purpose", "any", "-attime", str(NOW)]  # fmt: skip
    if cades:
        command.append("-cades")
    if document is not None:
        (directory / "document").write_bytes(document)
        command += ["-content", "document"]
    return subprocess.run(command, cwd=directory, capture_output=True, check=False, timeout=60)
