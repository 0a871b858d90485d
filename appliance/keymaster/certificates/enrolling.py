"""Unattended enrolment: what API workers hand in over a narrow socket is judged here, and issued or refused.

Officers have decided who (an authorisation with a one-time secret), under which names, how long and how many (a
profile); here nothing is decided but whether a request is that. A worker is believed in two things: which secret it was
given, and which certificate the TLS front has checked.

    judge > journal: secret or renewal taken for this key > sign > on record > journal > issued > register > answer

A life that ends in between is followed by the same request with the same key, which gets what the first one would have.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
import structlog
from cryptography import x509
from cryptography.x509.oid import NameOID

from appliance.enrolment.errors import (
    EnrolmentFull,
    EnrolmentRefused,
    EnrolmentUnavailable,
    RequestRefused,
    SecretRefused,
)
from appliance.enrolment.names import NamePattern
from appliance.enrolment.request import REQUEST_BYTES, CertificateRequest, read_request
from appliance.errors import Conflict
from appliance.keymaster import register
from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.authorities import file_issued, keep_issued, open_issuer
from appliance.keymaster.certificates.enrolments import AuthorisationRow, EnrolmentRow, Enrolments, ProfileRow
from appliance.keymaster.context import Room
from appliance.keymaster.engine import now_utc
from appliance.recorder.admin import AdminClient

User = Annotated[str, msgspec.Meta(max_length=64)]
Secret = Annotated[str, msgspec.Meta(max_length=256)]
Body = Annotated[bytes, msgspec.Meta(max_length=REQUEST_BYTES)]
Fingerprint = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]

WAITING: Final = 64
"""Requests that wait for their turn; more are refused as busy."""
WAITING_OF_ONE: Final = 2
"""Of them, those of one certificate or secret: who asks and asks keeps nobody else waiting (CHANNEL)."""
_US: Final = 1_000_000

log = structlog.get_logger("keymaster")


def secret_digest(user: str, secret: str) -> bytes:
    """What is kept of a one-time secret, which has 160 random bits: nobody finds it from this."""
    return hashlib.sha256(b"cinnabar enrolment v1\0" + user.encode() + b"\0" + secret.encode()).digest()


class Enrolling:
    """The methods of the socket. One certificate is issued at a time."""

    def __init__(self, room: Room, clock: Callable[[], datetime.datetime] = now_utc) -> None:
        self._room = room
        self._kept = Enrolments(room.journal)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting: Counter[object] = Counter()

    def methods(self) -> dict[str, Any]:
        return {"enrol": self.enrol, "renew": self.renew}

    async def enrol(self, user: User, secret: Secret, request: Body) -> bytes:
        """The first certificate of an application, DER, for a one-time secret; the same again for the same key.

        Raises SecretRefused, EnrolmentRefused, RequestRefused, EnrolmentFull, EnrolmentUnavailable."""
        authorisation = self._authorised(user, secret)  # a wrong secret does not even wait
        return await self._in_turn(authorisation.id, lambda: self._enrol(user, secret, request))

    async def renew(self, certificate: Fingerprint, request: Body) -> bytes:
        """The certificate that follows one in force, DER; once for each. Raises as `enrol`, but for SecretRefused."""
        return await self._in_turn(certificate, lambda: self._renew(certificate, request))

    async def _in_turn(self, who: object, work: Callable[[], Any]) -> bytes:
        if self._waiting[who] >= WAITING_OF_ONE or self._waiting.total() >= WAITING:
            raise EnrolmentUnavailable("too many ask for certificates at once")
        self._waiting[who] += 1
        try:
            async with self._turn:
                self._check_box()
                return await work()  # type: ignore[no-any-return]
        except (SecretRefused, EnrolmentRefused, RequestRefused, EnrolmentFull) as error:
            log.warning("enrolment-refused", error=error.code, detail=str(error))
            raise
        finally:
            self._waiting -= Counter([who])  # forgets who waits no more

    def _check_box(self) -> None:
        """A worker that was taken over does not ask the box's state: so this does. Raises EnrolmentUnavailable."""
        home = self._room.home
        if any(path.exists() for path in (home.lock, home.tamper_latch, home.history_lock)):
            raise EnrolmentUnavailable("the box is locked")
        if self._room.constitutions.refusal is not None:
            raise EnrolmentUnavailable("the constitution that gave the permission is not shown to be the box's own")

    # By a one-time secret

    def _authorised(self, user: str, secret: str) -> AuthorisationRow:
        authorisation = self._kept.authorisation(user)
        kept = b"" if authorisation is None else authorisation.secret or b""
        right = hmac.compare_digest(kept, secret_digest(user, secret))
        if authorisation is None or not right or authorisation.until <= _us(self._clock()):
            log.warning("enrolment-refused", error=SecretRefused.code)
            raise SecretRefused("the secret is unknown, used, or too old")
        return authorisation

    async def _enrol(self, user: str, secret: str, body: bytes) -> bytes:
        now = self._clock().replace(microsecond=0)
        authorisation = self._authorised(user, secret)
        request = read_request(body)
        used = self._kept.first_of(authorisation.id)
        if used is not None and used.key != request.key_digest:
            raise SecretRefused("the secret is unknown, used, or too old")
        profile = self._profile(authorisation, now)
        check_names(profile, request)
        self._check_key(authorisation, request)
        await self._check_application(authorisation)
        if used is None:
            await self._check_room(profile, now)
        return await self._issue(profile, authorisation, None, used, request, now)

    # By the certificate in force

    async def _renew(self, presented: bytes, body: bytes) -> bytes:
        now = self._clock().replace(microsecond=0)
        request = read_request(body)
        caller = await self._room.administer(lambda admin: register.certificate(admin, presented))
        if caller is None or caller.state != "active":
            raise EnrolmentRefused("the certificate is not one in force")
        before = await self._predecessor(presented, caller, request, now)
        authorisation = self._kept.authorisation(before.authorisation)
        if authorisation is None or (authorisation.tenant, authorisation.application) != (
            caller.tenant,
            caller.application,
        ):
            raise EnrolmentRefused("the certificate was not enrolled for this application")
        profile = self._profile(authorisation, now)
        check_names(profile, request)
        self._check_key(authorisation, request)
        await self._check_application(authorisation)
        digest = before.digest or b""
        used = self._kept.renewal_of(digest)
        if used is not None and used.key != request.key_digest:
            raise EnrolmentRefused("the certificate is renewed already, for another key")
        if used is None:
            # From half of its life on, a certificate leaves its place to the one that follows.
            leaves = _us(now) >= (before.not_before + before.not_after) // 2
            await self._check_room(profile, now, without=digest if leaves else None)
        return await self._issue(profile, authorisation, digest, used, request, now)

    async def _predecessor(
        self,
        presented: bytes,
        caller: register.RegisteredCertificate,
        request: CertificateRequest,
        now: datetime.datetime,
    ) -> EnrolmentRow:
        """The certificate of the same names that is to be renewed: the presented one, or a server's of the same
        application, which cannot itself be presented. Raises EnrolmentRefused."""
        stopped = await self._stopped()
        own = [
            row
            for row in self._kept.of_application(caller.tenant, caller.application)
            if row.digest is not None and row.digest not in stopped and row.not_after > _us(now)
        ]
        mine = [row for row in own if _names(row) == (request.common_name, request.hosts)]
        for row in mine:
            if row.digest == presented:
                return row
        servers = [row for row in mine if self._use(row) == "tls-server"]
        for row in servers:
            successor = self._kept.renewal_of(row.digest or b"")
            if successor is None or successor.key == request.key_digest:
                return row
        raise EnrolmentRefused("a renewal is for the same names as a certificate in force that was enrolled here")

    def _use(self, row: EnrolmentRow) -> str | None:
        authorisation = self._kept.authorisation(row.authorisation)
        profile = None if authorisation is None else self._kept.profile(authorisation.profile)
        return None if profile is None else profile.use

    # Judging

    def _profile(self, authorisation: AuthorisationRow, now: datetime.datetime) -> ProfileRow:
        profile = self._kept.profile(authorisation.profile)
        if profile is None or profile.tenant != authorisation.tenant or profile.until <= _us(now):
            raise EnrolmentRefused("the profile has ended")
        return profile

    def _check_key(self, authorisation: AuthorisationRow, request: CertificateRequest) -> None:
        """A request proves that somebody has the key, and whoever saw it can send it again: a key that was enrolled for
        another application is nobody else's. Raises EnrolmentRefused."""
        own = (authorisation.tenant, authorisation.application)
        if self._kept.owners_of_key(request.key_digest) - {own}:
            raise EnrolmentRefused("make a key for this application alone")

    async def _check_application(self, authorisation: AuthorisationRow) -> None:
        def states(admin: AdminClient) -> tuple[object, object]:
            found = register.application(admin, authorisation.tenant, authorisation.application)
            return register.tenant_state(admin, authorisation.tenant), None if found is None else found[1]

        if await self._room.administer(states) != ("active", "active"):
            raise EnrolmentRefused("the application or its tenant is stopped")

    async def _check_room(self, profile: ProfileRow, now: datetime.datetime, without: bytes | None = None) -> None:
        """Raises EnrolmentFull. `without`: a certificate that is renewed now, in the second half of its life."""
        stopped = await self._stopped()
        rows = self._kept.of_profile(profile.name)
        followed = {row.predecessor for row in rows if row.predecessor is not None}
        taken = 0
        for row in rows:
            over = row.not_after <= _us(now) or row.digest in stopped or (without is not None and row.digest == without)
            leaving = row.digest in followed and _us(now) >= (row.not_before + row.not_after) // 2
            taken += not (over or leaving)
        if taken >= profile.most:
            raise EnrolmentFull(f"the profile permits {profile.most} certificates at once")

    async def _stopped(self) -> set[bytes]:
        """Certificates that are held or revoked."""
        rows = await self._room.connected().query("certificate_states")
        return {bytes(row[0]) for row in rows}

    # Issuing

    async def _issue(
        self,
        profile: ProfileRow,
        authorisation: AuthorisationRow,
        predecessor: bytes | None,
        row: EnrolmentRow | None,
        request: CertificateRequest,
        now: datetime.datetime,
    ) -> bytes:
        """`row`: what an earlier request of this key left."""
        if row is not None and row.certificate is not None:
            await self._let_in(profile, authorisation, row.certificate)
            return row.certificate
        issuer = await open_issuer(self._room, profile.authority)
        lifetime = datetime.timedelta(days=profile.days)
        if profile.use == "tls-server":
            lifetime = min(lifetime, profiles.LONGEST_SERVER)
        # Before the signature is made: a secret, and a renewal, are used up by one key.
        if row is None:
            try:
                row = self._kept.begin(
                    authorisation.id, predecessor, request.key_digest, _us(now), _us(now + lifetime), _us(now)
                )
            except sqlite3.IntegrityError:
                raise EnrolmentRefused("the certificate is renewed already") from None
        subject = _subject(issuer, request.common_name)
        if profile.use == "tls-client":
            made = profiles.tls_client(issuer, subject, request.public_key, now, lifetime)
        else:
            made = profiles.tls_server(issuer, subject, request.public_key, now, lifetime, list(request.hosts))
        der = await keep_issued(self._room, profile.authority, made)
        self._kept.issued(row.number, hashlib.sha256(der).digest(), der)
        await self._let_in(profile, authorisation, der)
        log.info(
            "certificate-enrolled",
            profile=profile.name,
            tenant=authorisation.tenant,
            application=authorisation.application,
            certificate=hashlib.sha256(der).hexdigest(),
            renewal=predecessor is not None,
        )
        return der

    async def _let_in(self, profile: ProfileRow, authorisation: AuthorisationRow, der: bytes) -> None:
        """Enrol a client's certificate as its application's; a leaf of the tenant's log. Again is no error."""
        made = x509.load_der_x509_certificate(der)
        file_issued(self._room, made)
        if profile.use != "tls-client":
            return
        digest = hashlib.sha256(der).digest()

        def enrol(admin: AdminClient) -> None:
            known = register.certificate(admin, digest)
            if known is None:
                admin.enrol_certificate(
                    authorisation.tenant,
                    authorisation.application,
                    digest,
                    int(made.not_valid_before_utc.timestamp()),
                    int(made.not_valid_after_utc.timestamp()),
                    ceremony=authorisation.proposal,
                )
            elif (known.tenant, known.application) != (authorisation.tenant, authorisation.application):
                raise Conflict("the certificate is another application's")

        await self._room.administer(enrol)


def check_names(profile: ProfileRow, request: CertificateRequest) -> None:
    """Whether the profile permits every name of the request. Raises RequestRefused."""
    permitted = NamePattern(profile.pattern)
    if profile.use == "tls-client":
        if request.hosts:
            raise RequestRefused("a client's certificate has no host names")
    elif request.common_name not in request.hosts:
        raise RequestRefused("a server's request has a subjectAltName with its common name in it")
    for name in (request.common_name, *request.hosts):
        if not permitted.matches(name):
            raise RequestRefused(f"the profile does not permit the name {name[:80]!r}")


def _subject(issuer: profiles.Issuer, common_name: str) -> x509.Name:
    """Country and organisation are the authority's; the request decides the common name alone."""
    own = {attribute.oid: attribute for attribute in issuer.certificate.subject}
    kept = [own[oid] for oid in (NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME) if oid in own]
    return x509.Name([*kept, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(row: EnrolmentRow) -> tuple[str, tuple[str, ...]]:
    made = x509.load_der_x509_certificate(row.certificate or b"")
    common = str(made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    try:
        named = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return common, ()
    return common, tuple(named.get_values_for_type(x509.DNSName))


def _us(at: datetime.datetime) -> int:
    return int(at.timestamp() * _US)
