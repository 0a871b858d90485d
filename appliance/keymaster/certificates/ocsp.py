"""OCSP answers (RFC 6960), signed in advance as RFC 5019 describes: no request reaches a key.

For every certificate in force there are two, one for clients that name it by SHA-1 and one for those that do by SHA-256
(RFC 9654); both anew at half of their life, and at every change of state. Each is one signature and one row (RECORD).
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

import hsm
from appliance.box.settings import CertificateAuthoritySettings, ResponderSettings
from appliance.files import write_file
from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.authorities import keep_issued
from appliance.keymaster.certificates.profiles import Issuer, Revocation
from appliance.keymaster.certificates.responders import responder_key
from appliance.keymaster.context import Room
from hsm.x509 import hash_algorithm, private_key

RESPONDER_LIFETIME: Final = datetime.timedelta(days=90)
"""Of a responder's certificate, which is renewed at half of it: far longer than an answer's."""
BATCH: Final = 64
"""Certificates that one round answers for; the next round goes on."""
# Not for security: by which hash a request names the issuer is the client's to choose (RFC 6960, section 4.1.1).
NAMED_BY: Final[Mapping[str, hashes.HashAlgorithm]] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303

log = structlog.get_logger("keymaster")


def answer_path(directory: Path, authority: str, serial: int, named_by: str) -> Path:
    """Where the answer for a certificate stands."""
    return directory / authority / f"{serial:x}-{named_by}.der"


def key_of(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass(frozen=True)
class _Told:
    """What the answers on disk say of a certificate."""

    revoked: Revocation | None
    since: datetime.datetime
    until: datetime.datetime
    signer: bytes
    """The responder's key: answers of another one are made anew."""


