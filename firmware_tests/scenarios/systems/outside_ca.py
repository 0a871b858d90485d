"""A certification authority that is not the box's, as one that the law recognises would be: openssl and its own key."""

from __future__ import annotations

import subprocess
from pathlib import Path

_CA = """[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = Recognised CA
O = Recognised CA
C = CN
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[seal]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class OutsideAuthority:
    """In a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.root = directory / "root.pem"
        (directory / "ca.cnf").write_text(_CA)
        new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-sha384")
        self._openssl(*new, "-keyout", "root.key", "-out", "root.pem", "-days", "3650", "-config", "ca.cnf")

    def certify(self, request: bytes) -> list[bytes]:
        """The certificate that a PKCS#10 request (PEM) asks for, and the root's: DER."""
        (self._directory / "seal.csr").write_bytes(request)
        signed = ("-CA", "root.pem", "-CAkey", "root.key", "-extfile", "ca.cnf", "-extensions", "seal", "-days", "365")
        self._openssl("x509", "-req", "-in", "seal.csr", "-sha384", *signed, "-out", "seal.pem")
        return [self._openssl("x509", "-in", name, "-outform", "DER") for name in ("seal.pem", "root.pem")]

    def _openssl(self, *arguments: str) -> bytes:
        done = subprocess.run(["openssl", *arguments], cwd=self._directory, check=True, capture_output=True)
        return done.stdout
