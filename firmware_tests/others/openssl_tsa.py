"""A time-stamping authority that is not ours: `openssl ts -reply` with a certificate made for the test."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SETTINGS = """
[tsa]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class OpenSslTsa:
    """Answers in a directory of its own; tokens hold the authority's certificate."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OpenSSL TSA")])
        now = datetime.now(UTC)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        (directory / "tsa.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / "tsa.key").write_bytes(private)
        (directory / "tsa.cnf").write_text(_SETTINGS)
        (directory / "serial").write_text("01\n")

    def token(self, digest: bytes, hash_name: str = "sha256") -> bytes:
        """A TimeStampToken over this digest, DER, at the system's time."""
        self._openssl("-query", "-digest", digest.hex(), f"-{hash_name}", "-cert", "-no_nonce", "-out", "query")
        self._openssl(
            "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query", "-token_out", "-out", "token"
        )
        return (self._directory / "token").read_bytes()

    def _openssl(self, *arguments: str) -> None:
        command = ["openssl", "ts", *arguments]
        subprocess.run(command, cwd=self._directory, check=True, capture_output=True, timeout=60)
