"""What the keymaster does without anybody's word: it keeps the CRLs, and the trust bundle, fresh."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import hsm
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings
from appliance.evidence.bundle import BundleDocument, CeremonyTrust, TrustRefused
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from appliance.keymaster.certificates.algorithm_ends import read_ends
from appliance.keymaster.certificates.authorities import open_issuer
from appliance.keymaster.certificates.front_certificate import FrontCertificate
from appliance.keymaster.certificates.ledger_entries import says_ledgers, time_rules, wanted_ledgers
from appliance.keymaster.certificates.log_renewals import decided_hashes
from appliance.keymaster.certificates.ocsp import OcspAnswers
from appliance.keymaster.certificates.profiles import Issuer, Revocation
from appliance.keymaster.certificates.revocation import is_due, next_crl, publish, read_crl, reason_flag
from appliance.keymaster.certificates.trust_bundles import make_bundle, read_last, write_bundle
from appliance.keymaster.certificates.trust_changes import says_all, wanted_authorities, wanted_logs
from appliance.keymaster.certificates.witness_policies import (
    read_policies,
    wanted_cosigning,
    wanted_witnesses,
    with_witnesses_time,
)
from appliance.keymaster.context import TRANSIENT, Room
from appliance.keymaster.keys.ledger_watch import stopped_tenants
from appliance.keymaster.word import KeymasterWord, write_word

DEVICE_KEY = "device"
DEVICE_SCHEME = "ecdsa-p384-sha384"
BUNDLE_DAYS = 365

log = structlog.get_logger("keymaster")


class Housekeeping:
    """Rounds of one life of the process. It goes on whatever becomes of the constitution."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._home = room.home
        self._issuers: dict[str, Issuer] = {}
        self._ocsp = OcspAnswers(room)
        self._front = FrontCertificate(room)
        self._rounds, self._failures = 0, 0
        self._succeeded: float | None = None
        room.settings_changed.append(lambda _: self._issuers.clear())

    @property
    def _settings(self) -> BoxSettings:
        return self._room.settings

    async def round(self) -> None:
        """Make what is due. A round that fails is told of, and tried again as the next."""
        self._rounds += 1
        if self._home.tamper_latch.exists():
            return  # nothing is signed, CRLs neither (control TAMPER)
        try:
            if not self._issuers:
                await self._open()
            await self._round()
            self._succeeded = time.time()
        except TRANSIENT as error:
            # Retried in the next round; a CRL is made at half of its life, so there is time.
            self._failures += 1
            log.warning("round-failed", error=type(error).__name__, detail=str(error))
        word = KeymasterWord(
            rounds=self._rounds,
            failures=self._failures,
            succeeded=self._succeeded,
            unexplained_tenants=stopped_tenants(self._room),
        )
        with contextlib.suppress(OSError):  # a full disk: the last word stands until there is room
            write_word(self._home.keymaster_word, word)

    async def _open(self) -> None:
        names = [authority.name for authority in self._settings.authorities]
        self._issuers = {name: await open_issuer(self._room, name, for_revocation=True) for name in names}

    async def _round(self) -> None:
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        revoked = self._revocations(await self._room.connected().query("certificate_states"))
        lists = {
            authority.name: await self._revocation_list(authority, revoked.get(authority.name, []), now)
            for authority in self._settings.authorities
        }
        if not self._bundle_names(lists):
            await self._publish(lists, now)
        await self._ocsp.round(self._issuers, revoked, now)
        await self._front.round(self._issuers, now)

    def _revocations(self, rows: list[tuple[bytes, int, str, str]]) -> dict[str, list[Revocation]]:
        """Held and revoked certificates by the authority that issued them; the register knows them by digest only."""
        found: dict[str, list[Revocation]] = {}
        compromised = self._room.ledger.compromised_certificates()
        for digest, time_us, state, reason in rows:
            path = self._home.issued / f"{digest.hex()}.pem"
            if not path.exists():
                continue  # not issued here: the register refuses it, and no CRL of ours can speak of it
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            at = datetime.datetime.fromtimestamp(time_us // 1_000_000, datetime.UTC)
            for name, issuer in self._issuers.items():
                if issuer.certificate.subject == certificate.issuer:
                    since = compromised.get(digest)
                    invalid = (
                        None if since is None else datetime.datetime.fromtimestamp(since // 1_000_000, datetime.UTC)
                    )
                    entry = Revocation(certificate.serial_number, at, reason_flag(state, reason), invalid)
                    found.setdefault(name, []).append(entry)
        return found

    async def _revocation_list(
        self, authority: CertificateAuthoritySettings, revoked: list[Revocation], now: datetime.datetime
    ) -> bytes:
        """The published CRL where it still holds, else the next one, which is on record and not yet published."""
        path = self._home.root / authority.crl
        current = read_crl(path)
        if not is_due(current, revoked, now):
            return path.read_bytes()
        crl = next_crl(self._issuers[authority.name], current, revoked, now, authority.crl_days)
        der = crl.public_bytes(serialization.Encoding.DER)
        await self._room.record_signature("crl", authority.name, authority.name, der)
        log.info("crl-made", authority=authority.name, revoked=len(revoked))
        return der

    def _bundle_names(self, lists: dict[str, bytes]) -> bool:
        """Whether the trust bundle is whole and names these CRLs, the founding, and what ceremonies activated; not so
        after a life that ended while it wrote."""
        try:
            bundle = read_bundle(read_directory(self._home.trust), None).document
        except TrustRefused:
            return False
        if self._room.constitutions.genesis not in (None, _genesis(bundle)):
            return False
        if not says_all(self._room, bundle) or not says_ledgers(self._home.root, self._settings, bundle):
            return False
        named = {entry.file: entry.sha256 for entry in bundle.revocation_lists}
        return all(
            named.get(Path(authority.crl).name) == hashlib.sha256(lists[authority.name]).hexdigest()
            for authority in self._settings.authorities
        )

    async def _publish(self, lists: dict[str, bytes], now: datetime.datetime) -> None:
        """Publish CRLs together with the next version of the trust bundle, which names them by digest.

        Everything is signed and on record before the first file is replaced, so that readers find them at odds for a
        moment at most."""
        box_token = self._room.box_token()
        device = box_token.signing_key(hsm.Pkcs11Uri.parse(f"pkcs11:object={DEVICE_KEY}"), DEVICE_SCHEME)
        files = read_directory(self._home.trust)
        previous = read_last(files).document
        # An authority that is gone has left its last CRL.
        left = {entry.file: files[entry.file] for entry in previous.revocation_lists if entry.file in files}
        ledgers = wanted_ledgers(self._home.root, self._settings, previous)
        policies = read_policies(self._home.witness_policies)
        decided = decided_hashes(self._home.log_renewals, governed=self._room.constitutions.governed)
        logs = wanted_logs(self._settings, self._room.ledger, decided, previous)
        cosigning = wanted_cosigning(policies, previous, logs)
        signed: list[bytes] = []

        def sign(encoded: bytes) -> bytes:
            signed.append(encoded)
            return device.sign(encoded)

        bundle = make_bundle(
            signer=device.public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            sign=sign,
            previous=files,
            rehearsal=self._settings.rehearsal,
            issued=now,
            expires=now + datetime.timedelta(days=BUNDLE_DAYS),
            authorities=wanted_authorities(self._home.root, self._settings, self._room.ledger, previous),
            revocation_lists=left
            | {Path(authority.crl).name: lists[authority.name] for authority in self._settings.authorities},
            logs=logs,
            witnesses=wanted_witnesses(policies, previous),
            time=with_witnesses_time(time_rules(previous, ledgers), cosigning),
            cosigning=cosigning,
            genesis=self._room.constitutions.genesis or _genesis(previous),
            algorithms=read_ends(self._home.algorithm_ends),
            ledgers=ledgers,
        )
        await self._room.record_signature("certificate", DEVICE_KEY, "trust bundle", signed[0])
        for authority in self._settings.authorities:
            publish(self._home, authority, lists[authority.name])
        write_bundle(self._home.trust, bundle)
        log.info("trust-bundle-published", version=previous.version + 1)


def _genesis(document: BundleDocument) -> str | None:
    found = document.ceremonies
    return found.genesis if isinstance(found, CeremonyTrust) else None