class IssuedCertificates:
    """The certificates that the box's authorities issued, read once each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: set[str] = set()
        self._changed = -1
        self.by_issuer: dict[x509.Name, dict[int, x509.Certificate]] = {}

    def look(self) -> None:
        """Take in what is new. Blocks."""
        changed = self._directory.stat().st_mtime_ns if self._directory.exists() else -1
        if changed == self._changed:
            return
        for path in self._directory.glob("*.pem"):
            if path.name not in self._seen:
                made = x509.load_pem_x509_certificate(path.read_bytes())
                self.by_issuer.setdefault(made.issuer, {})[made.serial_number] = made
                self._seen.add(path.name)
        self._changed = changed


class OcspAnswers:
    """Keeps the answers of every authority that has a responder."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._issued = IssuedCertificates(room.home.issued)
        self._told: dict[tuple[str, int], _Told] = {}

    async def round(
        self, issuers: Mapping[str, Issuer], revoked: Mapping[str, list[Revocation]], now: datetime.datetime
    ) -> None:
        """Sign what is due, at most BATCH certificates. Raises HsmError, RecorderUnavailable."""
        await asyncio.to_thread(self._issued.look)
        for authority in self._room.settings.authorities:
            if authority.responder is not None and authority.name in issuers and self._may_answer(authority):
                await self._authority(authority, authority.responder, issuers[authority.name], revoked, now)

    async def _authority(
        self,
        authority: CertificateAuthoritySettings,
        responder: ResponderSettings,
        issuer: Issuer,
        revoked: Mapping[str, list[Revocation]],
        now: datetime.datetime,
    ) -> None:
        # An answer has no invalidity date, so one that is read again could not be compared with it.
        stopped = {entry.serial: replace(entry, invalid=None) for entry in revoked.get(authority.name, [])}
        known = self._issued.by_issuer.get(issuer.certificate.subject, {})
        for serial in [serial for serial, made in known.items() if made.not_valid_after_utc <= now]:
            self._forget(authority.name, serial)
            del known[serial]
        signer = await asyncio.to_thread(self._signer, responder)
        due = [
            made
            for serial, made in known.items()
            if self._is_due(authority.name, serial, stopped.get(serial), signer, now)
        ]
        if not due:
            return
        # What has changed goes before what is merely growing old.
        due.sort(key=lambda made: not self._is_other(authority.name, made.serial_number, stopped))
        key = await asyncio.to_thread(self._open, responder)
        own = await self._certificate(authority, responder, issuer, key, now)
        for made in due[:BATCH]:
            entry = stopped.get(made.serial_number)
            await self._answer(authority, issuer.certificate, made, entry, (own, key), now)
        log.info("ocsp-answered", authority=authority.name, certificates=min(len(due), BATCH), due=len(due))

    def _may_answer(self, authority: CertificateAuthoritySettings) -> bool:
        """Whether no officer has stopped the responder's key."""
        known = responder_key(self._room, authority)
        return known is None or known.state == "active"

    def _is_other(self, authority: str, serial: int, stopped: Mapping[int, Revocation]) -> bool:
        told = self._told.get((authority, serial))
        return told is None or told.revoked != stopped.get(serial)

    def _signer(self, responder: ResponderSettings) -> bytes:
        """The key that a responder's certificate is for; empty before there is one."""
        path = self._room.home.root / responder.certificate
        return key_of(x509.load_pem_x509_certificate(path.read_bytes())) if path.exists() else b""

    def _is_due(
        self, authority: str, serial: int, entry: Revocation | None, signer: bytes, now: datetime.datetime
    ) -> bool:
        told = self._told.get((authority, serial)) or self._read(authority, serial)
        if told is None:
            return True
        self._told[authority, serial] = told
        return (told.revoked, told.signer) != (entry, signer) or now >= told.since + (told.until - told.since) / 2

    def _read(self, authority: str, serial: int) -> _Told | None:
        """What an earlier life of the keymaster published; None where that is not whole."""
        found = []
        for named_by in NAMED_BY:
            try:
                der = answer_path(self._room.home.ocsp, authority, serial, named_by).read_bytes()
                answer = ocsp.load_der_ocsp_response(der)
                entry = None
                if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
                    at, reason = answer.revocation_time_utc, answer.revocation_reason
                    assert at is not None  # noqa: S101 - the form has it where the certificate is revoked
                    entry = Revocation(serial, at, reason or x509.ReasonFlags.unspecified)
                until, signer = answer.next_update_utc, key_of(answer.certificates[0])
            except (OSError, ValueError, IndexError):
                return None
            if until is None:
                return None
            found.append(_Told(entry, answer.this_update_utc, until, signer))
        return found[0] if all(one == found[0] for one in found) else None

    def _open(self, responder: ResponderSettings) -> hsm.SigningKey:
        token = self._room.user_token(responder.token)
        return token.signing_key(hsm.Pkcs11Uri.parse(responder.key_uri), responder.scheme)

    async def _certificate(
        self,
        authority: CertificateAuthoritySettings,
        responder: ResponderSettings,
        issuer: Issuer,
        key: hsm.SigningKey,
        now: datetime.datetime,
    ) -> x509.Certificate:
        """The responder's own, renewed at half of its life."""
        path = self._room.home.root / responder.certificate
        if path.exists():
            own = x509.load_pem_x509_certificate(path.read_bytes())
            middle = own.not_valid_before_utc + (own.not_valid_after_utc - own.not_valid_before_utc) / 2
            if own.public_key() == key.public_key and own.issuer == issuer.certificate.subject and now < middle:
                return own
        common = str(issuer.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        others = [part for part in issuer.certificate.subject if part.oid != NameOID.COMMON_NAME]
        # At most 64 characters (RFC 5280, upper bounds).
        subject = x509.Name([*others, x509.NameAttribute(NameOID.COMMON_NAME, f"{common[:59]} OCSP")])
        own = profiles.ocsp_responder(issuer, subject, key.public_key, now, RESPONDER_LIFETIME)
        await keep_issued(self._room, authority.name, own)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, own.public_bytes(serialization.Encoding.PEM))
        known = responder_key(self._room, authority)
        if known is not None:
            chain = [one.public_bytes(serialization.Encoding.DER) for one in (own, issuer.certificate)]
            self._room.ledger.set_certificates(known, chain)
        log.info("ocsp-responder-certified", authority=authority.name)
        return own

    async def _answer(
        self,
        authority: CertificateAuthoritySettings,
        issuer: x509.Certificate,
        made: x509.Certificate,
        entry: Revocation | None,
        signer: tuple[x509.Certificate, hsm.SigningKey],
        now: datetime.datetime,
    ) -> None:
        until = now + datetime.timedelta(days=authority.crl_days)
        own, key = signer
        # By the responder's own name: the recorder refuses the rows of one that officers stopped meanwhile.
        known = responder_key(self._room, authority)
        signed_by = authority.name if known is None else known.label
        algorithm = hash_algorithm(key)
        answers: dict[str, bytes] = {}
        for named_by, by in NAMED_BY.items():
            builder = (
                ocsp.OCSPResponseBuilder()
                .add_response(
                    cert=made,
                    issuer=issuer,
                    algorithm=by,
                    cert_status=ocsp.OCSPCertStatus.GOOD if entry is None else ocsp.OCSPCertStatus.REVOKED,
                    this_update=now,
                    next_update=until,
                    revocation_time=None if entry is None else entry.at,
                    revocation_reason=_reason(entry),
                )
                .responder_id(ocsp.OCSPResponderEncoding.HASH, own)
                .certificates([own])
            )
            der = builder.sign(private_key(key), algorithm).public_bytes(serialization.Encoding.DER)
            answers[named_by] = der
            await self._room.record_signature("ocsp", signed_by, f"{made.serial_number:x}", der)
        for named_by, der in answers.items():
            path = answer_path(self._room.home.ocsp, authority.name, made.serial_number, named_by)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, der)
        self._told[authority.name, made.serial_number] = _Told(entry, now, until, key_of(own))

    def _forget(self, authority: str, serial: int) -> None:
        self._told.pop((authority, serial), None)
        for named_by in NAMED_BY:
            answer_path(self._room.home.ocsp, authority, serial, named_by).unlink(missing_ok=True)


def _reason(entry: Revocation | None) -> x509.ReasonFlags | None:
    """Unspecified is left out (RFC 5280, section 5.3.1)."""
    return None if entry is None or entry.reason is x509.ReasonFlags.unspecified else entry.reason
