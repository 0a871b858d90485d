"""What a rehearsal box's authorities sign while it is made. Nothing of it is let out before it is on record."""

from __future__ import annotations

import base64
import datetime
import os
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import hsm
from appliance.box import settings as box
from appliance.box.home import Home
from appliance.evidence import AuthorityEntry
from appliance.keymaster.certificates import profiles, revocation
from hsm.x509 import private_key
from provisioning import names
from provisioning.genesis import SignedThing

AUTHORITY_LIFETIME: Final = datetime.timedelta(days=3650)
AUTHORITY_SCHEME: Final = "ecdsa-p384-sha384"
RESPONDER_SCHEME: Final = "ecdsa-p256-sha256"


class Certificates:
    """Authorities, and all that they sign."""

    def __init__(self, home: Home, box_id: str, revocation_url: str, now: datetime.datetime) -> None:
        self.home = home
        self.now = now
        """From when certificates and lists hold."""
        self.issuers: dict[str, profiles.Issuer] = {}
        self.signed: list[SignedThing] = []
        """A row for each signature, for the records."""
        self.outputs: dict[Path, bytes] = {}
        """Public files, let out once what was signed is on record."""
        self._box_id = box_id
        self._revocation_url = revocation_url.rstrip("/")

    def authority(self, name: str, key: hsm.SigningKey) -> box.CertificateAuthoritySettings:
        """A new authority with its first CRL. Its responder's key, NAME-ocsp, the keymaster certifies in its first
        round."""
        signer = private_key(key)
        subject = names.common_name(f"{name} {self._box_id[:8]}")
        certificate = profiles.authority(
            profiles.name(subject, names.ORGANISATION),
            signer,
            key.public_key,
            hashes.SHA384(),
            self.now,
            AUTHORITY_LIFETIME,
        )
        base = self._revocation_url
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
        self._write_pem(self.home.root / settings.certificate, certificate)
        der = revocation.next_crl(issuer, None, [], self.now, settings.crl_days).public_bytes(
            serialization.Encoding.DER
        )
        self.signed += [_row(name, certificate), SignedThing("crl", name, name, der)]
        self.outputs[self.home.root / settings.crl] = der
        return settings

    def keep(self, issuer: str, path: Path, certificate: x509.Certificate) -> None:
        """Keep an end-entity certificate: its row, its file with its chain, and its copy among the issued ones."""
        self.signed.append(_row(issuer, certificate))
        self._write_pem(path, certificate, self.issuers[issuer].certificate)
        self._write_pem(self.home.issued / f"{certificate.fingerprint(hashes.SHA256()).hex()}.pem", certificate)

    def trusted(self, name: str, role: Literal["tsa", "seal", "tls"], policies: list[str]) -> AuthorityEntry:
        """An authority as the trust bundle lists it. `policies`: those of its time-stamps."""
        der = self.issuers[name].certificate.public_bytes(serialization.Encoding.DER)
        return AuthorityEntry(certificate=base64.b64encode(der).decode(), role=role, policies=policies)

    def _write_pem(self, path: Path, *chain: x509.Certificate) -> None:
        encoded = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
        self.outputs[path] = b"".join(encoded)


def _row(issuer: str, certificate: x509.Certificate) -> SignedThing:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return SignedThing("certificate", issuer, certificate.subject.rfc4514_string(), der)


def write_software_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """A key that TLS uses, in a new file that only its owner reads. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
