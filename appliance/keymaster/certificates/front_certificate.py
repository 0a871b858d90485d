"""The TLS front's own certificate, renewed without anybody before it ends: same names, same CA, a new key.

Its life is that of the one before, where that is not longer than a server's may be. Only a certificate of the box's own
CA is renewed so; one of an outside CA is left to whoever brought it. The new key is made here, handed to the
supervisor, and kept nowhere else.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.authorities import keep_issued, may_issue
from appliance.keymaster.certificates.profiles import CLOCK_TOLERANCE, Issuer
from appliance.keymaster.context import Room

log = structlog.get_logger("keymaster")


def is_due(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    """From two thirds of its life on."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begin + (end - begin) * 2 / 3


class FrontCertificate:
    """Looks at it in every round."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: tuple[bytes, bytes] | None = None
        """Certificate and key that the supervisor has not taken yet: they are offered again, and none made anew."""

    async def round(self, issuers: Mapping[str, Issuer], now: datetime.datetime) -> None:
        """Raises HsmError, KeyStateRefused, RecorderUnavailable, FrontCertificateRefused, SupervisorUnavailable."""
        if self._waiting is None:
            try:
                current = x509.load_pem_x509_certificates((self._room.home.front / "server.crt").read_bytes())[0]
            except (OSError, ValueError):
                return  # the front has none of its own
            found = _issuer(issuers, current)
            if found is None or not is_due(current, now):
                return
            may_issue(self._room, found[0])
            self._waiting = await self._make(*found, current, now)
        chain, key = self._waiting
        await self._room.control(lambda client: client.front_certificate(chain, key))
        self._waiting = None
        log.info("front-certificate-renewed")

    async def _make(
        self, name: str, issuer: Issuer, current: x509.Certificate, now: datetime.datetime
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        named = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        lifetime = current.not_valid_after_utc - current.not_valid_before_utc - CLOCK_TOLERANCE
        made = profiles.tls_server(
            issuer, current.subject, key.public_key(), now, lifetime, [str(one.value) for one in named]
        )
        await keep_issued(self._room, name, made)
        pem = serialization.Encoding.PEM
        chain = made.public_bytes(pem) + issuer.certificate.public_bytes(pem)
        return chain, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _issuer(issuers: Mapping[str, Issuer], certificate: x509.Certificate) -> tuple[str, Issuer] | None:
    for name, issuer in issuers.items():
        try:
            certificate.verify_directly_issued_by(issuer.certificate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return name, issuer
    return None
