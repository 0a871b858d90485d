"""A CA of its own, and a TLS certificate for witnesses on this machine, both openssl's."""

from __future__ import annotations

from pathlib import Path

from firmware_tests.gateway.partner import openssl


def make_tls(at: Path) -> Path:
    """tls.crt and tls.key for localhost, under ca.crt; gives the directory."""
    at.mkdir(parents=True, exist_ok=True)
    for name in ("ca", "tls"):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", at / f"{name}.key")
    openssl("req", "-x509", "-new", "-key", at / "ca.key", "-subj", "/CN=witnesses ca", "-days", "2",
            "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign",
            "-out", at / "ca.crt")  # fmt: skip
    openssl("req", "-new", "-key", at / "tls.key", "-subj", "/CN=localhost", "-out", at / "tls.csr")
    (at / "tls.ext").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", at / "tls.csr", "-CA", at / "ca.crt", "-CAkey", at / "ca.key", "-days", "2",
            "-CAcreateserial", "-extfile", at / "tls.ext", "-out", at / "tls.crt")  # fmt: skip
    return at
