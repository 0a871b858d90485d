"""CRLs, published from the first day: made anew at half of their life and whenever a certificate is revoked.

A CRL is a housekeeping signature: its row is on disk before the file is published (control RECORD).
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509

from appliance.box.home import Home
from appliance.box.settings import CertificateAuthoritySettings
from appliance.files import write_file
from appliance.keymaster.certificates.profiles import Issuer, Revocation, revocation_list

_REASONS = {
    "key-compromise": x509.ReasonFlags.key_compromise,
    "affiliation-changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
}
"""By the names of appliance.ceremonies.actions.RevokeCertificate."""


def read_crl(path: Path) -> x509.CertificateRevocationList | None:
    """The published CRL, or None when there is none yet."""
    return x509.load_der_x509_crl(path.read_bytes()) if path.exists() else None


def is_due(crl: x509.CertificateRevocationList | None, revoked: list[Revocation], now: datetime.datetime) -> bool:
    """Whether a new CRL is needed: none yet, half of its life gone, or another set of revoked certificates."""
    if crl is None or crl.next_update_utc is None:
        return True
    if now >= crl.last_update_utc + (crl.next_update_utc - crl.last_update_utc) / 2:
        return True
    listed = {(entry.serial_number, _listed_reason(entry)) for entry in crl}
    return listed != {(entry.serial, entry.reason) for entry in revoked}


def _listed_reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return x509.ReasonFlags.unspecified


def reason_flag(state: str, reason: str) -> x509.ReasonFlags:
    """The reason on a CRL (RFC 5280, section 5.3.1) of a certificate that is `held` or `revoked`."""
    if state == "held":
        return x509.ReasonFlags.certificate_hold
    return _REASONS.get(reason, x509.ReasonFlags.unspecified)


def next_crl(
    issuer: Issuer,
    current: x509.CertificateRevocationList | None,
    revoked: list[Revocation],
    now: datetime.datetime,
    days: int,
) -> x509.CertificateRevocationList:
    """The CRL that follows `current`. Its number rises by one."""
    number = 1
    if current is not None:
        number = current.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
    return revocation_list(issuer, number, revoked, now, datetime.timedelta(days=days))


def publish(home: Home, authority: CertificateAuthoritySettings, der: bytes) -> None:
    """Put a CRL where outside tools and the public listener find it."""
    write_file(home.root / authority.crl, der)
