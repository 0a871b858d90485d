"""Run as a program: a client certificate of the box's own CA, made with its key while the box is stopped.

    python -m firmware_tests.scenarios.issue_client HOME OUTPUT DAYS

It is valid for two days from DAYS from now, names the demo tenant's application, and is not enrolled.
"""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import hsm
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.keymaster.certificates import profiles
from hsm.x509 import private_key

NAME = profiles.name("REHEARSAL demo-app", "REHEARSAL - no legal effect")


def issue(issuer: profiles.Issuer, output: Path, days: float) -> None:
    """OUTPUT.crt and OUTPUT.key, issued by any authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=days)
    made = profiles.tls_client(issuer, NAME, key.public_key(), begins, datetime.timedelta(days=2))
    output.with_suffix(".crt").write_bytes(made.public_bytes(Encoding.PEM))
    output.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def main(root: str, output: str, days: str) -> None:
    home = Home(Path(root))
    settings = read_settings(home.settings)
    os.environ.update({name: value.replace("{home}", root) for name, value in settings.environment.items()})
    authority = next(one for one in settings.authorities if one.name == "box-ca")
    token = next(one for one in settings.tokens if one.name == authority.token)
    opened = hsm.open_token(hsm.Pkcs11Uri.parse(token.uri), hsm.PinFile(home.root / token.pin_file), hsm.LaneSettings())
    key = private_key(opened.signing_key(hsm.Pkcs11Uri.parse(authority.key_uri), authority.scheme))
    certificate = x509.load_pem_x509_certificate((home.root / authority.certificate).read_bytes())
    issue(profiles.Issuer(certificate, key, hashes.SHA384(), "http://crl.invalid/x.crl"), Path(output), float(days))
    opened.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
